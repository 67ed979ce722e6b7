"""Single objects that accounts send one a request: the rows of each study's upload, from its first object on.

Such an upload has the door `gradual`, and a row of `gradual_upload` beside it: the prearchive session that its senders
are told of. That is listed from the first object on, and built once no more come, or once somebody asks for it
(`workers/gradual_uploads.py`). No object but the first costs a write to the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, Select, and_, delete, exists, insert, or_, select, update

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import SYSTEM, Door, Principal, RequestInfo
from scandock.access.visibility import projects_where
from scandock.catalog.projects import make_unassigned
from scandock.catalog.server_tables import gradual_upload, reception
from scandock.catalog.tables import project, session, upload
from scandock.catalog.view import SqlView
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.receivers import Closing
from scandock.model.verdicts import UNFINISHED, ImportState
from scandock.publishing.locks import label_lock, study_lock
from scandock.publishing.reserve import find_holders, lock_projects
from scandock.queue.hosts import has_left
from scandock.queue.owner import has_ended, is_other_host, this_owner
from scandock.queue.tokens import new_uuid
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.permissions import REQUIREMENTS, Action
from scandock.rules.prearchive import PrearchiveSlots
from scandock.services.received_studies import take_over_upload
from scandock.services.session_errors import SessionNotBuilt
from scandock.services.spool_removal import discard_spool

if TYPE_CHECKING:
    from datetime import tzinfo

    from sqlalchemy import Connection

    from scandock.catalog.engine import Catalog
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.model.reception import CloseReason
    from scandock.model.uris import PrearchiveSessionUri
    from scandock.services.audit import DetailValue
    from scandock.services.received_records import StudyProgress
    from scandock.services.receiving import UploadOffer, UploadReceiver


_FAILED: Final = (ImportState.FAILED, ImportState.REFUSED, ImportState.CANCELLED)
_SESSION_OF_UPLOAD: Final = select(session.c.id).where(
    session.c.place == "prearchive",
    session.c.project_id == gradual_upload.c.project_id,
    session.c.timestamp == gradual_upload.c.timestamp,
    session.c.key == gradual_upload.c.key,
)
"""Of a row of `gradual_upload`."""


class PlaceUnknown(Exception):
    """An upload is to be begun, and where its session is to stand is still to be found, or to be found anew.

    One before was closed just now, or another study has got the label since.
    """


class PlaceReserved(PlaceUnknown):
    """The same where an import that is being placed has the label: it is known behind that whether it is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradualPlace:
    """Where the session of a study is to stand in the prearchive, as the rules decide by its first object."""

    project: str
    subject: str
    label: str
    study_uid: str
    timestamp: str
    """That of the session that it joins, or that the sender names; empty for one of its own."""


@dataclass(frozen=True, slots=True)
class GradualSource:
    """An account that sends objects of a study with the same request."""

    number: int
    """The account's."""
    closing: Closing = Closing.IDLE
    idle_seconds: float | None = None
    title: str = "single objects"

    def imports_like(self, other: GradualSource, /) -> bool:
        return self == other


