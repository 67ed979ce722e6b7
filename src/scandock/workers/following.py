"""An attempt that reads an upload ahead while its bytes come, and is its import once it is accepted.

See docs/design/0016-follow.md. Nothing is placed, and nobody is told of a refusal, by what is done before acceptance.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Final

from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.workers.archive_reader import ArchiveReader, ReadEntries, SiteTexts, default_readers, make_reading_terms
from scandock.workers.followed_spool import FollowedSpool, FollowVoid
from scandock.workers.import_progress import ImportProgress
from scandock.workers.machine_faults import to_machine_fault

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.queue.leases import ImportLease
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.port import Stage, Store
    from scandock.workers.context import WorkerContext

ASK_SECONDS: Final = 0.05
"""How often the catalog is asked how far the upload is."""
ACCEPT_SECONDS: Final = 0.01
"""The same once all of it is here."""
PATIENCE_SECONDS: Final = 60.0
"""For an upload that is whole to be accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedOffer:
    """What was said of an upload at its beginning, and by what it is read."""

    lease: ImportLease
    account_id: int
    request: ImportRequest
    mapping: str
    stored_mapping: str
    """As its row has it."""
    name: str
    size: int
    """Bytes that it has, or, where it is a part of a form, those of all of it."""
    is_local: bool
    """Whether it comes to this host, in one request: then whatever is in its file counts, and may be read."""
    fields_follow: bool
    """Whether more may be said of it behind its bytes."""


@dataclass(slots=True, kw_only=True)
class FollowedReading:
    """All entries of an upload, read while it came, and by what."""

    offer: FollowedOffer
    size: int
    entries: ReadEntries
    listening: ImportProgress
    texts: SiteTexts
    patients_told: int
    """Of how many patients those were told who watch."""
    _opened: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def close(self) -> None:
        """Close ledger and counters."""
        self._opened.close()

    def is_of(self, request: ImportRequest, received: int, name: str, texts: SiteTexts) -> bool:
        """Whether an upload is to be read as it was: on the same terms, called the same, by the same texts."""
        own = (make_reading_terms(self.offer.request, self.texts), self.size, self.offer.name, self.texts)
        return own == (make_reading_terms(request, texts), received, name, texts)


ImportIt = Callable[["Stage", FollowedReading | None], None]
"""Imports what was accepted, from its stage; the reading is None where it is to be read in the ordinary way."""


class _Ended(Exception):
    """The upload is its follower's no more: cancelled, broken off, or another's."""


