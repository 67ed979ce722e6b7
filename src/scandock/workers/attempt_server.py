"""The fork server of attempts at imports, and what a worker starts by it.

Importing its modules takes an attempt a third of a second of work, and what it does for the first time as much as all
else: before it serves, the server imports what forks need and does an import of nothing (`rehearsal.py`).

A worker forks the first server from itself before it has threads or connections (`fork_attempt_server`); where that one
died, another is started as `python -m scandock.workers.attempt_server PARENT FD`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from scandock.model.errors import ScandockError
from scandock.model.process import confine, end_process, pause_garbage_collection, unblock_signals
from scandock.workers.attempt import AttemptRequest, make_log
from scandock.workers.attempt import main as run_attempt
from scandock.workers.fault_pipe import FaultPipe
from scandock.workers.fork_server import ANSWER_SECONDS, READY, ForkedProcess, can_fork, serve
from scandock.workers.process_deaths import GIVEN_UP, death_fault, oom_kills
from scandock.workers.server_keeper import ForkServer, ServerKeeper, fork_server, start_server

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import FilteringBoundLogger

    from scandock.model.errors import Fault
    from scandock.workers.attempt_runner import RunningAttempt, StartAttempt

NAME: Final = "fork server"
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


def fork_attempt_server() -> ForkServer | None:
    """A server forked from this process, which may have no thread yet; quick where most is imported already.

    None where the system has no descriptors of processes.
    """
    if not can_fork():
        return None
    import_needed()
    return fork_server(serve_attempts)


def start_attempt_server() -> ForkServer | None:
    """A server as a process of its own, from a thread that lasts; None where the machine has no room for it."""
    return start_server(__spec__.name)


def serve_attempts(worker: int, wire: socket.socket) -> int:
    """Serve until the worker is gone; in each fork, run the attempt that was asked for. The exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as its forks do: its worker says when it is to end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    confine(worker, NAME)
    unblock_signals()
    prepare()
    with contextlib.suppress(OSError):  # its worker is gone
        wire.send(READY)
    server = os.getpid()
    request = serve(wire)
    if request is not None:
        order, fds = request
        end_process(partial(run_attempt, [str(server), order.decode()], *fds))
    return 0


class ForkedAttempts:
    """Starts attempts as forks of a server: `with Attempts(...) as start`, to be left once no attempt runs any more.

    While there is no server, attempts are started by `instead`. Without a `first` there never is one.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        instead: StartAttempt,
        first: ForkServer | None,
        readers: ServerKeeper | None = None,
    ) -> None:
        """`readers`: the server that forks their readers."""
        self._log = log
        self._instead = instead
        self._readers = readers
        self._keeper = ServerKeeper(NAME, log, start_attempt_server, first) if first is not None else None

    def __enter__(self) -> Self:
        if self._keeper is not None:
            self._keeper.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._keeper is not None:
            self._keeper.__exit__(kind, error, at)

    def __call__(self, order: AttemptRequest) -> RunningAttempt:
        before, pipe = oom_kills(), FaultPipe()
        asked = self._ask(order, pipe)
        pipe.begun()
        if asked is None or self._keeper is None:
            pipe.end()
            return self._instead(order)
        server, fork_socket = asked
        try:
            return ForkedAttempt(ForkedProcess(fork_socket, ANSWER_SECONDS), server, before, pipe)
        except EOFError as error:
            self._log.warning("attempt not forked", upload=order.upload, attempt=order.attempt, error=str(error))
        except OSError as error:  # it may begin, or have begun, and nobody could end it alone
            self._log.error("fork server given up", upload=order.upload, attempt=order.attempt, error=str(error))
            self._keeper.kill(server)
        fork_socket.close()
        return ForkedAttempt(None, server, before, pipe)

    def _ask(self, order: AttemptRequest, pipe: FaultPipe) -> tuple[ForkServer, socket.socket] | None:
        if self._keeper is None:
            return None
        with contextlib.ExitStack() as opened:
            fds = [pipe.writing]
            if self._readers is not None and (wire := self._readers.share()) is not None:
                fds.append(opened.enter_context(wire).fileno())
            return self._keeper.ask(order.to_json().encode(), fds)


def import_needed() -> None:
    """Import; of what is imported the collector has nothing to look at in a fork, whose pages it would write to."""
    with pause_garbage_collection():
        for module in (*NEEDED, *(NEEDED_BY_POSTGRESQL if os.environ.get("SCANDOCK_DATABASE_URL") else ())):
            importlib.import_module(module)


def prepare() -> None:
    """Do once what imports do, so that it is done for all forks; where that fails, each of them does it for itself."""
    from scandock.services.logs import error_location
    from scandock.services.settings import load_settings
    from scandock.workers.rehearsal import rehearse

    with pause_garbage_collection():
        try:
            rehearse()
        except Exception as error:  # noqa: BLE001  whatever it is, attempts meet it, and tell of it, themselves
            log = make_log("info")
            log.warning("not rehearsed", error=type(error).__name__, where=error_location(error))
        with contextlib.suppress(ScandockError):
            make_log(load_settings().log_level)


def main(words: list[str]) -> int:
    parent, fd = words
    confine(int(parent), NAME)
    import_needed()
    return serve_attempts(int(parent), socket.socket(fileno=int(fd)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