@dataclass(slots=True, kw_only=True)
class GradualSender:
    """Who sent the first object of a study, and what of it is not in the catalog before that is begun."""

    address: str = ""
    """Empty where an earlier process began it."""
    offer: UploadOffer | None = None
    place: GradualPlace | None = None
    """Without both of them none is begun."""
    is_sure: bool = False
    """Whether it stands there whatever else has its label: the rules knew of that."""
    uri: str = ""
    """The session's, once it is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftUpload:
    """An upload whose process has ended."""

    incoming: IncomingUpload
    owner: str
    """The process that has ended, as its row names it."""
    uri: str


class GradualRows:
    """The rows of what this process receives; may be used by several threads."""

    def __init__(self, catalog: Catalog, receiving: UploadReceiver, zone: tzinfo) -> None:
        self._catalog = catalog
        self._receiving = receiving
        self._zone = zone
        self._owner = this_owner(place=catalog.place, host=catalog.host)

    def begin(self, source: GradualSource, sender: GradualSender, /) -> IncomingUpload:
        """Record that objects of a study come, and where its session stands; fills in `sender.uri`.

        Raises PlaceUnknown or PlaceReserved; Fault `disk_full` or the catalog's; Usage where the project is gone.
        """
        place, offer = sender.place, sender.offer
        if place is None or offer is None or offer.account_id != source.number:
            raise PlaceUnknown
        if place.project == UNASSIGNED:
            make_unassigned(self._catalog)

        def note(connection: Connection, incoming: IncomingUpload) -> None:
            project_id = lock_projects(connection, [place.project])[place.project]
            if not sender.is_sure:
                _check_label(connection, place, offer)
            timestamp = place.timestamp or self._find_timestamp(connection, place, incoming.account_id)
            connection.execute(
                insert(gradual_upload).values(
                    upload_id=incoming.upload_id,
                    project_id=project_id,
                    timestamp=timestamp,
                    label=place.label,
                    key=label_key(place.label),
                    subject=place.subject,
                    study_uid=place.study_uid,
                )
            )
            sender.uri = uris.session("prearchive", place.project, timestamp, "", place.label)
            self._hold_spool(connection, incoming)

        return self._receiving.begin(offer, note)

    def _hold_spool(self, connection: Connection, incoming: IncomingUpload) -> None:
        """Let who may have an upload accepted grow its spool, and nobody else, from the same moment on."""
        if self._receiving.store.shares_spools:
            from scandock.publishing.object_rows import hold_spool

            hold_spool(connection, incoming.uuid, incoming.spool_writer)

    def _find_timestamp(self, connection: Connection, place: GradualPlace, account_id: int) -> str:
        """That of a session of the study that waits or is still to be built; else one that is free."""
        view = SqlView(connection, account_id=account_id)
        known = view.sessions_of_study(place.project, place.study_uid)
        return PrearchiveSlots(place.project, view, datetime.now(self._zone)).join(
            (session for session in known if label_key(session.label) == label_key(place.label)),
            place.label,
            study_uid=place.study_uid,
        )[1]

    def accept(
        self, incoming: IncomingUpload, size: int, objects: int, sender: GradualSender, reason: CloseReason, /
    ) -> bool:
        """Let the import begin, all of whose bytes are on disk. False where somebody has ended it."""

        def prepare(connection: Connection) -> bool:
            connection.execute(
                update(gradual_upload).where(gradual_upload.c.upload_id == incoming.upload_id).values(objects=objects)
            )
            return True

        with self._catalog.read() as connection:
            account = accounts.by_id(connection, incoming.account_id)
            principal = SYSTEM if account is None else make_principal(connection, account, Door.SYSTEM)
        details: dict[str, DetailValue] = {"objects": objects, "closed": reason.value}
        request = RequestInfo(address=sender.address)
        return self._receiving.accept(incoming, size, principal, request, details=details, prepare=prepare)

    def read_state(self, incoming: IncomingUpload) -> ImportState | None:
        """How far an upload is; None where it is gone."""
        current = self._receiving.find(incoming.uuid)
        return None if current is None else current.state

    def discard(self, incoming: IncomingUpload) -> None:
        """Forget an upload of which nothing was received, its bytes first."""
        self._receiving.discard(incoming)

    def discard_spool(self, incoming: IncomingUpload) -> None:
        """Remove the bytes of an upload that somebody has ended."""
        discard_spool(self._catalog, self._receiving.store, incoming.uuid)

    def find_left(self) -> tuple[list[LeftUpload], bool]:
        """Uploads of this host whose process has ended; whether any is to be looked for again.

        Those of hosts that are away as well, where the store has their spools for every host. What these have is known
        once they are taken over.
        Also those that have lost their project and with it their place: what was acknowledged is imported all the same.
        Those whose first byte never reached the store are forgotten: nobody was told that it is kept.
        """
        with self._catalog.read() as connection:
            rows = connection.execute(
                select(
                    upload.c.uuid, upload.c.owner, project.c.name.label("project"),
                    gradual_upload.c.timestamp, gradual_upload.c.label, gradual_upload.c.objects,
                )
                .join(reception, reception.c.upload_id == upload.c.id)
                .outerjoin(gradual_upload, gradual_upload.c.upload_id == upload.c.id)
                .outerjoin(project, project.c.id == gradual_upload.c.project_id)
                .where(reception.c.door == "gradual", upload.c.state == ImportState.RECEIVING)
                .order_by(upload.c.id)
            ).all()  # fmt: skip
            away = {owner for owner in {row.owner for row in rows} if self._is_away(connection, owner)}
        shares_spools = self._receiving.store.shares_spools
        spools = set[str]() if shares_spools else set(self._receiving.store.spools())
        left, lingers = [], False
        for row in rows:
            is_elsewhere = is_other_host(row.owner, self._catalog.host)
            if row.owner == self._owner or (is_elsewhere and row.owner not in away):
                continue
            ended = is_elsewhere or has_ended(row.owner, self._catalog.host)
            if not ended:
                lingers = lingers or ended is False
                continue
            incoming = self._receiving.find(row.uuid)
            if incoming is None:
                continue
            if shares_spools or row.uuid in spools:
                has_place = row.project is not None
                uri = uris.session("prearchive", row.project, row.timestamp, "", row.label) if has_place else ""
                left.append(LeftUpload(incoming=incoming, owner=row.owner, uri=uri))
            elif row.objects or incoming.received:  # as where nothing is mounted
                lingers = True
            else:
                self._receiving.discard(incoming)
        return left, lingers

    def _is_away(self, connection: Connection, owner: str) -> bool:
        """Whether an owner is of another host that is away and whose spools this one may go on with."""
        is_elsewhere = self._receiving.store.shares_spools and is_other_host(owner, self._catalog.host)
        return is_elsewhere and has_left(self._catalog, connection, owner)

    def take_over(self, left: LeftUpload) -> IncomingUpload | None:
        """Have this process go on with an upload, and none before it; None where somebody else does, or has ended it.

        A process that goes on after all, as of a host that could not reach the catalog for a while, can have nothing
        accepted any more, nor acknowledge what comes.
        """
        incoming = replace(left.incoming, writer=new_uuid())
        with self._catalog.write() as connection:
            if not take_over_upload(connection, left.incoming, left.owner, self._owner):
                return None
            connection.execute(
                update(reception).where(reception.c.upload_id == incoming.upload_id).values(writer=incoming.writer)
            )
            self._hold_spool(connection, incoming)
        return incoming

    def read_wanted(self) -> list[int]:
        """The uploads whose sessions somebody asks for, and whose imports have not begun."""
        with self._catalog.read() as connection:
            query = (
                select(gradual_upload.c.upload_id)
                .join(upload, upload.c.id == gradual_upload.c.upload_id)
                .where(gradual_upload.c.wanted, upload.c.state == ImportState.RECEIVING)
            )
            return list(connection.execute(query).scalars())

    def write_progress(self, progress: Iterable[StudyProgress]) -> list[int]:
        """Note for pages and backups what has come; the uploads among these that are not being received any more.

        Nothing of those that another host has taken over: their next sync tells who received them.
        """
        over: list[int] = []
        rows = list(progress)
        if not rows:
            return over
        with self._catalog.write() as connection:
            now = self._catalog.now()
            receiving = select(upload.c.id).where(upload.c.state == ImportState.RECEIVING)
            for row in rows:
                is_open = and_(reception.c.upload_id == row.upload_id, reception.c.upload_id.in_(receiving))
                is_own = is_open & (reception.c.writer == row.writer)
                written = connection.execute(update(reception).where(is_own).values(received=row.bytes, heard=now))
                if not written.rowcount:
                    if connection.execute(select(reception.c.upload_id).where(is_open)).first() is None:
                        over.append(row.upload_id)
                    continue
                connection.execute(
                    update(gradual_upload)
                    .where(gradual_upload.c.upload_id == row.upload_id)
                    .values(objects=row.objects)
                )
        return over


def _check_label(connection: Connection, place: GradualPlace, offer: UploadOffer) -> None:
    """Raise PlaceUnknown or PlaceReserved where something else may have a session's label since its place was found."""
    view = SqlView(connection, account_id=offer.account_id)
    known = [
        *view.promised_sessions(place.project, label=place.label),
        *view.sessions_labelled(place.project, place.label),
    ]
    if any(one.study_uid != place.study_uid for one in known):
        raise PlaceUnknown
    if offer.request.session is None:  # else it is called as is asked for, whatever others are
        own = find_holders(connection, None, {study_lock(place.project, place.study_uid)})
        if find_holders(connection, None, {label_lock(place.project, place.label)}) - own:
            raise PlaceReserved


