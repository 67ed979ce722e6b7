"""Receiving an upload: a row that reserves space, the bytes, and the moment from which it is kept.

The bytes themselves go straight from the door to `store.spool(uuid)`; this module keeps the rows beside them. What an
upload has (`received`) stands in its row: it was synced before the row said so, and what the spool holds beyond it
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, Update, case, delete, func, insert, select, update

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import project, upload
from scandock.model import request_limits
from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.durations import HOUR_MS
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.upload_log import log_step
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.queue.enqueue import accept
from scandock.queue.notify import notify
from scandock.queue.owner import has_ended, is_elsewhere, this_owner
from scandock.queue.tokens import new_uuid
from scandock.rules.import_request import ImportRequest
from scandock.rules.shown_names import is_hidden
from scandock.services import upload_errors
from scandock.services.audit import AuditAction, DetailValue, record
from scandock.services.clock_check import read_deletion_age
from scandock.services.door_names import ReceptionPrivacy, read_sealed
from scandock.services.privacy_source import current_privacy
from scandock.services.quotas import check_size, check_uploads
from scandock.services.reservations import RESERVED_MS, SpaceReservations, is_reserved
from scandock.services.spool_removal import discard_spool
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.rules.privacy import SitePrivacy
    from scandock.services.settings import Settings

Door = Literal["raw", "multipart", "tus", "dicomweb", "dimse", "gradual"]

LEASE_MS = request_limits.LEASE_SECONDS * 1000
"""For which a request is believed to live that brings a whole body, by the database's clock; it says so meanwhile."""

RENEWAL_MS = 120_000
"""For how long, beside the silence that a client may keep, an upload's space is kept that can't be gone on with later.

That long is also what a resumable one reserves again with, until its first byte is there. It covers what comes without
being noted: bytes wait up to a minute for a block to be full, and are synced before their row is written.
"""

