"""The fork server of readers: what a reader is that it forks, what it dies of, and what happens without it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from scandock.model.limits import Limits
from scandock.model.process import can_die_with_pipe
from scandock.store.local import LocalStore
from scandock.workers import fork_server, pool, readers, server_keeper
from scandock.workers.archive_tasks import open_archive
from scandock.workers.fork_server import can_fork
from scandock.workers.pool import ReaderPool, ReaderSetup, Task
from scandock.workers.reader_counters import ReaderCounters
from scandock.workers.reader_process import MEMORY_BYTES
from scandock.workers.readers import ForkedReader, ReaderProcess, RunningReader, keep_reader_server, start_fork
from scandock.workers.server_keeper import ServerKeeper
from tests.crash.processes import process_name, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not (can_fork() and can_die_with_pipe()), reason="this system has no fork servers"),
]

SECRETS = {
    "SCANDOCK_DATABASE_URL": "postgresql://user:hush@host/name",
    "SCANDOCK_ADMIN_PASSWORD": "hush",
    "PGPASSWORD": "hush",
}


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch) -> None:
    """How this process starts readers is as before when a test has ended."""
    monkeypatch.setattr(readers, "_start", readers.start_process)
    monkeypatch.setattr(readers, "_are_quick", False)


@pytest.fixture
def keeper() -> Iterator[ServerKeeper]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        with keep_reader_server(structlog.get_logger()) as made:
            until(lambda: can_be_asked(made), "no server of readers")
            yield made


def can_be_asked(keeper: ServerKeeper) -> bool:
    wire = keeper.share()
    if wire is not None:
        wire.close()
    return wire is not None


@pytest.fixture
def server(keeper: ServerKeeper) -> Iterator[socket.socket]:
    """The wire to a server, as attempts have it."""
    wire = keeper.share()
    assert wire is not None
    with wire:
        yield wire


class Started:
    """One reader, by hand."""

    def __init__(self, server: socket.socket | None) -> None:
        """From a server, or as this process has readers started."""
        self.board = ReaderCounters.create(1)
        self.end, theirs = socket.socketpair()
        with theirs:
            start = readers.start_reader if server is None else partial(start_fork, server)
            self.reader = start(theirs, self.board.fds)

    def close(self) -> None:
        self.reader.kill()
        self.reader.wait()
        self.end.close()
        self.board.close()


@pytest.fixture
def started(server: socket.socket) -> Iterator[Started]:
    made = Started(server)
    yield made
    made.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def forked(started: Started) -> ForkedReader:
    assert isinstance(started.reader, ForkedReader)
    until(lambda: process_name(started.reader.pid) == "reader", "it has no name")  # type: ignore[attr-defined]
    return started.reader


def test_server_and_readers_are_confined_and_know_no_secret(started: Started) -> None:
    reader = forked(started)
    parent = parent_of(reader.pid)
    assert (process_name(parent), parent_of(parent)) == ("reader server", os.getpid())
    for pid in (parent, reader.pid):
        assert len(os.listdir(f"/proc/{pid}/task")) == 1
        assert b"hush" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
        assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == MEMORY_BYTES
        assert not [name for name in mapped(pid) if "sqlite" in name or "psycopg" in name or "libpq" in name]


def mapped(pid: int) -> set[str]:
    """Files of libraries that a process has loaded."""
    return {line.split()[-1].rpartition("/")[2] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()}


def test_the_memory_of_a_reader_holds_no_secret_of_its_worker(started: Started) -> None:
    reader = forked(started)
    with open(f"/proc/{reader.pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{reader.pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            first, _, last = span.partition("-")
            if "rw" not in rights or "[v" in line:
                continue
            memory.seek(int(first, 16))
            assert b"user:hush@" not in memory.read(int(last, 16) - int(first, 16))


def test_readers_that_are_asked_to_end_go_on(started: Started) -> None:
    reader = forked(started)
    for pid in (reader.pid, parent_of(reader.pid)):
        os.kill(pid, signal.SIGINT)
    assert process_name(reader.pid) == "reader"
    reader.kill()
    assert (reader.wait(), reader.server_died) == (-signal.SIGKILL, False)


def test_a_reader_ends_when_its_import_closes_its_end(started: Started) -> None:
    reader = forked(started)
    started.end.close()
    assert reader.wait() == 0


ATTEMPT = """
import os, socket, sys, time
from scandock.workers.reader_counters import ReaderCounters
from scandock.workers.readers import start_fork
ours, theirs = socket.socketpair()
reader = start_fork(socket.socket(fileno=int(sys.argv[1])), theirs, ReaderCounters.create(1).fds)
os.set_inheritable(ours.fileno(), True)
if os.fork() == 0:  # somebody keeps its wire open: by its end alone the reader would never know
    os.closerange(3, ours.fileno()), os.closerange(ours.fileno() + 1, 100)
    time.sleep(120)
