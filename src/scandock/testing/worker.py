"""A worker in the test's own process: what waits in a DATA is claimed and imported by threads of it."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

import structlog

from scandock.model.errors import Fault, ScandockError, TokenLost
from scandock.services.settings import Settings, load_settings
from scandock.testing.readers import thread_readers
from scandock.workers.attempt import Order, run_attempt
from scandock.workers.beats import Beats
from scandock.workers.worker import Worker

END_SECONDS = 60.0


class _AttemptThread:
    """Runs where the worker expects a process. It can't be killed: it ends by itself, whatever was wanted."""

    def __init__(self, order: Order, settings: Settings) -> None:
        self.killed = ""
        self.pid = os.getpid()
        self._failed = False
        self._thread = threading.Thread(target=self._run, args=(order, settings), name="attempt", daemon=True)
        self._thread.start()

    def _run(self, order: Order, settings: Settings) -> None:
        try:
            run_attempt(order, settings)
        except TokenLost:
            pass
        except ScandockError as error:
            self._failed = True
            structlog.get_logger().error("attempt failed", upload=order.upload, code=error.code)

    def kill(self, why: str) -> None:
        self.killed = self.killed or why

    def wait(self) -> int:
        self._thread.join()
        return int(self._failed)

    def death(self, code: int) -> Fault:
        return Fault("attempt_died", f"The import's thread ended with {code}.", "It is tried again; look at the log.")


class InProcessWorker:
    """Imports what waits in a DATA with SQLite: `with InProcessWorker(data)`.

    Claims, leases, attempts and what becomes of them are the real ones. Attempts are threads, so that none dies, is
    killed or confined: a cancel that comes while an import is being read lets it go on to its end. Without `upkeep`
    nothing is done beside imports: no outcome is sent, no file verified, no trash emptied.
    """

    def __init__(
        self,
        data: str | os.PathLike[str],
        settings: Settings | None = None,
        slots: int = 2,
        *,
        upkeep: bool = True,
    ) -> None:
        one_reader = (settings or load_settings()).model_copy(update={"workers": 1})
        self._beats = Beats.make()
        self._worker = Worker(
            os.path.abspath(data),
            slots,
            one_reader,
            os.getpid(),
            self._beats,
            structlog.get_logger(),
            start=lambda order: _AttemptThread(order, one_reader),
            upkeep=upkeep,
        )
        self._readers = thread_readers()
        self._thread = threading.Thread(target=self._worker.run, name="worker", daemon=True)

    def __enter__(self) -> Self:
        self._readers.__enter__()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._worker.stop()
        self._thread.join(END_SECONDS)
        self._readers.__exit__(kind, error, at)
        if self._thread.is_alive():
            raise RuntimeError("The worker did not end.")
        self._beats.close()
