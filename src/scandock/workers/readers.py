"""How the readers of an import are started: as forks where its worker has a server of them, else as processes of their
own, unless a test has them started otherwise.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from scandock.model.children import Child, Output, bare_environment, close_all_but, has_bare_environment
from scandock.model.process import can_die_with_pipe, keep_blocks, python_command
from scandock.workers.fork_server import ANSWER_SECONDS, ForkedProcess, can_fork, request_fork
from scandock.workers.server_keeper import ForkServer, ServerKeeper, fork_server, start_server

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_MMAP_THRESHOLD = 32 * 1024**2
_TRIM_THRESHOLD = 64 * 1024**2
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
    "MALLOC_ARENA_MAX": "1",
}
"""Blocks of megabytes freed and mapped anew page-fault at each entry (docs/performance.md)."""


def reader_environment() -> dict[str, str]:
    """A reader's: without secrets, but for the keys of the bucket that uploads are read from, where there is one."""
    has_bucket = "SCANDOCK_STORE" in os.environ  # by its name: the settings load pydantic, and readers start before
    keys = {name: value for name, value in os.environ.items() if has_bucket and name.startswith("AWS_")}
    return bare_environment(MALLOC | keys)


class RunningReader(Protocol):
    """A reader that was started, as far as its pool handles it."""

    @property
    def server_died(self) -> bool:
        """Whether it ended by the death of the server that forked it: known once it is waited for."""
        ...

    def kill(self) -> None: ...
    def wait(self) -> int:
        """Wait for its end; its exit code, or minus the number of the signal that ended it."""
        ...


StartReader = Callable[[socket.socket, tuple[int, ...]], RunningReader]
"""Starts a reader with its end of the wire and the descriptors of the board. The end is closed by the caller after."""


class ReaderProcess(Child):
    """A reader as a process of its own."""

    server_died = False


def start_process(end: socket.socket, board: tuple[int, ...]) -> ReaderProcess:
    """Start `scandock.workers.reader_process` as a process of its own."""
    words = python_command("scandock.workers.reader_process", str(end.fileno()))
    return ReaderProcess(words, (end.fileno(), *board), output=Output.ERRORS, environment=reader_environment())


class ForkedReader:
    """A reader as a fork of a server. It ends at the latest with this process, which has the end of its `lifeline`."""

    def __init__(self, fork: ForkedProcess, lifeline: int) -> None:
        self._fork = fork
        self._lifeline = lifeline
        self._code: int | None = None
        self.pid = fork.pid

    @property
    def server_died(self) -> bool:
        return self._fork.server_died

    def kill(self) -> None:
        if self._code is None:
            self._fork.signal(signal.SIGKILL)

    def wait(self) -> int:
        if self._code is None:
            self._code = self._fork.wait()
            self._fork.close()
            os.close(self._lifeline)
        return self._code


def start_fork(server: socket.socket, end: socket.socket, board: tuple[int, ...]) -> RunningReader:
    """Have a reader forked by the server behind a wire; started as a process of its own where that can't be."""
    reading, writing = os.pipe()
    try:
        try:
            fork_socket = request_fork(server, b"reader", (end.fileno(), *board, reading), waits=False)
        finally:
            os.close(reading)
        try:
            return ForkedReader(ForkedProcess(fork_socket, ANSWER_SECONDS), writing)
        except BaseException:
            fork_socket.close()
            raise
    except (OSError, EOFError):  # it died, does not answer, or there is no room
        os.close(writing)  # one that begins later ends by that
        _forget_server()
        return start_process(end, board)


_start: StartReader = start_process
_are_quick = False


def _forget_server() -> None:
    """Start all readers to come as processes of their own, without waiting for the server again."""
    _start_by(start_process, are_quick=False)


def _start_by(start: StartReader, *, are_quick: bool) -> None:
    global _start, _are_quick
    _start, _are_quick = start, are_quick


def are_quick() -> bool:
    """Whether a reader is at work at once; else it takes a moment to come up."""
    return _are_quick


def keep_reader_server(log: FilteringBoundLogger) -> ServerKeeper:
    """Keep a server that forks readers, for the attempts of a worker."""
    return ServerKeeper(
        "reader server",
        log,
        partial(_start_server, "scandock.workers.scrub_task", "scandock.workers.entry_names"),
        None,
    )


def _start_server(*modules: str) -> ForkServer | None:
    """A server of readers that has loaded some modules beside what each reader needs."""
    return start_server(
        "scandock.workers.reader_server", *modules, output=Output.ERRORS, environment=reader_environment()
    )


def _fork_server() -> ForkServer | None:
    """A server forked from this process, which has no thread and no secret; None where there is no room for one.

    A third of what it loads is loaded already, and it has no interpreter to start.
    """
    try:
        return fork_server(_serve_readers)
    except OSError:
        return None


def _serve_readers(parent: int, wire: socket.socket) -> int:
    close_all_but(wire.fileno(), output=Output.ERRORS)
    keep_blocks(_MMAP_THRESHOLD, _TRIM_THRESHOLD)
    from scandock.workers.reader_server import run_server

    return run_server(parent, wire)


def use_reader_server(wire: socket.socket) -> None:
    """Have all readers of this process forked by the server behind a wire, as far as it does."""
    _start_by(partial(start_fork, wire), are_quick=True)


@contextmanager
def _held_signals() -> Iterator[None]:
    """Let processes that start begin with their signals blocked: a terminal's Ctrl-C reaches them while they load."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def own_reader_server() -> Iterator[None]:
    """Have the readers of this process forked by a server of its own, which loads what they need beside all else.

    For a command, in its first thread, before it opens anything or loads anything else that takes a while. It is forked
    from the command, where that has nothing in its memory that readers may not know.
    """
    server = None
    if can_fork() and can_die_with_pipe():
        with _held_signals():
            server = _fork_server() if has_bare_environment() else _start_server()
    if server is None:
        yield
        return
    before = _start, _are_quick
    use_reader_server(server.wire)
    try:
        yield
    finally:
        _start_by(before[0], are_quick=before[1])
        server.process.kill()
        server.process.wait()
        server.wire.close()


def start_reader(end: socket.socket, board: tuple[int, ...]) -> RunningReader:
    """Start a reader; see `StartReader`."""
    return _start(end, board)


@contextmanager
def use_reader_start(start: StartReader) -> Iterator[None]:
    """Start the readers of this process's imports with `start` within the context.

    For tests, where two processes an import would count (`scandock.testing.thread_readers`). No setting leads here.
    """
    global _start  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before
