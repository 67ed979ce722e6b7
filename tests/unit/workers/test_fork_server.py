"""The fork server of attempts: what a fork is, deaths of forks and of their server, and what happens without one."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from scandock.access.principal import SYSTEM
from scandock.model.children import Child
from scandock.model.errors import Fault
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.owner import this_owner
from scandock.rules.series_filters import read_lines
from scandock.services.import_filters import set_filter
from scandock.testing.data import make_data
from scandock.workers import attempt_server, fork_server
from scandock.workers.attempt import AttemptRequest
from scandock.workers.attempt_server import ForkedAttempt, ForkedAttempts, start_attempt_server
from scandock.workers.process_deaths import GIVEN_UP, death_fault
from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import members, process_name, until
from tests.integration.upload_server import UploadServer

pytestmark = pytest.mark.processes


class Instead(Child):
    """Started where there is no fork server."""

    def death(self, code: int) -> Fault:
        return death_fault(code, 0)


def order(data: str | Path) -> AttemptRequest:
    return AttemptRequest(data=str(data), upload="u", token="t", previous="", attempt=1, exhausted=False, reason="")


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The events that are logged, as they are."""
    with capture_logs() as lines:
        yield lines  # type: ignore[misc]


@pytest.fixture
def start(log: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkedAttempts]:
    monkeypatch.setenv("SCANDOCK_CRASH_AT", "no point")  # nothing is rehearsed
    first = start_attempt_server()
    assert first is not None
    assert first.wait_ready()
    with ForkedAttempts(
        structlog.get_logger(), lambda _: Instead([sys.executable, "-c", "raise SystemExit(7)"]), first
    ) as made:
        yield made


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts wait for a database that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SCANDOCK_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none")
        yield


