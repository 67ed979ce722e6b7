"""What a worker does beside its imports: it finishes what died, and empties the trash."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError
from scandock.placing.recover import recover
from scandock.services.project_deleting import finish_deletions
from scandock.services.upkeep import keep_up

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.local import LocalStore

EVERY_SECONDS = 30.0
SWEEP_SECONDS = 5.0


class Janitor:
    """A thread that clears up now and then, and soon after `call`."""

    def __init__(self, catalog: Catalog, store: LocalStore, settings: Settings, log: FilteringBoundLogger) -> None:
        self._catalog = catalog
        self._store = store
        self._settings = settings
        self._log = log
        self._called = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self) -> None:
        """There is something to sweep."""
        self._called.set()

    def end(self) -> None:
        self._ended = True
        self._called.set()
        self._thread.join(SWEEP_SECONDS)

    def _run(self) -> None:
        while not self._ended:
            try:
                self._clear()
            except ScandockError as error:
                self._log.warning("not cleared", code=error.code)
            self._called.wait(EVERY_SECONDS)
            self._called.clear()

    def _clear(self) -> None:
        found = recover(self._catalog, self._store)
        for upload in found.done:
            self._log.info("dead import recovered", upload=upload)
        for fault in found.stuck.values():
            self._log.warning("dead import stuck", code=fault.code)
        deleted = finish_deletions(self._catalog, self._store, self._settings)
        for project in deleted.done:
            self._log.info("interrupted deletion finished", project=project)
        for why in deleted.stuck.values():
            self._log.warning("deletion of a project stuck", code=why.code)
        while not self._ended and self._store.sweep(SWEEP_SECONDS).left:
            continue
        keep_up(self._catalog, self._store, self._settings, self._is_wanted)

    def _is_wanted(self) -> bool:
        """Whether something else is to be done than what takes long."""
        return self._ended or self._called.is_set()