ROWS_PER_TURN = 500
"""Rows that one turn of a cleaner looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingLimits:
    """What one upload and one account may take, and how long an upload may pause."""

    upload_bytes: int
    uploads: int
    min_free: int
    idle_seconds: float
    lasts_ms: int
    space_percent: int
    """Of the free space, for several uploads of one account together."""
    reserved_ms: int = RESERVED_MS
    """How long the space of an upload that can be gone on with later is kept for it after its last byte."""

    @property
    def request_ms(self) -> int:
        """For how long space is kept for a request that brings bytes after those that it has noted."""
        return min(self.reserved_ms, int(self.idle_seconds * 1000) + RENEWAL_MS)

    def kept_ms(self, door: str) -> int:
        """How long the space of an upload is kept after its last byte.

        A whole body comes in one request or not at all. Where that does not renew its lease (`LEASE_MS`), nobody brings
        the upload any more, and it is cleared away (`cleaning.uploads.delete_abandoned_uploads`).
        """
        return self.reserved_ms if door == "tus" else self.request_ms


def receiving_limits(settings: Settings) -> ReceivingLimits:
    """What the settings allow."""
    return ReceivingLimits(
        upload_bytes=settings.max_upload_bytes,
        uploads=settings.max_uploads_per_user,
        min_free=settings.min_free_bytes,
        space_percent=settings.max_space_percent_per_user,
        idle_seconds=float(settings.upload_idle_seconds),
        lasts_ms=settings.upload_hours * HOUR_MS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOffer:
    """What a client is about to send."""

    account_id: int
    door: Door
    filename: str
    request: ImportRequest
    project_id: int | None = None
    projects: tuple[str, ...] = ()
    """Those that it may go to, none where that may be any: by them it is decided what may be known of it."""
    mapping: str = ""
    size: int | None = None
    idempotency_key: str | None = None
    metadata: str = ""


AuditWriter = Callable[[Connection, IncomingUpload], None]
"""Writes a line of the audit in the transaction of a change to an upload."""


class UploadReceiver:
    """The rows of uploads until they are accepted; every call is short, and blocks."""

    def __init__(self, catalog: Catalog, store: Store, limits: ReceivingLimits, owner: str = "") -> None:
        """`owner`: the process that receives, as rows name it, where that is another one."""
        self.catalog = catalog
        self.owner = owner
        self.store = store
        self.limits = limits
        self.space = SpaceReservations(catalog, store, limits.min_free, limits.space_percent)
        self.busy: Container[str] = ()
        """Uploads that a request of this process brings now, however long a lock has kept it from saying so."""
        self.broken: set[str] = set()
        """Uploads of this process that nobody brings any more and whose rows could not be forgotten when they broke."""

    def begin(self, offer: UploadOffer, note: AuditWriter | None = None, uuid: str = "") -> IncomingUpload:
        """Record that an upload comes, and reserve its space; `note` writes what the audit says of one that is new.

        `uuid`: its id, of who may not hear the answer; one that has it already is that upload.
        Raises UploadTooLarge, UploadsTooMany, KeyReused or UploadRunning; Fault `disk_full`.
        """
        check_size(offer.size, self.limits.upload_bytes)
        if offer.idempotency_key is not None:
            self._give_up_over(offer)
        with self.catalog.write() as connection:
            connection.execute(select(account.c.id).where(account.c.id == offer.account_id).with_for_update()).one()
            existing = self._read(connection, uuid) if uuid else self._known(connection, offer)
            if existing is not None:
                return existing
            received_by_site = offer.door == "dimse"  # senders are no accounts, and can't be told to wait for one
            if not received_by_site and offer.door != "gradual":
                check_uploads(connection, offer.account_id, self.limits.uploads)
            self.space.alone(connection)
            self.space.check(connection, offer.account_id, offer.size or 0, share=not received_by_site)
            uuid = uuid or new_uuid()
            self._insert(connection, offer, uuid)
            new_upload = self._read(connection, uuid)
            assert new_upload is not None
            if note is not None:
                note(connection, new_upload)
        reach("receiving")
        log_step("upload begun", new_upload.uuid, door=new_upload.door, bytes=new_upload.size)
        return new_upload

    def find(self, uuid: str) -> IncomingUpload | None:
        """The upload of an id; None where there is none that came by the server."""
        with self.catalog.read() as connection:
            current = self._read(connection, uuid)
        if current is not None and current.expired:  # by a clock that may be wrong
            return replace(current, expired=self._is_over(current))
        return current

    def is_over(self, uuid: str, owner: str, *, leased: bool) -> bool:
        """Whether nobody brings an upload by raw or multipart body any more that, by its row, is being received.

        `leased`: the request that brought it has said that it lives (`is_leased`).
        """
        if uuid in self.busy:
            return False
        is_dead = has_ended(owner, self.catalog.host) is True
        return uuid in self.broken or not leased or is_dead or is_elsewhere(owner, self.catalog.place)

    def is_leased(self) -> ColumnElement[bool]:
        """Whether the request lives that brings a whole body, as it says itself; of old rows, whether space is kept."""
        said = reception.c.writer_seen > self.catalog.now() - LEASE_MS
        return case((reception.c.writer_seen.is_(None), is_reserved(self.catalog)), else_=said)

    def renew(self, writers: Collection[str]) -> None:
        """Say of requests of this process that bring whole bodies that they live."""
        with self.catalog.write() as connection:
            connection.execute(
                update(reception).where(reception.c.writer.in_(writers)).values(writer_seen=self.catalog.now())
            )

    def take_over(self, connection: Connection, uuid: str, writer: str) -> str | None:
        """Become the writer of an upload that is over: who brought it can't have it accepted any more. The new one.

        It is over still, for whoever goes on where this process ends. None where it was accepted, ended or taken over
        meanwhile.
        """
        token = new_uuid()
        changed = connection.execute(
            update(reception)
            .where(
                reception.c.writer == writer,
                reception.c.upload_id.in_(_select_receiving().where(upload.c.uuid == uuid)),
            )
            .values(writer=token, writer_seen=0)
        ).rowcount
        return token if changed == 1 else None

    def _is_over(self, incoming_upload: IncomingUpload) -> bool:
        age = read_deletion_age(self.catalog, self.limits.lasts_ms)
        if age is None:
            return False
        late = age - self.limits.lasts_ms
        with self.catalog.read() as connection:
            over = select(reception.c.expires < self.catalog.now() - late)
            return bool(connection.execute(over.where(reception.c.upload_id == incoming_upload.upload_id)).scalar())

    def mark(self, incoming_upload: IncomingUpload, received: int) -> bool:
        """Note that so many bytes are on disk, synced, put off the expiry, and keep the space for those to come.

        False where the upload is no longer being received: cancelled, or ended by somebody else. Fault `disk_full`
        where the space is gone: its size is not known, or nothing came for so long that it was given to others.
        """
        values: dict[str, object] = {"received": received}
        now = self.catalog.now()
        if incoming_upload.expires is not None:
            values["expires"] = now + self.limits.lasts_ms
        with self.catalog.write() as connection:
            row = self._reservation(connection, incoming_upload)
            if row is None:
                return False
            if received > row.received:
                if not row.reserved or incoming_upload.size is None:
                    self._check_space(connection, incoming_upload, received)
                values |= {"reserved_until": now + self.limits.kept_ms(incoming_upload.door), "heard": now}
            connection.execute(_update_receiving(incoming_upload).values(**values))
        return True

    def keep_reserved(self, incoming_upload: IncomingUpload) -> bool:
        """Keep the space of an upload whose bytes come and can't be noted yet, as they are to be checked as a whole.

        As `mark` else.
        """
        with self.catalog.write() as connection:
            row = self._reservation(connection, incoming_upload)
            if row is None:
                return False
            if not row.reserved:
                self._check_space(connection, incoming_upload, row.received)
            now = self.catalog.now()
            until = now + self.limits.kept_ms(incoming_upload.door)
            connection.execute(_update_receiving(incoming_upload).values(reserved_until=until, heard=now))
        return True

    def reserve_again(self, incoming_upload: IncomingUpload) -> None:
        """Reserve the space of an upload that goes on, where it was given up. Fault `disk_full`: it may go on later.

        For a short while: the first byte that comes keeps it for long, and a request that brings none does not.
        """
        with self.catalog.write() as connection:
            row = self._reservation(connection, incoming_upload)
            if row is None or row.reserved:
                return
            self._check_space(connection, incoming_upload, row.received)
            until = self.catalog.now() + self.limits.request_ms
            connection.execute(_update_receiving(incoming_upload).values(reserved_until=until))

    def lock(self, connection: Connection, incoming_upload: IncomingUpload) -> bool:
        """Whether it is still received, by the very writer that it has here; so it stays until the transaction ends."""
        return self._reservation(connection, incoming_upload) is not None

    def _reservation(self, connection: Connection, incoming_upload: IncomingUpload) -> Row[Any] | None:
        """How far it is and whether its space is kept; None where it is received no more, or by somebody else.

        Nobody else becomes its writer until the end of the transaction.
        """
        return connection.execute(
            select(reception.c.received, is_reserved(self.catalog).label("reserved"))
            .join(upload, upload.c.id == reception.c.upload_id)
            .where(
                reception.c.upload_id == incoming_upload.upload_id,
                reception.c.writer == incoming_upload.writer,
                upload.c.state == ImportState.RECEIVING,
            )
            .with_for_update(of=reception)
        ).first()

    def _check_space(self, connection: Connection, incoming_upload: IncomingUpload, received: int) -> None:
        self.space.alone(connection)
        remaining = 0 if incoming_upload.size is None else max(0, incoming_upload.size - received)
        self.space.check(
            connection, incoming_upload.account_id, remaining, received=received, upload_id=incoming_upload.upload_id
        )

    def accept(
        self,
        incoming_upload: IncomingUpload,
        received: int,
        principal: Principal,
        request: RequestInfo,
        offer: UploadOffer | None = None,
        digest: bytes | None = None,
        details: Mapping[str, DetailValue] = MappingProxyType({}),
        prepare: Callable[[Connection], bool] | None = None,
    ) -> bool:
        """Keep it for good, and let its import begin: all its bytes are on disk, synced.

        `offer`: what was asked, where more of that came behind the bytes. `digest`: the sha256 of the bytes, by which
        `check_same` knows them again. `details` for the audit. `prepare` is done first, in the same transaction, and
        says whether it may be. False where it may not, or it is not receiving any more.
        """
        with self.catalog.write() as connection:
            if prepare is not None and not prepare(connection):
                return False
            values: dict[str, object] = {"received": received, "size": received, "expires": None}
            kept = None if offer is None else _privacy_of(connection, offer)
            if offer is not None and kept is not None:
                values |= {"mapping": kept.sealed(offer.mapping), "project_id": offer.project_id}
                values["metadata"] = kept.sealed(offer.metadata) if digest is None else kept.digest(digest)
            written = _update_receiving(incoming_upload).where(reception.c.writer == incoming_upload.writer)
            if connection.execute(written.values(**values)).rowcount != 1:  # first: from here on nobody replaces it
                return False
            if not accept(self.catalog, connection, incoming_upload.upload_id):
                return False
            if offer is not None and kept is not None:
                connection.execute(
                    update(upload)
                    .where(upload.c.id == incoming_upload.upload_id)
                    .values(archive=kept.names.archive(offer.filename), request=offer.request.to_json())
                )
            audited = incoming_upload if offer is None else replace(incoming_upload, project_id=offer.project_id)
            make_audit_writer(
                AuditAction.UPLOAD, principal, request, {"bytes": received, "door": incoming_upload.door, **details}
            )(connection, audited)
        reach("accepted")
        notify(self.store.path)
        return True

    def check_same(self, incoming_upload: IncomingUpload, offer: UploadOffer, received: int, digest: bytes) -> None:
        """Whether what came again for an idempotency key is what it was used for before, bytes and all.

        Raises KeyReused.
        """
        with self.catalog.read() as connection:
            row = connection.execute(_select_offers().where(upload.c.id == incoming_upload.upload_id)).first()
            kept = _privacy_of(connection, offer)
        if (
            row is None
            or not _is_same_offer(kept, row, offer)
            or (row.received, row.metadata) != (received, kept.digest(digest))
        ):
            raise upload_errors.KeyReused

    def set_mapping(
        self,
        incoming_upload: IncomingUpload,
        mapping: str,
        projects: Collection[str],
        note: AuditWriter | None = None,
    ) -> bool:
        """Say where its studies go, in place of what was said; False where it is not receiving any more.

        `projects` are those that the mapping names: less may be known by them. `note` writes what the audit says of it.
        """
        with self.catalog.read() as connection:
            privacy = current_privacy(connection)
        with self.catalog.write() if privacy is None else self.catalog.overwrite() as connection:
            values: dict[str, str | None] = {"mapping": mapping}
            if privacy is not None:
                values = self._hide_row(connection, incoming_upload, mapping, privacy, projects)
            changed = connection.execute(_update_receiving(incoming_upload).values(**values)).rowcount
            if changed == 1 and note is not None:
                note(connection, incoming_upload)
        return changed == 1

    def _hide_row(
        self,
        connection: Connection,
        incoming_upload: IncomingUpload,
        mapping: str,
        privacy: SitePrivacy,
        projects: Collection[str],
    ) -> dict[str, str | None]:
        """Have the archive called as its mapping lets it be; what its reception says beside that now."""
        archive, request, metadata, idempotency_key = connection.execute(
            select(upload.c.archive, upload.c.request, reception.c.metadata, reception.c.idempotency_key)
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.id == incoming_upload.upload_id)
        ).one()
        project = ImportRequest.from_json(request).project
        kept = ReceptionPrivacy.at_door(privacy, (project, *projects) if project is not None else ())
        if not is_hidden(archive, kept.names.level):
            values = {"archive": kept.names.archive(archive)}
            connection.execute(update(upload).where(upload.c.id == incoming_upload.upload_id).values(**values))
        return {
            "mapping": kept.sealed(mapping),
            "metadata": kept.sealed(kept.unsealed(metadata)),
            "idempotency_key": kept.keyed(idempotency_key),
        }

    def discard(self, incoming_upload: IncomingUpload, note: AuditWriter | None = None) -> bool:
        """Forget an upload that is not accepted, its bytes first; False, and nothing done, where it is.

        `note` writes what the audit says of it.
        """
        with self.catalog.read() as connection:
            current = self._read(connection, incoming_upload.uuid)
        if current is None:
            return True
        if current.state is ImportState.CANCELLED:
            discard_spool(self.catalog, self.store, incoming_upload.uuid)
        if not current.receiving or current.writer != incoming_upload.writer:
            return False
        discard_spool(self.catalog, self.store, incoming_upload.uuid)
        with self.catalog.write() as connection:
            is_written = select(reception.c.upload_id).where(
                reception.c.upload_id == incoming_upload.upload_id, reception.c.writer == incoming_upload.writer
            )
            changed = connection.execute(
                delete(upload).where(upload.c.id.in_(is_written), upload.c.state == ImportState.RECEIVING)
            ).rowcount
            if changed == 1 and note is not None:
                note(connection, current)
        if changed == 1:
            log_step("upload given up", current.uuid, bytes=current.received)
        return changed == 1

    def give_up(self, uuid: str, writer: str) -> bool:
        """Forget an upload that is over; False where it was accepted, ended or taken over meanwhile.

        Its request may live nevertheless, on a host that the catalog did not hear of: that one can't have it accepted
        any more before a byte of it goes. No transaction is open while the store discards the bytes. Killed between
        these, it is over still, and whoever finds it so gives it up again.
        """
        with self.catalog.write() as connection:
            token = self.take_over(connection, uuid, writer)
        incoming_upload = None if token is None else self.find(uuid)
        is_done = incoming_upload is not None and incoming_upload.writer == token and self.discard(incoming_upload)
        self.broken.discard(uuid)
        return is_done

    # -- rows ----------------------------------------------------------------------------------------------------

    def _known(self, connection: Connection, offer: UploadOffer) -> IncomingUpload | None:
        """The upload that has this offer's idempotency key already."""
        row = self._find_keyed(connection, offer)
        if row is None:
            return None
        kept = _privacy_of(connection, offer)
        existing = self._read(connection, row.uuid, known=True)
        assert existing is not None
        if existing.receiving and existing.door != "tus":  # one that is over was given up before (`_give_up_over`)
            raise upload_errors.UploadRunning
        if offer.door == "multipart":  # its body's size says little, and fields may follow the archive: `check_same`
            return existing
        is_same_metadata = kept.unsealed(row.metadata) == offer.metadata or _is_let_go(row, kept, row.metadata)
        sized = offer.size in (None, existing.size) and (offer.door != "tus" or is_same_metadata)
        if not _is_same_offer(kept, row, offer) or not sized:
            raise upload_errors.KeyReused
        return existing

    def _find_keyed(self, connection: Connection, offer: UploadOffer) -> Row[Any] | None:
        """The row that has an offer's idempotency key; None where none has, or it has none."""
        if offer.idempotency_key is None:
            return None
        keys = _privacy_of(connection, offer).every_keyed(offer.idempotency_key)
        return connection.execute(
            _select_offers()
            .add_columns(self.is_leased().label("leased"))
            .where(reception.c.account_id == offer.account_id, reception.c.idempotency_key.in_(keys))
        ).first()

    def _give_up_over(self, offer: UploadOffer) -> None:
        """Give up the upload of this offer's key where nobody brings it any more."""
        with self.catalog.read() as connection:
            row = self._find_keyed(connection, offer)
        if row is None or row.state != ImportState.RECEIVING or row.door == "tus":
            return
        if self.is_over(row.uuid, row.owner, leased=row.leased):
            self.give_up(row.uuid, row.writer)

    def _insert(self, connection: Connection, offer: UploadOffer, uuid: str) -> None:
        now = self.catalog.now()
        kept = _privacy_of(connection, offer, fields_follow=offer.door == "multipart")
        key = connection.execute(
            insert(upload).values(
                uuid=uuid,
                archive=kept.names.archive(offer.filename),
                source="server",
                state=ImportState.RECEIVING,
                request=offer.request.to_json(),
                owner=self.owner or this_owner(place=self.catalog.place, host=self.catalog.host),
                created=now,
            )
        ).inserted_primary_key
        assert key is not None
        connection.execute(
            insert(reception).values(
                upload_id=key[0],
                account_id=offer.account_id,
                project_id=offer.project_id,
                door=offer.door,
                size=offer.size,
                metadata=kept.sealed(offer.metadata),
                mapping=kept.sealed(offer.mapping),
                idempotency_key=kept.keyed(offer.idempotency_key),
                expires=now + self.limits.lasts_ms if offer.door == "tus" else None,
                reserved_until=now + self.limits.kept_ms(offer.door),
                heard=now,
                writer="" if offer.door == "tus" else new_uuid(),
                writer_seen=None if offer.door == "tus" else now,
            )
        )

    def _read(self, connection: Connection, uuid: str, *, known: bool = False) -> IncomingUpload | None:
        row = connection.execute(
            select(
                upload.c.id,
                upload.c.uuid,
                upload.c.state,
                upload.c.code,
                reception,
                func.coalesce(reception.c.expires < self.catalog.now(), False).label("expired"),
            )
            .join(reception, reception.c.upload_id == upload.c.id)
            .where(upload.c.uuid == uuid)
        ).first()
        return None if row is None else _from_row(connection, row, known=known)


