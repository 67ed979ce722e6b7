"""The lease of a running import, renewed by a thread that does nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError, TokenLost

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.queue.leases import Lease


class Heartbeat:
    """Renews from `start` to `stop`; `lost` is set once another process has taken the import over."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, catalog: Catalog, lease: Lease) -> None:
        self._thread = threading.Thread(target=self._beat, args=(catalog, lease), name="lease", daemon=True)
        self._thread.start()

    def _beat(self, catalog: Catalog, lease: Lease) -> None:
        from scandock.queue.leases import RENEW_SECONDS, renew

        while not self._ended.wait(RENEW_SECONDS):
            try:
                renew(catalog, lease)
            except TokenLost:
                self.lost.set()
                return
            except ScandockError:
                continue  # the catalog is busy or away for a moment; the next beat, or the guard, tells

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