class UploadWatch:
    """How far a followed upload is, by its row, and by its file where that says more."""

    def __init__(
        self,
        catalog: Catalog,
        offer: FollowedOffer,
        path: str | None,
        *,
        is_private: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`path`: of the file, where all that is in it counts.

        `is_private`: less than everything may be known, by the projects that its mapping names.
        """
        self._catalog = catalog
        self._lease = offer.lease
        self._mapping = offer.stored_mapping if is_private else None
        self._size = offer.size
        self._path = path
        self._clock = clock
        self._asked = -ASK_SECONDS
        self._received = 0
        self.is_accepted = False

    def look(self) -> tuple[int, int]:
        """Bytes that have come and stay as they are, and its size, as far as that is known."""
        if self._clock() - self._asked >= ASK_SECONDS:
            self.ask()
        here = self._received
        if self._path is not None and not self.is_accepted:
            with contextlib.suppress(FileNotFoundError):
                here = max(here, os.stat(self._path).st_size)
        return here, self._size

    def ask(self) -> None:
        """Ask the catalog. Raises _Ended, or FollowVoid, where the upload is not to be followed any more."""
        from scandock.queue.follow import read_followed

        self._asked = self._clock()
        with self._catalog.read() as connection:
            followed = read_followed(connection, self._lease)
        if followed is None:
            raise _Ended
        if self._mapping not in (None, followed.mapping):  # its studies may go where less may be known of them
            raise FollowVoid("another mapping came")
        self._received, self.is_accepted = followed.received, followed.is_accepted
        if self.is_accepted:
            self._size = self._received

    def others_wait(self) -> bool:
        """Whether another upload could be followed instead."""
        from scandock.queue.follow import is_any_to_follow

        with self._catalog.read() as connection:
            return is_any_to_follow(connection)

    def wait(self) -> bool:
        """Wait until the upload is accepted; False where that takes too long."""
        deadline = self._clock() + PATIENCE_SECONDS
        while not self.is_accepted:
            if self._clock() > deadline:
                return False
            time.sleep(ACCEPT_SECONDS)
            self.ask()
        return True


def follow_upload(
    catalog: Catalog, store: Store, upload: str, token: str, settings: Settings, import_it: ImportIt
) -> None:
    """Read an upload that comes, and import it once it is accepted; nothing is left of one that is not.

    `token`: by which it is followed.
    """
    with store.hold(upload):
        stage = store.begin(upload, token)
        try:
            try:
                reading = _read_ahead(catalog, store, stage, settings)
            except _Ended:
                store.finish(stage)
                return
            import_it(stage, reading)
        finally:
            stage.close()


def _read_ahead(catalog: Catalog, store: Store, stage: Stage, settings: Settings) -> FollowedReading | None:
    """What was read of the upload, which is an import under its token now; None where it is to be read again.

    Raises _Ended where it is nothing under its token.
    """
    from scandock.queue.follow import end_follow
    from scandock.services.progress import take_back_followed

    offer = _read_offer(catalog, stage.upload, stage.token)
    try:
        return _follow(offer, catalog, store, stage, settings)
    except _Ended:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, the ordinary way meets it too, and tells of it, or does not
        _log_void(stage.upload, error)
    stage.clear()
    take_back_followed(catalog, offer.lease)
    if end_follow(catalog, offer.lease):
        raise _Ended
    return None  # it was accepted meanwhile


def _read_offer(catalog: Catalog, uuid: str, token: str) -> FollowedOffer:
    from sqlalchemy import select

    from scandock.catalog.server_tables import reception
    from scandock.catalog.tables import upload
    from scandock.queue.leases import ImportLease
    from scandock.queue.owner import is_other_host
    from scandock.rules.import_request import ImportRequest
    from scandock.services.door_names import read_sealed

    columns = (upload.c.id, upload.c.archive, upload.c.request, upload.c.owner)
    with catalog.read() as connection:
        row = connection.execute(
            select(*columns, reception.c.account_id, reception.c.mapping, reception.c.size, reception.c.door)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.uuid == uuid, reception.c.follow_token == token)
        ).first()
        if row is None:
            raise _Ended
        mapping = read_sealed(connection, row.mapping)
    return FollowedOffer(
        lease=ImportLease(row.id, uuid, token),
        request=ImportRequest.from_json(row.request),
        account_id=row.account_id,
        mapping=mapping,
        stored_mapping=row.mapping,
        name=row.archive or uuid,
        size=row.size,
        is_local=row.door in ("raw", "multipart") and not is_other_host(row.owner, catalog.host),
        fields_follow=row.door == "multipart",
    )


def _follow(offer: FollowedOffer, catalog: Catalog, store: Store, stage: Stage, settings: Settings) -> FollowedReading:
    """Read it all, until it is accepted. Raises FollowVoid, _Ended, or whatever reading raises."""
    from scandock.rules.mapping import parse_mapping
    from scandock.services.progress import ProgressRecorder
    from scandock.workers.context import make_upload_context

    path = store.spool(offer.lease.uuid).local_path()
    if path is None:
        raise FollowVoid("its bytes can't be read from a file")
    mapping = parse_mapping(offer.mapping, "mapping") if offer.mapping else ()
    context = make_upload_context(catalog, settings, offer.request, mapping, offer.account_id)
    texts = context.texts
    _check_private(offer, context, texts)
    if context.privacy is not None:
        store.erase_originals()
    watch = UploadWatch(catalog, offer, path if offer.is_local else None, is_private=context.privacy is not None)
    watch.ask()
    readers = default_readers(offer.request, settings)
    recorder = ProgressRecorder(catalog, offer.lease, follows=True)
    with contextlib.ExitStack() as opened, recorder:
        listening = ImportProgress(recorder)

        def look() -> tuple[int, int]:
            if listening.damages:
                raise FollowVoid("damaged")
            return watch.look()

        coming = FollowedSpool(path, offer.name, offer.size, settings.limits, readers, look, watch.others_wait)
        opened.callback(coming.close)
        reading = ArchiveReader(
            path, offer.request, settings, listening, threading.Event(), name=offer.name, readers=readers
        )
        opened.callback(reading.close)
        entries = reading.read(store, stage, texts, lambda: False, keep=True, coming=coming)
        opened.callback(entries.close)
        if entries.refused is not None or listening.damages:
            raise FollowVoid("damaged" if entries.refused is None else entries.refused.code)
        coming.check_ratio(listening.totals()[1])
        stage.write_back()
        reach("followed")
        if not watch.wait():
            raise FollowVoid("it was not accepted")
        recorder.close()
        return FollowedReading(
            offer=offer,
            size=coming.size,
            entries=entries,
            listening=listening,
            texts=texts,
            patients_told=recorder.patients_told,
            _opened=opened.pop_all(),
        )


def _check_private(offer: FollowedOffer, context: WorkerContext, texts: SiteTexts) -> None:
    """Raise FollowVoid where originals might be staged that are not to be, or told of more than may be known."""
    if context.privacy_error is not None:
        raise FollowVoid(context.privacy_error.code)
    if context.privacy is None:
        return
    if offer.stored_mapping and not offer.mapping:
        raise FollowVoid("its mapping can't be read")
    if offer.fields_follow:
        raise FollowVoid("fields that come behind it may say where it goes")
    if texts.early is None and not context.keeps_originals():
        raise FollowVoid("it can't be de-identified as it is read")


def _log_void(uuid: str, error: Exception) -> None:
    from scandock.services.logs import error_location, log

    known = to_machine_fault(error) or error
    if isinstance(known, FollowVoid | ScandockError):
        why = known.why if isinstance(known, FollowVoid) else known.code
        log().info("upload not read ahead", upload=uuid, why=why)
    else:
        log().error("upload not read ahead", upload=uuid, error=type(error).__name__, where=error_location(error))
