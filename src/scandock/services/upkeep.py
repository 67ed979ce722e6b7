"""What is done beside the imports, by a worker: emptying the trash, verifying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, or_, select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import operation, upload
from scandock.model.verdicts import QUEUED
from scandock.services.clock_watch import DAY_MS, oldest_kept, why_wait
from scandock.services.pacing import Pace
from scandock.services.trash import empty_trash
from scandock.services.verifying import Plan, Verified, Verifier
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.services.settings import Settings

BUSY_SHARE: Final = 0.25
"""Part of the allowed bandwidth that verification takes while imports run or wait: they have the disk first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one turn has done."""

    emptied: int
    """Sessions that were given up."""
    waits: str
    """Why nothing was deleted for its age; empty where it may be."""


def keep_up(catalog: Catalog, store: Store, settings: Settings, stop: Callable[[], bool]) -> Kept:
    """Give up what was deleted long ago, where the clock can be trusted. Raises Fault where the catalog fails."""
    waits = why_wait(catalog)
    age = None if stop() or waits else oldest_kept(catalog, settings.trash_days * DAY_MS)
    emptied = 0 if age is None else len(empty_trash(catalog, store, age / DAY_MS))
    return Kept(emptied, waits)


class Verification:
    """Verifies as the site's settings say, a turn at a time; also while imports run, only slower."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings, pace: Pace | None = None) -> None:
        self._catalog = catalog
        self._pace = pace or Pace()
        self._rate = settings.verify_bytes_per_second
        plan = Plan(days=settings.verify_days, pace=self._pace, mail=settings.smtp_host is not None)
        self._verifier = Verifier(catalog, store, plan)

    def turn(self, seconds: float, stop: Callable[[], bool]) -> Verified:
        """Verify for about so long. Raises Fault where the catalog fails."""
        self._pace.bytes_per_second = self._rate * (BUSY_SHARE if _is_busy(self._catalog) else 1)
        return self._verifier.run(seconds, stop)


def _is_busy(catalog: Catalog) -> bool:
    with catalog.read() as connection:
        imports = exists().where(upload.c.state.in_(QUEUED))
        return bool(connection.execute(select(or_(imports, exists(select(operation.c.id))))).scalar_one())
