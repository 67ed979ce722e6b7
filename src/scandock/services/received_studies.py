"""Studies that DICOM receivers take: their rows from the first object to the import, for the receiver process.

A study is an upload of the door `dimse` (`receiving.py`), with a row of `received_study` beside it. No object costs a
write to the catalog: what has come so far is noted every few seconds, for pages.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import SYSTEM, Door, RequestInfo
from scandock.catalog import receivers
from scandock.catalog.server_tables import dicom_association, received_study, receiver, receiver_state, reception
from scandock.catalog.tables import project, upload
from scandock.model.errors import Coded, Fault
from scandock.model.reception import AssociationOutcome, CloseReason, StudyWish
from scandock.model.verdicts import ImportState
from scandock.queue.owner import has_ended, is_mine, this_owner
from scandock.services.audit import DetailValue
from scandock.services.privacy_source import usable_privacy
from scandock.services.receivers import make_import_request
from scandock.services.receiving import IncomingUpload, UploadOffer
from scandock.services.spool_removal import discard_spool

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.catalog.engine import Catalog
    from scandock.model.receivers import Receiver
    from scandock.services.receiving import UploadReceiver

KEPT_ASSOCIATIONS: Final = 2_000
"""The last associations that are kept, and the last refusals: a flood of those pushes no association out."""
MAX_MESSAGE: Final = 1_000
"""Characters of what is told of one."""
_REFUSALS: Final = (AssociationOutcome.REJECTED, AssociationOutcome.FAILED)
HOST: Final = platform.node()


class ReceiverUnfit(Coded, Fault):
    """What a receiver takes can't go anywhere now."""

    CODE = "receiver_unfit"
    MEANING = "A DICOM receiver takes nothing, as its project was deleted or the account that it acts for is disabled."
    SENTENCE = "The receiver {title} takes nothing: {why}."
    REMEDY = "Name another project or account for it."

    def __init__(self, title: str, why: str) -> None:
        self._fill({"title": title, "why": why})


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySender:
    """Who sent the first object of a study."""

    calling: str
    called: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """What has come of a study so far."""

    upload_id: int
    objects: int
    bytes: int
    """On disk."""
    rate: int
    """Bytes a second since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftStudy:
    """A study whose receiver process has ended."""

    incoming: IncomingUpload
    receiver: Receiver | None
    """None where it was removed, or is set to import otherwise: nothing goes on with the study."""
    sender: StudySender


@dataclass(slots=True, kw_only=True)
class AssociationLine:
    """An association, or a refusal, as it is to be told; `key` tells it from others of this process."""

    key: int
    receiver_id: int | None
    port: int
    called: str
    calling: str
    address: str
    security: str = ""
    outcome: AssociationOutcome
    message: str = ""
    begun: int
    """Unix milliseconds."""
    ended: int | None = None
    objects: int = 0
    bytes: int = 0
    failures: int = 0

    @property
    def columns(self) -> dict[str, object]:
        return {
            "receiver_id": self.receiver_id,
            "host": HOST,
            "port": self.port,
            "called": _clean(self.called, 16),
            "calling": _clean(self.calling, 16),
            "address": _clean(self.address, 64),
            "security": _clean(self.security, MAX_MESSAGE),
            "outcome": self.outcome,
            "message": _clean(self.message, MAX_MESSAGE),
            "begun": self.begun,
            "ended": self.ended,
            "objects": self.objects,
            "bytes": self.bytes,
            "failures": self.failures,
        }


def _clean(text: str, length: int) -> str:
    """What a peer sent, as any catalog takes it: PostgreSQL takes no NUL, nor what is no text."""
    return text[:length].replace("\0", "?").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverListening:
    """Whether a receiver listens on this host, or why not."""

    receiver_id: int
    listening: bool
    message: str = ""


def _goes_on(receiver: Receiver, request: str, account_id: int) -> bool:
    """Whether what a receiver takes now is imported as an upload that was begun with a request."""
    return (make_import_request(receiver).to_json(), receiver.account_id) == (request, account_id)


def unfit_reason(receiver: Receiver) -> str:
    """Why what a receiver takes could go nowhere; empty where it can."""
    if receiver.is_project_missing:
        return "its project was deleted"
    if receiver.account_disabled:
        return f"the account {receiver.account} is disabled"
    return ""


def end_left_associations(catalog: Catalog) -> int:
    """Say of associations of receiver processes of this host that are gone that they ended; how many."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(dicom_association.c.id, dicom_association.c.owner).where(
                dicom_association.c.outcome == AssociationOutcome.OPEN, dicom_association.c.host == HOST
            )
        ).all()
    ended = [row.id for row in rows if not is_mine(row.owner) and has_ended(row.owner) is not False]
    if ended:
        with catalog.write() as connection:
            for row_id in ended:
                connection.execute(
                    update(dicom_association)
                    .where(dicom_association.c.id == row_id)
                    .values(
                        outcome=AssociationOutcome.ENDED, ended=catalog.now(), message="The receiver process was ended."
                    )
                )
    return len(ended)


