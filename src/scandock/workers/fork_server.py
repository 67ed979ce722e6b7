"""A fork server: a process that has imported what is needed, and forks a process for each request.

Importing its modules takes an attempt at an import most of a second of work; a fork of a process that has them shares
them. The server has no thread, no database connection and no file of DATA open when it forks. A worker forks one from
itself before it has any of these (`fork_server`), or starts it as `python -m scandock.workers.fork_server PARENT FD`
where that one died; it dies with its worker, and its forks with it.

On the wire, a socket of SOCK_SEQPACKET: a server that was started says READY; a request is any text with descriptors,
the last of them a socket for that fork alone, on which come `P` and its process number with a descriptor of the process
(pidfd_open(2), Linux 5.3), and then `C` and its exit code, minus the signal's number where one ended it; or `E` and an
errno where it could not be forked.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from scandock.model.children import Child, start_connected
from scandock.model.process import confine, end_fork, pause_garbage_collection, python_command, unblock_signals
from scandock.workers.attempt import AttemptRequest
from scandock.workers.attempt import main as run_attempt
from scandock.workers.fault_pipe import FaultPipe
from scandock.workers.process_deaths import GIVEN_UP, death_fault, oom_kills

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import FilteringBoundLogger

    from scandock.model.errors import Fault
    from scandock.workers.attempt_runner import RunningAttempt, StartAttempt

NAME = "fork server"
READY = b"ready"
MAX_REQUEST = 1_000_000
"""Bytes of a request."""
_MOST_DESCRIPTORS = 8
ANSWER_SECONDS = 10.0
"""For a fork to begin, less than a lease lasts: longer takes only a server that is stopped, which is given up."""
START_SECONDS = 60.0
PAUSE_SECONDS = 1.0
"""Before a server that died is started again."""
NEEDED = (
    "scandock.catalog.engine", "scandock.pipeline.flow", "scandock.publishing.complete",
    "scandock.publishing.row_cleanup", "scandock.publishing.requeue", "scandock.publishing.reserve",
    "scandock.queue.leases", "scandock.services.logs", "scandock.services.data_catalog",
    "scandock.services.progress", "scandock.services.settings",
    "scandock.services.upload_rights", "scandock.store.opening", "scandock.store.work_locks",
    "scandock.store.trees", "scandock.store.trash", "scandock.store.placing",
    "scandock.workers.readers", "scandock.workers.context",
)  # fmt: skip
"""What an attempt imports as it goes, and what those import."""
NEEDED_BY_POSTGRESQL = ("psycopg", "sqlalchemy.dialects.postgresql.psycopg")


class ForkedProcess:
    """A process that a server has forked, as it is seen by who asked for it."""

    def __init__(self, wire: socket.socket, seconds: float) -> None:
        """Waits for it to begin. Raises EOFError where it never will, OSError where nobody knows."""
        self._wire = wire
        self._code: int | None = None
        wire.settimeout(seconds)
        message, fds, _, _ = socket.recv_fds(wire, 100, 1)
        wire.settimeout(None)
        if message[:1] == b"E":
            raise EOFError(f"No process could be forked: {os.strerror(int(message[1:]))}.")
        if message[:1] != b"P":
            raise EOFError("The fork server has ended.")
        if not fds:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self.pid = int(message[1:])
        self._process = fds[0]
        self.server_died = False
        """Known once it has ended: it was killed by the death of its server."""

    def ends_within(self, seconds: float | None) -> bool:
        """Wait at most so long for its end; whether that came."""
        return self._code is not None or bool(select.select([self._wire], [], [], seconds)[0])

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self.wait() if self.ends_within(0) else None

    def wait(self) -> int:
        """Its exit code; minus the signal's number where one ended it. To be called by one thread."""
        if self._code is None:
            if self._wire.fileno() not in select.select([self._wire.fileno(), self._process], [], [])[0]:
                self._wire.settimeout(ANSWER_SECONDS)  # it has ended, and a server that is not stopped says how
            message = b""
            with contextlib.suppress(TimeoutError):
                message = self._wire.recv(100)
            if not message:  # the server died, and takes its forks with it
                select.select([self._process], [], [])
            self.server_died = not message
            self._code = int(message[1:]) if message else -signal.SIGKILL
        return self._code

    def signal(self, number: int) -> None:
        """Nothing where it has ended; never to another that has its number since."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def close(self) -> None:
        self._wire.close()
        if self._process >= 0:
            os.close(self._process)
            self._process = -1


def request_fork(wire: socket.socket, request: bytes, fds: Sequence[int] = ()) -> socket.socket:
    """Ask a server for a fork, with descriptors for it; the socket on which `ForkedProcess` listens. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            socket.send_fds(wire, [request], [*fds, theirs.fileno()])
        except OSError:
            ours.close()
            raise
    return ours


