"""Uploads that are read while their bytes come: what stands in the end, whatever comes between."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import update

from scandock.catalog.tables import upload
from scandock.model.errors import Fault, TokenLost
from scandock.publishing.recover import recover
from scandock.queue import follow
from scandock.queue.cancel import CancelResult
from scandock.queue.claim import Claim
from scandock.queue.owner import this_owner
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.services.consistency_check import check_data
from scandock.services.settings import load_settings
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.workers import followed_spool
from scandock.workers.attempt import AttemptRequest
from scandock.workers.attempt_runner import AttemptRunner
from tests.badinput import tars, zips
from tests.crash.archives import Study, zip_bytes
from tests.crash.checker import examine_data
from tests.crash.processes import until
from tests.integration.coming_upload import BODY, STUDY, Coming, follow_begun, send_raw, send_tus, told
from tests.integration.forked_workers import StartedAttempts, forked_worker, in_process_worker
from tests.integration.upload_server import UploadServer
from tests.integration.web import serve_by_socket

pytestmark = [pytest.mark.crash, pytest.mark.processes]

LARGE = Study(61, 1, count=20, side=256)
"""More than a reader of a stream reads at once."""


@pytest.fixture(autouse=True)
def follow_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small uploads are followed too."""
    monkeypatch.setattr(follow, "MIN_BYTES", 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UploadServer]:
    made = UploadServer(tmp_path / "data")
    yield made
    made.close()


def placed(server: UploadServer, coming: Coming, study: Study = STUDY) -> dict[str, Any]:
    """Its row, once it is placed as it is to be."""
    assert server.ended(coming.uuid) == "placed", server.row(coming.uuid)
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    held, wrong = examine_data(server.data)
    assert not wrong, wrong
    assert held[study.uid] == study.held()
    return server.row(coming.uuid)


def steps(attempts: StartedAttempts) -> list[str]:
    return [line["event"] for line in attempts.logged]


@pytest.mark.parametrize("door", ["raw", "tus"])
def test_what_came_is_read_before_the_rest_and_placed_once_it_is_accepted(server: UploadServer, door: str) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, door=door)
        coming.send(0.5)
        coming.until_staged()
        coming.send(0.9, noted=door == "tus")
        coming.until_staged(150)
        until(lambda: server.progress(coming.uuid), "nobody is told of whom it met")
        assert server.events(coming.uuid) == [("found", {"patients": ["CRASH61_1"]})]
        assert json.loads((server.progress(coming.uuid) or {})["sessions"]) == ["CRASH61_1"]
        coming.send()
        coming.until_staged(200)
        assert server.state(coming.uuid) == "receiving"
        coming.accept()
        row = placed(server, coming)
        until(lambda: "reading ahead ended" in steps(attempts), "its process did not end")
        assert "import begun" not in steps(attempts), "it was read a second time"
    assert row["attempt"] == 1
    report = json.loads(row["report"])
    assert (report["state"], report["entries"]["stored"], report["bytes"]["received"]) == ("placed", 200, len(BODY))
    kinds = [kind for kind, _ in server.events(coming.uuid)]
    assert [kind for kind in kinds if kind != "stage"] == ["found", "received", "running", "session", "outcome"]


def test_bytes_of_a_resumable_upload_that_are_not_noted_are_not_read(server: UploadServer) -> None:
    """As with a wrong checksum they are dropped, and others come in their place."""
    with in_process_worker(server) as attempts:
        coming = Coming(server, door="tus")
        coming.send(0.5)
        coming.until_staged()
        with closing(server.store.spool(coming.uuid)) as spool:
            spool.append(coming.here, zip_bytes(Study(63, 1, count=100, side=8).entries("T")))
            spool.sync()
        coming.send()
        coming.until_staged(200)
        coming.accept()
        placed(server, coming)
        assert "import begun" not in steps(attempts), "it was read a second time"


def tar_gz(entries: dict[str, bytes]) -> bytes:
    return gzip.compress(tars.plain(*((name.encode(), data) for name, data in entries.items())), 1)