# -- sessions that are still to be built -------------------------------------------------------------------------------


def visible_promises(principal: Principal, action: Action) -> ColumnElement[bool]:
    """A condition on `gradual_upload`, its `upload`, `reception` and `project`: its session is to be built, and
    `principal` may do `action` to it; to one's own in `Unassigned` as well.
    """
    ways = [projects_where(principal, action)]
    if principal.signed_in and principal.scope in REQUIREMENTS[action].scopes:
        ways.append(and_(project.c.name == UNASSIGNED, reception.c.account_id == principal.account_id))
    return and_(upload.c.state.in_(UNFINISHED), or_(*ways))


def find_promised(connection: Connection, principal: Principal, where: Iterable[PrearchiveSessionUri]) -> list[int]:
    """The uploads of which the sessions at these addresses are still to be built, that one may look at."""
    addresses = [
        and_(
            project.c.key == one.project.casefold(),
            gradual_upload.c.timestamp == one.timestamp,
            gradual_upload.c.key == label_key(one.label),
        )
        for one in where
    ]
    return list(connection.execute(_select_visible(principal).where(or_(*addresses))).scalars())


def find_promised_studies(connection: Connection, principal: Principal, study_uid: str | None) -> list[int]:
    """The uploads of which sessions of a study, None: of any, are still to be built, that one may look at."""
    query = _select_visible(principal)
    if study_uid is not None:
        query = query.where(gradual_upload.c.study_uid == study_uid)
    return list(connection.execute(query).scalars())


