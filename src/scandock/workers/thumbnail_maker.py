"""Thumbnails made by a worker that has nothing else to do, right after sessions were placed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.model.durations import DAY_MS, MINUTE_MS
from scandock.model.errors import OUTAGES, Fault
from scandock.queue.chores import chore
from scandock.services.context import ServiceContext
from scandock.services.decoding import Pictures
from scandock.services.logs import log
from scandock.services.response_buffers import ResponseBuffers
from scandock.services.thumbnail_making import MOST_SESSIONS, make_thumbnails, sessions_since
from scandock.workers.turns import TurnThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

EVERY_SECONDS: Final = 30.0
"""Between its looks for sessions that others than its own imports have changed."""
BUSY_SECONDS: Final = 1.0
"""Until it looks again, while imports run: it asks nothing of the catalog then."""
OTHERS_SECONDS: Final = 10.0
"""While another host makes them."""
FIRST_DAYS: Final = 1
"""Of sessions that were placed while no worker ran, or had no time: how old they may be."""
OVERLAP_MS: Final = 10 * MINUTE_MS
"""How much later than its moment a change may be seen: its transaction has to end first."""
NICENESS: Final = 10
FAILED: Final = "thumbnails not made"


class ThumbnailMaker:
    """Makes the thumbnails of sessions that are new, or have changed, one picture after the other."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings, is_idle: Callable[[], bool]) -> None:
        """`is_idle` says whether the worker runs no import."""
        self._context = ServiceContext(catalog, store, settings, SYSTEM)
        self._is_idle = is_idle
        self._pictures: Pictures | None = None
        self._since: int | None = None
        self._done: OrderedDict[tuple[int, str], None] = OrderedDict()

    def turn(self, stop: Callable[[], bool]) -> float:
        """Make what is missing until all is there, an import begins, or `stop`; seconds until there may be more."""
        if not self._context.settings.cache_bytes:
            return EVERY_SECONDS
        if not self._is_idle():
            return BUSY_SECONDS
        with chore(self._context.catalog, "thumbnails") as is_turn:
            if not is_turn:
                return OTHERS_SECONDS
            return EVERY_SECONDS if self._make_all(lambda: stop() or not self._is_idle()) else BUSY_SECONDS

    def _make_all(self, stop: Callable[[], bool]) -> bool:
        """Whether nothing is left but what can't be made now."""
        catalog = self._context.catalog
        with catalog.read() as connection:
            if self._since is None:
                self._since = int(connection.execute(select(catalog.now())).scalar_one()) - FIRST_DAYS * DAY_MS
            records = sessions_since(connection, self._since)
        is_complete = True
        for record in records:
            tree = (record.tree_id, record.uuid)
            if tree in self._done:
                continue
            try:
                if stop() or not make_thumbnails(self._context, self._decoders(), record, stop):
                    return False
            except Fault as fault:  # what is away comes back: in a later turn, and others have theirs now
                if is_complete:  # it is told once a turn
                    log().warning(FAILED, session=record.uuid, code=fault.code, why=OUTAGES.get(fault.code))
                is_complete = False
                continue
            except Exception as error:  # noqa: BLE001  it would be so each time
                log().error(FAILED, session=record.uuid, exc_info=error)
            self._done[tree] = None
            while len(self._done) > 2 * MOST_SESSIONS:
                self._done.popitem(last=False)
        if records and is_complete:
            self._since = max(self._since, records[0].modified - OVERLAP_MS)
        return True

    def close(self) -> None:
        """End its decoder."""
        if self._pictures is not None:
            self._pictures.close()

    def _decoders(self) -> Pictures:
        if self._pictures is None:
            settings, path = self._context.settings, self._context.store.path
            buffers = ResponseBuffers(settings.answer_bytes)
            self._pictures = Pictures(path, settings, buffers, niceness=NICENESS)
        return self._pictures


class ThumbnailThread(TurnThread):
    """A thread that makes thumbnails; `call` it when an import has ended. It ends within one picture."""

    def __init__(
        self, catalog: Catalog, store: Store, settings: Settings, log: FilteringBoundLogger, is_idle: Callable[[], bool]
    ) -> None:
        super().__init__("thumbnails", log, FAILED, first=BUSY_SECONDS)
        self._maker = ThumbnailMaker(catalog, store, settings, is_idle)

    def _turn(self) -> float:
        return self._maker.turn(self._ended.is_set)

    def _close(self) -> None:
        self._maker.close()
