"""Studies while they come object by object: one growing upload for each source and study, whoever sends it.

A source is a DICOM receiver, or an account that sends single objects by HTTP (`gradual_uploads.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, Self, TypeVar

from scandock.model.crash_points import reach
from scandock.model.errors import Fault
from scandock.model.receivers import Closing
from scandock.model.reception import CloseReason
from scandock.model.verdicts import ImportState
from scandock.services.logs import error_code
from scandock.services.received_records import StudyProgress
from scandock.store.errors import SpoolClosed, SpoolTaken

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.dimse.records import Association
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.model.reception import ReceptionSettings
    from scandock.store.port import ObjectSpool, Store

RETRY_SECONDS: Final = 5.0
"""After which a study that could not be handed to its import is tried again."""
_ENTRY_DIRECTORY_BYTES: Final = 160
"""Most that an entry takes of a zip's directory."""


class StudySource(Protocol):
    """What studies come for, as a DICOM receiver."""

    @property
    def number(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def closing(self) -> Closing: ...
    @property
    def idle_seconds(self) -> float | None: ...
    def imports_like(self, other: Self, /) -> bool:
        """Whether a study of the other one may go on with this one."""


Source = TypeVar("Source", bound=StudySource)
Sender = TypeVar("Sender")
_Source_contra = TypeVar("_Source_contra", bound=StudySource, contravariant=True)
_Sender_contra = TypeVar("_Sender_contra", contravariant=True)


class StudyRows(Protocol[_Source_contra, _Sender_contra]):
    """What the catalog keeps of studies (`services.received_studies`, `services.gradual_uploads`)."""

    def begin(self, receiver: _Source_contra, sender: _Sender_contra, /) -> IncomingUpload: ...
    def accept(
        self, incoming: IncomingUpload, size: int, objects: int, sender: _Sender_contra, reason: CloseReason, /
    ) -> bool: ...
    def read_state(self, incoming: IncomingUpload) -> ImportState | None: ...
    def discard(self, incoming: IncomingUpload) -> None: ...
    def discard_spool(self, incoming: IncomingUpload) -> None: ...


class StudyKey(NamedTuple):
    """What makes objects one upload."""

    receiver_id: int
    study_uid: str


class AppendedObject(NamedTuple, Generic[Source, Sender]):
    """Where an object stands, until it is synced."""

    study: OpenStudy[Source, Sender]
    end: int
    bytes: int
    instance: str
    """The object's UID, as it was sent."""


class OpenStudy(Generic[Source, Sender]):
    """One study that is being received. Its counts are for pages and rules; the spool knows what is there."""

    def __init__(
        self,
        key: Hashable,
        receiver: Source | None,
        sender: Sender,
        incoming: IncomingUpload,
        spool: ObjectSpool,
        now: float,
    ) -> None:
        """`receiver`: None where an earlier process took it for one that was removed."""
        self.key = key
        self.receiver = receiver
        self.sender = sender
        self.incoming = incoming
        self.spool = spool
        self.begun = self.heard = now
        self.ended = now
        """When the last association that fed it ended."""
        self.was_aborted = False
        """How that was."""
        self.feeders: dict[int, Association] = {}
        """Live associations that have sent some of it."""
        self.noted = (-1, 0, now)
        """Objects, bytes and time when its progress was noted last."""
        self.is_quiet = False
        """Whether nothing had come then."""
        self.is_unwanted = False
        """Whether it is to be discarded."""
        self.instances: set[str] = set()
        """UIDs of objects whose senders were told how they are stored (STOW-RS)."""
        self.patients: set[str] = set()
        """PatientIDs of those."""

    def active(self) -> float:
        """When bytes last came of an association that sends some of it."""
        return max([self.heard, *(one.active_at for one in list(self.feeders.values()))])

    def take_progress(self, now: float) -> StudyProgress | None:
        """What came since it was taken last; None where nothing did and the rate is 0 already."""
        objects, size, at = self.noted
        entries, synced = self.spool.entries, self.spool.synced + self.spool.beside
        seconds = now - at
        rate = int((synced - size) / seconds) if seconds > 0 and objects >= 0 else 0
        self.noted = entries, synced, now
        if (entries, synced) == (objects, size) and self.is_quiet:
            return None
        self.is_quiet = (entries, synced) == (objects, size)
        upload_id, writer = self.incoming.upload_id, self.incoming.writer
        return StudyProgress(upload_id=upload_id, writer=writer, objects=entries, bytes=synced, rate=max(0, rate))


class _Beginning:
    """A study that is being begun: one thread does it, the others of its objects wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0
        """Threads, with the one that does it."""
        self.fault: Fault | None = None
        """Why it could not be begun: told to all that waited meanwhile."""


class OpenStudies(Generic[Source, Sender]):
    """All studies of this process. May be used by the threads of associations and the one that looks after them."""

    def __init__(
        self,
        store: Store,
        rows: StudyRows[Source, Sender],
        settings: ReceptionSettings,
        count_sync: Callable[[float], None],
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rows = rows
        self._settings = settings
        self._count_sync = count_sync
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Hashable, OpenStudy[Source, Sender]] = {}
        self._beginning: dict[Hashable, _Beginning] = {}
        self._closing: dict[int, threading.Thread] = {}
        self._waiting: dict[int, tuple[float, OpenStudy[Source, Sender], CloseReason]] = {}
        """Those that could not be handed over: when to try again."""
        self._stopping = False

    @property
    def all(self) -> list[OpenStudy[Source, Sender]]:
        """Those that take objects."""
        with self._lock:
            return list(self._open.values())

    @property
    def busy(self) -> bool:
        """Whether any is open or on its way to its import."""
        with self._lock:
            return bool(self._open or self._closing or self._waiting)

    def find(self, key: Hashable) -> OpenStudy[Source, Sender] | None:
        """The study of a key, where it takes objects."""
        with self._lock:
            return self._open.get(key)

    def append(
        self,
        key: Hashable,
        receiver: Source,
        sender: Sender,
        association: Association | None,
        size: int,
        write: Callable[[ObjectSpool], int],
        instance: str = "",
    ) -> AppendedObject[Source, Sender]:
        """Add an object of `size` bytes to its study, which is begun where there is none. Fault.

        `association`: None where it came by no association.
        """
        while True:
            study = self.begin(key, receiver, sender)
            if study.receiver is not receiver and study.receiver is not None:
                if not receiver.imports_like(study.receiver):
                    self.close(study, CloseReason.CHANGED)
                    continue
                study.receiver = receiver
            if self._is_full(study, size):
                self.close(study, CloseReason.FULL)
                continue
            try:
                end = write(study.spool)
            except SpoolClosed:  # in this moment: the object goes into the next one
                self.close(study, CloseReason.FAILED)  # does nothing where it was closed or discarded, not failed
                continue
            study.heard = self._clock()
            if association is not None:
                study.feeders[association.number] = association
            reach("object_appended")
            return AppendedObject(study, end, size, instance)

    def sync(self, study: OpenStudy[Source, Sender], end: int) -> None:
        """Have all of a study up to `end` on disk. Fault: what no sync has covered is lost, and the study closes."""
        begun = time.perf_counter()
        try:
            study.spool.sync(end)
        except SpoolClosed:
            raise
        except Exception as error:
            self._log.error("sync failed", upload=study.incoming.uuid, code=error_code(error))
            self.close(study, CloseReason.FAILED)
            raise
        self._count_sync(time.perf_counter() - begun)
        reach("object_synced")

    def set_receivers(self, receivers: Sequence[Source]) -> None:
        """Close what came for receivers that are not among these any more, or are set to import otherwise."""
        now = {receiver.number: receiver for receiver in receivers}
        for study in self.all:
            if study.receiver is None:
                continue
            current = now.get(study.receiver.number)
            if current is None or not current.imports_like(study.receiver):
                self.close(study, CloseReason.CHANGED)
            else:
                study.receiver = current

    def leave(self, association: Association, *, aborted: bool) -> None:
        """An association has ended."""
        now = self._clock()
        for study in self.all:
            if study.feeders.pop(association.number, None) is not None:
                study.heard = max(study.heard, association.active_at)
                study.ended = now
                study.was_aborted = aborted

    def look(self) -> None:
        """Close what is due, and try again what could not be handed over."""
        now = self._clock()
        for study in self.all:
            reason = self._due(study, now)
            if reason is not None:
                self.close(study, reason)
        with self._lock:
            due = [waiting for waiting in self._waiting.values() if waiting[0] <= now]
            for _, study, _ in due:
                del self._waiting[study.incoming.upload_id]
        for _, study, reason in due:
            self._start_closing(study, reason)

    def close(self, study: OpenStudy[Source, Sender], reason: CloseReason) -> None:
        """Take nothing more of it, and hand it to its import, in a thread. Done already is fine."""
        if self._forget(study):
            self._start_closing(study, reason)

    def close_upload(self, upload_id: int) -> None:
        """Close the study of an upload, or try at once to hand it over where that has failed."""
        with self._lock:
            study = self._find_upload(upload_id)
            waiting = self._waiting.pop(upload_id, None)
        if study is not None:
            self.close(study, CloseReason.PERSON)
        elif waiting is not None:
            self._start_closing(waiting[1], waiting[2])

    def discard_upload(self, upload_id: int) -> None:
        """Remove what came of the study of an upload, in a thread, as long as its import has not begun."""
        with self._lock:
            study = self._find_upload(upload_id)
            waiting = self._waiting.pop(upload_id, None)
        if study is not None:
            study.is_unwanted = True
            self.close(study, CloseReason.PERSON)
        elif waiting is not None:  # one that is being handed over waits, too, once the catalog has said no
            waiting[1].is_unwanted = True
            self._start_closing(waiting[1], waiting[2])

    def _find_upload(self, upload_id: int) -> OpenStudy[Source, Sender] | None:
        return next((study for study in self._open.values() if study.incoming.upload_id == upload_id), None)

    def take_up(self, study: OpenStudy[Source, Sender]) -> None:
        """Go on with one that an earlier process has left; where another of its key is open, it is closed."""
        with self._lock:
            taken = self._open.setdefault(study.key, study) is study
        if not taken:
            self._start_closing(study, CloseReason.IDLE)

    def stop(self, seconds: float) -> None:
        """Leave them as they are for the next process, and wait for those that are on their way."""
        self._stopping = True
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._closing.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for study in self.all:
            study.spool.close()

    def begin(self, key: Hashable, receiver: Source, sender: Sender) -> OpenStudy[Source, Sender]:
        """The study of a key, which is begun where there is none. Fault."""
        with self._lock:
            study = self._open.get(key)
            if study is not None:
                return study
            beginning = self._beginning.setdefault(key, _Beginning())
            beginning.waiting += 1
        try:
            with beginning.lock:
                if beginning.fault is not None:
                    raise beginning.fault
                return self._begin(key, receiver, sender)
        except Fault as fault:
            with self._lock:
                beginning.fault = fault.with_traceback(None)
                self._end_beginning(key, beginning)
            raise
        finally:
            with self._lock:
                beginning.waiting -= 1
                if not beginning.waiting:
                    self._end_beginning(key, beginning)

    def _end_beginning(self, key: Hashable, beginning: _Beginning) -> None:
        if self._beginning.get(key) is beginning:
            del self._beginning[key]

    def _begin(self, key: Hashable, receiver: Source, sender: Sender) -> OpenStudy[Source, Sender]:
        with self._lock:
            study = self._open.get(key)
            if study is not None:
                return study
        incoming = self._rows.begin(receiver, sender)
        spool = self._store.object_spool(incoming.uuid, incoming.spool_writer)
        study = OpenStudy(key, receiver, sender, incoming, spool, self._clock())
        with self._lock:
            recovered = self._open.get(key)  # meanwhile, of an earlier process
            self._open[key] = study
        if recovered is not None:
            self._start_closing(recovered, CloseReason.IDLE)
        self._log.info("study begun", upload=incoming.uuid, receiver=receiver.title)
        return study

    def _is_full(self, study: OpenStudy[Source, Sender], size: int) -> bool:
        spool, bounds = study.spool, self._settings
        if not spool.entries:
            return False
        return (
            spool.entries >= bounds.study_objects
            or spool.size + spool.beside + size + _ENTRY_DIRECTORY_BYTES * (spool.entries + 2) > bounds.study_bytes
            or _ENTRY_DIRECTORY_BYTES * (spool.entries + 1) > bounds.directory_bytes
        )

    def _due(self, study: OpenStudy[Source, Sender], now: float) -> CloseReason | None:
        if now - study.begun >= self._settings.open_seconds:
            return CloseReason.LONG
        receiver = study.receiver
        idle = (receiver.idle_seconds if receiver is not None else None) or self._settings.idle_seconds
        quiet = now - study.active()
        at_release = receiver is not None and receiver.closing is Closing.RELEASE
        if at_release and not study.feeders and (study.was_aborted or study.ended > study.begun):
            if study.was_aborted:
                return CloseReason.IDLE if quiet >= self._settings.abort_seconds else None
            if now - study.ended >= self._settings.release_seconds:
                return CloseReason.RELEASE
        return CloseReason.IDLE if quiet >= idle else None

    def _forget(self, study: OpenStudy[Source, Sender]) -> bool:
        """Have it take no more objects; False where that was done."""
        with self._lock:
            if self._open.get(study.key) is not study:
                return False
            del self._open[study.key]
            return True

    def _start_closing(self, study: OpenStudy[Source, Sender], reason: CloseReason) -> None:
        thread = threading.Thread(target=self._close, args=(study, reason), name="closing", daemon=True)
        with self._lock:
            self._closing[study.incoming.upload_id] = thread
            try:
                thread.start()
                return
            except RuntimeError:  # the system has no room for another thread
                del self._closing[study.incoming.upload_id]
        self._log.error("study not handed over", upload=study.incoming.uuid, why="no thread can be started")
        self._put_off(study, reason)

    def _close(self, study: OpenStudy[Source, Sender], reason: CloseReason) -> None:
        """Hand a study to its import. What fails is tried again: nothing of it is lost meanwhile."""
        upload_id = study.incoming.upload_id
        try:
            if not self._hand_over(study, reason):
                self._put_off(study, reason)
        except SpoolTaken:  # by another host, which hands over what was acknowledged of it
            self._log.info("study taken over", upload=study.incoming.uuid)
            study.spool.close()
        except Exception as error:  # noqa: BLE001  whatever it is, the study is kept
            self._log.error("study not handed over", upload=study.incoming.uuid, code=error_code(error))
            self._put_off(study, reason)
        finally:
            with self._lock:
                self._closing.pop(upload_id, None)

    def _put_off(self, study: OpenStudy[Source, Sender], reason: CloseReason) -> None:
        with self._lock:
            self._waiting[study.incoming.upload_id] = (self._clock() + RETRY_SECONDS, study, reason)

    def _hand_over(self, study: OpenStudy[Source, Sender], reason: CloseReason) -> bool:
        """Whether it is done; else, as where somebody wants it discarded just now, it is tried again."""
        if self._is_over(study):
            return True
        reach("study_closing")
        if not study.is_unwanted:
            size = study.spool.finish()
            objects = study.spool.entries
        if study.is_unwanted or not objects:
            objects, size = study.spool.entries, study.spool.size + study.spool.beside
            study.spool.discard()
            self._rows.discard(study.incoming)
            self._log.info("study discarded", upload=study.incoming.uuid, objects=objects, bytes=size)
            return True
        reach("study_finished")
        accepted = self._rows.accept(study.incoming, size, objects, study.sender, reason)
        if not accepted:
            return self._is_over(study)
        study.spool.close()
        self._log.info("study closed", upload=study.incoming.uuid, reason=reason.value, objects=objects, bytes=size)
        return True

    def _is_over(self, study: OpenStudy[Source, Sender]) -> bool:
        """Whether its upload is not being received any more. Its bytes are left then, or removed where it was ended.

        They are an import's where it was accepted and the answer was lost: nothing may be written to them.
        """
        state = self._rows.read_state(study.incoming)
        if state is ImportState.RECEIVING:
            return False
        if state not in {None, ImportState.CANCELLED}:
            study.spool.close()
        else:
            study.spool.discard()  # who waits for a sync is told no
            self._rows.discard_spool(study.incoming)
        self._log.info("study over", upload=study.incoming.uuid, state=state)
        return True
