"""A worker's slots: threads that last, each of which claims an import, has it run, and claims the next.

They last because the processes that they start die with them (see `process.py`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from scandock.model.errors import OUTAGES, ScandockError
from scandock.queue.claim import Claim, SlotUsage

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class SlotPool:
    """`size` slots (`scandock.queue.engine.WorkerSlots`). Threads call `claim` and `run`, one at a time `claim`."""

    def __init__(
        self,
        size: int,
        claim: Callable[[SlotUsage], Claim | None],
        run: Callable[[Claim], None],
        log: FilteringBoundLogger,
        on_busy: Callable[[int], None] = lambda busy: None,  # noqa: ARG005
        seconds_to_due: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`on_busy` is told how many slots run an import, whenever that changes.

        `seconds_to_due` says when something may be claimed that waits for its time (`WorkerSlots`).
        """
        self.seconds_to_due = seconds_to_due
        self.size = size
        self._on_busy = on_busy
        self._claim = claim
        self._run = run
        self._log = log
        self._read_news = threading.Condition()
        self._claiming = threading.Lock()
        self._offers: deque[Future[bool]] = deque()
        self._looks = 0
        self._busy = self._big = 0
        self._ended = False
        self._find_problem = ""
        """Code of what kept the last look from claiming, which has been told."""
        self._threads = [threading.Thread(target=self._serve, name=f"slot-{n}") for n in range(size)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def look(self) -> None:
        """Let every free slot look for something to claim."""
        with self._read_news:
            self._looks += 1
            self._read_news.notify_all()

    def offer(self) -> Future[bool]:
        """Claim an import as soon as a slot is free; done when it has ended, False where none waited."""
        offer: Future[bool] = Future()
        with self._read_news:
            if self._ended:
                offer.set_result(False)
                return offer
            self._offers.append(offer)
            self._read_news.notify()
        return offer

    @property
    def busy(self) -> int:
        """How many slots run an import."""
        with self._read_news:
            return self._busy

    def idle(self, seconds: float) -> bool:
        """Wait until no slot runs an import, at most so long; whether that came."""
        with self._read_news:
            return self._read_news.wait_for(lambda: not self._busy, seconds)

    def end(self) -> None:
        """Claim nothing any more."""
        with self._read_news:
            self._ended = True
            self._read_news.notify_all()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        last_looks = 0
        while True:
            offer = None
            with self._read_news:
                self._read_news.wait_for(lambda at=last_looks: self._ended or self._offers or self._looks != at)  # type: ignore[misc]
                if self._ended:
                    self._refuse()
                    return
                last_looks = self._looks
                while self._offers and offer is None:
                    first = self._offers.popleft()
                    offer = first if first.set_running_or_notify_cancel() else None
            self._work(offer)

    def _refuse(self) -> None:
        """What was offered goes to other workers."""
        while self._offers:
            offer = self._offers.popleft()
            if offer.set_running_or_notify_cancel():
                offer.set_result(False)

    def _work(self, offer: Future[bool] | None) -> None:
        """Run imports until there are none for this slot."""
        while (claim := self._next()) is not None:
            try:
                self._run(claim)
            except Exception as error:  # noqa: BLE001  a slot outlives whatever an import does; its lease runs out
                self._log.error("slot failed", upload=claim.lease.uuid, error=type(error).__name__)
            finally:
                self._count(claim, -1)
            if offer is not None:
                offer.set_result(True)
                offer = None
        if offer is not None:
            offer.set_result(False)

    def _next(self) -> Claim | None:
        with self._claiming:
            with self._read_news:
                if self._ended:
                    return None
                slots = SlotUsage(self.size, self._busy, self._big)
            try:
                claim = self._claim(slots)
            except ScandockError as error:
                if error.code != self._find_problem:  # each look would tell the same, twice a second
                    self._log.warning("nothing claimed", code=error.code, why=OUTAGES.get(error.code))
                self._find_problem = error.code
                return None
            if self._find_problem:
                self._log.info("claiming goes on")
                self._find_problem = ""
            if claim is not None:
                self._count(claim, 1)
            return claim

    def _count(self, claim: Claim, by: int) -> None:
        with self._read_news:
            self._busy += by
            self._big += by * claim.big
            self._on_busy(self._busy)
            self._read_news.notify_all()
