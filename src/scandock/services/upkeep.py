"""What is done beside the imports, by a worker that has time: emptying the trash, verifying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState
from scandock.services.clock_watch import why_wait
from scandock.services.trash import empty_trash
from scandock.services.verifying import Verified, verify_some
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.services.settings import Settings


@dataclass(frozen=True, slots=True)
class Kept:
    """What one turn has done."""

    emptied: int
    verified: Verified
    waits: str
    """Why nothing was deleted for its age; empty where it may be."""


def keep_up(catalog: Catalog, store: Store, settings: Settings, seconds: float, stop: Callable[[], bool]) -> Kept:
    """One turn: give up what was deleted long ago, where the clock can be trusted, then verify for about so long.

    Nothing is verified while an import runs or waits: they have the disk first. Raises Fault where the catalog fails.
    """
    waits = why_wait(catalog)
    emptied = 0 if stop() or waits else len(empty_trash(catalog, store, settings.trash_days))
    verified = Verified()
    if not stop() and _is_quiet(catalog):
        verified = verify_some(catalog, store, seconds, stop)
    return Kept(emptied, verified, waits)


def _is_quiet(catalog: Catalog) -> bool:
    busy = (ImportState.RECEIVED, ImportState.RUNNING)
    with catalog.read() as connection:
        found = connection.execute(select(upload.c.id).where(upload.c.state.in_(busy)).limit(1)).first()
    return found is None
