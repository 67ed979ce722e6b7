"""AE titles and allow lists: what may stand in them, and whom they let in."""

from __future__ import annotations

import pytest

from scandock.model.receivers import AllowEntry, parse_address, parse_title


@pytest.mark.parametrize(
    ("entry", "calling", "address", "fits"),
    [
        ("SCANNER1", "SCANNER1", "10.0.0.9", True),
        ("SCANNER1", "SCANNER1   ", "10.0.0.9", True),
        ("SCANNER1", "scanner1", "10.0.0.9", False),
        ("10.1.2.0/24", "ANY", "10.1.2.77", True),
        ("10.1.2.5/24", "ANY", "10.1.2.77", True),  # as people write a host with its mask
        ("10.1.2.0/24", "ANY", "10.1.3.1", False),
        ("10.1.2.3", "ANY", "10.1.2.3", True),
        ("10.1.2.3", "ANY", "10.1.2.4", False),
        ("10.1.2.3", "ANY", "::ffff:10.1.2.3", True),
        ("::ffff:10.1.2.0/120", "ANY", "10.1.2.9", True),
        ("2001:db8::/32", "ANY", "2001:db8::7", True),
        ("2001:db8::/32", "ANY", "10.1.2.3", False),
        ("fe80::/10", "ANY", "fe80::1%eth0", True),
        ("CT 2@10.0.0.0/8", "CT 2", "10.200.0.1", True),
        ("CT 2@10.0.0.0/8", "CT 3", "10.200.0.1", False),
        ("CT 2@10.0.0.0/8", "CT 2", "192.168.0.1", False),
        ("A@B@10.0.0.1", "A@B", "10.0.0.1", True),
        ("CT/MR", "CT/MR", "10.0.0.1", True),
        ("0/0", "0/0", "10.0.0.1", None),  # meant as a network, and none
    ],
)
def test_an_entry_names_a_title_a_network_or_both(entry: str, calling: str, address: str, fits: bool | None) -> None:
    if fits is None:
        with pytest.raises(ValueError, match=r".+"):
            AllowEntry.parse(entry)
    else:
        assert AllowEntry.parse(entry).fits(calling, parse_address(address)) is fits


@pytest.mark.parametrize(
    "entry", ["", "AE@", "@10.0.0.1", "10.0.0.300", "10.0.0.0/33", "::g/8@", "A\\B", "AE@host", "1::2::3"]
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        AllowEntry.parse(entry)


@pytest.mark.parametrize("text", ["", "   ", "A" * 17, "A\\B", "A\tB", "A\nB", "Gerät"])
def test_what_can_be_no_ae_title(text: str) -> None:
    with pytest.raises(ValueError, match="AE title"):
        parse_title(text)


def test_blanks_around_a_title_are_no_part_of_it() -> None:
    assert parse_title("  CT 1 ") == "CT 1"
    assert parse_title("A" * 16) == "A" * 16
