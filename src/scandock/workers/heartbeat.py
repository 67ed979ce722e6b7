"""The lease of a running import, renewed by a thread that does nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError, TokenLost

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.queue.leases import ImportLease


class Heartbeat:
    """Renews from the moment that it is made to `stop`; `lost` is set once another process has the import."""

    def __init__(self, catalog: Catalog, lease: ImportLease, lost: threading.Event) -> None:
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(catalog, lease), name="lease", daemon=True)
        self._thread.start()

    def _beat(self, catalog: Catalog, lease: ImportLease) -> None:
        from scandock.queue.leases import RENEW_SECONDS, renew

        while not self._ended.wait(RENEW_SECONDS):
            try:
                renew(catalog, lease)
            except TokenLost:
                self._lost.set()
                return
            except ScandockError:
                continue  # the catalog is busy or away for a moment; the next beat, or the guard, tells

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
