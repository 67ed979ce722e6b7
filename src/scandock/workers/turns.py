"""What a worker does again and again beside its imports, in a thread for each kind of it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from scandock.model.errors import OUTAGES, ScandockError
from scandock.workers.machine_faults import to_machine_fault

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

RETRY_SECONDS: Final = 30.0
"""Until the next turn, where one has failed."""
END_SECONDS: Final = 5.0
"""How long what is being done may still take when the worker ends."""


class TurnThread(ABC):
    """A thread that takes turns, waits after each as long as that says, and bears whatever goes wrong in one."""

    def __init__(
        self, name: str, log: FilteringBoundLogger, failed: str, *, first: float = 0.0, retry: float = RETRY_SECONDS
    ) -> None:
        """`failed` is what the log says where a turn fails; `first` and `retry` are seconds until the first one, and
        until the one after that.
        """
        self._log = log
        self._first = first
        self._retry = retry
        self._failed = failed
        self._ended = threading.Event()
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self) -> None:
        """There is something to do: the next turn is now."""
        self._called.set()

    def end(self) -> None:
        """Take no more turns; one that is under way is asked to end, and waited for for a while."""
        self._ended.set()
        self._called.set()
        self._thread.join(END_SECONDS)

    @abstractmethod
    def _turn(self) -> float:
        """Do what is to be done now; gives the seconds until the next turn. `_ended` says that it should not go on."""

    def _close(self) -> None:  # noqa: B027  most have nothing to close
        """What is to be done in the thread behind the last turn."""

    def _run(self) -> None:
        try:
            seconds = self._first
            while True:
                self._called.wait(seconds)
                if self._ended.is_set():
                    return
                self._called.clear()
                seconds = self._attempt()
        finally:
            self._close()

    def _attempt(self) -> float:
        try:
            return self._turn()
        except Exception as error:  # noqa: BLE001  whatever it is, the next turn may do better
            self._log_failure(error)
            return self._retry

    def _log_failure(self, error: Exception, **what: str) -> None:
        """`what`: what of the turn has failed, where the rest of it was done."""
        known = to_machine_fault(error) or error
        if isinstance(known, ScandockError):
            self._log.warning(self._failed, code=known.code, why=OUTAGES.get(known.code), **what)
        else:
            self._log.error(self._failed, exc_info=error, **what)
