"""Workers with processes forked from a prepared one (`tests.crash.forked`): they die as any other, and cost less."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import structlog
from structlog.testing import capture_logs

from scandock.model.errors import Fault
from scandock.services.settings import load_settings
from scandock.workers.attempt import AttemptRequest
from scandock.workers.fault_pipe import FaultPipe
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.worker import Worker as ProductsWorker
from tests.crash.forked import ForkedCommand, prepared_pid
from tests.crash.processes import environment, is_stopped, members, until
from tests.integration.upload_server import UploadServer, Worker

END_SECONDS = 60.0


class ForkedAttempt:
    """Runs where a worker expects a process that it has started itself."""

    def __init__(self, order: AttemptRequest, changes: dict[str, str]) -> None:
        words = (str(prepared_pid()), order.to_json())
        env = environment(SCANDOCK_WORKERS="1", **changes)
        pipe = FaultPipe()
        self._fork = ForkedCommand("tests.crash.forked:attempt", *words, argv=["attempt"], env=env, fds=[pipe.writing])
        self._pipe = pipe.begun()
        self.pid = self._fork.pid
        self.killed = ""
        self._fault: Fault | None = None

    def kill(self, why: str) -> None:
        self.killed = self.killed or why
        self._fork.kill()

    def wait(self) -> int:
        return self._fork.wait()

    def death(self, code: int) -> Fault:
        self._fault = self._fault or self._pipe.end()
        if self._fault is not None:
            return self._fault
        if code == -signal.SIGKILL:
            return Fault("attempt_killed", "The import's process was killed from outside.", "It is tried again.")
        output = self._fork.communicate()[1]
        return Fault("attempt_died", f"The import's process ended with {code}: {output}", "Look at what it said.")

    @property
    def runs(self) -> bool:
        return self._fork.poll() is None


@dataclass
class StartedAttempts:
    """The attempts of a worker in the test's process, and what becomes of them."""

    changes: dict[str, str]
    """Environment of those that begin from now on."""
    logged: list[Any] = field(default_factory=list)
    """What the worker logged, one entry a line."""
    begun: dict[str, ForkedAttempt] = field(default_factory=dict)
    """The latest attempt at each upload."""

    def start(self, order: AttemptRequest) -> ForkedAttempt:
        self.begun[order.upload] = ForkedAttempt(order, self.changes)
        return self.begun[order.upload]

    def stopped(self, upload: str) -> ForkedAttempt:
        """Wait until the attempt at an upload is stopped by a signal."""
        until(lambda: upload in self.begun and is_stopped(self.begun[upload].pid), "it was not reached")
        return self.begun[upload]


@contextmanager
def in_process_worker(server: UploadServer, slots: int = 2, **changes: str) -> Iterator[StartedAttempts]:
    """A worker in the test's process, with SQLite; its attempts are processes that can be killed and stopped."""
    with capture_logs() as logged:
        attempts = StartedAttempts(changes, logged)
        log = structlog.get_logger()
        settings, liveness = load_settings(), WorkerLiveness.make()
        worker = ProductsWorker(str(server.data), slots, settings, os.getpid(), liveness, log, start=attempts.start)
        thread = threading.Thread(target=worker.run, name="worker", daemon=True)
        thread.start()
        try:
            yield attempts
        finally:
            for attempt in attempts.begun.values():
                attempt.kill("the test is over")
            worker.stop()
            thread.join(END_SECONDS)
        assert not thread.is_alive(), "the worker did not end"
    for attempt in attempts.begun.values():
        until(partial(_is_gone, attempt.pid), "processes outlived their attempt")


@contextmanager
def forked_worker(server: UploadServer, slots: int = 2, **changes: str) -> Iterator[Worker]:
    """A worker process, with SQLite, that starts its attempts as it always does; killed at the end.

    It does not wait for imports that are stopped when it is asked to end.
    """
    words = (str(prepared_pid()), str(server.data), str(slots))
    env = environment(SCANDOCK_WORKERS="1", **changes)
    running = Worker(cast(Any, ForkedCommand("tests.crash.forked:worker", *words, argv=["worker"], env=env)))
    try:
        yield running
    finally:
        running.kill()


def _is_gone(group: int) -> bool:
    return not members(group)