def find_own_uploads(connection: Connection, principal: Principal, upload_ids: Sequence[int]) -> list[int]:
    """Those of some uploads that the account of `principal` has sent."""
    query = select(reception.c.upload_id).where(
        reception.c.upload_id.in_(upload_ids), reception.c.account_id == principal.account_id
    )
    return list(connection.execute(query).scalars())


def list_unfinished_uploads(connection: Connection, study_uid: str) -> list[int]:
    """The uploads of which sessions of a study are still to be built, also those that nobody may look at."""
    query = (
        select(gradual_upload.c.upload_id)
        .join(upload, upload.c.id == gradual_upload.c.upload_id)
        .where(gradual_upload.c.study_uid == study_uid, upload.c.state.in_(UNFINISHED))
    )
    return list(connection.execute(query).scalars())


def find_coming(connection: Connection, principal: Principal, uuids: Iterable[str]) -> list[int]:
    """The uploads of objects that are still to join these sessions, which one may look at."""
    is_there = and_(
        session.c.project_id == gradual_upload.c.project_id,
        session.c.timestamp == gradual_upload.c.timestamp,
        session.c.key == gradual_upload.c.key,
    )
    query = _select_visible(principal).join(session, is_there).where(session.c.uuid.in_(list(uuids)))
    return list(connection.execute(query).scalars())


def _select_visible(principal: Principal) -> Select[int]:
    """The uploads of which a session is still to be built, that one may look at."""
    return (
        select(gradual_upload.c.upload_id)
        .join(project, project.c.id == gradual_upload.c.project_id)
        .join(upload, upload.c.id == gradual_upload.c.upload_id)
        .join(reception, reception.c.upload_id == gradual_upload.c.upload_id)
        .where(visible_promises(principal, Action.PREARCHIVE_READ))
    )


def ask_for_sessions(catalog: Catalog, upload_ids: Iterable[int]) -> None:
    """Have the imports of these uploads begin; the processes that receive them see to it."""
    with catalog.write() as connection:
        connection.execute(
            update(gradual_upload)
            .where(gradual_upload.c.upload_id.in_(list(upload_ids)), ~gradual_upload.c.wanted)
            .values(wanted=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """An upload whose import has not ended."""

    upload_id: int
    uuid: str
    is_receiving: bool
    """Whether its import has not begun."""
    is_away: bool
    """Whether that is because the host that received it is away."""
    stands: bool
    """Whether its session stands, without its objects."""


def list_unfinished(
    catalog: Catalog, connection: Connection, upload_ids: Iterable[int], *, shares_spools: bool
) -> list[UnfinishedUpload]:
    """Those of these uploads that are not imported yet.

    `shares_spools`: what a host has received that is away now, another one goes on with.
    """
    rows = connection.execute(
        select(upload.c.id, upload.c.uuid, upload.c.state, upload.c.owner, exists(_SESSION_OF_UPLOAD).label("stands"))
        .join(gradual_upload, gradual_upload.c.upload_id == upload.c.id)
        .where(upload.c.id.in_(list(upload_ids)), upload.c.state.in_(UNFINISHED))
        .order_by(upload.c.id)
    ).all()
    unfinished = []
    for row in rows:
        is_receiving = row.state == ImportState.RECEIVING
        is_elsewhere = is_receiving and is_other_host(row.owner, catalog.host)
        is_away = is_elsewhere and not shares_spools and has_left(catalog, connection, row.owner)
        unfinished.append(
            UnfinishedUpload(
                upload_id=row.id, uuid=row.uuid, is_receiving=is_receiving, is_away=is_away, stands=bool(row.stands)
            )
        )
    return unfinished


def check_built(connection: Connection, upload_ids: Iterable[int]) -> None:
    """Raise SessionNotBuilt where the import of one of these has failed, and no session stands where it was to."""
    row = connection.execute(
        select(upload.c.uuid, upload.c.message)
        .join(gradual_upload, gradual_upload.c.upload_id == upload.c.id)
        .where(upload.c.id.in_(list(upload_ids)), upload.c.state.in_(_FAILED), ~exists(_SESSION_OF_UPLOAD))
        .order_by(upload.c.id)
        .limit(1)
    ).first()
    if row is not None:
        raise SessionNotBuilt(row.uuid, row.message)


def forget_ended(catalog: Catalog) -> int:
    """Remove the rows whose imports have ended: their sessions stand in the catalog, or their receipts say why not."""
    ended = select(upload.c.id).where(upload.c.state.not_in(UNFINISHED))
    with catalog.read() as connection:
        ids = connection.execute(
            select(gradual_upload.c.upload_id).where(gradual_upload.c.upload_id.in_(ended))
        ).scalars().all()  # fmt: skip
    if ids:
        with catalog.write() as connection:
            connection.execute(delete(gradual_upload).where(gradual_upload.c.upload_id.in_(ids)))
    return len(ids)
