"""What was placed is read again: confirmed, given its MD5, and rot is told."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
import structlog
from sqlalchemy import event, insert, select, text, update
from structlog.testing import capture_logs

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit, verification
from scandock.catalog.tables import session, upload
from scandock.catalog.verified_files import read_digests, read_spans
from scandock.queue.tokens import new_uuid
from scandock.services import browsing, file_verification
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.damage import list_damage, verify_session_again
from scandock.services.data_catalog import open_data
from scandock.services.file_verification import VerificationCounts, VerificationPlan
from scandock.services.pagination import Sorting
from scandock.services.rate_limit import RateLimiter
from scandock.store.errors import StoreFailed
from scandock.store.paths import parse_tree, unchecked_path
from scandock.store.port import Snapshot
from scandock.store.snapshots import LocalSnapshot
from scandock.workers.verifier import Verification, VerifierThread
from tests.builders import DataFolder, images, make_data_folder, uploader_layout, verify_some
from tests.crash.processes import until
from tests.stored_files import all_files

pytestmark = pytest.mark.long


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def item(catalog: Any) -> dict[str, Any]:
    with catalog.read() as connection:
        uuid = connection.execute(select(session.c.uuid)).scalar_one()
        return browsing.find_session(connection, SYSTEM, uuid).to_json()


@pytest.mark.postgresql
def test_every_file_is_confirmed_and_has_its_md5(site: DataFolder) -> None:
    objects = images(3)
    site.bring(uploader_layout("S1", "1", objects), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        assert item(catalog)["verified"] is None
        done = verify_some(catalog, store, 60)
        assert (done.files, done.bytes, done.problems, done.trees) == (3, sum(map(len, objects)), 0, 1)
        assert item(catalog)["verified"] is not None
        with catalog.read() as connection:
            (tree_id,) = {number for number, _ in all_files(connection)}
            numbers = [row.n for _, row in all_files(connection)]
            digests, spans = read_digests(connection, tree_id), read_spans(connection, tree_id)
        assert {digests[n] for n in numbers} == {hashlib.md5(data).digest() for data in objects}
        assert set(numbers) == set(range(spans[0].first, spans[0].last + 1))
        assert len(spans) == 1
        again = verify_some(catalog, store, 60)
        assert (again.files, again.trees) == (0, 0)
    assert check_data(str(site.data), site.settings) == []


def test_what_joins_is_read_and_what_was_there_is_not_again(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(3)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        verify_some(catalog, store, 60)
    site.bring(uploader_layout("S1", "1", images(5)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        assert item(catalog)["verified"] is None
        assert verify_some(catalog, store, 60).files == 2
        assert item(catalog)["verified"] is not None


def damaged(catalog: Any, store: Any, site: DataFolder) -> list[dict[str, Any]]:
    with catalog.read() as connection:
        found = list_damage(connection, ServiceContext(catalog, store, site.settings, SYSTEM), Sorting())
        return [one.to_json() for one in found.items]


HARMS = ("changed", "shorter", "missing", "folder")


@pytest.mark.parametrize(
    ("database_url", "harm"),
    [*(("sqlite", harm) for harm in HARMS), ("postgresql", "missing"), ("postgresql", "folder")],
    indirect=["database_url"],
)
def test_rot_is_told(site: DataFolder, harm: str) -> None:
    told = site.bring(uploader_layout("S1", "1", images(3)), session="S1")
    folder = site.data / told.session["path"]
    victim = sorted(path for path in folder.rglob("*.dcm"))[1]
    data = bytearray(victim.read_bytes())
    if harm == "changed":
        data[-1] ^= 1
        victim.write_bytes(data)
    elif harm == "shorter":
        victim.write_bytes(data[:-2])
    elif harm == "missing":
        victim.unlink()
    else:
        folder.rename(site.data / "elsewhere")
    with open_data(str(site.data), site.settings) as (catalog, store):
        done = verify_some(catalog, store, 60)
        assert (done.problems, done.trees) == (1, 1)
        found = item(catalog)
        assert (found["verified"], found["damaged"]) == (None, 1)
        (rot,) = damaged(catalog, store, site)
        with catalog.read() as connection:
            line = connection.execute(select(audit).where(audit.c.action == "verify")).one()
        assert rot["session"] == found["id"] == line.target
        assert (line.outcome, json.loads(line.details)) == ("failed", {"problems": 1})
        assert rot["kind"] == {
            "changed": "changed", "shorter": "changed", "missing": "missing", "folder": "folder_missing",
        }[harm]  # fmt: skip
        assert verify_some(catalog, store, 60).trees == 0
        if harm == "folder":
            (site.data / "elsewhere").rename(folder)
        elif harm != "missing":
            data[-1] ^= harm == "changed"
            victim.write_bytes(data)
        if harm != "missing":
            verify_session_again(ServiceContext(catalog, store, site.settings, SYSTEM), found["id"])
            assert verify_some(catalog, store, 60).problems == 0
            assert item(catalog)["verified"] is not None
            assert damaged(catalog, store, site) == []
    kinds = {finding.kind for finding in check_data(str(site.data), site.settings)}
    assert kinds == ({"missing"} if harm == "missing" else set())


def test_a_store_that_is_away_is_no_damage_of_a_file(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bucket is now and then; one object that can't be read while it answers is damaged."""

    def fail(*_: object) -> None:
        raise StoreFailed("It does not answer.", "")

    site.bring(uploader_layout("S1", "1", images(3)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        with monkeypatch.context() as patch:
            patch.setattr(LocalSnapshot, "open", fail)
            patch.setattr(type(store), "owner", fail)
            with pytest.raises(StoreFailed):
                verify_some(catalog, store, 60)
            assert damaged(catalog, store, site) == []
            patch.setattr(type(store), "owner", lambda _: "itself")
            assert verify_some(catalog, store, 60).problems == 3
        assert {one["kind"] for one in damaged(catalog, store, site)} == {"unreadable"}


@pytest.mark.postgresql
def test_it_goes_on_where_it_was_left(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_verification, "BATCH", 2)
    site.bring(uploader_layout("S1", "1", images(5)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        asked = iter([False, False, False])  # the loop's, the tree's, and between two files of a batch
        done = verify_some(catalog, store, 60, lambda: next(asked, True))
        assert (0 < done.files < 5, done.trees) == (True, 0)
        with catalog.read() as connection:
            assert connection.execute(select(verification.c.finished)).scalar_one() is None
        assert check_data(str(site.data), site.settings) == []
        rest = verify_some(catalog, store, 60)
        assert (done.files + rest.files, rest.trees) == (5, 1)


class _Interrupted:
    """A snapshot of which something else happens each time after a file was opened."""

    def __init__(self, snapshot: Snapshot, happens: Callable[[], None]) -> None:
        self._snapshot = snapshot
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def __enter__(self) -> _Interrupted:
        return self

    def __exit__(self, *error: object) -> None:
        self._snapshot.close()

    def open(self, path: str) -> IO[bytes]:
        stream = self._snapshot.open(unchecked_path(path))
        self._happens()
        return stream


def test_a_session_that_is_replaced_before_its_first_file_is_read_is_left_to_the_next_look(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        snapshot = store.snapshot
        replaced: list[Any] = []

        def replace(name: str) -> Snapshot:
            taken = snapshot(parse_tree(name))
            if not replaced:
                replaced.append(site.bring(uploader_layout("S1", "1", images(3)), session="S1"))
            return taken

        monkeypatch.setattr(store, "snapshot", replace)
        done = verify_some(catalog, store, 60)
        assert (done.problems, done.files, done.trees) == (0, 3, 1)


@pytest.mark.postgresql
def test_a_session_that_is_replaced_meanwhile_harms_nothing(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        replaced: list[Any] = []

        def replace() -> None:
            if not replaced:
                replaced.append(site.bring(uploader_layout("S1", "1", images(3)), session="S1"))

        snapshot = store.snapshot
        monkeypatch.setattr(store, "snapshot", lambda name: _Interrupted(snapshot(name), replace))
        done = verify_some(catalog, store, 60)
        assert len(replaced) == 1
        assert (done.problems, done.trees) == (0, 1)
        assert item(catalog)["verified"] is not None
    assert os.listdir(site.data / "work") == []


@pytest.mark.parametrize("harm", ["missing", "folder"])
def test_two_who_read_one_tree_at_once_note_its_damage_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, harm: str
) -> None:
    """A command reads beside a server's worker. In SQLite one waits for the other anyway."""
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    told = site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    folder = site.data / told.session["path"]
    if harm == "folder":
        folder.rename(site.data / "elsewhere")
    else:
        next(folder.rglob("*.dcm")).unlink()
    with open_data(str(site.data), site.settings) as (catalog, store), ThreadPoolExecutor(1) as other:
        verify_session_again(ServiceContext(catalog, store, site.settings, SYSTEM), item(catalog)["id"])
        begun: list[Future[VerificationCounts]] = []

        def beside(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO damage ") and not begun:
                begun.append(other.submit(verify_some, catalog, store, 60))
                until(lambda: begun[0].done() or waits_for_a_lock(catalog), "the other neither waited nor ended")

        event.listen(catalog.engine, "before_cursor_execute", beside)
        verify_some(catalog, store, 60)
        begun[0].result()
        assert len(damaged(catalog, store, site)) == 1


def waits_for_a_lock(catalog: Any) -> bool:
    with catalog.read() as connection:
        mine = "datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.execute(text(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}")).scalar_one())


DAY = 86_400_000


class Moment:
    """A clock that is set by hand, as the database's."""

    def __init__(self, catalog: Any) -> None:
        with catalog.read() as connection:
            self.at: int = connection.execute(select(catalog.now())).scalar_one()

    def __call__(self, _connection: Any) -> int:
        return self.at


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.postgresql
def test_what_rots_after_it_was_verified_is_found_within_the_period(site: DataFolder) -> None:
    told = site.bring(uploader_layout("S1", "1", images(3)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        now = Moment(catalog)
        plan = VerificationPlan(days=30, now=now)
        assert verify_some(catalog, store, 60, plan=plan).files == 3
        flip(sorted((site.data / told.session["path"]).rglob("*.dcm"))[1])
        now.at += 26 * DAY
        assert verify_some(catalog, store, 60, plan=plan).files == 0
        now.at += 1 * DAY  # a tenth of the period is left to get round to all that is due
        done = verify_some(catalog, store, 60, plan=plan)
        assert (done.files, done.problems, done.trees) == (3, 1, 1)
        (rot,) = damaged(catalog, store, site)
        assert (rot["kind"], rot["found"], rot["bytes"]) == ("changed", now.at, rot["stored_bytes"])
        assert verify_some(catalog, store, 60, plan=plan).files == 0
        now.at += 30 * DAY
        assert verify_some(catalog, store, 60, plan=plan).problems == 1
        assert damaged(catalog, store, site) == [rot]  # once, and as it was found first


def followed(store: Any) -> list[str]:
    """The labels of sessions as they are opened from now on."""
    read: list[str] = []
    snapshot = store.snapshot

    def follow(name: str) -> Snapshot:
        read.append(name.rpartition("/")[2])
        found: Snapshot = snapshot(name)
        return found

    store.snapshot = follow
    return read


def test_the_oldest_comes_first_and_new_ones_take_turns_with_it(site: DataFolder) -> None:
    for number in (1, 2):
        site.bring(uploader_layout(f"S{number}", "1", images(1, case=f"c{number}")), session=f"S{number}")
    with open_data(str(site.data), site.settings) as (catalog, store):
        now = Moment(catalog)
        plan = VerificationPlan(days=10, now=now)
        verify_some(catalog, store, 60, plan=plan)
        with catalog.write() as connection:  # the second was read a day before the first
            second = select(session.c.tree_id).where(session.c.label == "S2").scalar_subquery()
            where = verification.c.tree_id == second
            connection.execute(update(verification).where(where).values(oldest=verification.c.oldest - DAY))
        for number in (3, 4):
            site.bring(uploader_layout(f"S{number}", "1", images(1, case=f"c{number}")), session=f"S{number}")
        now.at += 11 * DAY
        read = followed(store)
        verify_some(catalog, store, 60, plan=plan)
        assert read == ["S3", "S2", "S4", "S1"]


def test_what_a_person_asks_for_is_read_first_and_whole(site: DataFolder) -> None:
    for number in (1, 2):
        site.bring(uploader_layout(f"S{number}", "1", images(2, case=f"c{number}")), session=f"S{number}")
    with open_data(str(site.data), site.settings) as (catalog, store):
        now = Moment(catalog)
        plan = VerificationPlan(now=now)
        verify_some(catalog, store, 60, plan=plan)
        site.bring(uploader_layout("S3", "1", images(1, case="c3")), session="S3")
        now.at += DAY
        with catalog.write() as connection:
            uuid = connection.execute(select(session.c.uuid).where(session.c.label == "S2")).scalar_one()
        verify_session_again(ServiceContext(catalog, store, site.settings, SYSTEM), uuid)
        read = followed(store)
        assert verify_some(catalog, store, 60, plan=plan).files == 3
        assert read == ["S2", "S3"]


class Clock:
    """Time that goes on by waiting alone."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.postgresql
def test_it_reads_no_faster_than_is_allowed_and_a_quarter_so_fast_while_imports_wait(site: DataFolder) -> None:
    objects = images(2)
    site.bring(uploader_layout("S1", "1", objects), session="S1")
    settings = site.settings.model_copy(update={"verify_bytes_per_second": 100})
    size = sum(map(len, objects))
    with open_data(str(site.data), site.settings) as (catalog, store):
        clock = Clock()
        paced = Verification(catalog, store, settings, RateLimiter(clock=clock, wait=clock.wait))
        with catalog.write() as connection:
            row = {"archive": "a.zip", "source": "server", "state": "received", "request": "{}", "created": 1}
            waiting = connection.execute(insert(upload).values(uuid=new_uuid(), **row).returning(upload.c.id))
            number = waiting.scalar_one()
        assert paced.turn(60, lambda: True).files == 0
        assert paced.turn(60, lambda: False).files == 2
        assert clock.at == pytest.approx(size / 25)
        with catalog.write() as connection:
            connection.execute(upload.delete().where(upload.c.id == number))
            uuid = connection.execute(select(session.c.uuid)).scalar_one()
        verify_session_again(ServiceContext(catalog, store, site.settings, SYSTEM), uuid)
        clock.at = 0.0
        paced = Verification(catalog, store, settings, RateLimiter(clock=clock, wait=clock.wait))
        assert paced.turn(60, lambda: False).files == 2
        assert clock.at == pytest.approx(size / 100)


def test_it_stops_within_a_large_file_and_reads_it_again_from_its_beginning(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_verification, "_CHUNK", 16)
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        asked = iter([False] * 4)
        assert verify_some(catalog, store, 60, lambda: next(asked, True)).files == 0
        assert damaged(catalog, store, site) == []
        assert verify_some(catalog, store, 60).trees == 1


def test_a_worker_s_thread_verifies_and_says_what_is_damaged(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    told = site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    flip(min((site.data / told.session["path"]).rglob("*.dcm")))
    turns: list[int] = []
    over = threading.Event()
    turn = Verification.turn

    def counted(self: Verification, seconds: float, stop: Callable[[], bool]) -> VerificationCounts:
        done = turn(self, seconds, stop)
        turns.append(done.files)
        if len(turns) == 2:
            over.set()
        return done

    monkeypatch.setattr(Verification, "turn", counted)
    with open_data(str(site.data), site.settings) as (catalog, store), capture_logs() as logged:
        thread = VerifierThread(catalog, store, site.settings, structlog.get_logger())
        thread.start()
        assert over.wait(60)
        thread.end()
        assert turns == [2, 0]  # then it waits, and ends at once
        assert [(one["event"], one["count"]) for one in logged] == [("stored files are damaged", 1)]
