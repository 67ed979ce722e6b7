"""What a worker does beside its imports: it finishes what died, and empties the trash."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scandock.catalog.errors import CatalogFailed
from scandock.publishing.recover import recover
from scandock.queue.chores import chore
from scandock.services.cleaning.cleaner import CatalogAndStore
from scandock.services.cleaning.trash import TRASH
from scandock.services.cleaning.uploads import discard_ended_spools
from scandock.services.clock_check import check_deletion_allowed
from scandock.services.dicom_listing_fill import fill_listings
from scandock.services.manifest_copies import copy_manifests
from scandock.services.manifest_fill import fill_manifests
from scandock.services.project_deletions import finish_deletions
from scandock.store.errors import StoreMissing, StoreOther
from scandock.workers.turns import TurnThread
from scandock.workers.worker_figures import LeaseLoss, WorkerFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store

EVERY_SECONDS = 30.0
SWEEP_SECONDS = 5.0
FILL_SECONDS = 10.0
COMPACTION_SECONDS = 60
COPY_SECONDS = 60


class Janitor(TurnThread):
    """A thread that clears up now and then, and soon after `call`."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        settings: Settings,
        log: FilteringBoundLogger,
        figures: WorkerFigures | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("janitor", log, "not cleared")
        self._figures = figures or WorkerFigures()
        self._catalog = catalog
        self._store = store
        self._settings = settings
        self._waits = ""
        self._clock = clock
        self._stuck: dict[str, float] = {}
        """Since when imports could not be finished."""

    def _turn(self) -> float:
        self._clear()
        return EVERY_SECONDS

    def _clear(self) -> None:
        for do in (
            self._sweep,  # first: a full disk takes no rows before it has room
            self._recover,
            self._finish_deletions,
            self._sweep_all,
            self._discard_spools,
            self._empty_trash,
            self._compact,
            self._copy_manifests,
            self._fill_listings,
            self._fill_manifests,
        ):
            try:
                do()
            except (CatalogFailed, StoreMissing, StoreOther):
                raise  # nothing else would go, either, or it would take what is not there for what is gone
            except Exception as error:  # noqa: BLE001  what hinders one of them must not keep the others from being done
                self._log_failure(error, doing=do.__name__.strip("_").replace("_", " "))

    def _sweep(self) -> None:
        self._store.sweep(SWEEP_SECONDS)

    def _recover(self) -> None:
        with chore(self._catalog, "rows of nobody", EVERY_SECONDS) as is_turn:
            result = recover(self._catalog, self._store, lambda: is_turn)
        for upload in result.done:
            self._log.info("dead import recovered", upload=upload)
        for upload, lost in result.lost.items():
            self._log.warning("dead import given up", upload=upload, code=lost.code)
        now = self._clock()
        self._stuck = {uuid: self._stuck.get(uuid, now) for uuid in result.stuck}
        for uuid, fault in result.stuck.items():
            if now - self._stuck[uuid] >= EVERY_SECONDS:  # else it may go on at the next turn: the machine hiccuped
                self._log.warning("dead import stuck", upload=uuid, code=fault.code)
        self._figures.count_lost_leases(LeaseLoss.RAN_OUT, result.ran_out)

    def _finish_deletions(self) -> None:
        deleted = finish_deletions(self._catalog, self._store, self._settings)
        for project in deleted.done:
            self._log.info("interrupted deletion finished", project=project)
        for why in deleted.stuck.values():
            self._log.warning("deletion of a project stuck", code=why.code)

    def _sweep_all(self) -> None:
        while not self._ended.is_set():
            swept = self._store.sweep(SWEEP_SECONDS)
            if not swept.left or not swept.deleted:  # what is left without any progress is held: at the next turn
                break

    def _discard_spools(self) -> None:
        if self._settings.store is not None:  # what this host has received, and another has imported
            discard_ended_spools(self._catalog, self._store, local=True)

    def _empty_trash(self) -> None:
        waits = check_deletion_allowed(self._catalog)
        if waits != self._waits:
            self._waits = waits
            self._log.warning("nothing is deleted for its age" if waits else "deleting goes on", why=waits)
        if not waits and not self._is_wanted():
            TRASH.run(CatalogAndStore(self._catalog, self._store, self._settings))

    def _compact(self) -> None:
        """Write packs of a bucket anew that deleted files are in."""
        most_bytes = self._settings.compaction_bytes_per_second * COMPACTION_SECONDS
        if self._settings.store is None or not most_bytes:
            return
        end = self._clock() + FILL_SECONDS
        with chore(self._catalog, "packs of the bucket", COMPACTION_SECONDS) as is_turn:
            if is_turn:
                done = self._store.compact(most_bytes, lambda: self._is_wanted() or self._clock() >= end)
                if done.packs:
                    self._log.info("packs written anew", packs=done.packs, bytes=done.bytes)

    def _copy_manifests(self) -> None:
        """Write into the bucket what is known of the sessions in it."""
        if self._settings.store is None:
            return
        end = self._clock() + FILL_SECONDS
        with chore(self._catalog, "copies of manifests", COPY_SECONDS) as is_turn:
            if is_turn:
                copy_manifests(self._catalog, self._store, lambda: self._is_wanted() or self._clock() >= end)

    def _fill_listings(self) -> None:
        with chore(self._catalog, "lists of studies") as is_turn:
            if is_turn and fill_listings(self._catalog, self._store, FILL_SECONDS, self._is_wanted):
                self._called.set()  # the rest after another turn: dead imports don't wait for it

    def _fill_manifests(self) -> None:
        with chore(self._catalog, "manifests") as is_turn:
            if is_turn and fill_manifests(self._catalog, FILL_SECONDS, self._is_wanted):
                self._called.set()

    def _is_wanted(self) -> bool:
        """Whether something else is to be done than what takes long."""
        return self._ended.is_set() or self._called.is_set()