@pytest.mark.parametrize("door", ["raw", "tus"])
def test_a_compressed_tar_is_read_before_the_rest_has_come(server: UploadServer, door: str) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, tar_gz(LARGE.entries("S")), door=door)
        coming.send(0.5)
        coming.until_staged(8)
        until(lambda: server.progress(coming.uuid), "nobody is told of whom it met")
        coming.send(0.9, noted=door == "tus")
        coming.until_staged(24)
        coming.send()
        coming.until_staged(40)
        assert server.state(coming.uuid) == "receiving"
        coming.accept()
        assert placed(server, coming, LARGE)["attempt"] == 1
        until(lambda: "reading ahead ended" in steps(attempts), "its process did not end")
        assert "import begun" not in steps(attempts), "it was read a second time"


def test_a_compressed_tar_that_is_cancelled_while_its_reader_waits_leaves_nothing(server: UploadServer) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, tar_gz(LARGE.entries("S")))
        coming.send(0.5)
        coming.until_staged(8)
        assert server.cancel(coming.uuid) is CancelResult.DONE
        until(lambda: not server.store.works(), "staging was left")
        until(lambda: not attempts.begun[coming.uuid].runs, "it is followed still")


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("truncated", lambda body: body[:-8]),
        ("damaged", lambda body: body[:-8] + bytes(8)),
        ("not_an_archive", lambda _: gzip.compress(b"text" * 100_000)),
    ],
)
def test_a_stream_that_does_not_hold_to_its_end_is_refused_as_ever(
    server: UploadServer, code: str, damage: Callable[[bytes], bytes]
) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, damage(tar_gz(LARGE.entries("S"))))
        coming.send()
        until(lambda: follow_begun(coming) and not coming.lease, "it is followed still")
        assert server.state(coming.uuid) == "receiving"
        coming.accept()
        assert server.ended(coming.uuid) == "refused"
        until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
        assert "import begun" in steps(attempts)
    assert server.row(coming.uuid)["code"] == code


def test_a_slow_upload_is_given_up_for_one_that_comes_beside_it(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_spool, "RATE_SECONDS", 0)
    with InProcessWorker(server.data, upkeep=False):
        slow = Coming(server)
        slow.send(0.5)
        slow.until_staged()
        coming = Coming(server, zip_bytes(Study(65, 1, count=100, side=8).entries("S")))
        coming.send()
        coming.until_staged(200)
        assert slow.staged() == 0
        for one in (coming, slow):
            one.send()
            one.accept()
            assert server.ended(one.uuid) == "placed"


class StartedLate:
    """An attempt that is told to stop while it is started, and runs until it is killed."""

    killed = ""
    pid = 0

    def __init__(self, stop: Callable[[], None]) -> None:
        stop()

    def kill(self, why: str) -> None:
        self.killed = why

    def wait(self) -> int:
        assert self.killed, "nobody ends it"
        return -signal.SIGKILL

    def death(self, _code: int) -> Fault:
        raise NotImplementedError


def test_a_worker_that_ends_begins_to_follow_none_and_ends_what_was_being_begun(server: UploadServer) -> None:
    begun: list[StartedLate] = []

    def start(_order: AttemptRequest) -> StartedLate:
        begun.append(StartedLate(running.stop_follows))
        return begun[-1]

    running = AttemptRunner(server.catalog, server.store, structlog.get_logger(), 1.0, start)
    for number in (1, 2):
        coming = Coming(server)
        claim = follow.begin_follow(server.catalog, "me")
        assert claim is not None
        running.follow(claim)
        assert (number, [attempt.killed for attempt in begun], coming.lease) == (number, ["stopped"], 0)


@pytest.mark.parametrize("pack", [zip_bytes, tar_gz])
def test_the_file_of_a_form_is_read_before_its_size_is_known(
    server: UploadServer, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, pack(LARGE.entries("S")), door="multipart")
        coming.send(0.5, noted=False)
        coming.until_staged(8)
        coming.send(noted=False)
        coming.until_staged(24)
        values = {"request": json.dumps({"project": "P", "overwrite": "append"})}  # which followed the file
        with server.catalog.write() as connection:
            connection.execute(update(upload).where(upload.c.uuid == coming.uuid).values(**values))
        coming.accept()
        row = placed(server, coming, LARGE)
        assert "import begun" not in steps(attempts)
    report = json.loads(row["report"])
    assert (row["attempt"], report["bytes"]["received"]) == (1, len(coming.body))
    assert "reading" not in report["seconds"], "it was read a second time"


