"""Names that an import is about to touch are its own until it has ended, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import project_deletion, reservation
from scandock.model.errors import Fault, TokenLost, Usage
from scandock.publishing.locks import LockName, label_lock, study_lock
from scandock.publishing.reserve import find_holders, lock_projects, release_names, reserve
from scandock.queue.leases import ImportLease, begin
from tests.unit.catalog.conftest import Rows

pytestmark = pytest.mark.postgresql


def started(catalog: Catalog, number: str) -> ImportLease:
    return begin(catalog, number=number, token=f"token of {number}", archive="a.zip", request={})


def take(catalog: Catalog, lease: ImportLease, *names: LockName) -> None:
    with catalog.write() as connection:
        reserve(catalog, connection, lease, names)


def held(catalog: Catalog, lease: ImportLease, *names: LockName) -> set[str]:
    with catalog.read() as connection:
        return find_holders(connection, lease, names)


def test_what_one_holds_the_other_sees(catalog: Catalog) -> None:
    one, two, three = (started(catalog, number) for number in ("u1", "u2", "u3"))
    take(catalog, one, label_lock("P", "a"), study_lock("P", "1.2"))
    take(catalog, two, label_lock("P", "b"))

    assert held(catalog, three, label_lock("P", "a"), label_lock("P", "b"), label_lock("P", "c")) == {
        one.uuid,
        two.uuid,
    }
    assert held(catalog, one, label_lock("P", "a"), study_lock("P", "1.2")) == set()
    assert held(catalog, one, label_lock("Q", "a")) == set()


def test_a_name_is_taken_once_and_may_be_taken_again_by_its_holder(catalog: Catalog) -> None:
    one, two = started(catalog, "u1"), started(catalog, "u2")
    take(catalog, one, label_lock("P", "a"), label_lock("P", "a"))
    take(catalog, one, label_lock("P", "a"), label_lock("P", "b"))
    with pytest.raises(Fault, match=r"(?i)unique|duplicate"):
        take(catalog, two, label_lock("P", "b"))

    with catalog.read() as connection:
        assert sorted(connection.execute(select(reservation.c.name)).scalars()) == [
            label_lock("P", "a"),
            label_lock("P", "b"),
        ]


def test_a_stale_process_reserves_nothing(catalog: Catalog) -> None:
    lease = started(catalog, "u1")
    with pytest.raises(TokenLost):
        take(catalog, replace(lease, token="an older token"), label_lock("P", "a"))
    with catalog.read() as connection:
        assert connection.execute(select(reservation.c.name)).all() == []


def test_releasing_gives_back_ones_own_alone(catalog: Catalog) -> None:
    one, two = started(catalog, "u1"), started(catalog, "u2")
    take(catalog, one, label_lock("P", "a"))
    take(catalog, two, label_lock("P", "b"))
    with catalog.write() as connection:
        release_names(connection, one)

    assert held(catalog, two, label_lock("P", "a")) == set()
    assert held(catalog, one, label_lock("P", "b")) == {two.uuid}


def test_more_names_than_one_statement_takes(catalog: Catalog) -> None:
    one, two = started(catalog, "u1"), started(catalog, "u2")
    names = [label_lock("P", str(n)) for n in range(1_700)]
    take(catalog, one, *names)

    assert held(catalog, two, *names[1_650:]) == {one.uuid}
    assert held(catalog, two, *names) == {one.uuid}
    assert held(catalog, two, label_lock("P", "none"), *names[1_600:1_601]) == {one.uuid}


def test_who_locks_a_project_looks_alone(catalog: Catalog, rows: Rows) -> None:
    """Of imports that plan for one project at once, one finds the name free, the others find it taken."""
    rows.project("P")
    leases = [started(catalog, f"u{n}") for n in range(4)]
    barrier = threading.Barrier(len(leases))
    won: list[int] = []

    def plan(lease: ImportLease) -> None:
        barrier.wait()
        with catalog.write() as connection:
            lock_projects(connection, ["P"])
            if not find_holders(connection, lease, [label_lock("P", "a")]):
                reserve(catalog, connection, lease, [label_lock("P", "a")])
                won.append(lease.upload_id)

    threads = [threading.Thread(target=plan, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1


def test_locking_gives_the_projects_that_there_are(catalog: Catalog, rows: Rows) -> None:
    one, two = rows.project("P"), rows.project("Q")
    with catalog.write() as connection:
        assert lock_projects(connection, ["Q", "P", "P"]) == {"P": one, "Q": two}
        assert lock_projects(connection, []) == {}
        with pytest.raises(Usage, match="There is no project R any more"):
            lock_projects(connection, ["P", "R"])


def test_what_is_being_deleted_is_locked_by_its_deletion_alone(catalog: Catalog, rows: Rows) -> None:
    one, two = rows.project("P"), rows.project("Q")
    with catalog.write() as connection:
        connection.execute(
            insert(project_deletion).values(project_id=one, actor="a", address="", request_id="", begun=0)
        )
        with pytest.raises(Usage, match="The project P is being deleted") as refused:
            lock_projects(connection, ["P", "Q"])
        assert refused.value.code == "project_deleting"
        assert lock_projects(connection, ["P"], deleting=True) == {"P": one}
        assert lock_projects(connection, ["Q"]) == {"Q": two}
