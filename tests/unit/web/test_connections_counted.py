"""Which connections count, for whom, and who gives way, without a socket."""

from __future__ import annotations

import pytest

from scandock.web.connections import ConnectionLimits, Connections


class Waiting:
    def __init__(self) -> None:
        self.ended = 0

    def give_way(self) -> None:
        self.ended += 1


@pytest.fixture
def refused() -> list[str]:
    return []


def counting(refused: list[str], *, total: int = 8, per_address: int = 3, trusted: tuple[str, ...] = ()) -> Connections:
    return Connections(ConnectionLimits(total=total, per_address=per_address), trusted, refused.append)


def working(connections: Connections, address: str) -> Waiting:
    """One whose request is complete."""
    one = Waiting()
    assert connections.open(one, address) == ""
    connections.complete_head(one)
    return one


@pytest.mark.parametrize(
    ("peer", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("", None),
    ],
)
def test_an_address_counts_as_its_network_and_a_trusted_proxy_not_at_all(
    refused: list[str], peer: str, counts_as: str | None
) -> None:
    """A socket that listens for both families gives a proxy at 10.1.2.3 as ::ffff:10.1.2.3."""
    assert counting(refused, trusted=("10.0.0.0/8",)).address_of(peer) == counts_as


def test_the_oldest_of_who_has_most_makes_room_where_all_are_at_work(refused: list[str]) -> None:
    connections = counting(refused)
    many = [working(connections, "a") for _ in range(5)]
    few = [working(connections, address) for address in ("b", "c", "d")]
    assert connections.open(Waiting(), "e") == ""
    assert [one.ended for one in (*many, *few)] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert (len(connections), refused) == (8, ["gave_way"])
    assert connections.open(Waiting(), "a") == ""  # the one that waits for its head gives way


def test_nobody_gives_way_who_has_no_more_than_a_quarter(refused: list[str]) -> None:
    connections = counting(refused)
    everybody = [working(connections, address) for address in "aabbccdd"]
    assert connections.open(Waiting(), "e") == "total"
    assert [one.ended for one in everybody] == [0] * 8
    connections.close(everybody[0])
    assert connections.open(Waiting(), "e") == ""


def test_nor_for_more_of_their_own(refused: list[str]) -> None:
    connections = counting(refused)
    everybody = [working(connections, "a") for _ in range(8)]
    assert connections.open(Waiting(), "a") == "total"
    assert [one.ended for one in everybody] == [0] * 8


def test_bodies_count_as_heads_do_until_they_are_there(refused: list[str]) -> None:
    connections = counting(refused)
    assert [connections.begin_body("a") for _ in range(4)] == [True, True, True, False]
    assert connections.open(Waiting(), "a") == "address"
    assert connections.begin_body("b")
    for _ in range(3):
        connections.end_body("a")
    assert connections.count_waiting("a") == 0
    heads = [Waiting() for _ in range(4)]
    assert [connections.open(one, "a") for one in heads] == [""] * 4
    assert [one.ended for one in heads] == [1, 0, 0, 0]  # whose head is not there gives way to the next


def test_nothing_is_kept_of_an_address_that_waits_for_nothing(refused: list[str]) -> None:
    """However many addresses come: an IPv6 network has billions to come from."""
    connections = counting(refused)
    empty = sizes(connections)
    for number in range(50):
        address, one = f"2001:db8:0:{number:x}::/64", Waiting()
        assert connections.open(one, address) == ""
        connections.complete_head(one)
        assert connections.begin_body(address)
        connections.end_body(address)
        connections.set_idle(one)
        assert connections.wait(one, address)
        connections.close(one)
    assert sizes(connections) == empty


def sizes(connections: Connections) -> dict[str, int]:
    """Entries of whatever it keeps."""
    return {name: len(kept) for name, kept in vars(connections).items() if isinstance(kept, dict)}