def hidden(entries: dict[str, bytes]) -> bytes:
    """A zip before whose first entry others stand that its directory lacks."""
    other = zips.files(*((name.encode(), data) for name, data in Study(62, 1, count=100, side=8).entries("T").items()))
    before = b"".join(zips.local(entry, entry.packed_bytes()) for entry in other)
    return zips.archive(zips.files(*((name.encode(), data) for name, data in entries.items())), prefix=before)


def turned(entries: dict[str, bytes]) -> bytes:
    """A zip whose directory has its entries in another order than they stand in."""
    files = zips.files(*((name.encode(), data) for name, data in entries.items()))
    places, at = {}, 0
    for entry in files:
        places[entry.name] = at
        at += len(zips.local(entry, entry.packed_bytes()))
    body = zips.archive(files)[:at]
    directory = b"".join(zips.central(entry, places[entry.name], entry.packed_bytes()) for entry in reversed(files))
    return body + directory + zips.end(count=len(files), size=len(directory), offset=at)


@pytest.mark.parametrize("make", [hidden, turned])
def test_a_directory_that_says_something_else_has_all_of_it_read_again(server: UploadServer, make: Any) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server, make(STUDY.entries("S")))
        coming.send(0.6)
        coming.until_staged()
        coming.send()
        coming.until_left()
        coming.accept()
        placed(server, coming)
        assert "import begun" in steps(attempts)


def test_an_upload_is_read_again_where_it_is_asked_for_something_else_at_its_end(server: UploadServer) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server)
        coming.send()
        coming.until_staged(200)
        with server.catalog.write() as connection:
            values = {"request": json.dumps({"project": "P", "resources": "ignore"})}
            connection.execute(update(upload).where(upload.c.uuid == coming.uuid).values(**values))
        coming.accept()
        assert server.ended(coming.uuid) == "placed"
        assert json.loads(server.row(coming.uuid)["report"])["entries"]["ignored"] == 1
        assert "import begun" not in steps(attempts)


def test_a_cancelled_upload_leaves_nothing(server: UploadServer) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server)
        coming.send(0.6)
        coming.until_staged()
        assert server.cancel(coming.uuid) is CancelResult.DONE
        until(lambda: not server.store.works(), "staging was left")
        until(lambda: not attempts.begun[coming.uuid].runs, "it is followed still")
    assert server.state(coming.uuid) == "cancelled"


def test_a_cancel_after_acceptance_is_heard(server: UploadServer) -> None:
    with in_process_worker(server, SCANDOCK_CRASH_AT="began", SCANDOCK_CRASH_BY="SIGSTOP") as attempts:
        coming = Coming(server)
        coming.send()
        coming.until_staged(200)
        coming.accept()
        attempts.stopped(coming.uuid)
        assert server.cancel(coming.uuid) is CancelResult.COMING
        assert server.ended(coming.uuid) == "cancelled"
        until(lambda: not server.store.works() and not server.spooled(), "bytes or staging were left")


def test_a_follower_that_is_killed_while_bytes_come_costs_nothing(server: UploadServer) -> None:
    with in_process_worker(server) as attempts:
        coming = Coming(server)
        coming.send(0.6)
        coming.until_staged()
        os.kill(attempts.begun[coming.uuid].pid, signal.SIGKILL)
        until(lambda: not coming.lease, "its lease stands")
        coming.send()
        coming.accept()
        row = placed(server, coming)
    assert row["attempt"] == 1


@pytest.mark.parametrize("point", ["followed", "began", "read", "reserved", "sealed", "intent", "published"])
def test_an_import_that_is_killed_after_its_acceptance_is_tried_again_at_once(
    server: UploadServer, point: str, tmp_path: Path
) -> None:
    with in_process_worker(server, SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_ONCE=str(tmp_path / "once")):
        coming = Coming(server)
        coming.send()
        if point != "followed":
            coming.until_staged(200)
        coming.accept()
        row = placed(server, coming)
    assert row["attempt"] == 1


