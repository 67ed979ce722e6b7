"""Disk, rights and catalog that fail under a server's imports: they wait, burn no attempt, and say why."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest

from scandock.model.points import POINTS
from scandock.testing.worker import InProcessWorker
from tests.crash.archives import Study, zip_bytes
from tests.crash.checker import examine
from tests.crash.processes import until
from tests.integration.forked_workers import attempting
from tests.integration.server_side import Server
from tests.integration.small_disks import disk, fill  # noqa: F401  a fixture

pytestmark = [pytest.mark.crash, pytest.mark.processes]

STUDY = Study(51, 1, count=6, side=8)
BODY = zip_bytes(STUDY.entries("S"))
PASSED = [point for point in POINTS if POINTS.index("began") <= POINTS.index(point) <= POINTS.index("finished")]


def placed(server, uuid):
    server.hurry(uuid)
    assert server.ended(uuid) == "placed", server.row(uuid)
    until(lambda: not server.spooled() and not server.store.works(), "bytes or staging were left")
    held, wrong = examine(server.data)
    assert not wrong, wrong
    assert held == {STUDY.uid: STUDY.held()}
    assert server.row(uuid)["attempt"] == 1


@pytest.mark.parametrize("point", PASSED)
def test_a_disk_that_is_full_is_waited_for_at_every_point(disk, point):  # noqa: F811
    server = Server(disk("8m"))
    once = str(server.data.parent / "once")
    stop = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
    with attempting(server, SCANDOCK_MIN_FREE_BYTES="0", **stop) as attempts:
        uuid = server.send(BODY)
        attempt = attempts.stopped(uuid)
        ballast = fill(server.data)
        os.kill(attempt.pid, signal.SIGCONT)
        until(lambda: not attempt.runs, "it did not end")
        until(
            lambda: {"import waits for the machine", "end not written yet", "attempt ended"}
            & {line["event"] for line in attempts.logged},
            "nothing was told of it",
        )
        ballast.unlink()
        until(lambda: server.row(uuid)["code"] == "disk_full" or server.state(uuid) == "placed", "the cause was lost")
        placed(server, uuid)
    events = server.events(uuid)
    assert {data["code"] for kind, data in events if kind == "retry"} <= {"disk_full"}
    assert [data["state"] for kind, data in events if kind == "outcome"] == ["placed"]
    server.close()
