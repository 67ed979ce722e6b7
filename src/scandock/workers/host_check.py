"""Whether this host can import, asked again and again: while it can't, it leaves imports to hosts that can.

A catalog in SQLite has one host, which is not asked: its imports wait for what is the matter (`queue.retry`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scandock.model.errors import ScandockError
from scandock.model.machine_errors import InternalFault
from scandock.model.ticker import Ticker
from scandock.queue.hosts import can_others_import
from scandock.services.logs import error_cause, error_location, log
from scandock.store.errors import StoreFailed

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog

CHECK_SECONDS: Final = 5.0
HANG_SECONDS: Final = 5.0
"""After which a store that does not answer counts as one that fails."""


class HostCheck:
    """Calls `check` every few seconds from `start` to `end`, in a thread of its own, as a disk may hang."""

    def __init__(
        self, catalog: Catalog, check: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`check` raises ScandockError where something is the matter with this host."""
        self._catalog = catalog
        self._check = check
        self._clock = clock
        self._last: ScandockError | None = None
        self._began: float | None = None
        """When the check that is under way began."""
        self._ticker = Ticker("host check", CHECK_SECONDS, self.look)

    def start(self) -> None:
        """Check, and go on checking."""
        if self._catalog.host:
            self.look()
            self._ticker.start()

    def end(self) -> None:
        """Check no more; returns when a check that is under way has ended."""
        if self._catalog.host:
            self._ticker.end()

    def look(self) -> None:
        """Check now."""
        self._began = self._clock()
        try:
            self._check()
            self._last = None
        except ScandockError as error:
            self._last = error
        except Exception as error:  # noqa: BLE001  whatever it is, this host can't import, and is asked again
            log().error("unexpected", cause=error_cause(error), where=error_location(error))
            self._last = InternalFault("It could not be checked whether this host can import.", "See the log.")
        self._began = None

    @property
    def problem(self) -> ScandockError | None:
        """What keeps this host from importing."""
        began = self._began
        if began is not None and (seconds := self._clock() - began) > HANG_SECONDS:
            return StoreFailed(f"The store has not answered for {seconds:.0f} seconds.", quotes=True)
        return self._last

    @property
    def code(self) -> str:
        """The code of that; empty where nothing does."""
        problem = self.problem
        return "" if problem is None else problem.code

    def check_claim(self) -> None:
        """Raise what keeps this host from importing, where another host imports instead; Fault of the catalog.

        Where none does, imports are tried here: each then says what it waits for, and can be cancelled.
        """
        problem = self.problem
        if problem is not None and can_others_import(self._catalog):
            raise problem