def serve(wire: socket.socket, *, own_group: bool = False) -> tuple[bytes, list[int]] | None:
    """Fork for each request until who asks is gone.

    In a fork: the request, and the descriptors that came with it; in the server itself, at the end: None. With
    `own_group` each fork leads a process group.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([wire.fileno(), *running], [], [])[0]:
            if ready != wire.fileno():
                _report_exit(*running.pop(ready), ready)
                continue
            request, fds, _, _ = socket.recv_fds(wire, MAX_REQUEST, _MOST_DESCRIPTORS)
            if not request:
                return None
            client = socket.socket(fileno=fds.pop())
            pid = _fork(client)
            if pid == 0:
                for descriptor, (_, other) in running.items():
                    os.close(descriptor)
                    other.close()
                wire.close()
                _report_start(client, own_group=own_group)
                return request, fds
            for descriptor in fds:
                os.close(descriptor)
            if pid is not None:
                running[os.pidfd_open(pid)] = (pid, client)


def _fork(client: socket.socket) -> int | None:
    """As os.fork; None where the machine has no room for another process, which is told."""
    try:
        return os.fork()
    except OSError as error:
        with client, contextlib.suppress(OSError):
            client.send(b"E%d" % (error.errno or 0))
        return None


def _report_start(client: socket.socket, *, own_group: bool) -> None:
    """In a fork: say that it runs. It ends where nobody hears that."""
    if own_group:
        os.setsid()
    try:
        me = os.pidfd_open(os.getpid())
        with client:
            socket.send_fds(client, [b"P%d" % os.getpid()], [me])
    except OSError:
        os._exit(1)
    os.close(me)


def _report_exit(pid: int, client: socket.socket, descriptor: int) -> None:
    """Say how a fork ended."""
    os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with client, contextlib.suppress(OSError):
        client.send(b"C%d" % code)


class ForkedAttempt:
    """An import attempt as a fork (`scandock.workers.attempt_runner.RunningAttempt`); None is one that never began."""

    def __init__(self, fork: ForkedProcess | None, server: ForkServer, oom_before: int, pipe: FaultPipe) -> None:
        self._fork = fork
        self._pipe = pipe
        self._fault: Fault | None = None
        self._server = server
        self._oom_before = oom_before
        self._code = -signal.SIGKILL
        self._lock = threading.Lock()
        self.killed = ""
        self.pid = 0 if fork is None else fork.pid

    def kill(self, why: str) -> None:
        self.killed = self.killed or why
        with self._lock:
            if self._fork is not None:
                self._fork.signal(signal.SIGKILL)

    def wait(self) -> int:
        if self._fork is not None:
            self._code = self._fork.wait()
            if self._fork.server_died and self._server.given_up:
                self.killed = self.killed or GIVEN_UP
            with self._lock:
                self._fork.close()
                self._fork = None
        self._fault = self._fault or self._pipe.end()
        return self._code

    def death(self, code: int) -> Fault:
        return self._fault or death_fault(code, self._oom_before)


class _ForkedServer:
    """A server that was forked from this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = os.pidfd_open(pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@dataclass(slots=True)
class ForkServer:
    """A fork server of attempts, as its worker sees it."""

    process: _ForkedServer | Child
    wire: socket.socket
    given_up: bool = False
    """It was killed because it did not answer."""


def fork_server() -> ForkServer | None:
    """A server forked from this process, which may have no thread yet; quick where most is imported already.

    None where the system has no descriptors of processes.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):
        return None
    import_needed()
    worker = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        sys.exit(serve_attempts(worker, theirs))
    theirs.close()
    return ForkServer(_ForkedServer(pid), ours)


def start_server() -> ForkServer | None:
    """A server as a process of its own, from a thread that lasts; None where it did not start."""
    with contextlib.ExitStack() as opened:
        try:
            process, ours = start_connected(_start_process, socket.SOCK_SEQPACKET)
            opened.enter_context(ours)
        except OSError:  # no room for descriptors or for another process
            return None
        ours.settimeout(START_SECONDS)
        with contextlib.suppress(TimeoutError):
            if ours.recv(100) == READY:
                ours.settimeout(None)
                opened.pop_all()
                return ForkServer(process, ours)
        process.kill()
        process.wait()
    return None


def _start_process(wire: socket.socket) -> Child:
    return Child(python_command("scandock.workers.fork_server", str(wire.fileno())), [wire.fileno()])


def serve_attempts(worker: int, wire: socket.socket) -> int:
    """Serve until the worker is gone; in each fork, run the attempt that was asked for. The exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as its forks do: its worker says when it is to end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    confine(worker, NAME)
    unblock_signals()
    server = os.getpid()
    request = serve(wire)
    if request is not None:
        order, fds = request
        end_fork(partial(run_attempt, [str(server), order.decode()], fds[0]))
    return 0


class ForkedAttempts:
    """Starts attempts as forks of a server: `with Attempts(...) as start`, to be left once no attempt runs any more.

    A server that dies is started again; while there is none, attempts are started by `instead`. Without a `first` there
    never is one.
    """

    def __init__(self, log: FilteringBoundLogger, instead: StartAttempt, first: ForkServer | None) -> None:
        self._log = log
        self._instead = instead
        self._lock = threading.Lock()
        self._server: ForkServer | None = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="forks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if (server := self._server) is not None:
            self._kill(server)
        self._thread.join()

    def __call__(self, order: AttemptRequest) -> RunningAttempt:
        before, pipe = oom_kills(), FaultPipe()
        server, fork_socket = self._ask(order, pipe)
        pipe.begun()
        if server is None or fork_socket is None:
            pipe.end()
            return self._instead(order)
        try:
            return ForkedAttempt(ForkedProcess(fork_socket, ANSWER_SECONDS), server, before, pipe)
        except EOFError as error:
            self._log.warning("attempt not forked", upload=order.upload, attempt=order.attempt, error=str(error))
        except OSError as error:  # it may begin, or have begun, and nobody could end it alone
            self._log.error("fork server given up", upload=order.upload, attempt=order.attempt, error=str(error))
            self._kill(server)
        fork_socket.close()
        return ForkedAttempt(None, server, before, pipe)

    def _ask(self, order: AttemptRequest, pipe: FaultPipe) -> tuple[ForkServer | None, socket.socket | None]:
        with self._lock:
            if self._server is not None:
                with contextlib.suppress(OSError):  # nothing was sent: it has just died, or there is no room
                    request = order.to_json().encode()
                    return self._server, request_fork(self._server.wire, request, [pipe.writing])
        return None, None

    def _kill(self, server: ForkServer) -> None:
        """Kill a server, unless it is over."""
        with self._lock:
            if self._server is server:
                server.given_up = True
                server.process.kill()

    def _keep(self) -> None:
        """In a thread that lasts, since the servers that it starts die with it."""
        while (server := self._server) is not None:
            code = server.process.wait()
            with self._lock:
                server.wire.close()
                self._server = None
            if not self._ended.is_set():
                self._log.warning("fork server died", exit=code)
                self._start_again()

    def _start_again(self) -> None:
        while self._server is None and not self._ended.wait(PAUSE_SECONDS):
            server = start_server()
            with self._lock:
                self._server = server
            self._log.info("fork server started" if server is not None else "fork server did not start")
        if self._ended.is_set() and (server := self._server) is not None:
            self._kill(server)


def import_needed() -> None:
    """Import; of what is imported the collector has nothing to look at in a fork, whose pages it would write to."""
    with pause_garbage_collection():
        for module in (*NEEDED, *(NEEDED_BY_POSTGRESQL if os.environ.get("SCANDOCK_DATABASE_URL") else ())):
            importlib.import_module(module)


def main(words: list[str]) -> int:
    parent, fd = words
    confine(int(parent), NAME)
    import_needed()
    wire = socket.socket(fileno=int(fd))
    wire.send(READY)
    return serve_attempts(int(parent), wire)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
