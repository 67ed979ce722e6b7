"""Transactions, the database's clock, and opening, on both databases."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from scandock.catalog import engine
from scandock.catalog.engine import HEAD, READERS, WRITERS, Catalog, forbid_writes, open_catalog
from scandock.catalog.tables import project, session
from scandock.model.errors import Fault
from tests.crash.processes import until

pytestmark = pytest.mark.postgresql


def count(catalog: Catalog) -> int:
    with catalog.read() as connection:
        return int(connection.execute(select(func.count()).select_from(project)).scalar_one())


def values(name: str) -> dict[str, object]:
    return {"name": name, "key": name.casefold(), "created": 0}


def test_a_write_is_kept_whole_or_not_at_all(catalog: Catalog) -> None:
    with pytest.raises(Fault, match=r"(?i)unique"), catalog.write() as connection:
        connection.execute(insert(project), [values("A"), values("B"), values("b")])
    assert count(catalog) == 0
    with catalog.write() as connection:
        connection.execute(insert(project).values(**values("A")))
    assert count(catalog) == 1


def test_a_read_sees_one_state_from_its_first_look_on(catalog: Catalog) -> None:
    with catalog.read() as connection:
        before = connection.execute(select(func.count()).select_from(project)).scalar_one()
        writer = threading.Thread(target=_add, args=(catalog, "A"))
        writer.start()
        writer.join()
        after = connection.execute(select(func.count()).select_from(project)).scalar_one()

    assert (before, after) == (0, 0)
    assert count(catalog) == 1


def _add(catalog: Catalog, name: str) -> None:
    with catalog.write() as connection:
        connection.execute(insert(project).values(**values(name)))


def test_a_write_after_a_read_of_the_same_thread_sees_what_is_new(catalog: Catalog) -> None:
    """The isolation of a read does not stick to its pooled connection."""
    count(catalog)
    with catalog.write() as connection:
        before = connection.execute(select(func.count()).select_from(project)).scalar_one()
        if catalog.sqlite:
            return  # there, a writer shuts out all others
        writer = threading.Thread(target=_add, args=(catalog, "A"))
        writer.start()
        writer.join()
        assert connection.execute(select(func.count()).select_from(project)).scalar_one() == before + 1


def test_the_clock_is_the_databases_in_milliseconds(catalog: Catalog) -> None:
    with catalog.read() as connection:
        first = connection.execute(select(catalog.now())).scalar_one()
    with catalog.read() as connection:
        second = connection.execute(select(catalog.now())).scalar_one()

    assert isinstance(first, int)
    assert abs(first - time.time() * 1000) < 5_000
    assert second >= first


def test_the_clock_goes_on_within_a_transaction(catalog: Catalog) -> None:
    """A long transaction must not renew a lease from its own beginning."""
    with catalog.read() as connection:
        first = connection.execute(select(catalog.now())).scalar_one()
        deadline = time.monotonic() + 5
        while connection.execute(select(catalog.now())).scalar_one() <= first:
            assert time.monotonic() < deadline, "the clock stands still"


def test_foreign_keys_and_states_are_kept(catalog: Catalog) -> None:
    with pytest.raises(Fault, match=r"(?i)foreign key"), catalog.write() as connection:
        connection.execute(
            insert(session).values(
                uuid="x", project_id=99, subject="", label="", key="", place="archive", state="ready", xsi_type="",
                attributes="", warnings="", tree_id=99, scans=0, files=0, bytes=0, created=0, modified=0,
            )
        )  # fmt: skip
    with pytest.raises(Fault, match=r"(?i)identified|check"), catalog.write() as connection:
        connection.execute(insert(project).values(**values("A"), identified="perhaps"))


def test_an_error_of_the_database_is_a_fault_with_a_remedy(catalog: Catalog) -> None:
    with pytest.raises(Fault, match="could not be read or written") as told, catalog.read() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))

    assert told.value.code == "catalog"
    assert told.value.remedy
    assert not isinstance(told.value.__cause__, IntegrityError)


def test_two_first_starts_at_once_make_one_catalog(bare_database_url: str) -> None:
    opened: list[Catalog] = []
    failed: list[BaseException] = []

    def start() -> None:
        try:
            opened.append(open_catalog(bare_database_url))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for catalog in opened:
        catalog.dispose()

    assert failed == []
    assert len(opened) == 4


def test_sqlite_syncs_and_keeps_foreign_keys(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    with catalog.read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    catalog.dispose()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60_000}


def test_what_is_not_synced_is_so_for_that_transaction_alone(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/c.db")
    try:
        for end in (None, ValueError("undone")):
            with suppress(ValueError), catalog.write(synced=False) as connection:
                assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 1
                connection.execute(insert(project).values(values(f"P{end}")))
                if end is not None:
                    raise end
            with catalog.write() as connection:
                assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        with catalog.read() as connection:
            names = connection.execute(select(project.c.name)).scalars().all()
        assert [name for name in names if name.startswith("P")] == ["PNone"]
    finally:
        catalog.dispose()


def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"this is no database at all" * 100)

    with pytest.raises(Fault, match=r"could not be read or written: it is damaged") as caught:
        open_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    assert caught.value.code == "catalog_damaged"
    assert "backup" in caught.value.remedy


def test_damage_is_found_by_looking_over_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    catalog = open_catalog(f"sqlite:///{path}")
    with catalog.write() as connection:
        connection.execute(insert(project), [values(f"P{n}") for n in range(5_000)])
    catalog.quick_check(60)
    assert catalog.damaged == ""
    catalog.dispose()
    whole = path.read_bytes()
    page = len(whole) // 8192 * 4096  # in the middle: one of the rows, which opening does not look at
    path.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])

    catalog = open_catalog(f"sqlite:///{path}")
    with pytest.raises(Fault, match="is damaged") as caught:
        catalog.quick_check(60)
    assert caught.value.code == "catalog_damaged"
    assert "damaged" in catalog.damaged


def test_looking_over_ends_in_time(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    with catalog.write() as connection:
        connection.execute(insert(project), [values(f"P{n}") for n in range(20_000)])
    catalog.quick_check(-1)
    assert (count(catalog), catalog.damaged) == (20_000, "")


def test_writing_is_tried_in_earnest_and_changes_nothing(catalog: Catalog) -> None:
    catalog.try_writing(2)
    with catalog.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]


def test_a_lock_that_lasts_is_told_and_not_waited_for(catalog: Catalog) -> None:
    with catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        with pytest.raises(Fault, match="another process holds its lock"):
            catalog.try_writing(1)
    catalog.try_writing(1)
    if catalog.sqlite:
        with catalog.read() as connection:
            assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 60_000


def test_who_reads_has_a_connection_however_many_wait_to_write(catalog: Catalog) -> None:
    many = ThreadPoolExecutor(60)
    with catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        waiting = [many.submit(_write, catalog) for _ in range(60)]
        until(lambda: catalog.waiting == 60 + 1 - WRITERS, "they do not wait")
        with ExitStack() as reads:
            for _ in range(READERS):
                assert reads.enter_context(catalog.read()).execute(text("SELECT 1")).scalar_one() == 1
        assert not any(one.done() for one in waiting)
    assert [one.result(60) for one in waiting] == [None] * 60
    many.shutdown()


def _write(catalog: Catalog) -> None:
    with catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def test_a_process_whose_connections_are_all_in_use_says_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "READERS", 0)
    monkeypatch.setattr(engine, "CONNECTION_SECONDS", 0)
    catalog = open_catalog(database_url)
    with ExitStack() as reads:
        for _ in range(WRITERS):
            reads.enter_context(catalog.read())
        with pytest.raises(Fault, match="all 8 connections of this process to it are in use") as caught:
            reads.enter_context(catalog.read())
    assert (caught.value.code, bool(caught.value.remedy)) == ("catalog", True)
    assert count(catalog) == 0
    catalog.dispose()


def test_who_waits_too_long_behind_others_that_write_is_told_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WRITERS", 1)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    catalog = open_catalog(database_url)
    with catalog.write(), pytest.raises(Fault, match="have waited for its lock") as caught:
        _write(catalog)
    assert caught.value.code == "catalog"
    _write(catalog)
    catalog.dispose()


def test_a_thread_that_only_reads_writes_nothing_and_notes_what_nobody_waits_for(catalog: Catalog) -> None:
    written: list[str] = []

    def write(connection: Connection, name: str) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        written.append(name)

    with ThreadPoolExecutor(1, initializer=forbid_writes) as reads:
        assert reads.submit(count, catalog).result(60) == 0
        with pytest.raises(RuntimeError, match="only reads"):
            reads.submit(_write, catalog).result(60)
        with catalog.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            for name in (*"A" * 10, "B"):  # none of them waits for the lock
                assert reads.submit(catalog.note, name, partial(write, name=name)).result(60) is None
            assert written == []
        until(lambda: "B" in written, "it was not written")
    assert written.count("A") <= 2  # one that had begun to wait, and one for all others
    catalog.note("C", partial(write, name="C"))
    assert written[-1] == "C"


def test_a_note_that_fails_costs_no_later_one(catalog: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    written: list[str] = []

    def write(connection: Connection, name: str) -> None:
        if name == "bad":
            raise ValueError(name)
        written.append(name)

    with ThreadPoolExecutor(1, initializer=forbid_writes) as reads:
        reads.submit(catalog.note, "bad", partial(write, name="bad")).result(60)
        until(lambda: caplog.records, "it was not logged")
        reads.submit(catalog.note, "A", partial(write, name="A")).result(60)
        until(lambda: written, "it was not written")
    catalog.dispose()
    assert written == ["A"]
    assert [(one.levelname, one.message, bool(one.exc_info)) for one in caplog.records] == [
        ("ERROR", "notes not written", True)
    ]


def test_notes_go_on_once_a_thread_can_be_started_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with ThreadPoolExecutor(1, initializer=forbid_writes) as reads:
        assert reads.submit(count, catalog).result(60) == 0  # its thread has begun
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            reads.submit(catalog.note, "A", lambda _: written.append("A")).result(60)
        assert written == []
        reads.submit(catalog.note, "B", lambda _: written.append("B")).result(60)
        catalog.dispose()
    assert written == ["A", "B"]


def test_a_writer_waits_for_another(tmp_path: Path) -> None:
    """IMMEDIATE: it never begins as a reader and fails half-way."""
    path = tmp_path / "catalog.db"
    catalog = open_catalog(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def write() -> None:
        _add(catalog, "A")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not done.wait(0.2)
    other.execute("COMMIT")
    other.close()
    thread.join()
    assert done.is_set()
    assert count(catalog) == 1
    catalog.dispose()


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("said", ["attempt to write a readonly database", "unable to open database file"])
def test_a_file_that_belongs_to_another_user_is_named(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, end: str, said: str
) -> None:
    catalog = open_catalog(sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///") + end
    with catalog.read():
        Path(path).touch()
        Path(path).chmod(0o444)
        monkeypatch.setattr("os.access", lambda asked, _: asked != path)
        fault = catalog.fault(sqlite3.OperationalError(said), "could not be read or written")
    catalog.dispose()
    assert fault.code == "catalog"
    assert f"{path} is not open to this user" in fault.message
    assert "mode 444" in fault.message
    assert f" {path}, and" in fault.remedy


def test_what_is_to_follow_a_commit_does_not_follow_a_rollback(tmp_path: Path) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    told: list[str] = []

    def write(what: str, *, fail: bool) -> None:
        with catalog.write() as connection:
            catalog.after_commit(connection, lambda: told.append(what))
            assert told == []
            if fail:
                raise Fault("store_failed", "No.")

    with pytest.raises(Fault):
        write("rolled back", fail=True)
    write("committed", fail=False)
    catalog.dispose()
    assert told == ["committed"]
