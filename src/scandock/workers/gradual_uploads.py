"""Single objects that come one a request: each study's is one growing upload, handed to its import once no more come.

The web process has them, and what holds for a receiver's studies holds here (`receiver_studies.py`): an object is
acknowledged once it is on disk; a kill loses nothing of that, and the next web process of the host goes on with it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.model.reception import CloseReason
from scandock.queue.hosts import BEAT_SECONDS
from scandock.services.gradual_uploads import GradualRows, GradualSender, GradualSource, LeftUpload, PlaceUnknown
from scandock.services.logs import error_cause, error_code, error_location
from scandock.services.reservations import CHECK_BYTES
from scandock.store.errors import SpoolClosed
from scandock.workers.receiver_studies import OpenStudies, OpenStudy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.services.receiving import UploadReceiver
    from scandock.services.settings import Settings
    from scandock.store.port import ObjectSpool, Store
    from scandock.workers.gradual_routing import RoutedObject

BUSY_SECONDS: Final = 0.1
"""How often it is looked whether studies are to be handed over, while there are any."""
ASK_SECONDS: Final = 1.0
"""How often the catalog is asked for which of them somebody waits."""
NOTE_SECONDS: Final = 2.0
"""How often the catalog is told what has come."""
RECOVERY_SECONDS: Final = 1.0
"""After which it is looked again for what the process before has left, where that lingers."""
STOP_SECONDS: Final = 5.0
"""How long handing over may take at the end; what is left then is gone on with at the next start."""


class GradualKey(NamedTuple):
    """What makes objects one upload."""

    account_id: int
    request: str
    """What is asked of the import, as JSON."""
    study_uid: str
    modality: str
    """PT or MR, of which a project may make two sessions; empty for any other."""


class GradualUploads:
    """What one web process receives so; may be used by several threads."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        receiving: UploadReceiver,
        settings: Settings,
        log: FilteringBoundLogger,
        count_sync: Callable[[float], None],
    ) -> None:
        self._catalog = catalog
        self._space = receiving.space
        self._rows = GradualRows(catalog, receiving, settings.zone)
        bounds = replace(settings.reception, idle_seconds=settings.gradual_seconds)
        self._studies = OpenStudies[GradualSource, GradualSender](store, self._rows, bounds, count_sync, log)
        self._store = store
        self._log = log
        self._min_free = bounds.min_free
        self._most = settings.max_uploads_per_user
        self._counting = threading.Lock()
        self._unchecked: dict[int, int] = {}
        """Bytes that accounts have sent since their share of the space was looked at."""
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._last_ask = self._last_note = float("-inf")
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="single objects", daemon=True)
        self._recovering = threading.Thread(target=self._recover, name="recovering objects", daemon=True)

    def start(self) -> None:
        """Look after uploads, and beside that after those that another process has left, each of which is read."""
        self._thread.start()
        self._recovering.start()

    def stop(self) -> None:
        """Hand over all that is open; what that takes too long for is gone on with at the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._recovering.is_alive():
            self._recovering.join(STOP_SECONDS)  # what it reads longer is left to the next start
        for study in self._studies.all:
            self._studies.close(study, CloseReason.STOP)
        self._studies.stop(STOP_SECONDS)

    @property
    def open_count(self) -> int:
        """Uploads that take objects."""
        return len(self._studies.all)

    def is_open(self, key: GradualKey) -> bool:
        """Whether there is an upload for more objects of a study: else its place is to be found first."""
        return self._studies.find(key) is not None

    def begin(self, key: GradualKey, sender: GradualSender) -> None:
        """Begin an upload for objects of a study, where there is none. Fault, Usage as from `GradualRows.begin`."""
        self._make_room(key.account_id)
        self._studies.begin(key, GradualSource(key.account_id), sender)
        self._wake.set()

    @property
    def open_uploads(self) -> list[int]:
        """The ids of those, as far as it is known what they have: an earlier process's are left out."""
        return [study.incoming.upload_id for study in self._studies.all if isinstance(study.key, GradualKey)]

    def is_at_odds(self, routed: RoutedObject) -> bool:
        """Whether a sender was told of an object of the same UID, or of another patient in the study, that is kept here
        and not built yet: with both of them the session may be held.
        """
        for study in self._studies.all:
            if routed.sent.sop_uid in study.instances:
                return True
            is_own = isinstance(study.key, GradualKey) and study.key.study_uid == routed.study.key
            if is_own and routed.patients and not study.patients <= routed.patients:
                return True
        return False

    def append(
        self, key: GradualKey, size: int, write: Callable[[ObjectSpool], int], told: RoutedObject | None = None
    ) -> str:
        """Keep an object; the URI of its session, once the object is on disk.

        `told`: the object, where its sender is told how it is stored (`is_at_odds`).
        Raises PlaceUnknown where there is no upload that takes it: it is to be begun first. AccountShareExceeded, Fault
        `disk_full` where its account or the disk has no room for it.
        """
        self._store.reserve(size, files=2, min_free=self._min_free)
        self._check_share(key, size)
        appended = self._studies.append(key, GradualSource(key.account_id), GradualSender(), None, size, write)
        if told is not None:
            appended.study.instances.add(told.sent.sop_uid)
            appended.study.patients.update(told.patients)
        self._wake.set()
        try:
            self._studies.sync(appended.study, appended.end)
        except SpoolClosed:  # in this moment: another one takes it
            raise PlaceUnknown from None
        return appended.study.sender.uri

    def _check_share(self, key: GradualKey, size: int) -> None:
        """Look at an account's share of the space again after so many of its bytes, whichever uploads they grow.

        What other uploads have is as old as their rows (`NOTE_SECONDS`). Raises as `append`.
        """
        study = self._studies.find(key)
        if study is None:
            raise PlaceUnknown  # the space is looked at where it is begun
        account_id = key.account_id
        with self._counting:
            self._unchecked[account_id] = unchecked = self._unchecked.get(account_id, 0) + size
        if unchecked < CHECK_BYTES:
            return
        received = study.spool.synced + study.spool.beside
        with self._catalog.read() as connection:
            upload_id = study.incoming.upload_id
            self._space.check(connection, account_id, size, received=received, upload_id=upload_id)
        with self._counting:
            self._unchecked.pop(account_id, None)

    def close(self, upload_ids: Iterable[int]) -> None:
        """Hand these to their imports, as far as they are this process's."""
        for upload_id in upload_ids:
            self._studies.close_upload(upload_id)
        self._wake.set()

    def _make_room(self, account_id: int) -> None:
        """Hand over the upload that an account has sent nothing of for the longest time, where it has many open."""
        own = [study for study in self._studies.all if study.receiver and study.receiver.number == account_id]
        if len(own) >= self._most:
            self._studies.close(min(own, key=lambda study: study.heard), CloseReason.FULL)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self._turn()
            if self._studies.busy:
                self._stopping.wait(BUSY_SECONDS)
            elif not self._stopping.is_set():
                self._wake.wait()

    def _turn(self) -> None:
        """What is due now; a catalog that fails keeps nobody from sending what goes into open uploads."""
        now = time.monotonic()
        try:
            self._studies.look()
            if not self._studies.all:
                return
            if now - self._last_ask >= ASK_SECONDS:
                self._last_ask = now
                self.close(self._rows.read_wanted())
            if now - self._last_note >= NOTE_SECONDS:
                self._last_note = now
                self._note(now)
            self._trouble = ""
        except Exception as error:  # noqa: BLE001  whatever it is, what clients send is taken
            code = error_code(error)
            if code != self._trouble:
                self._log.error(
                    "single objects not looked after", code=code, cause=error_cause(error), where=error_location(error)
                )
            self._trouble = code

    def _note(self, now: float) -> None:
        """Tell the catalog what has come, for pages and backups."""
        progress = [one for study in self._studies.all if (one := study.take_progress(now)) is not None]
        for upload_id in self._rows.write_progress(progress):
            self._studies.close_upload(upload_id)

    def _recover(self) -> None:
        """Go on with uploads of processes that are gone, from their last whole objects on, until none is left.

        Where a host may go on with what others have received, it is looked for those that go away, too.
        """
        left: list[LeftUpload] = []
        lingers, shares, trouble = True, self._store.shares_spools, ""
        while (lingers or left or shares) and not self._stopping.is_set():
            if lingers or shares:
                try:
                    found, lingers = self._rows.find_left()
                    trouble = ""
                except Exception as error:  # noqa: BLE001  whatever it is, it is looked again
                    found, code = [], error_code(error)
                    if code != trouble:
                        self._log.error("left uploads not looked for", code=code, cause=error_cause(error))
                    trouble = code
                known = {one.incoming.uuid for one in left}
                left += [one for one in found if one.incoming.uuid not in known]
            left = [one for one in left if self._stopping.is_set() or not self._recover_upload(one)]
            if lingers or left:
                self._stopping.wait(RECOVERY_SECONDS)
            elif shares:
                self._stopping.wait(BEAT_SECONDS)

    def _recover_upload(self, left: LeftUpload) -> bool:
        """Whether it was done; else, whatever the reason, the others are recovered before it is tried again."""
        try:
            incoming = self._rows.take_over(left)
            if incoming is not None:
                self._take_up(incoming, left.uri)
        except Exception as error:  # noqa: BLE001
            self._log.error(
                "upload not recovered", upload=left.incoming.uuid, code=error_code(error), where=error_location(error)
            )
            return False
        return True

    def _take_up(self, incoming: IncomingUpload, uri: str) -> None:
        """Hand over what is left; more objects of its study go into another upload, and join its session."""
        spool = self._store.object_spool(incoming.uuid, incoming.spool_writer)
        objects = spool.recover()
        self._log.info("upload recovered", upload=incoming.uuid, objects=objects)
        study: OpenStudy[GradualSource, GradualSender] = OpenStudy(
            ("left", incoming.uuid), None, GradualSender(uri=uri), incoming, spool, time.monotonic()
        )
        self._studies.take_up(study)
        self._studies.close(study, CloseReason.IDLE)
        self._wake.set()
