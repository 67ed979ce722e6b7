"""Stored files read again by a worker, slowly and all the time, beside all else that it does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError
from scandock.services.pacing import Pace
from scandock.services.upkeep import Verification

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.local import LocalStore

EVERY_SECONDS = 30.0
TURN_SECONDS = 20.0
"""How long it reads before it looks again whether imports run."""
END_SECONDS = 5.0


class VerifierThread:
    """A thread that verifies what is to be verified, looks again now and then, and ends within a piece of a file."""

    def __init__(self, catalog: Catalog, store: LocalStore, settings: Settings, log: FilteringBoundLogger) -> None:
        self._ended = threading.Event()
        self._verification = Verification(catalog, store, settings, Pace(wait=self._ended.wait))
        self._log = log
        self._thread = threading.Thread(target=self._run, name="verifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                done = self._verification.turn(TURN_SECONDS, self._ended.is_set)
            except ScandockError as error:
                self._log.warning("not verified", code=error.code)
                self._ended.wait(EVERY_SECONDS)
                continue
            if done.problems:
                self._log.error("stored files are damaged", count=done.problems)
            if not done.files and not done.trees:
                self._ended.wait(EVERY_SECONDS)