@pytest.mark.parametrize("part", [0.6, 1.0])
def test_when_all_are_killed_whoever_comes_next_imports_it(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    monkeypatch.undo()  # the worker is a process of its own
    study = Study(71, 1, count=20, side=512)
    with forked_worker(server, SCANDOCK_CRASH_AT="began", SCANDOCK_CRASH_BY="SIGSTOP") as worker:
        coming = Coming(server, zip_bytes(study.entries("S")))
        coming.send(part)
        coming.until_staged(20)
        if part == 1.0:
            coming.accept()
            assert server.state(coming.uuid) == "running"
        worker.kill()
    assert coming.staged() >= 20
    assert server.row(coming.uuid)["state"] == ("running" if part == 1.0 else "receiving")
    if part < 1.0:
        coming.send()
        coming.accept()
    with in_process_worker(server):
        assert server.ended(coming.uuid) == "placed"
        until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    held, wrong = examine_data(server.data)
    assert not wrong, wrong
    assert held[study.uid] == study.held()


def test_what_is_no_archive_is_left_and_nothing_is_followed_where_that_is_switched_off(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_process_worker(server) as attempts:
        other = Coming(server, b"no archive" * 1000)
        other.send(0.5)
        until(lambda: attempts.begun.get(other.uuid) and not other.lease, "it is followed still")
        assert server.state(other.uuid) == "receiving"
    monkeypatch.setenv("SCANDOCK_FOLLOW", "off")
    with in_process_worker(server) as attempts:
        coming = Coming(server)
        coming.send()
        whole = server.send(zip_bytes(Study(64, 1, count=2, side=8).entries("S")))
        assert server.ended(whole) == "placed"
        assert coming.uuid not in attempts.begun
        coming.accept()
        assert server.ended(coming.uuid) == "placed"
        assert "upload read ahead" not in steps(attempts)


def test_one_upload_is_followed_once_by_one_and_whole_uploads_go_first(server: UploadServer) -> None:
    def begun() -> Claim | None:
        return follow.begin_follow(server.catalog, "me")

    whole = server.send(BODY)
    coming = Coming(server)
    assert begun() is None, "one that is whole waits"
    server.cancel(whole)
    claimed = begun()
    assert claimed is not None
    assert (claimed.lease.uuid, claimed.follows) == (coming.uuid, True)
    assert begun() is None, "it is followed"
    lease = claimed.lease
    assert follow.renew_follows(server.catalog, [lease]) == []
    with server.catalog.read() as connection:
        assert follow.is_followed(server.catalog, connection, coming.uuid)
    assert follow.end_follow(server.catalog, lease)
    assert not follow.end_follow(server.catalog, lease)
    with server.catalog.read() as connection:
        assert follow.read_followed(connection, lease) is None
        assert not follow.is_followed(server.catalog, connection, coming.uuid)
    with pytest.raises(TokenLost), server.catalog.write() as connection:
        follow.check_follow(server.catalog, connection, lease)
    assert begun() is None, "it is not followed a second time"
    coming.send()
    coming.accept()
    assert server.state(coming.uuid) == "received"


@pytest.mark.parametrize(("started", "state"), [({}, "running"), ({"started": 1}, "received")])
def test_an_upload_whose_follower_was_killed_waits_for_a_worker_and_not_for_its_lease(
    server: UploadServer, started: dict[str, int], state: str
) -> None:
    coming = Coming(server)
    assert follow.begin_follow(server.catalog, json.dumps(json.loads(this_owner()) | started)) is not None
    coming.send()
    coming.accept()
    assert server.state(coming.uuid) == state


@pytest.mark.parametrize("values", [{"door": "dicomweb"}, {"size": None}, {"size": 0}])
def test_uploads_that_are_not_followed(server: UploadServer, values: dict[str, object]) -> None:
    coming = Coming(server)
    coming.set(**values)
    assert follow.begin_follow(server.catalog, "me") is None


def test_work_of_a_follower_is_no_left_over_and_stays_until_its_lease_is_over(server: UploadServer) -> None:
    coming = Coming(server)
    claimed = follow.begin_follow(server.catalog, "me")
    assert claimed is not None
    server.store.begin(coming.uuid, claimed.lease.token).close()  # by a process of another host: no lock tells of it
    recover(server.catalog, server.store)
    assert server.store.works() == [coming.uuid]
    assert check_data(str(server.data), load_settings()) == []
    coming.set(follow_until=1)
    recover(server.catalog, server.store)
    assert server.store.works() == []


HIDING = PrivacyRules(key=b"k" * 32, policy=Policy(patient="hash"))


def test_nothing_is_staged_ahead_where_not_everything_may_be_known(server: UploadServer) -> None:
    with given_privacy(HIDING), InProcessWorker(server.data, upkeep=False):
        coming = Coming(server)
        coming.send(0.9)
        until(lambda: follow_begun(coming) and not coming.lease, "it is followed still")
        assert (coming.staged(), server.events(coming.uuid)) == (0, [])
        coming.send()
        coming.accept()
        assert server.ended(coming.uuid) == "placed"


def test_what_was_read_before_rules_came_is_read_again_by_them(server: UploadServer) -> None:
    with InProcessWorker(server.data, upkeep=False):
        coming = Coming(server)
        coming.send(0.9)
        until(lambda: "CRASH61_1" in told(coming), "nobody is told of whom it met")
        coming.send()
        coming.until_staged(200)
        with given_privacy(HIDING):
            coming.accept()
            assert server.ended(coming.uuid) == "placed"
    assert "CRASH61_1" not in told(coming)
    report = json.loads(server.row(coming.uuid)["report"])
    assert "reading" in report["seconds"]
    assert "CRASH61_1" not in json.dumps(report)


def test_who_was_met_is_taken_back_where_nothing_comes_of_it(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with InProcessWorker(server.data, upkeep=False):
        coming = Coming(server)
        coming.send(0.9)
        coming.until_staged()
        until(lambda: "CRASH61_1" in told(coming), "nobody is told of whom it met")
        monkeypatch.setattr(followed_spool, "STALL_SECONDS", 0)
        coming.until_left()
        assert told(coming) == "[null, []]"


@pytest.mark.postgresql
def test_a_catalog_in_postgresql_hands_an_accepted_upload_to_its_follower(tmp_path: Path, postgres_url: str) -> None:
    server = UploadServer(tmp_path / "data", postgres_url)
    study = Study(81, 1, count=20, side=512)
    with server.worker():
        coming = Coming(server, zip_bytes(study.entries("S")), door="tus")
        coming.send(0.6)
        coming.until_staged(20)
        coming.send()
        coming.until_staged(40)
        coming.accept()
        assert server.ended(coming.uuid) == "placed"
        until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    report = json.loads(server.row(coming.uuid)["report"])
    assert (report["entries"]["stored"], server.row(coming.uuid)["attempt"]) == (40, 1)
    assert "reading" not in report["seconds"], "it was read a second time"
    server.close()


@pytest.mark.parametrize("door", ["raw", "tus", "multipart"])
def test_patients_are_shown_while_the_server_still_receives_and_sessions_stand_soon_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setattr(followed_spool, "BATCH_ENTRIES", 1)
    study = Study(91, 1, count=20, side=256)
    body = zip_bytes(study.entries("S"))
    half = len(body) // 2
    with (
        serve_by_socket(tmp_path / "data") as web,
        InProcessWorker(web.site.data, upkeep=False),
        web.client() as client,
    ):

        def shown() -> bool:
            """Whether the upload that comes says whom it has met."""
            with web.client() as other:
                items = other.get("/api/v1/imports?state=receiving").json()["items"]
                told = [(item["progress"]["stage"], item["progress"]["sessions"]) for item in items]
                return told == [("receiving", ["CRASH91_1"])]

        def parts() -> Iterator[bytes]:
            yield body[:half]
            until(shown, "nobody is told of whom it met")
            yield body[half:]

        if door == "multipart":
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
            tail = b'\r\n--b\r\nContent-Disposition: form-data; name="session"\r\n\r\nLATE\r\n--b--\r\n'
            headers = {
                "Content-Length": str(len(head + body + tail)),
                "Content-Type": "multipart/form-data; boundary=b",
            }
            answer = client.post("/api/v1/imports?project=P", content=chain([head], parts(), [tail]), headers=headers)
            assert answer.status_code == 202
            uuid = answer.json()["id"]
        else:
            uuid = (send_raw if door == "raw" else send_tus)(client, parts(), len(body), "a.zip")
        until(lambda: client.get(f"/api/v1/imports/{uuid}").json()["finished"], "it never ended")
        ended = client.get(f"/api/v1/imports/{uuid}").json()
        assert (ended["state"], ended["entries"]["stored"], ended["attempt"]) == ("placed", 40, 1)
        assert "reading" not in ended["seconds"], "it was read a second time"
        assert [session["label"] for session in ended["sessions"]] == ["LATE" if door == "multipart" else "CRASH91_1"]
