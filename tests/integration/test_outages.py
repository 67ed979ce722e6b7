"""Disk, rights and catalog that fail under a server's imports: they wait, burn no attempt, and say why."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from sqlalchemy import make_url

from scandock.catalog.engine import Catalog
from scandock.model.crash_points import POINTS
from scandock.model.errors import Fault
from scandock.queue.retry import MAX_ATTEMPTS
from scandock.services.privacy_key import KEY_FILE
from scandock.services.privacy_settings import set_local_privacy
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from tests.crash.archives import Study, zip_bytes
from tests.crash.case_share import choose_cases
from tests.crash.checker import examine_data
from tests.crash.processes import is_stopped, until
from tests.integration.forked_workers import in_process_worker
from tests.integration.small_disks import fill, remount
from tests.integration.upload_server import UploadServer

pytestmark = [pytest.mark.crash, pytest.mark.processes]

STUDY = Study(51, 1, count=6, side=8)
BODY = zip_bytes(STUDY.entries("S"))
PASSED = [point for point in POINTS if POINTS.index("began") <= POINTS.index(point) <= POINTS.index("finished")]
SHARE = choose_cases(PASSED[1::4], PASSED)


def placed(server, uuid):
    server.hurry(uuid)
    assert server.ended(uuid) == "placed", server.row(uuid)
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    if server.url is None:
        held, wrong = examine_data(server.data)
        assert not wrong, wrong
        assert held == {STUDY.uid: STUDY.held()}
    assert server.row(uuid)["attempt"] == 1


@pytest.fixture
def server(tmp_path):
    made = UploadServer(tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize("point", SHARE)
def test_a_disk_that_is_full_is_waited_for_at_every_point(disk, point):
    server = UploadServer(disk("8m"))
    once = str(server.data.parent / "once")
    stop = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    with in_process_worker(server, SCANDOCK_MIN_FREE_BYTES="0", **stop) as attempts:
        uuid = server.send(BODY)
        attempt = attempts.stopped(uuid)
        ballast = fill(server.data)
        os.kill(attempt.pid, signal.SIGCONT)
        until(lambda: not attempt.runs, "it did not end")
        until(
            lambda: (
                {"import waits for the machine", "end not written yet", "attempt ended"}
                & {line["event"] for line in attempts.logged}
            ),
            "nothing was told of it",
        )
        ballast.unlink()
        until(lambda: server.row(uuid)["code"] == "disk_full" or server.state(uuid) == "placed", "the cause was lost")
        placed(server, uuid)
    events = server.events(uuid)
    assert {data["code"] for kind, data in events if kind == "retry"} <= {"disk_full"}
    assert [data["state"] for kind, data in events if kind == "outcome"] == ["placed"]
    server.close()


def test_a_work_folder_that_is_none_is_waited_for_under_its_name(server):
    work = server.data / "work"
    with InProcessWorker(server.data):
        until(work.exists, "it did not begin")
        work.rmdir()
        work.write_bytes(b"")
        uuid = server.send(BODY)
        for times in range(1, MAX_ATTEMPTS + 2):
            until(partial(tried, server, uuid, times), "it was not tried")
            row = server.row(uuid)
            assert (row["code"], row["attempt"]) == ("store_failed", 1)
            assert "Not a directory" not in row["message"]  # it is for who runs the server: the log has it
            server.hurry(uuid)
        work.unlink()
        work.mkdir()
        placed(server, uuid)


def test_a_privacy_key_that_a_host_lacks_is_waited_for(server):
    key, aside = server.data / KEY_FILE, server.data.parent / "key"
    with InProcessWorker(server.data):
        set_local_privacy(str(server.data), load_settings(), None, {"names": "drop"})
        key.rename(aside)
        uuid = server.send(BODY)
        for times in range(1, MAX_ATTEMPTS + 2):
            until(partial(tried, server, uuid, times), "it was not tried")
            row = server.row(uuid)
            assert (row["code"], row["attempt"]) == ("privacy_key", 1)
            assert KEY_FILE not in row["message"]
            server.hurry(uuid)
        aside.rename(key)
        server.hurry(uuid)
        assert server.ended(uuid) == "placed", server.row(uuid)
    assert server.row(uuid)["attempt"] == 1


def test_what_a_worker_has_claimed_without_hearing_of_it_is_run_at_once(server, monkeypatch):
    write = Catalog.write
    lost: list[str] = []

    @contextmanager
    def unanswered(catalog, *, synced=True):
        with write(catalog, synced=synced) as connection:
            yield connection
        if threading.current_thread().name.startswith("slot-") and not lost:
            lost.append("once")
            raise Fault("catalog", "The connection is lost.")

    monkeypatch.setattr(Catalog, "write", unanswered)
    uuid = server.send(BODY)
    with InProcessWorker(server.data):
        placed(server, uuid)
    assert len(lost) == 1


def tried(server, uuid, times):
    return [kind for kind, _ in server.events(uuid)].count("retry") == times


def test_a_data_folder_that_is_read_only_is_waited_for(disk, tmp_path, postgres_url):
    """Beside a catalog that is elsewhere: root may write to whatever is not mounted read-only."""
    server = UploadServer(disk("8m"), postgres_url)
    settings = load_settings().model_copy(update={"database_url": postgres_url, "min_free_bytes": 0})
    with InProcessWorker(server.data, settings):
        uuid = server.receive(BODY)
        remount(server.data, "ro")
        server.accept(uuid)
        until(partial(tried, server, uuid, 1), "it was not tried")
        row = server.row(uuid)
        assert (row["code"], row["attempt"]) == ("store_read_only", 1)
        remount(server.data, "rw")
        placed(server, uuid)
    server.close()


@pytest.fixture
def starved(postgres_cluster, postgres_url):
    """Let nobody connect to the database; `starved(False)` lets them again."""
    name = make_url(postgres_url).database

    def starve(yes=True):
        with psycopg.connect(postgres_cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"false" if yes else "true"}')
            if yes:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    return starve


def test_a_database_without_connections_is_waited_for(tmp_path, postgres_url, starved):
    server = UploadServer(tmp_path / "data", postgres_url)
    once = str(tmp_path / "once")
    stop = {"SCANDOCK_CRASH_AT": "read", "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    with server.worker(2, **stop) as worker:
        uuid = server.send(BODY)
        until(lambda: worker.attempts and is_stopped(worker.attempts[0]), "it was not reached")
        (attempt,) = worker.attempts
        starved()
        server.catalog.dispose()
        os.kill(attempt, signal.SIGCONT)
        until(lambda: not worker.attempts, "it did not end")
        starved(False)
        until(lambda: server.row(uuid)["code"] == "catalog", "the cause was lost")
        placed(server, uuid)
        assert worker.process.poll() is None
        worker.stop()
    told = [line["event"] for line in worker.log if line.get("upload") == uuid]
    assert "import waits for the machine" in told
    assert "attempt died" not in told
    server.close()
