"""The lease of a running import, or operation, renewed by a thread that does nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError, TokenLost
from scandock.model.ticker import Ticker
from scandock.queue.leases import RENEW_SECONDS, renew

if TYPE_CHECKING:
    import threading

    from scandock.catalog.engine import Catalog
    from scandock.queue.leases import Lease


class Heartbeat:
    """Renews from the moment that it is made to `stop`; `lost` is set once another process has the import."""

    def __init__(self, catalog: Catalog, lease: Lease, lost: threading.Event) -> None:
        self._catalog = catalog
        self._lease = lease
        self._lost = lost
        self._ticker = Ticker("lease", RENEW_SECONDS, self._beat)
        self._ticker.start()

    def _beat(self) -> None:
        try:
            renew(self._catalog, self._lease)
        except TokenLost:
            self._lost.set()
            self._ticker.stop()
        except ScandockError:
            pass  # the catalog is busy or away for a moment; the next beat, or the guard, tells

    def stop(self) -> None:
        self._ticker.end()
