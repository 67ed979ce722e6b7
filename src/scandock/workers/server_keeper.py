"""Fork servers, as the process sees them that has them: started, asked, given up, replaced where they die."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

from scandock.model.children import Child, Output, start_connected
from scandock.model.process import end_process, python_command
from scandock.workers.fork_server import READY, request_fork

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import FilteringBoundLogger

START_SECONDS = 60.0
PAUSE_SECONDS = 1.0
"""Before a server that died is started again."""


class _ForkedServer:
    """A server that was forked from this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process: int | None = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def kill(self) -> None:
        """Nothing where it was waited for: its descriptor may be another process's by then."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, once. That of one that was killed where the system has not kept it.

        Where whoever started this process ignores SIGCHLD, it keeps none.
        """
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return -signal.SIGKILL
        finally:
            with self._lock:
                if self._process is not None:
                    os.close(self._process)
                self._process = None


class ForkServer:
    """A fork server, as the process sees it that has it."""

    def __init__(self, process: _ForkedServer | Child, wire: socket.socket) -> None:
        self.process = process
        self.wire = wire
        self.is_ready = False
        """It serves; what is asked of it before waits for that."""
        self.given_up = False
        """It was killed because it did not answer."""

    def wait_ready(self) -> bool:
        """Wait until it serves; False where it ends before, or takes too long."""
        self.wire.settimeout(START_SECONDS)
        with contextlib.suppress(OSError):
            self.is_ready = self.wire.recv(100) == READY
        self.wire.settimeout(None)
        return self.is_ready


def fork_server(serve: Callable[[int, socket.socket], int]) -> ForkServer:
    """A server forked from this process, which may have no thread yet; `serve` is given our id and its wire.

    Raises OSError where the machine has no room for it.
    """
    parent = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            pid = os.fork()
            if pid == 0:
                ours.close()
                end_process(partial(serve, parent, theirs))  # nothing of who called this is to go on here
        return ForkServer(_ForkedServer(pid), ours)
    except OSError:  # a server that was forked after all ends by its wire
        ours.close()
        raise


def start_server(
    module: str, *words: str, output: Output = Output.ALL, environment: Mapping[str, str] | None = None
) -> ForkServer | None:
    """A server as a process of its own, from a thread that lasts; None where the machine has no room for it.

    The words are the module's own, behind those that every process of ours has.
    """

    def start(wire: socket.socket) -> Child:
        command = python_command(module, str(wire.fileno()), *words)
        return Child(command, [wire.fileno()], output=output, environment=environment)

    try:
        return ForkServer(*start_connected(start, socket.SOCK_SEQPACKET))
    except OSError:  # no room for descriptors or for another process
        return None


StartServer = Callable[[], ForkServer | None]


class ServerKeeper:
    """Keeps one server: `with ServerKeeper(...) as server`, to be left once none of its forks runs any more.

    One that dies is started again, from a thread of its own that lasts, as servers die with theirs.
    """

    def __init__(self, name: str, log: FilteringBoundLogger, start: StartServer, first: ForkServer | None) -> None:
        """Without a `first` one is started at once. Until one is ready there is none."""
        self._name = name
        self._log = log
        self._start = start
        self._lock = threading.Lock()
        self._server = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if (server := self._server) is not None:
            self.kill(server)
        self._thread.join()

    def ask(self, request: bytes, fds: Sequence[int]) -> tuple[ForkServer, socket.socket] | None:
        """Ask for a fork: the server, and the socket on which `ForkedProcess` listens. None without a server."""
        with self._lock:
            if self._server is not None and self._server.is_ready:
                with contextlib.suppress(OSError):  # nothing was sent: it has just died, or there is no room
                    return self._server, request_fork(self._server.wire, request, fds)
        return None

    def share(self) -> socket.socket | None:
        """Its wire once more, for another process to ask by; None where there is no server."""
        with self._lock, contextlib.suppress(OSError):  # there is no room for descriptors
            return self._server.wire.dup() if self._server is not None and self._server.is_ready else None
        return None

    def kill(self, server: ForkServer) -> None:
        """Give a server up, unless it is over."""
        with self._lock:
            if self._server is server:
                server.given_up = True
                server.process.kill()

    def _keep(self) -> None:
        while not self._ended.is_set():
            server = self._server or self._start_one()
            if server is None:
                self._ended.wait(PAUSE_SECONDS)
                continue
            if not (server.is_ready or server.wait_ready()):
                self.kill(server)
            if not self._ended.is_set():
                self._log.info(f"{self._name} started" if server.is_ready else f"{self._name} did not start")
            code = server.process.wait()
            with self._lock:
                server.wire.close()
                self._server = None
            if not self._ended.is_set():
                self._log.warning(f"{self._name} died", exit=code)
                self._ended.wait(PAUSE_SECONDS)

    def _start_one(self) -> ForkServer | None:
        server = self._start()
        with self._lock:
            self._server = server
        if self._ended.is_set() and server is not None:
            self.kill(server)
        return server
