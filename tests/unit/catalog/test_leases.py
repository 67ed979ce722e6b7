"""Which import is whose: only the newest token counts, by the database's clock, on both databases."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import reservation, tree
from scandock.model.errors import TokenLost
from scandock.model.import_report import ImportOutcome, ImportReport
from scandock.model.verdicts import ImportState
from scandock.queue import leases
from scandock.queue.leases import (
    LEASE_MS,
    ImportLease,
    Lease,
    OperationLease,
    begin,
    begin_operation,
    check_lease,
    find_dead_leases,
    finish,
    finish_operation,
    is_unfinished,
    release_all,
    release_lease,
    renew,
    take_over,
)
from scandock.queue.owner import is_gone, this_owner
from tests.unit.catalog.conftest import Rows

pytestmark = pytest.mark.postgresql

GONE = json.dumps({**json.loads(this_owner()), "boot": "another boot"})
REPORT = ImportReport(upload="u1", archive="a.zip", state=ImportState.HELD, code="sop_clash", message="Look.")
FAR = json.dumps({**json.loads(this_owner()), "host": "another.host"})


def started(catalog: Catalog, number: str = "u1") -> ImportLease:
    return begin(catalog, number=number, token="t1", archive="a.zip", request={"project": "P"})


def row(catalog: Catalog, lease: Lease) -> Any:
    with catalog.read() as connection:
        now = connection.execute(select(catalog.now())).scalar_one()
        found = connection.execute(select(lease.table).where(lease.table.c.id == lease.row_id)).mappings().one()
    return {**found, "left": found["lease_until"] - now}


def change(catalog: Catalog, lease: Lease, **values: Any) -> None:
    with catalog.write() as connection:
        connection.execute(update(lease.table).where(lease.table.c.id == lease.row_id).values(**values))


def test_an_import_begins_as_ours(catalog: Catalog) -> None:
    found = row(catalog, started(catalog))

    assert (found["state"], found["source"], found["attempt"], found["token"]) == ("running", "cli", 1, "t1")
    assert json.loads(found["request"]) == {"project": "P"}
    assert 0 < found["left"] <= LEASE_MS
    assert is_gone(found["owner"]) is False


def test_renewing_holds_the_lease(catalog: Catalog) -> None:
    lease = started(catalog)
    change(catalog, lease, lease_until=1)
    renew(catalog, lease)

    assert 0 < row(catalog, lease)["left"] <= LEASE_MS


def test_a_stale_token_holds_nothing(catalog: Catalog) -> None:
    lease = started(catalog)
    stale = replace(lease, token="t0")
    before = row(catalog, lease)["lease_until"]
    with pytest.raises(TokenLost):
        renew(catalog, stale)
    with pytest.raises(TokenLost), catalog.write() as connection:
        check_lease(catalog, connection, stale)
    with pytest.raises(TokenLost), catalog.write() as connection:
        finish(catalog, connection, stale, ImportOutcome(state=ImportState.PLACED))

    assert (row(catalog, lease)["state"], row(catalog, lease)["lease_until"]) == ("running", before)


def test_an_operation_is_held_lost_and_taken_over_as_an_import_is(catalog: Catalog) -> None:
    """Of two rows with one number in their tables each token opens its own."""
    imported, changed = started(catalog), begin_operation(catalog, number="o1", token="t1", kind="edit")
    assert imported.row_id == changed.row_id
    assert changed.upload_id is None
    assert (row(catalog, changed)["attempt"], row(catalog, changed)["kind"]) == (1, "edit")
    change(catalog, changed, lease_until=1)
    renew(catalog, changed)
    assert 0 < row(catalog, changed)["left"] <= LEASE_MS
    assert find_dead_leases(catalog) == []
    change(catalog, changed, owner=GONE)
    (dead,) = find_dead_leases(catalog)
    assert (dead.kind, dead.uuid, dead.let_go) == (OperationLease, "o1", False)
    taken = take_over(catalog, dead)
    assert isinstance(taken, OperationLease)
    assert (row(catalog, changed)["token"], row(catalog, changed)["attempt"]) == (taken.token, 2)
    for stale in (changed, replace(changed, token="t0")):
        with pytest.raises(TokenLost):
            renew(catalog, stale)
    renew(catalog, imported)
    release_lease(catalog, taken)
    assert [one.uuid for one in find_dead_leases(catalog)] == ["o1"]
    assert take_over(catalog, dead) is None


def test_an_operation_ends_with_all_that_it_holds(catalog: Catalog, rows: Rows) -> None:
    imported, changed = started(catalog), begin_operation(catalog, number="o1", token="t1", kind="edit")
    number = rows.tree(upload_id=None, operation_id=changed.row_id)
    with catalog.write() as connection:
        names = [{"name": "P/label/a", **changed.mark()}]
        connection.execute(insert(reservation), names)
        connection.execute(insert(reservation), [{"name": "P/label/b", **imported.mark()}])
    assert is_going(catalog, "o1", "u1") == [True, True]
    with pytest.raises(TokenLost), catalog.write() as connection:
        finish_operation(catalog, connection, replace(changed, token="t0"))
    with catalog.write() as connection:
        finish_operation(catalog, connection, changed)
    assert is_going(catalog, "o1", "u1") == [False, True]
    with catalog.read() as connection:
        assert connection.execute(select(reservation.c.name)).scalars().all() == ["P/label/b"]
        assert connection.execute(select(tree.c.id, tree.c.operation_id)).all() == [(number, None)]
    with pytest.raises(TokenLost):
        renew(catalog, changed)


def test_a_restored_catalog_is_nobodys(catalog: Catalog) -> None:
    """Its owners may live on this machine, and work on the one that it was copied from."""
    imported, changed = started(catalog), begin_operation(catalog, number="o1", token="t1", kind="edit")
    ended = started(catalog, "u2")
    with catalog.write() as connection:
        finish(catalog, connection, ended, ImportOutcome(state=ImportState.PLACED))
    before = row(catalog, ended)["owner"]
    for lease in (imported, changed):
        change(catalog, lease, owner=FAR)
    assert find_dead_leases(catalog) == []
    with catalog.write() as connection:
        release_all(connection)
    assert [one.uuid for one in find_dead_leases(catalog)] == ["u1", "o1"]
    assert row(catalog, ended)["owner"] == before


def is_going(catalog: Catalog, *uuids: str) -> list[bool]:
    with catalog.read() as connection:
        return [is_unfinished(connection, uuid) for uuid in uuids]


def test_what_has_ended_is_nobodys(catalog: Catalog) -> None:
    lease = started(catalog)
    change(catalog, lease, owner=GONE)
    (dead,) = find_dead_leases(catalog)
    with catalog.write() as connection:
        finish(catalog, connection, lease, REPORT)
    found = row(catalog, lease)

    assert (found["state"], found["code"], found["message"]) == ("held", "sop_clash", "Look.")
    assert json.loads(found["report"]) == REPORT.to_json()
    assert found["finished"] is not None
    with pytest.raises(TokenLost):
        renew(catalog, lease)
    change(catalog, lease, lease_until=0, owner=GONE)
    assert find_dead_leases(catalog) == []
    assert take_over(catalog, dead) is None


def test_ending_frees_what_was_reserved_and_no_more(catalog: Catalog) -> None:
    lease, other = started(catalog), started(catalog, "u2")
    with catalog.write() as connection:
        connection.execute(
            insert(reservation),
            [{"name": "P/label/a", "upload_id": lease.upload_id}, {"name": "P/label/b", "upload_id": other.upload_id}],
        )
        finish(catalog, connection, lease, ImportOutcome(state=ImportState.PLACED))
    with catalog.read() as connection:
        assert connection.execute(select(reservation.c.name)).scalars().all() == ["P/label/b"]


def test_the_dead_are_those_whose_owner_is_gone_or_whose_lease_is_over(
    catalog: Catalog, subtests: pytest.Subtests
) -> None:
    owners = {
        "gone from this host, at once": (GONE, LEASE_MS, True),
        "on another host, lease runs": (FAR, LEASE_MS, False),
        "on another host, lease over": (FAR, -1, True),
        "no owner, lease over": ("", -1, True),
        "unknown owner, lease runs": ("not json", LEASE_MS, False),
    }
    for name, (owner, left, dead) in owners.items():
        with subtests.test(name):
            lease = started(catalog, name)
            change(catalog, lease, owner=owner, lease_until=catalog.now() + left)
            assert (name in [one.uuid for one in find_dead_leases(catalog)]) == dead
    assert len(find_dead_leases(catalog)) == 3


def test_this_processs_own_imports_are_not_dead(catalog: Catalog) -> None:
    lease = started(catalog)
    change(catalog, lease, lease_until=0)

    assert find_dead_leases(catalog) == []


def test_an_abandoned_import_is_taken_over_at_once(catalog: Catalog) -> None:
    lease = started(catalog)
    release_lease(catalog, replace(lease, token="t0"))
    assert find_dead_leases(catalog) == []
    release_lease(catalog, lease)

    assert [one.uuid for one in find_dead_leases(catalog)] == ["u1"]


def test_who_takes_over_holds_a_new_token_and_the_old_one_nothing(catalog: Catalog) -> None:
    lease = started(catalog)
    change(catalog, lease, owner=GONE)
    (dead,) = find_dead_leases(catalog)
    mine = take_over(catalog, dead)

    assert mine is not None
    assert (mine.upload_id, mine.uuid) == (lease.upload_id, lease.uuid)
    assert mine.token != lease.token
    assert row(catalog, mine)["attempt"] == 2
    assert is_gone(row(catalog, mine)["owner"]) is False
    with pytest.raises(TokenLost):
        renew(catalog, lease)
    renew(catalog, mine)


def test_one_of_many_takes_over(catalog: Catalog) -> None:
    lease = started(catalog)
    change(catalog, lease, owner=GONE)
    (dead,) = find_dead_leases(catalog)
    barrier = threading.Barrier(4)
    taken: list[Lease | None] = []

    def take() -> None:
        barrier.wait()
        taken.append(take_over(catalog, dead))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = [one for one in taken if one is not None]
    assert len(taken) == 4
    assert row(catalog, winner)["token"] == winner.token
    assert row(catalog, winner)["attempt"] == 2


def test_an_owner_is_told_by_boot_process_and_its_start() -> None:
    mine = json.loads(this_owner())

    assert is_gone(this_owner()) is False
    assert is_gone(json.dumps({**mine, "started": mine["started"] - 1})) is True
    assert is_gone(json.dumps({**mine, "pid": 2**22 + 1})) is True
    assert is_gone(FAR) is None
    assert is_gone("[]") is None


def test_a_lease_outlives_several_renewals() -> None:
    """Two that are late must not lose it."""
    assert leases.RENEW_SECONDS * 1000 * 3 <= LEASE_MS


def test_rows_of_the_builder_are_dead_uploads(catalog: Catalog, rows: Rows) -> None:
    number = rows.upload()

    assert [(one.kind, one.row_id) for one in find_dead_leases(catalog)] == [(ImportLease, number)]
