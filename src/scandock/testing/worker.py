"""A worker in the test's own process: what waits in a DATA is claimed and imported by threads of it."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog

from scandock.model.errors import Fault, TokenLost
from scandock.services.settings import Settings, load_settings
from scandock.testing.readers import thread_readers
from scandock.workers.attempt import AttemptRequest, run_attempt
from scandock.workers.errors import AttemptDied
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.machine_faults import to_machine_fault
from scandock.workers.worker import Worker
from scandock.workers.worker_figures import WorkerFigures

END_SECONDS = 60.0


class _AttemptThread:
    """Runs where the worker expects a process. It can't be killed: it ends by itself, whatever was wanted."""

    def __init__(self, order: AttemptRequest, settings: Settings) -> None:
        self.killed = ""
        self.pid = os.getpid()
        self._failed = False
        self._fault: Fault | None = None
        self._thread = threading.Thread(target=self._run, args=(order, settings), name="attempt", daemon=True)
        self._thread.start()

    def _run(self, order: AttemptRequest, settings: Settings) -> None:
        try:
            run_attempt(order, settings)
        except TokenLost:
            pass
        except Exception as error:  # noqa: BLE001  what would end a process with a traceback
            self._failed = True
            self._fault = to_machine_fault(error)
            structlog.get_logger().error("attempt failed", upload=order.upload, exc_info=error)

    def kill(self, reason: str) -> None:
        self.killed = self.killed or reason

    def wait(self) -> int:
        self._thread.join()
        return int(self._failed)

    def death(self, code: int) -> Fault:
        return self._fault or AttemptDied(f"The import's thread ended with {code}.")


class InProcessWorker:
    """Imports what waits in a DATA: `with InProcessWorker(data)`.

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
        self._data = os.path.abspath(data)
        self._settings = (settings or load_settings()).model_copy(update={"workers": 1})
        self._slots = slots
        self._upkeep = upkeep
        self._closing = ExitStack()
        self.figures = WorkerFigures()
        """What the worker counts."""
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            liveness = WorkerLiveness.make()
            stack.callback(liveness.close)
            liveness.figures = self.figures
            stack.enter_context(thread_readers())
            worker = Worker(
                self._data,
                self._slots,
                self._settings,
                os.getpid(),
                liveness,
                structlog.get_logger(),
                start=lambda order: _AttemptThread(order, self._settings),
                upkeep=self._upkeep,
            )
            thread = threading.Thread(target=self._run, args=(worker,), name="worker", daemon=True)
            thread.start()
            stack.callback(self._end, worker, thread)
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()
        if self._failed is not None and error is None:
            raise RuntimeError("The worker failed.") from self._failed

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001  raised again where the context ends
            self._failed = error

    @staticmethod
    def _end(worker: Worker, thread: threading.Thread) -> None:
        worker.stop()
        thread.join(END_SECONDS)
        if thread.is_alive():
            raise RuntimeError(f"The worker did not end within {END_SECONDS:.0f} seconds.")