def servers() -> list[int]:
    return [pid for pid in members(os.getpgrp()) if process_name(pid) == "fork server" and _parent(pid) == os.getpid()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_an_attempt_is_a_fork_that_ends_with_its_exit_code(start: ForkedAttempts, tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    lost, failed = start(order(tmp_path / "data")), start(order("/proc/none"))
    assert isinstance(lost, ForkedAttempt)
    assert (lost.wait(), failed.wait()) == (0, 1)  # the first has no such upload; the second no folder
    assert failed.death(1).code == "store_failed"  # told on its pipe; without one it has just died
    lost.kill("too late")
    assert lost.wait() == 0


def test_attempts_are_killed_and_their_names_tell_them_apart(
    endless: None, start: ForkedAttempts, tmp_path: Path
) -> None:
    one, other = start(order(tmp_path)), start(order(tmp_path))
    until(lambda: process_name(one.pid) == "attempt", "it has no name")
    assert [_parent(one.pid)] == servers()
    one.kill("cancelled")
    assert (one.wait(), one.killed) == (-signal.SIGKILL, "cancelled")
    os.kill(other.pid, signal.SIGKILL)
    assert (other.wait(), other.killed) == (-signal.SIGKILL, "")
    assert other.death(-signal.SIGKILL).code == "attempt_killed"


def test_what_is_asked_to_end_goes_on_as_long_as_its_worker(
    endless: None, start: ForkedAttempts, tmp_path: Path
) -> None:
    attempt = start(order(tmp_path))
    until(lambda: process_name(attempt.pid) == "attempt", "it has no name")
    for pid in (*servers(), attempt.pid):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(pid, number)
    other = start(order(tmp_path))
    assert isinstance(other, ForkedAttempt)
    for one in (attempt, other):
        one.kill("the test is over")
        assert one.wait() == -signal.SIGKILL


def test_a_server_that_dies_takes_its_forks_along_and_is_started_again(
    endless: None, start: ForkedAttempts, log: list[dict[str, object]], tmp_path: Path
) -> None:
    attempt = start(order(tmp_path))
    (server,) = servers()
    os.kill(server, signal.SIGKILL)
    assert attempt.wait() == -signal.SIGKILL
    assert attempt.death(-signal.SIGKILL).code == "attempt_killed"
    until(lambda: "fork server died" in [line["event"] for line in log], "its death was not told of")
    instead = start(order(tmp_path))
    assert (type(instead), instead.wait()) == (Instead, 7)
    until(servers, "no other server")
    started: list[ForkedAttempt] = []

    def is_forked() -> bool:
        made = start(order(tmp_path))
        if isinstance(made, ForkedAttempt):
            started.append(made)
        else:
            made.wait()
        return bool(started)

    until(is_forked, "nothing is forked any more")
    started[0].kill("the test is over")
    assert started[0].wait() == -signal.SIGKILL


def test_a_server_that_is_stopped_is_given_up(
    endless: None, start: ForkedAttempts, monkeypatch: pytest.MonkeyPatch, log: list[dict[str, object]], tmp_path: Path
) -> None:
    other = start(order(tmp_path))
    monkeypatch.setattr(fork_server, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(attempt_server, "ANSWER_SECONDS", 0.1)
    (server,) = servers()
    os.kill(server, signal.SIGSTOP)
    attempt = start(order(tmp_path))
    assert (attempt.wait(), attempt.pid, attempt.killed) == (-signal.SIGKILL, 0, "")
    assert (other.wait(), other.killed) == (-signal.SIGKILL, GIVEN_UP)  # which does not count against it
    until(lambda: "fork server died" in [line["event"] for line in log], "it is still there")


def test_an_end_that_a_stopped_server_does_not_tell_is_seen(
    endless: None, start: ForkedAttempts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fork_server, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(attempt_server, "ANSWER_SECONDS", 0.1)
    attempt = start(order(tmp_path))
    (server,) = servers()
    os.kill(server, signal.SIGSTOP)
    attempt.kill("cancelled")
    assert (attempt.wait(), attempt.killed) == (-signal.SIGKILL, "cancelled")
    os.kill(server, signal.SIGCONT)


def test_without_descriptors_of_processes_there_is_no_server(
    monkeypatch: pytest.MonkeyPatch, log: list[str], tmp_path: Path
) -> None:
    def unknown(_pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", unknown)
    first = attempt_server.fork_attempt_server()
    assert first is None
    with ForkedAttempts(
        structlog.get_logger(), lambda _: Instead([sys.executable, "-c", "raise SystemExit(7)"]), first
    ) as start:
        assert start(order(tmp_path)).wait() == 7


def test_no_room_for_a_process_is_the_death_of_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def no_room() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_room)
    with ours, theirs, fork_server.request_fork(ours, b"one") as asked:
        ours.shutdown(socket.SHUT_WR)
        assert fork_server.serve(theirs) is None
        with pytest.raises(EOFError, match="Resource temporarily unavailable"):
            fork_server.ForkedProcess(asked, 60)


IMPORTING = """
import json, os, sys
from scandock.catalog.shared_statements import COMPILED
from scandock.services.settings import load_settings
from scandock.workers.attempt import AttemptRequest, run_attempt
from scandock.workers.attempt_server import import_needed, prepare
import_needed()
files = os.listdir("/proc/self/fd")
prepare()
assert os.listdir("/proc/self/fd") == files, "it has files open"
before, compiled = set(sys.modules), len(COMPILED)
assert len(os.listdir("/proc/self/task")) == 1, "it has threads, and could not fork"
run_attempt(AttemptRequest.from_json(sys.argv[1]), load_settings())
print(json.dumps([sorted(set(sys.modules) - before), compiled, len(COMPILED)]))
"""


@pytest.mark.parametrize("lines", ["", "left out"])
def test_an_attempt_has_nothing_left_to_import_or_to_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    """With an import filter neither: readers alone ask it."""
    monkeypatch.setenv("TMPDIR", str(folder := tmp_path / "tmp"))
    folder.mkdir()
    os.utime(left := made_folder(folder / "scandock-rehearsal-left"), (0, 0))
    made_folder(folder / "scandock-rehearsal-beside")
    server = UploadServer(tmp_path / "data")
    if lines:
        set_filter(server.catalog, SYSTEM, None, read_lines(lines, "blacklist"))
    uuid = server.send(zip_bytes(Study(1, 1, count=2, side=8).entries("S")))
    one = claim(server.catalog, this_owner(), SlotUsage(total=1))
    assert one is not None
    words = dataclasses.replace(order(server.data), upload=uuid, token=one.lease.token).to_json()
    done = subprocess.run([sys.executable, "-c", IMPORTING, words], capture_output=True, text=True, check=True)
    assert server.state(uuid) == "placed"
    modules, rehearsed, compiled = json.loads(done.stdout.splitlines()[-1])
    assert modules == []
    assert rehearsed > 80
    assert compiled - rehearsed <= 8
    assert os.listdir(folder) == ["scandock-rehearsal-beside"]
    assert not left.exists()
    server.close()


def made_folder(path: Path) -> Path:
    path.mkdir()
    return path


FAILING = """
from scandock.workers import attempt_server, rehearsal
def fail(): raise OSError(28, "No space left on device")
rehearsal.rehearse = fail
attempt_server.prepare()
"""


def test_a_server_that_can_not_rehearse_serves_nevertheless() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["event"] == "not rehearsed"


def test_nothing_is_rehearsed_where_an_import_is_to_die(tmp_path: Path) -> None:
    code = "from scandock.workers import rehearsal; rehearsal.rehearse(); print(len(rehearsal.COMPILED))"
    environment = os.environ | {"SCANDOCK_CRASH_AT": "sealed"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "0\n"
