"""Workers with real processes: killed, stopped, cancelled, taken over; and what stands in the end."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from functools import partial

import pytest

from scandock.model.crash_points import POINTS
from scandock.model.import_types import STAGES
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.owner import this_owner
from scandock.queue.retry import MAX_ATTEMPTS
from scandock.services import progress as progress_module
from scandock.services.consistency_check import check_data
from scandock.services.progress import ProgressRecorder
from scandock.services.settings import load_settings
from scandock.testing.worker import InProcessWorker
from scandock.workers.import_progress import ImportProgress
from tests.crash.archives import Study, zip_bytes
from tests.crash.checker import examine_data
from tests.crash.processes import is_stopped, until
from tests.integration.forked_workers import forked_worker, in_process_worker
from tests.integration.small_disks import fill
from tests.integration.upload_server import UploadServer

pytestmark = [pytest.mark.crash, pytest.mark.processes]

STUDY = Study(31, 1, count=6, side=8)
BODY = zip_bytes(STUDY.entries("S"))
WITHIN = [point for point in POINTS if POINTS.index("began") <= POINTS.index(point) < POINTS.index("finished")]


@pytest.fixture
def server(tmp_path):
    made = UploadServer(tmp_path / "data")
    yield made
    made.close()


def placed(server, uuid, study=STUDY):
    assert server.ended(uuid) == "placed", server.row(uuid)
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    if server.url is not None:
        assert check_data(str(server.data), load_settings().model_copy(update={"database_url": server.url})) == []
        return
    held, wrong = examine_data(server.data)
    assert not wrong, wrong
    assert held[study.uid] == study.held()


def waits(server, uuid, attempt, code):
    """Whether it waits for its next attempt, for a reason, and the attempt before has cleared up."""
    row = server.row(uuid)
    return (row["attempt"], row["code"], row["state"]) == (attempt, code, "received")


def test_an_upload_is_imported_at_once_and_told_of(server):
    with server.worker():
        uuid = server.send(BODY, name="Visit one.zip")
        placed(server, uuid)
    row = server.row(uuid)
    report = json.loads(row["report"])
    assert (report["upload"], report["archive"], report["state"]) == (uuid, "Visit one.zip", "placed")
    assert report["entries"]["stored"] == 12
    assert row["attempt"] == 1
    kinds = [kind for kind, _ in server.events(uuid)]
    assert kinds[:2] == ["received", "running"]
    assert kinds[-2:] == ["session", "outcome"]
    stages = [data for kind, data in server.events(uuid) if kind == "stage"]
    assert stages == [{"stage": stage, "attempt": 1} for stage in STAGES]  # however short they were
    (session,) = report["sessions"]
    (_, stands), (_, outcome) = server.events(uuid)[-2:]
    assert stands == {key: session[key] for key in ("project", "subject", "label", "state", "uri", "code")}
    assert (outcome["state"], outcome["sessions"]) == ("placed", [stands])
    patients = [data["patients"] for kind, data in server.events(uuid) if kind == "found"]
    assert patients in ([], [["CRASH31_1"]])  # a quick import is over before anybody is told whom it has met


def test_what_lasts_is_told_while_it_runs_and_what_does_not_by_its_outcome(server, monkeypatch):
    monkeypatch.setattr(progress_module, "FIRST_SECONDS", 60.0)
    uuid = server.send(BODY)
    claimed = claim(server.catalog, this_owner(), SlotUsage(total=1))
    assert claimed is not None
    with ProgressRecorder(server.catalog, claimed.lease) as record:
        ImportProgress(record).stage("reading")
    assert (server.progress(uuid), [kind for kind, _ in server.events(uuid) if kind == "stage"]) == (None, [])
    monkeypatch.setattr(progress_module, "FIRST_SECONDS", 0.0)
    with ProgressRecorder(server.catalog, claimed.lease) as record:
        ImportProgress(record).stage("reading")
        until(lambda: server.progress(uuid), "nobody is told of it")
        ImportProgress(record).stage("syncing")
    assert server.progress(uuid)["stage"] == "syncing"
    assert [data["stage"] for kind, data in server.events(uuid) if kind == "stage"] == ["reading", "syncing"]


def lease(server, uuid):
    return server.row(uuid)["lease_until"]


def test_an_attempt_that_clears_up_for_long_behind_its_end_has_lost_nothing(server):
    with in_process_worker(server, SCANDOCK_CRASH_AT="finished", SCANDOCK_CRASH_BY="SIGSTOP") as attempts:
        uuid = server.send(BODY)
        assert server.ended(uuid) == "placed"
        attempt = attempts.stopped(uuid)
        attempts.changes["SCANDOCK_CRASH_AT"] = "read"
        other = server.send(zip_bytes(Study(32, 1, count=2, side=8).entries("T")))
        attempts.stopped(other)
        before = lease(server, other)
        until(
            lambda: lease(server, other) > before, "leases were not renewed"
        )  # of all that run: it must not be killed
        assert attempt.runs
        os.kill(attempts.begun[other].pid, signal.SIGCONT)
        assert server.ended(other) == "placed"
        os.kill(attempt.pid, signal.SIGCONT)
        placed(server, uuid)
        until(lambda: not attempt.runs, "it did not end")
    told = [line["event"] for line in attempts.logged if line.get("upload") == uuid]
    assert told == ["import begun", "attempt ended"]


def test_a_bad_archive_is_refused_once(server):
    with InProcessWorker(server.data):
        uuid = server.send(b"<html><body>404</body></html>", name="page.zip")
        assert server.ended(uuid) == "refused"
        until(lambda: not server.spooled(), "the bytes of a refused upload were kept")
    row = server.row(uuid)
    assert (row["code"], row["attempt"]) == ("not_an_archive", 1)
    assert json.loads(row["report"])["state"] == "refused"


def test_an_upload_whose_bytes_are_gone_fails_at_once_and_says_so(server):
    uuid = server.send(BODY)
    server.store.spool(uuid).discard()
    with InProcessWorker(server.data):
        assert server.ended(uuid) == "failed"
    assert (server.row(uuid)["code"], server.row(uuid)["attempt"]) == ("bytes_missing", 1)


def test_a_project_that_has_gone_refuses(server):
    with InProcessWorker(server.data):
        uuid = server.send(BODY, project="Nowhere")
        assert server.ended(uuid) == "refused"
    assert server.row(uuid)["code"] == "project_unknown"


@pytest.mark.parametrize("point", WITHIN)
def test_an_attempt_that_dies_is_followed_by_another(server, tmp_path, point):
    once = str(tmp_path / "once")
    with in_process_worker(server, SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_ONCE=once) as attempts:
        uuid = server.send(BODY)
        until(lambda: os.path.exists(once), f"{point} was not reached")
        until(lambda: "attempt died" in [line["event"] for line in attempts.logged], "the death was not told of")
        server.hurry(uuid)
        placed(server, uuid)
    assert server.row(uuid)["attempt"] == 2
    assert [line["code"] for line in attempts.logged if line["event"] == "attempt died"] == ["attempt_killed"]


@pytest.mark.parametrize("point", ["began", "read", "rows", "intent", "switched", "published"])
def test_a_worker_that_dies_is_taken_over_by_the_next(server, point):
    uuid = server.send(BODY)
    with forked_worker(server, SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_BY="SIGSTOP") as worker:
        until(lambda: worker.attempts and is_stopped(worker.attempts[0]), f"{point} was not reached")
        worker.kill()
    assert server.state(uuid) == "running"
    begun = time.monotonic()
    with in_process_worker(server):
        placed(server, uuid)
    assert time.monotonic() - begun < 30
    assert server.row(uuid)["attempt"] == 2


def test_the_third_lost_attempt_fails_and_keeps_the_bytes(server):
    with server.worker(SCANDOCK_CRASH_AT="read"):
        uuid = server.send(BODY)
        for attempt in (1, 2):
            until(partial(waits, server, uuid, attempt, "attempt_killed"), f"attempt {attempt} never died")
            server.hurry(uuid)
        assert server.ended(uuid) == "failed"
        until(lambda: server.store.works() == [], "staging was left")
    row = server.row(uuid)
    assert row["code"] == "attempts_exhausted"
    assert server.spooled() == [uuid]


def test_a_server_that_stops_lets_its_imports_wait_and_counts_nothing_against_them(server):
    uuid = server.send(BODY)
    with forked_worker(server, SCANDOCK_CRASH_AT="read", SCANDOCK_CRASH_BY="SIGSTOP") as worker:
        until(lambda: worker.attempts and is_stopped(worker.attempts[0]), "it was not reached")
        assert worker.stop() == 0
    assert server.row(uuid)["attempt"] == 0
    with in_process_worker(server):
        placed(server, uuid)
    assert server.row(uuid)["attempt"] == 1


@pytest.mark.parametrize("point", ["began", "read", "sealed"])
def test_a_cancel_ends_an_import_within_two_seconds_and_leaves_nothing(server, point):
    with in_process_worker(server, SCANDOCK_CRASH_AT=point, SCANDOCK_CRASH_BY="SIGSTOP") as attempts:
        uuid = server.send(BODY)
        attempts.stopped(uuid)
        assert server.cancel(uuid) == "coming"
        begun = time.monotonic()
        assert server.ended(uuid) == "cancelled"
        assert time.monotonic() - begun < 2
        until(lambda: not server.store.works() and not server.spooled(), "something was left")
        until(lambda: not os.listdir(server.data / "trash" / "now"), "the trash was not swept")
    held, wrong = examine_data(server.data)
    assert (held, wrong) == ({}, [])
    assert json.loads(server.row(uuid)["report"])["state"] == "cancelled"


def test_a_cancel_comes_too_late_behind_the_intent(server):
    uuid = server.send(BODY)
    with in_process_worker(server, SCANDOCK_CRASH_AT="intent", SCANDOCK_CRASH_BY="SIGSTOP") as attempts:
        attempt = attempts.stopped(uuid)
        assert server.cancel(uuid) == "too_late"
        os.kill(attempt.pid, signal.SIGCONT)
        placed(server, uuid)


def test_a_huge_import_does_not_hold_up_small_ones(server):
    once = str(server.data.parent / "once")
    stop = {"SCANDOCK_CRASH_AT": "read", "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    with in_process_worker(server, slots=2, **stop) as attempts:
        huge = [server.send(BODY, size=10**10, by="bob") for _ in range(2)]
        attempt = attempts.stopped(huge[0])
        small = server.send(zip_bytes(Study(32, 1, count=2, side=8).entries("T")), by="bob")
        assert server.ended(small) == "placed"
        assert [server.state(uuid) for uuid in huge] == ["running", "received"]
        os.kill(attempt.pid, signal.SIGCONT)
        assert [server.ended(uuid) for uuid in huge] == ["placed", "placed"]


@pytest.fixture
def small(disk, postgres_url):
    """A server on a small disk, whose catalog is elsewhere: what becomes of imports can be written while it is full."""
    made = UploadServer(disk("8m"), postgres_url)
    yield made
    made.close()


def working(server, **changes):
    """A worker that asks for no space before: it meets the end of the disk as it writes."""
    changes |= {"database_url": server.url, "min_free_bytes": 0}
    return InProcessWorker(server.data, load_settings().model_copy(update=changes))


def tried(server, uuid, times):
    return [kind for kind, _ in server.events(uuid)].count("retry") == times


def test_a_disk_that_is_full_is_waited_for(small):
    with working(small):
        uuid = small.receive(BODY)
        ballast = fill(small.data)
        small.accept(uuid)
        for times in range(1, MAX_ATTEMPTS + 2):
            until(partial(tried, small, uuid, times), f"no fault was met: {times}")
            until(partial(waits, small, uuid, 1, "disk_full"), "it was not put back")
            row = small.row(uuid)
            assert row["retry_at"] > 0
            assert "disk is full" in row["message"]
            until(lambda: small.store.works() == [], "staging was left")
            small.hurry(uuid)
        ballast.unlink()
        small.hurry(uuid)
        placed(small, uuid)
    assert small.row(uuid)["attempt"] == 1


def test_a_disk_that_stays_full_fails_it_in_the_end(small):
    with working(small, outage_hours=0):
        uuid = small.receive(BODY)
        fill(small.data)
        small.accept(uuid)
        assert small.ended(uuid) == "failed"
        until(lambda: small.store.works() == [], "staging was left")
    assert small.row(uuid)["code"] == "disk_full"
    assert small.spooled() == [uuid]


def test_a_single_object_keeps_its_name(server):
    data = next(iter(STUDY.objects.values()))
    with InProcessWorker(server.data):
        uuid = server.send(data, name="one.dcm")
        assert server.ended(uuid) == "placed", server.row(uuid)
    with gzip.open(server.data / "receipts" / f"{uuid}.jsonl.gz") as lines:
        assert [json.loads(line)["path"] for line in lines] == ["one.dcm"]