def _select_offers() -> Select[Any]:
    """What an upload was begun with."""
    return select(
        upload.c.id,
        upload.c.uuid,
        upload.c.owner,
        upload.c.archive,
        upload.c.request,
        upload.c.state,
        reception.c.door,
        reception.c.mapping,
        reception.c.received,
        reception.c.metadata,
        reception.c.writer,
    ).join(reception, reception.c.upload_id == upload.c.id)


def _is_same_offer(kept: ReceptionPrivacy, row: Row[Any], offer: UploadOffer) -> bool:
    mapping = offer.mapping if _is_let_go(row, kept, row.mapping) else kept.unsealed(row.mapping)
    earlier = (row.door, row.archive, ImportRequest.from_json(row.request).named, mapping)
    return earlier == (offer.door, kept.names.archive(offer.filename), offer.request.named, offer.mapping)


def _is_let_go(row: Row[Any], kept: ReceptionPrivacy, text: str) -> bool:
    """Whether what was sealed of an upload is gone, with the end of its import."""
    return kept.seals and not text and ImportState(row.state) not in UNFINISHED


def _privacy_of(connection: Connection, offer: UploadOffer, *, fields_follow: bool = False) -> ReceptionPrivacy:
    """What may be known of an upload; `fields_follow`: as little as of any, since more of the request comes."""
    return ReceptionPrivacy.at_door(current_privacy(connection), () if fields_follow else offer.projects)


