"""One kind of child that a supervisor keeps running: restarted when it dies, later each time it dies early."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from scandock.model.children import Child
from scandock.workers.liveness import HUNG_SECONDS, MISSED_SECONDS

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.workers.liveness import WorkerLiveness

LIVED_SECONDS = 10.0
"""A child that lived so long is started again at once."""
FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0


class ChildProcess(Protocol):
    """A child that was started, as far as its supervisor handles it; as `model.children.Child`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def kill(self) -> None: ...


StartChild = Callable[[Sequence[str], Sequence[int]], ChildProcess]
"""Starts a child from the words of its command line, with descriptors that it is to have."""


def start_child_process(words: Sequence[str], fds: Sequence[int]) -> ChildProcess:
    """Start a child as a process of its own."""
    return Child(words, fds)


def restart_delay(early: int) -> float:
    """Seconds before a start that follows so many early deaths in a row."""
    return 0.0 if early <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (early - 1))


class SupervisedProcess:
    """`start`, then `look` whenever a child has died or `due` has come; for the supervisor's thread alone."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        log: FilteringBoundLogger,
        *,
        pass_fds: Sequence[int] = (),
        liveness: WorkerLiveness | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: StartChild = start_child_process,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        """`liveness`: its sign of life, where it gives one; without one for `HUNG_SECONDS` it is killed.

        `on_death` is called whenever it has ended.
        """
        self.name = name
        self._words = list(words)
        self._log = log
        self._fds = tuple(pass_fds)
        self._beats = liveness
        self._clock = clock
        self._start = start
        self._on_death = on_death
        self._beat = 0.0
        self._heard = self._looked = clock()
        self._early = 0
        self._begun = 0.0
        self._stopping = False
        self.due: float | None = None
        """When it is to be started again; None while it runs."""
        self.process: ChildProcess | None = None

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping

    def start(self) -> None:
        self.due = None
        self._begun = self._heard = self._looked = self._clock()
        self.process = self._start(self._words, self._fds)
        self._log.info("started", child=self.name, pid=self.process.pid)

    def look(self) -> None:
        """Kill it if it hangs, bury it if it has died, and start it again where that is due."""
        self._listen()
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            if self._beats is not None:
                self._beats.clear()
            if self._on_death is not None:
                self._on_death()
            if self._stopping:
                return
            now = self._clock()
            self._early = 0 if now - self._begun >= LIVED_SECONDS else self._early + 1
            self.due = now + restart_delay(self._early)
            self._log.error("died", child=self.name, exit=code, again_in=round(self.due - now, 1))
        if self.due is not None and not self._stopping and self._clock() >= self.due:
            self.start()

    def _listen(self) -> None:
        if self._beats is None or self.process is None or self._stopping:
            return
        now, beat = self._clock(), self._beats.last()
        if beat != self._beat or now - self._looked > MISSED_SECONDS:  # who was away may not judge others
            self._beat, self._heard = beat, now
        self._looked = now
        if now - self._heard > HUNG_SECONDS:
            self._log.error("hung", child=self.name, pid=self.process.pid, silent=round(now - self._heard, 1))
            self._heard = now
            self.process.kill()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and start it no more."""
        self._stopping = True
        self.due = None
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
