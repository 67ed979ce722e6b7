"""One kind of child that a supervisor keeps running: restarted when it dies, later each time it dies early."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

LIVED_SECONDS = 10.0
"""A child that lived so long is started again at once."""
FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0


def back_off(early: int) -> float:
    """Seconds before a start that follows so many early deaths in a row."""
    return 0.0 if early <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (early - 1))


class Supervised:
    """`start`, then `look` whenever a child has died or `due` has come; for the supervisor's thread alone."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        log: FilteringBoundLogger,
        *,
        pass_fds: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._words = list(words)
        self._log = log
        self._fds = tuple(pass_fds)
        self._clock = clock
        self._early = 0
        self._begun = 0.0
        self._stopping = False
        self.due: float | None = None
        """When it is to be started again; None while it runs."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        self.due = None
        self._begun = self._clock()
        self.process = subprocess.Popen(self._words, stdin=subprocess.DEVNULL, pass_fds=self._fds)
        self._log.info("started", child=self.name, pid=self.process.pid)

    def look(self) -> None:
        """Bury it if it has died, and start it again where that is due."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            if self._stopping:
                return
            now = self._clock()
            self._early = 0 if now - self._begun >= LIVED_SECONDS else self._early + 1
            self.due = now + back_off(self._early)
            self._log.error("died", child=self.name, exit=code, again_in=round(self.due - now, 1))
        if self.due is not None and not self._stopping and self._clock() >= self.due:
            self.start()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and start it no more."""
        self._stopping = True
        self.due = None
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
