"""Who locks rows of a store in a bucket does so in one order: trees by their numbers, then objects by their ids.

One row is held by the test. Who waits for it must not hold yet what comes behind it in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Connection, create_engine, insert, text

from scandock.catalog import engine as catalog_engine
from scandock.catalog.store_tables import spool_part
from scandock.model.errors import TokenLost
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.store.packs import StoredObject
from scandock.store.paths import unchecked_path
from tests.crash.processes import until

pytestmark = pytest.mark.crash

LOCK_TREE = "SELECT 1 FROM stored_tree WHERE number = :it FOR UPDATE NOWAIT"
LOCK_OBJECT = "SELECT 1 FROM stored_object WHERE key = :it FOR UPDATE NOWAIT"
LOCK_ATTEMPT = "SELECT 1 FROM store_attempt WHERE token = :it FOR UPDATE NOWAIT"
DAYS_MS = 8 * 24 * 60 * 60 * 1000


@pytest.fixture
def rows(postgres_url: str) -> Iterator[PostgresObjectRows]:
    with closing(PostgresObjectRows(postgres_url)) as rows:
        yield rows


@pytest.fixture
def holder(postgres_url: str, rows: PostgresObjectRows) -> Iterator[Connection]:
    """A connection of its own, with a transaction that nobody ends but the test."""
    rows.identity("0" * 32)  # makes the tables
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def waiting(holder: Connection, verb: Callable[[], object]) -> Iterator[None]:
    """A verb waits for a lock within, and is done behind it."""
    with ThreadPoolExecutor(1) as pool, holder.engine.connect() as looking:
        looking.execution_options(isolation_level="AUTOCOMMIT")  # else it sees the sessions of its beginning
        pid = holder.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        running = pool.submit(verb)
        blocked = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")
        try:
            until(lambda: running.done() or looking.execute(blocked, {"pid": pid}).scalar_one(), "it does not wait")
            assert not running.done(), running.result()
            yield
        finally:
            holder.rollback()
        running.result(30)


def stage(rows: PostgresObjectRows, number: int, token: str, kept: tuple[str, ...] = ()) -> None:
    rows.begin(token, token)
    rows.register(token, token, unchecked_path("tree"), number, [], [StoredObject(f"v1/p/{number}", size=10)], kept)


def publish(rows: PostgresObjectRows, number: int, name: str) -> None:
    stage(rows, number, f"u{number}")
    rows.publish(f"u{number}", f"u{number}", "tree", number, name, replace=False)


def test_who_replaces_a_tree_locks_both_by_number(rows: PostgresObjectRows, holder: Connection) -> None:
    publish(rows, 1, "archive/P/L")
    stage(rows, 2, "u")
    holder.execute(text(LOCK_TREE), {"it": 1})
    with waiting(holder, lambda: rows.publish("u", "u", "tree", 2, "archive/P/L", replace=True)):
        holder.execute(text(LOCK_TREE), {"it": 2})
    assert rows.current("archive/P/L") == 2
    assert rows.staged("u", "tree") == 1


def test_who_gives_trees_up_locks_them_by_number(rows: PostgresObjectRows, holder: Connection) -> None:
    for number in (2, 1):
        publish(rows, number, f"archive/P/{number}")
        rows.retire(f"archive/P/{number}", number, f"trash{number}", "{}")
    holder.execute(text(LOCK_TREE), {"it": 1})
    with waiting(holder, lambda: rows.give_up(["trash1", "trash2"])):
        holder.execute(text(LOCK_TREE), {"it": 2})
    assert rows.trash() == []


def test_who_takes_an_upload_over_locks_its_trees_by_number(rows: PostgresObjectRows, holder: Connection) -> None:
    rows.begin("u", "u")
    for number in (2, 1):
        rows.register("u", "u", unchecked_path(f"tree{number}"), number, [], [], ())
    holder.execute(text(LOCK_TREE), {"it": 1})
    with waiting(holder, lambda: rows.take("u", "u", "new")):
        holder.execute(text(LOCK_TREE), {"it": 2})
    rows.finish("u", "new")
    assert rows.staged("u", "tree1") is None


def test_who_finishes_ends_the_attempt_before_the_trees(rows: PostgresObjectRows, holder: Connection) -> None:
    """As does whoever ends what is over."""
    stage(rows, 1, "u")
    holder.execute(text(LOCK_ATTEMPT), {"it": "u"})
    with waiting(holder, lambda: rows.finish("u", "u")):
        holder.execute(text(LOCK_TREE), {"it": 1})
    assert rows.staged("u", "tree") is None


def test_who_finishes_while_it_is_taken_over_leaves_what_is_staged(
    rows: PostgresObjectRows, holder: Connection, postgres_url: str
) -> None:
    """It asks who has the upload behind the lock of its own attempt, which whoever takes over has by then."""
    stage(rows, 1, "u")
    both = text("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0")
    holder.execute(text(LOCK_TREE), {"it": 1})
    with ThreadPoolExecutor(1) as pool, closing(PostgresObjectRows(postgres_url)) as late:
        with waiting(holder, lambda: rows.take("u", "u", "new")), holder.engine.connect() as looking:
            looking.execution_options(isolation_level="AUTOCOMMIT")
            finished = pool.submit(late.finish, "u", "u")
            until(lambda: looking.execute(both).scalar_one() == 2, "it does not wait for who takes over")
        error = finished.exception(30)
    assert rows.staged("u", "tree") == 1
    assert isinstance(error, TokenLost)


def test_who_shares_objects_locks_them_by_id(
    rows: PostgresObjectRows, holder: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_engine, "VALUES_PER_STATEMENT", 1)
    stage(rows, 2, "first")
    stage(rows, 1, "second")
    holder.execute(text(LOCK_OBJECT), {"it": "v1/p/2"})
    with waiting(holder, lambda: stage(rows, 3, "third", kept=("v1/p/1", "v1/p/2"))):
        holder.execute(text(LOCK_OBJECT), {"it": "v1/p/1"})
    assert rows.trees_of(["v1/p/1", "v1/p/2"]) == {"v1/p/1": {1, 3}, "v1/p/2": {2, 3}}


def test_an_object_that_is_shared_as_its_files_move_is_named_again(
    rows: PostgresObjectRows, holder: Connection
) -> None:
    """It has days left, as whoever has composed a tree of it needs it."""
    stage(rows, 1, "first")
    later = "UPDATE stored_object SET due = (extract(epoch FROM now()) * 1000)::bigint + :days"
    holder.execute(text(later), {"days": DAYS_MS})
    with waiting(holder, lambda: stage(rows, 2, "second", kept=("v1/p/1",))):
        holder.commit()
    assert rows.trees_of(["v1/p/1"]) == {"v1/p/1": {1, 2}}
    assert set(rows.named_keys()) == {"v1/p/1", "v1/p/2"}


def test_a_part_that_is_just_noted_goes_with_its_spool(rows: PostgresObjectRows, holder: Connection) -> None:
    rows.hold_spool("u", "w")
    holder.execute(text("SELECT 1 FROM spool_writer WHERE upload = 'u' FOR UPDATE"))
    part = {"upload": "u", "at": 0, "bytes": 4, "key": "v1/i/u/0", "sha256": bytes(32)}
    holder.execute(insert(spool_part).values(**part))
    with waiting(holder, lambda: rows.drop_spool("u", grace_ms=0)):
        holder.commit()
    assert rows.parts("u") == []
    assert rows.due(9) == ["v1/i/u/0"]


def test_objects_that_have_gone_are_locked_by_id(rows: PostgresObjectRows, holder: Connection) -> None:
    for number in (2, 1):
        stage(rows, number, f"u{number}")
        rows.finish(f"u{number}", f"u{number}")
    rows.doom(grace_ms=0, stop=lambda: False)
    holder.execute(text("UPDATE stored_object SET bytes = 11 WHERE key = 'v1/p/2'"))  # it is behind the other one now
    holder.commit()
    holder.execute(text(LOCK_OBJECT), {"it": "v1/p/2"})
    with waiting(holder, lambda: rows.deleted(["v1/p/1", "v1/p/2"])):
        holder.execute(text(LOCK_OBJECT), {"it": "v1/p/1"})
    assert rows.due(9) == []
