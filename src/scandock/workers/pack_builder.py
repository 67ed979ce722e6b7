"""Metadata for DICOMweb made by a worker beside its imports, where it has nothing better to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scandock.access.principal import SYSTEM
from scandock.services.context import ServiceContext
from scandock.services.decoding import Pictures
from scandock.services.dicomweb_objects import DicomwebCache
from scandock.services.dicomweb_pack_building import build_packs, needs_packs, sessions_after
from scandock.services.response_buffers import ResponseBuffers
from scandock.workers.turns import TurnThread
from scandock.workers.verifier import is_busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

EVERY_SECONDS: Final = 60.0
"""Between its looks for new trees, and before the first: who has just come does not wait for it."""


class PackBuilder:
    """Makes the packs of all sessions, in the order of their trees, and then those of new ones."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings) -> None:
        self._context = ServiceContext(catalog, store, settings, SYSTEM)
        self._cache = DicomwebCache(store.path, settings.metadata_bytes, settings.min_free_bytes)
        self._pictures: Pictures | None = None
        self._after = 0

    def turn(self, stop: Callable[[], bool]) -> int:
        """Make what is missing until all is there, the folder is full, imports run or `stop`; how many sessions it was.

        Of sessions that came while it was full packs are made for who asks.
        """
        made = 0
        while not stop() and not is_busy(self._context.catalog):
            is_full: bool | None = None
            with self._context.catalog.read() as connection:
                records = sessions_after(connection, self._after)
            for record in records:
                self._after = record.tree_id  # one that can't be read holds up no other
                if needs_packs(self._cache, record):
                    if is_full is None:
                        is_full = self._cache.packs.cache.is_full()
                    if is_full:  # what is made now would take the place of what was made before it
                        continue
                    build_packs(self._context, self._decoders(), self._cache, record, stop)
                    made += 1
                    if is_busy(self._context.catalog):
                        break
                if stop():
                    break
            if not records:
                break
        return made

    def close(self) -> None:
        """End its decoders."""
        if self._pictures is not None:
            self._pictures.close()

    def _decoders(self) -> Pictures:
        if self._pictures is None:
            settings = self._context.settings
            self._pictures = Pictures(self._context.store.path, settings, ResponseBuffers(settings.answer_bytes))
        return self._pictures


class PackBuilderThread(TurnThread):
    """A thread that makes packs, looks again now and then, and ends within one pack."""

    def __init__(self, catalog: Catalog, store: Store, settings: Settings, log: FilteringBoundLogger) -> None:
        super().__init__("packs", log, "metadata not made", first=EVERY_SECONDS)
        self._builder = PackBuilder(catalog, store, settings)

    def _turn(self) -> float:
        self._builder.turn(self._ended.is_set)
        return EVERY_SECONDS

    def _close(self) -> None:
        self._builder.close()
