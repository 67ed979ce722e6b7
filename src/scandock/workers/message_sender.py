"""Outcomes told by a worker, several at once, beside all else that it does: no receiver keeps anything waiting."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from scandock.model import request_limits
from scandock.model.errors import ScandockError
from scandock.services.notifications import DeliverySlots, send_due_deliveries

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings

SENDER_THREADS = request_limits.MESSAGES_AT_ONCE
EVERY_SECONDS = 30.0
END_SECONDS = 5.0
"""How long what is being sent may still take when the worker ends; a later attempt sends what was cut."""


class MessageSender:
    """Threads that send what is due now and then, and soon after `call`."""

    def __init__(self, catalog: Catalog, settings: Settings, log: FilteringBoundLogger) -> None:
        self._catalog = catalog
        self._settings = settings
        self._log = log
        self._lanes = DeliverySlots()
        self._ended = False
        self._calls = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._run, name=f"messenger {number}", daemon=True)
            for number in range(SENDER_THREADS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def call(self) -> None:
        """There may be something to send: one of the threads looks, and wakes another for what comes next."""
        self._calls.release()

    def end(self) -> None:
        self._ended = True
        self._calls.release(SENDER_THREADS)
        until = monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))

    def _run(self) -> None:
        while not self._ended:
            try:
                done = send_due_deliveries(self._catalog, self._settings, lambda: self._ended, self._lanes, self.call)
            except ScandockError as error:
                self._log.warning("outcomes not sent", code=error.code)
            else:
                if done.failed:
                    self._log.warning("outcomes not told", count=done.failed)
            self._calls.acquire(timeout=EVERY_SECONDS)