def _from_row(connection: Connection, row: Row[Any], *, known: bool) -> IncomingUpload:
    return IncomingUpload(
        upload_id=row.id,
        uuid=row.uuid,
        account_id=row.account_id,
        project_id=row.project_id,
        door=row.door,
        state=ImportState(row.state),
        code=row.code,
        size=row.size,
        received=row.received,
        metadata=read_sealed(connection, row.metadata),
        expires=row.expires,
        expired=bool(row.expired),
        writer=row.writer,
        known=known,
    )


def make_audit_writer(
    action: AuditAction,
    principal: Principal,
    request: RequestInfo,
    details: Mapping[str, DetailValue],
    *,
    kind: str = "import",
) -> AuditWriter:
    """What writes a line about an upload, in the project that it is for where one is named."""

    def note(connection: Connection, incoming_upload: IncomingUpload) -> None:
        project_name = connection.execute(
            select(project.c.name).where(project.c.id == incoming_upload.project_id)
        ).scalar()
        record(
            connection, principal, action, kind, incoming_upload.uuid, project=project_name or "", request=request,
            details=details
        )  # fmt: skip

    return note


def _update_receiving(incoming_upload: IncomingUpload) -> Update:
    """A change of its row, where it is still being received."""
    return update(reception).where(
        reception.c.upload_id == incoming_upload.upload_id, reception.c.upload_id.in_(_select_receiving())
    )


def _select_receiving() -> Any:  # noqa: ANN401  a select of SQLAlchemy's
    return select(upload.c.id).where(upload.c.state == ImportState.RECEIVING)