print(reader.pid, flush=True)
time.sleep(120)
"""


def test_a_reader_dies_with_its_import_alone(server: socket.socket, started: Started) -> None:
    """Killed by the kernel, as a child of it would be; others of the server live on."""
    other = forked(started)
    words = [sys.executable, "-c", ATTEMPT, str(server.fileno())]
    attempt = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, pass_fds=[server.fileno()], start_new_session=True
    )
    try:
        assert attempt.stdout is not None
        pid = int(attempt.stdout.readline())
        until(lambda: process_name(pid) == "reader", "it has no name")
        attempt.kill()
        until(lambda: process_name(pid) != "reader", "it outlived its import")
        assert process_name(other.pid) == "reader"
    finally:
        os.killpg(attempt.pid, signal.SIGKILL)
        attempt.wait()
        assert attempt.stdout is not None
        attempt.stdout.close()


def test_a_server_that_dies_takes_its_readers_along_and_is_replaced(keeper: ServerKeeper, started: Started) -> None:
    reader = forked(started)
    first = parent_of(reader.pid)
    os.kill(first, signal.SIGKILL)
    assert (reader.wait(), reader.server_died) == (-signal.SIGKILL, True)
    others: list[Started] = []

    def is_forked() -> bool:
        wire = keeper.share()
        if wire is not None:
            with wire:
                others.append(Started(wire))
        return bool(others) and isinstance(others[-1].reader, ForkedReader)

    try:
        until(is_forked, "nothing is forked any more")
        assert parent_of(forked(others[-1]).pid) != first
    finally:
        for one in others:
            one.close()


def test_without_a_server_that_answers_a_reader_is_a_process_of_its_own(
    server: socket.socket, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(fork_server, "ANSWER_SECONDS", 0.1)
    stopped = parent_of(forked(started).pid)
    os.kill(stopped, signal.SIGSTOP)
    readers.use_reader_server(server)
    instead = Started(server)
    try:
        assert isinstance(instead.reader, ReaderProcess)
        assert not readers.are_quick(), "each reader would wait for it"
    finally:
        instead.close()
        os.kill(stopped, signal.SIGCONT)
    children = f"/proc/{stopped}/task/{stopped}/children"  # what was forked too late has no import any more
    until(lambda: len(Path(children).read_text().split()) == 1, "a reader that nobody waits for lives on")


@pytest.mark.parametrize("secret", ["", "PGPASSWORD"])
def test_the_server_of_a_command_knows_no_secret_and_has_nothing_open(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fork where the command's environment has no secret, else a program of its own."""
    for name in [name for name in os.environ if name.startswith(("SCANDOCK_", "PG", "AWS_"))]:
        monkeypatch.delenv(name)
    if secret:
        monkeypatch.setenv(secret, "hush")
    path = tmp_path / "opened before"
    with path.open("w"), readers.own_reader_server():
        one = Started(None)
        try:
            server = Path(f"/proc/{parent_of(forked(one).pid)}")
            is_fork = (server / "cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes()
            assert is_fork is not bool(secret)
            assert b"hush" not in (server / "environ").read_bytes()
            opened = {number.name: os.readlink(number) for number in (server / "fd").iterdir()}
            assert str(path) in [
                os.readlink(number) for number in Path("/proc/self/fd").glob("[0-9]*") if number.exists()
            ]
            assert str(path) not in opened.values()
            assert (opened["0"], opened["1"]) == (os.devnull, os.devnull)
        finally:
            one.close()


def test_a_forked_server_that_was_waited_for_is_not_killed_by_a_number_that_another_has() -> None:
    server = server_keeper.fork_server(lambda parent, wire: 7)
    process = server.process
    assert process.wait() == 7
    with subprocess.Popen([sys.executable, "-Sc", "input()"], stdin=subprocess.PIPE) as other:
        number = os.pidfd_open(other.pid)  # the lowest that is free
        try:
            process.kill()
            assert other.poll() is None
        finally:
            os.close(number)
            other.communicate(b"\n")
    assert other.returncode == 0
    server.wire.close()


def test_a_server_that_can_not_be_forked_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError("no room")

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", fail)
    monkeypatch.setattr(readers, "has_bare_environment", lambda: True)
    with readers.own_reader_server():
        assert not readers.are_quick()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_command_has_a_server_of_its_own_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "has_bare_environment", lambda: True)
    before = sorted(os.listdir("/proc/self/fd"))
    with readers.own_reader_server():
        assert readers.are_quick()
        one = Started(None)
        try:
            server = parent_of(forked(one).pid)
            assert parent_of(server) == os.getpid()
        finally:
            one.close()
    assert (readers.are_quick(), Path(f"/proc/{server}").exists()) == (False, False)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_an_import_goes_on_when_the_server_of_its_readers_dies(
    server: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many readers die at once as an import takes to show a lack of memory, and nothing is blamed for it."""
    size = pool.MAX_KILLS + 1
    killed: list[int] = []
    told: list[str] = []
    store = LocalStore(tmp_path / "data")
    store.prepare()
    stage = store.begin("u", "t")
    (tmp_path / "files").mkdir()
    for number in range(2 * size):
        (tmp_path / "files" / f"{number}.txt").write_bytes(b"text")

    def hear(task: Task, message: tuple[Any, ...]) -> list[Task]:
        if not killed:
            assert len(made.readers) == size
            killed.append(parent_of(made.readers[0].process.pid))  # type: ignore[attr-defined]
            os.kill(killed[0], signal.SIGKILL)
        if message[0] == "entries":
            told.extend(values[1] for values in message[1])
        return []

    forks: list[RunningReader] = []

    def start(end: socket.socket, board: tuple[int, ...]) -> RunningReader:
        reader = start_fork(server, end, board)
        if 0 < len(forks) < size:  # all but the first have work still as their server dies
            pid = reader.pid  # type: ignore[attr-defined]
            until(lambda: process_name(pid) == "reader")
            os.kill(pid, signal.SIGSTOP)
        forks.append(reader)
        return reader

    monkeypatch.setattr(readers, "_start", start)
    monkeypatch.setattr(readers, "_are_quick", True)
    made = ReaderPool(size)
    setup = ReaderSetup(
        root=store.path, upload="u", token="t", limits=Limits(), received=0, wanted=frozenset(), keep_images=True,
        keep_loose=True,
    )  # fmt: skip
    with closing(store), closing(stage), closing(made):
        made.setup(setup)
        made.start(size)
        assert made.readers == {}  # they are forked as there is work
        made.work(open_archive(str(tmp_path / "files"), Limits(), size).tasks, hear, lambda: None, lambda: False)
        assert (made.kills, made.deaths, made.reread) == (0, 0, True)
        assert set(told) == {f"{number}.txt" for number in range(2 * size)}


def test_a_reader_that_comes_too_late_ends_by_its_pipe(server: socket.socket) -> None:
    """Whoever asked for it is gone already, and its end of the wire is still open."""
    reading, writing = os.pipe()
    os.close(writing)
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(ReaderCounters.create(1)) as board:
        asked = fork_server.request_fork(server, b"reader", (theirs.fileno(), *board.fds, reading))
        os.close(reading)
        with closing(fork_server.ForkedProcess(asked, 60)) as fork:
            assert fork.ends_within(60)
            assert fork.wait() in {1, -signal.SIGKILL}