class ReceivedStudies:
    """The rows of studies of one receiver process; may be used by its threads."""

    def __init__(self, catalog: Catalog, receiving: UploadReceiver) -> None:
        self.catalog = catalog
        self.receiving = receiving
        self._known: set[int] = set()
        """Uploads that this process has begun or taken over."""
        self._rows: dict[int, int] = {}
        """Rows of the associations that are open, by their keys."""

    def list_receivers(self) -> list[Receiver]:
        """All receivers, as they are set now."""
        with self.catalog.read() as connection:
            return receivers.list_receivers(connection)

    def changes_objects(self, receiver: Receiver) -> bool:
        """Whether what a receiver takes is de-identified, as far as is known before it has come."""
        with self.catalog.read() as connection:
            privacy = usable_privacy(connection)
        if privacy is None:
            return False
        rules = privacy.site if receiver.project is None else privacy.of(receiver.project)
        return rules.changes_objects

    def begin(self, receiver: Receiver, sender: StudySender) -> IncomingUpload:
        """Record that a study comes. Fault `disk_full`, `receiver_unfit`, or of the catalog."""
        if reason := unfit_reason(receiver):
            raise ReceiverUnfit(receiver.title, reason)
        with self.catalog.read() as connection:
            project_id = connection.execute(select(project.c.id).where(project.c.name == receiver.project)).scalar()
        offer = UploadOffer(
            account_id=receiver.account_id,
            door="dimse",
            filename=f"DICOM from {sender.calling or sender.address}",
            request=make_import_request(receiver),
            project_id=project_id,
            projects=(receiver.project,) if receiver.project is not None else (),
        )

        def note(connection: Connection, incoming: IncomingUpload) -> None:
            self._known.add(incoming.upload_id)
            now = self.catalog.now()
            connection.execute(
                insert(received_study).values(
                    upload_id=incoming.upload_id,
                    receiver_id=receiver.number,
                    calling=sender.calling,
                    called=sender.called,
                    address=sender.address,
                    host=HOST,
                    begun=now,
                    heard=now,
                )
            )

        return self.receiving.begin(offer, note)

    def accept(
        self, incoming: IncomingUpload, size: int, objects: int, sender: StudySender, reason: CloseReason
    ) -> bool:
        """Let the import of a study begin, all of whose bytes are on disk.

        False where somebody has ended it, or wants it discarded.
        """
        with self.catalog.write() as connection:
            wish = connection.execute(
                select(received_study.c.wish).where(received_study.c.upload_id == incoming.upload_id).with_for_update()
            ).scalar()
            if wish == StudyWish.DISCARD:
                return False
            connection.execute(
                update(received_study)
                .where(received_study.c.upload_id == incoming.upload_id)
                .values(objects=objects, rate=0, wish="", closed_by=reason)
            )
            account = accounts.by_id(connection, incoming.account_id)
            principal = SYSTEM if account is None else make_principal(connection, account, Door.SYSTEM)
        details: dict[str, DetailValue] = {
            "calling": sender.calling,
            "called": sender.called,
            "objects": objects,
            "closed": reason.value,
        }
        request = RequestInfo(address=sender.address)
        is_accepted = self.receiving.accept(incoming, size, principal, request, details=details)
        self._known.discard(incoming.upload_id)
        return is_accepted

    def read_state(self, incoming: IncomingUpload) -> ImportState | None:
        """How far a study's upload is; None where it is gone."""
        current = self.receiving.find(incoming.uuid)
        return None if current is None else current.state

    def discard(self, incoming: IncomingUpload) -> None:
        """Forget a study, its bytes first."""
        self.receiving.discard(incoming)
        self._known.discard(incoming.upload_id)

    def discard_spool(self, incoming: IncomingUpload) -> None:
        """Remove the bytes of a study that somebody has ended."""
        discard_spool(self.catalog, self.receiving.store, incoming.uuid)

    def take_left(self, left: list[LeftStudy]) -> bool:
        """Take over studies that stand in this store and whose receiver process is gone; each is added to `left`.

        So those that were taken before a Fault are known. Those of this host whose first byte never reached the store
        are forgotten. Returns whether there are any of a process that has not quite ended, as one that waits for its
        disk: they are to be asked for again.
        """
        with self.catalog.read() as connection:
            rows = connection.execute(
                select(upload.c.id, upload.c.uuid, upload.c.owner, upload.c.request, received_study)
                .join(reception, reception.c.upload_id == upload.c.id)
                .join(received_study, received_study.c.upload_id == upload.c.id)
                .where(upload.c.state == ImportState.RECEIVING, reception.c.door == "dimse")
                .order_by(upload.c.id)
            ).all()
            known = {one.number: one for one in receivers.list_receivers(connection)}
        spools = set(self.receiving.store.spools())
        mine = this_owner(place=self.catalog.place)
        lingers = False
        for row in rows:
            is_taken = is_mine(row.owner)  # and the answer of the catalog was lost, where nobody knows of it
            ended = has_ended(row.owner)
            if (is_taken and row.id in self._known) or (row.uuid not in spools and ended is None):
                continue
            if ended is False and not is_taken:
                lingers = True
                continue
            incoming = self.receiving.find(row.uuid)
            if incoming is None:
                continue
            if row.uuid not in spools:
                self.receiving.discard(incoming)
                continue
            with self.catalog.write() as connection:
                taken = connection.execute(
                    update(upload)
                    .where(upload.c.id == row.id, upload.c.owner == row.owner, upload.c.state == ImportState.RECEIVING)
                    .values(owner=mine)
                ).rowcount
            if taken:
                self._known.add(row.id)
                sender = StudySender(calling=row.calling, called=row.called, address=row.address)
                receiver = known.get(row.receiver_id)
                if receiver is not None and not _goes_on(receiver, row.request, incoming.account_id):
                    receiver = None
                left.append(LeftStudy(incoming=incoming, receiver=receiver, sender=sender))
        return lingers

    def read_wishes(self) -> dict[int, StudyWish]:
        """What people want done with studies that are being received, by their uploads."""
        with self.catalog.read() as connection:
            rows = connection.execute(
                select(received_study.c.upload_id, received_study.c.wish).where(received_study.c.wish != "")
            ).all()
        return {row.upload_id: StudyWish(row.wish) for row in rows}

    def write_progress(self, studies: Iterable[StudyProgress]) -> None:
        """Note for pages what has come."""
        progress = list(studies)
        if not progress:
            return
        with self.catalog.write() as connection:
            now = self.catalog.now()
            for study in progress:
                connection.execute(
                    update(received_study)
                    .where(received_study.c.upload_id == study.upload_id)
                    .values(objects=study.objects, rate=study.rate, heard=now)
                )
                connection.execute(
                    update(reception)
                    .where(reception.c.upload_id == study.upload_id)
                    .values(received=study.bytes, heard=now)
                )

    def write_associations(self, lines: Iterable[AssociationLine]) -> None:
        """Note associations that began, went on or ended; the oldest beyond those that are kept go."""
        associations = list(lines)
        if not associations:
            return
        owner = this_owner(place=self.catalog.place)
        written: dict[int, int] = {}
        with self.catalog.write() as connection:
            known = set(connection.execute(select(receiver.c.id)).scalars())
            for line in associations:
                columns = line.columns
                if line.receiver_id not in known:  # it was removed meanwhile
                    columns["receiver_id"] = None
                row = self._rows.get(line.key)
                if row is None:
                    key = connection.execute(
                        insert(dicom_association).values(owner=owner, **columns)
                    ).inserted_primary_key
                    assert key is not None
                    row = key[0]
                else:
                    connection.execute(update(dicom_association).where(dicom_association.c.id == row).values(**columns))
                written[line.key] = row
            is_refusal = dicom_association.c.outcome.in_(_REFUSALS)
            for kind in (is_refusal, ~is_refusal):
                newest = select(dicom_association.c.id).where(kind).order_by(dicom_association.c.id.desc())
                oldest = connection.execute(newest.offset(KEPT_ASSOCIATIONS).limit(1)).scalar()
                if oldest is not None:
                    is_over = dicom_association.c.outcome != AssociationOutcome.OPEN
                    connection.execute(delete(dicom_association).where(kind, is_over, dicom_association.c.id <= oldest))
        self._rows |= written
        for line in associations:
            if line.outcome is not AssociationOutcome.OPEN:
                del self._rows[line.key]

    def end_left_associations(self) -> None:
        """Say of associations of processes that are gone that they ended."""
        end_left_associations(self.catalog)

    def write_states(self, states: Iterable[ReceiverListening]) -> None:
        """Say which receivers listen on this host, in place of what was said."""
        rows = [
            {
                "receiver_id": state.receiver_id,
                "host": HOST,
                "listening": state.listening,
                "message": state.message,
            }
            for state in states
        ]
        with self.catalog.write() as connection:
            connection.execute(delete(receiver_state).where(receiver_state.c.host == HOST))
            known = {one.number for one in receivers.list_receivers(connection)}
            for row in rows:
                if row["receiver_id"] in known:
                    connection.execute(insert(receiver_state).values(at=self.catalog.now(), **row))
