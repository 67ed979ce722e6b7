"""What DICOM receivers do now and did last: which listen, open studies, associations; and what people want of studies.

The receiver process writes all of it (`services.received_studies`); here it is read, as somebody may see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Row, RowMapping, Select, and_, delete, exists, or_, select, update

from scandock.access.clock import now_ms
from scandock.access.principal import Principal
from scandock.catalog.server_tables import dicom_association, received_study, receiver, receiver_state, reception
from scandock.catalog.tables import project, upload
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.model.receivers import Receiver
from scandock.model.reception import SILENT_MS, AssociationOutcome, StudyWish
from scandock.model.verdicts import QUEUED, ImportState
from scandock.queue.cancel import CancelResult, cancel
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.audit import AuditAction, DetailValue
from scandock.services.imports import VisibleImport, end_cancel, find_import
from scandock.services.pagination import Page, Sorting, read_page
from scandock.services.receiver_errors import StudyHostSilent, StudyNotReceiving
from scandock.services.receiver_states import is_host_silent
from scandock.services.receivers import list_receivers

if TYPE_CHECKING:
    from scandock.services.context import ServiceContext

MAX_STUDIES: Final = 500
"""Open studies that are listed, those that came last."""

STOPPED: Final = "Stopped together with all receivers. Enable it, or all of them by /xapi/dicomscp/start."

StateWord = Literal["disabled", "rejecting", "starting", "listening", "failed"]
Outcome = Literal["open", "released", "ended", "rejected", "failed"]


@dataclass(frozen=True, kw_only=True)
class ReceiverState(JsonRecord):
    """How a receiver is."""

    receiver: Annotated[str, Field(description="Its id")]
    state: Annotated[StateWord, Field(description="rejecting: it listens, but its project or account is gone")]
    hosts: Annotated[list[str], Field(description="Hosts on which it listens")]
    message: Annotated[str, Field(description="Why it does not listen, or rejects all")]


@dataclass(frozen=True, kw_only=True)
class OpenStudy(JsonRecord):
    """A study that is being received; it has the id of its import to be."""

    id: str
    receiver: Annotated[str | None, Field(description="Its id; null where it was removed")]
    called: Annotated[str, Field(description="AE title that was called")]
    calling: Annotated[str, Field(description="AE title of who sent the first object")]
    address: str
    host: Annotated[str, Field(description="The host that receives it")]
    host_silent: Annotated[bool, Field(description="Its host does not answer: the study goes on when that is back")]
    project: Annotated[str | None, Field(description="null: by the rules and the headers")]
    objects: int
    bytes: int
    rate: Annotated[int, Field(description="Bytes a second")]
    begun: Moment
    heard: Moment
    wish: Annotated[Literal["", "close", "discard"], Field(description="What somebody wants done with it")]

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        return cls(
            id=row["uuid"],
            receiver=row["receiver"],
            called=row["called"],
            calling=row["calling"],
            address=row["address"],
            host=row["host"],
            host_silent=row["silent"],
            project=row["project"],
            objects=row["objects"],
            bytes=row["received"],
            rate=row["rate"],
            begun=row["begun"],
            heard=row["heard"],
            wish=row["wish"],
        )


@dataclass(frozen=True, kw_only=True)
class Association(JsonRecord):
    """An association with a receiver, or one that was refused."""

    id: int
    number: Annotated[int, Field(description="As the log of its host has it; 0 where it was not noted")]
    receiver: Annotated[str | None, Field(description="Its id; null where the peer called none")]
    host: str
    port: int
    called: str
    calling: str
    address: str
    security: Annotated[str, Field(description="TLS version and certificate of the peer")]
    outcome: Annotated[Outcome, Field(description="failed: the connection ended before there was an association")]
    message: Annotated[str, Field(description="Why, or what was refused for which reasons, one a line")]
    objects: int
    bytes: int
    failures: Annotated[int, Field(description="Objects that were refused")]
    begun: Moment
    ended: MaybeMoment

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        return cls(
            id=row["id"],
            number=row["number"],
            receiver=row["receiver"],
            host=row["host"],
            port=row["port"],
            called=row["called"],
            calling=row["calling"],
            address=row["address"],
            security=row["security"],
            outcome=row["outcome"],
            message=row["message"],
            objects=row["objects"],
            bytes=row["bytes"],
            failures=row["failures"],
            begun=row["begun"],
            ended=row["ended"],
        )


def list_states(connection: Connection, principal: Principal, project_name: str | None = None) -> list[ReceiverState]:
    """How each receiver is that somebody may read, in the order of `list_receivers`. AccessDenied."""
    receivers = list_receivers(connection, principal, project_name)
    rows: dict[int, list[RowMapping]] = {}
    for row in connection.execute(select(receiver_state).order_by(receiver_state.c.host)).mappings():
        rows.setdefault(row["receiver_id"], []).append(row)
    now = now_ms(connection)
    return [_state_of(one, rows.get(one.number, []), now) for one in receivers]


def list_open_studies(connection: Connection, principal: Principal, project_name: str | None = None) -> list[OpenStudy]:
    """Studies that are being received, of the receivers that somebody may read, the newest first. AccessDenied."""
    query = (
        select(
            received_study, upload.c.uuid, reception.c.received, receiver.c.uuid.label("receiver"),
            project.c.name.label("project"), _is_study_silent(now_ms(connection)).label("silent"),
        )
        .join(upload, upload.c.id == received_study.c.upload_id)
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(receiver, receiver.c.id == received_study.c.receiver_id)
        .outerjoin(project, project.c.id == reception.c.project_id)
        .where(upload.c.state == ImportState.RECEIVING)
        .order_by(received_study.c.begun.desc(), received_study.c.upload_id.desc())
        .limit(MAX_STUDIES)
    )  # fmt: skip
    rights.check_scope(principal, Action.RECEIVERS_READ)
    if not principal.admin or project_name is not None:
        receivers = list_receivers(connection, principal, project_name)
        query = query.where(received_study.c.receiver_id.in_([one.number for one in receivers]))
    return [OpenStudy.from_row(row) for row in connection.execute(query).mappings()]


def list_associations(
    connection: Connection,
    principal: Principal,
    sorting: Sorting,
    *,
    project_name: str | None = None,
    refused: bool = False,
) -> Page[Association]:
    """The last associations and refusals, the newest first; `refused`: those alone of which something was refused.

    Who is no administrator sees those with receivers of projects that they own. AccessDenied, CursorInvalid.
    """
    rights.check_scope(principal, Action.RECEIVERS_READ)
    query: Select[tuple[object, ...]] = select(dicom_association, receiver.c.uuid.label("receiver")).outerjoin(
        receiver, receiver.c.id == dicom_association.c.receiver_id
    )
    if not principal.admin or project_name is not None:
        receivers = list_receivers(connection, principal, project_name)
        called = [  # a refusal names no receiver, but what was called
            and_(
                dicom_association.c.receiver_id.is_(None),
                dicom_association.c.called == one.title,
                dicom_association.c.port == one.port,
            )
            for one in receivers
        ]
        query = query.where(or_(dicom_association.c.receiver_id.in_([one.number for one in receivers]), *called))
    if refused:
        troubled = (AssociationOutcome.REJECTED, AssociationOutcome.FAILED, AssociationOutcome.ENDED)
        query = query.where(or_(dicom_association.c.outcome.in_(troubled), dicom_association.c.failures > 0))
    sorts = {"begun": dicom_association.c.begun}
    return read_page(connection, query, sorts, dicom_association.c.id, sorting, Association.from_row)


def ask_for_study(context: ServiceContext, uuid: str, wish: StudyWish) -> None:
    """Have a study that is being received imported as it is now, or forgotten; the receiver process sees to it.

    As an import is cancelled: by who owns its project, and the account that it came for. Of a host that does not
    answer it is forgotten here: that host removes its bytes when it is back. One whose import waits or runs can be
    discarded as well: that is cancelled. AccessDenied, StudyNotReceiving, StudyHostSilent; ImportPlacing, ImportEnded.
    """
    with context.catalog.write() as connection:
        visible = find_import(connection, context.principal, uuid, Action.IMPORT_CANCEL)
        became = None
        if wish is StudyWish.DISCARD and visible.door == "dimse" and visible.state in QUEUED:
            became = _discard_queued(context, connection, visible)
        else:
            _ask_receiver(context, connection, visible, wish)
    if became is not None:
        end_cancel(context.catalog, context.store, uuid, became)


def _discard_queued(context: ServiceContext, connection: Connection, visible: VisibleImport) -> CancelResult:
    """Cancel the import of a study that waits or runs; its receipt says so."""
    study = connection.execute(
        select(received_study, reception.c.received)
        .join(reception, reception.c.upload_id == received_study.c.upload_id)
        .where(received_study.c.upload_id == visible.upload_id)
    ).one()
    became = cancel(context.catalog, connection, visible.upload_id)
    if became in (CancelResult.DONE, CancelResult.COMING):
        _note(context, connection, AuditAction.STUDY_DISCARD, visible, study)
    return became


def _ask_receiver(context: ServiceContext, connection: Connection, visible: VisibleImport, wish: StudyWish) -> None:
    of_upload = received_study.c.upload_id == visible.upload_id
    silent = _is_study_silent(context.catalog.now()).label("silent")
    study = connection.execute(
        select(received_study, reception.c.received, silent)
        .join(reception, reception.c.upload_id == received_study.c.upload_id)
        .where(of_upload)
        .with_for_update(of=received_study)  # its import waits
    ).first()
    if study is None or (study.wish == StudyWish.DISCARD and wish is StudyWish.CLOSE):
        raise StudyNotReceiving
    is_open = exists().where(upload.c.id == visible.upload_id, upload.c.state == ImportState.RECEIVING)
    if not connection.execute(update(received_study).where(of_upload, is_open).values(wish=wish)).rowcount:
        raise StudyNotReceiving
    if study.silent:
        if wish is StudyWish.CLOSE:
            raise StudyHostSilent(study.host)
        connection.execute(delete(upload).where(upload.c.id == visible.upload_id))
    action = AuditAction.STUDY_CLOSE if wish is StudyWish.CLOSE else AuditAction.STUDY_DISCARD
    _note(context, connection, action, visible, study)


def _note(
    context: ServiceContext, connection: Connection, action: AuditAction, visible: VisibleImport, study: Row[Any]
) -> None:
    details: dict[str, DetailValue] = {
        "calling": study.calling,
        "called": study.called,
        "objects": study.objects,  # as the receiver has told last
        "bytes": study.received,
    }
    context.note(connection, action, visible.uuid, visible.project or "", details, kind="import")


def _is_study_silent(now: ColumnElement[int] | int) -> ColumnElement[bool]:
    return and_(received_study.c.heard < now - SILENT_MS, is_host_silent(received_study.c.host, now))


def _state_of(one: Receiver, rows: list[RowMapping], now: int) -> ReceiverState:
    hosts: list[str] = []
    word: StateWord
    message = ""
    current = [row for row in rows if row["at"] >= max(one.modified, now - SILENT_MS)]
    failed = [row for row in current if not row["listening"]]
    if not one.enabled:
        word, message = "disabled", STOPPED if one.stopped else ""
    elif failed:
        word, message = "failed", " ".join(f"{row['host']}: {row['message']}" for row in failed)
    elif current:
        word = "listening"
    elif now - one.modified > SILENT_MS:
        word, message = "failed", "No server of its host listens for it."
    else:
        word = "starting"
    if one.enabled:
        hosts = [row["host"] for row in current if row["listening"]]
    if word == "listening" and one.is_project_missing:
        word, message = "rejecting", "Its project was deleted."
    elif word == "listening" and one.account_disabled:
        word, message = "rejecting", f"The account {one.account} is disabled."
    elif word == "listening" and not one.may_upload:
        word, message = "rejecting", f"The account {one.account} may not upload to {one.project} any more."
    return ReceiverState(receiver=one.uuid, state=word, hosts=hosts, message=message)
