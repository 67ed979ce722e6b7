"""Studies that DICOM receivers take: their rows from the first object to the import, for the receiver process.

A worker keeps them for it (`workers/receiver_catalog_thread.py`): that process has no database. A study is an upload of
the door `dimse` (`receiving.py`), with a row of `received_study` beside it. No object costs a write to the catalog:
what has come so far is noted every few seconds, for pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, exists, func, insert, select, update

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import SYSTEM, Door, RequestInfo
from scandock.catalog import receivers
from scandock.catalog.server_tables import dicom_association, received_study, receiver, receiver_state, reception
from scandock.catalog.tables import project, upload
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.reception import AssociationOutcome, CloseReason, StudyWish
from scandock.model.verdicts import ImportState
from scandock.queue.owner import has_ended, is_mine, is_other_host
from scandock.services.audit import DetailValue
from scandock.services.commitment import Commitments
from scandock.services.logs import log
from scandock.services.privacy_source import usable_privacy
from scandock.services.received_records import (
    HOST,
    AssociationLine,
    CallerGone,
    LeftStudy,
    ReceiverListening,
    ReceiverUnfit,
    StudyProgress,
    StudySender,
    unfit_reason,
)
from scandock.services.receivers import list_all_receivers, make_import_request
from scandock.services.receiving import UploadOffer
from scandock.services.spool_removal import discard_spool, is_anything_private

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.catalog.engine import Catalog
    from scandock.dimse.records import CommitmentAnswer, CommitmentRequest
    from scandock.model.receivers import Receiver
    from scandock.services.receiving import UploadReceiver

KEPT_ASSOCIATIONS: Final = 2_000
"""The last associations that are kept, and the last refusals: a flood of those pushes no association out."""
_REFUSALS: Final = (AssociationOutcome.REJECTED, AssociationOutcome.FAILED)


def _goes_on(receiver: Receiver, request: str, account_id: int) -> bool:
    """Whether what a receiver takes now is imported as an upload that was begun with a request."""
    return (make_import_request(receiver).to_json(), receiver.account_id) == (request, account_id)


def end_left_associations(catalog: Catalog) -> int:
    """Say of associations of receiver processes of this host that are gone that they ended; how many."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(dicom_association.c.id, dicom_association.c.owner).where(
                dicom_association.c.outcome == AssociationOutcome.OPEN, dicom_association.c.host == HOST
            )
        ).all()
    ended = [
        row.id
        for row in rows
        if not is_mine(row.owner)
        and not is_other_host(row.owner, catalog.host)
        and has_ended(row.owner, catalog.host) is not False
    ]
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


def take_over_upload(connection: Connection, incoming: IncomingUpload, former: str, owner: str) -> bool:
    """Have a process go on with what a former one received; False where somebody else does, or has ended it."""
    changed = connection.execute(
        update(upload)
        .where(
            upload.c.id == incoming.upload_id,
            upload.c.owner.in_((former, owner)),
            upload.c.state == ImportState.RECEIVING,
        )
        .values(owner=owner)
    ).rowcount
    return changed == 1


class ReceivedStudies:
    """The rows of studies of one receiver process; may be used by several threads.

    A call whose answer may be lost with the worker can be made again, but for `accept` and `commit`.
    """

    def __init__(
        self,
        catalog: Catalog,
        receiving: UploadReceiver,
        owner: str,
        is_waited_for: Callable[[], bool] = lambda: True,
    ) -> None:
        """`owner`: the receiver process, as rows name it; also what `receiving` begins uploads for.

        `is_waited_for`: whether who made the call that is being answered still waits for it.
        """
        self.catalog = catalog
        self.receiving = receiving
        self.owner = owner
        self._is_waited_for = is_waited_for
        self._commitments = Commitments(catalog, receiving.store)

    def _check_caller(self) -> None:
        """Have nothing be done, after a long wait for the catalog, that its caller has given up. Raises CallerGone."""
        if not self._is_waited_for():
            raise CallerGone

    def list_receivers(self) -> list[Receiver]:
        """All receivers, as they are set now."""
        with self.catalog.read() as connection:
            return list_all_receivers(connection)

    def changes_objects(self, receiver: Receiver) -> bool:
        """Whether what a receiver takes is de-identified, as far as is known before it has come."""
        with self.catalog.read() as connection:
            privacy = usable_privacy(connection)
        if privacy is None:
            return False
        rules = privacy.site if receiver.project is None else privacy.of(receiver.project)
        return rules.changes_objects

    def is_anything_private(self) -> bool:
        """Whether less than everything may be known of what comes."""
        return is_anything_private(self.catalog)

    def begin(self, receiver: Receiver, sender: StudySender, uuid: str) -> IncomingUpload:
        """Record that a study comes, as an upload of this id. Fault `disk_full`, `receiver_unfit`, or the catalog's."""
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
            self._check_caller()

        return self.receiving.begin(offer, note, uuid)

    def forget(self, uuid: str) -> None:
        """Forget an upload that may have been begun, and of which nothing was received."""
        incoming = self.receiving.find(uuid)
        if incoming is not None:
            self.receiving.discard(incoming)

    def accept(
        self, incoming: IncomingUpload, size: int, objects: int, sender: StudySender, reason: CloseReason
    ) -> bool:
        """Let the import of a study begin, all of whose bytes are on disk.

        False where somebody has ended it, or wants it discarded.
        """

        def prepare(connection: Connection) -> bool:
            of_upload = received_study.c.upload_id == incoming.upload_id
            wish = connection.execute(select(received_study.c.wish).where(of_upload).with_for_update()).scalar()
            if wish == StudyWish.DISCARD:
                return False
            connection.execute(
                update(received_study).where(of_upload).values(objects=objects, rate=0, wish="", closed_by=reason)
            )
            self._check_caller()
            return True

        with closing(self.receiving.store.spool(incoming.uuid)) as spool:
            spool.bring()
        with self.catalog.read() as connection:
            account = accounts.by_id(connection, incoming.account_id)
            principal = SYSTEM if account is None else make_principal(connection, account, Door.SYSTEM)
        details: dict[str, DetailValue] = {
            "calling": sender.calling,
            "called": sender.called,
            "objects": objects,
            "closed": reason.value,
        }
        request = RequestInfo(address=sender.address)
        return self.receiving.accept(incoming, size, principal, request, details=details, prepare=prepare)

    def read_state(self, incoming: IncomingUpload) -> ImportState | None:
        """How far a study's upload is; None where it is gone."""
        current = self.receiving.find(incoming.uuid)
        return None if current is None else current.state

    def discard(self, incoming: IncomingUpload) -> None:
        """Forget a study, its bytes first."""
        self.receiving.discard(incoming)

    def discard_spool(self, incoming: IncomingUpload) -> None:
        """Remove the bytes of a study that somebody has ended."""
        discard_spool(self.catalog, self.receiving.store, incoming.uuid)

    def find_left(self) -> tuple[list[LeftStudy], bool]:
        """Studies that stand in this store and whose receiver process is gone, each to be taken over.

        Those of this host whose first byte never reached the store are forgotten, and those that somebody wants
        discarded. Also whether there are any that are to be asked for again: of a process that has not quite ended, as
        one that waits for its disk, or whose bytes are not there now, as where nothing is mounted.
        """
        with self.catalog.read() as connection:
            rows = connection.execute(
                select(
                    upload.c.id, upload.c.uuid, upload.c.owner, upload.c.request, received_study, reception.c.received
                )
                .join(reception, reception.c.upload_id == upload.c.id)
                .join(received_study, received_study.c.upload_id == upload.c.id)
                .where(upload.c.state == ImportState.RECEIVING, reception.c.door == "dimse")
                .order_by(upload.c.id)
            ).all()
            known = {one.number: one for one in receivers.list_receivers(connection)}
        spools = set(self.receiving.store.spools())
        left = []
        lingers = False
        for row in rows:
            if row.owner == self.owner or is_other_host(row.owner, self.catalog.host):
                continue  # another host's are that one's: its senders may still be there, whatever its leases say
            ended = has_ended(row.owner, self.catalog.host)
            if row.uuid not in spools and ended is None:
                continue
            if ended is False:
                lingers = True
                continue
            incoming = self.receiving.find(row.uuid)
            if incoming is None:
                continue
            if row.uuid not in spools:
                if row.wish == StudyWish.DISCARD or not (row.objects or row.received):
                    self.receiving.discard(incoming)
                else:
                    log().error("study's bytes are missing", upload=row.uuid, objects=row.objects)
                    lingers = True
                continue
            sender = StudySender(calling=row.calling, called=row.called, address=row.address)
            receiver = known.get(row.receiver_id)
            if receiver is not None and not _goes_on(receiver, row.request, incoming.account_id):
                receiver = None
            left.append(LeftStudy(incoming=incoming, receiver=receiver, sender=sender, owner=row.owner))
        return left, lingers

    def take_over(self, left: LeftStudy) -> bool:
        """Have this process go on with a study; False where somebody else does, or has ended it."""
        with self.catalog.write() as connection:
            return take_over_upload(connection, left.incoming, left.owner, self.owner)

    def read_wishes(self) -> dict[int, StudyWish]:
        """What people want done with studies that are being received, by their uploads."""
        with self.catalog.read() as connection:
            rows = connection.execute(
                select(received_study.c.upload_id, received_study.c.wish).where(received_study.c.wish != "")
            ).all()
        return {row.upload_id: StudyWish(row.wish) for row in rows}

    def write_progress(self, studies: Iterable[StudyProgress]) -> list[int]:
        """Note for pages what has come; the uploads among these that are not being received any more.

        Nothing of those that another process has taken over: what that one has received is what is there.
        """
        progress = list(studies)
        over: list[int] = []
        if not progress:
            return over
        with self.catalog.write() as connection:
            now = self.catalog.now()
            for study in progress:
                is_open = and_(upload.c.id == study.upload_id, upload.c.state == ImportState.RECEIVING)
                is_own = exists().where(is_open, upload.c.owner == self.owner)
                written = connection.execute(
                    update(received_study)
                    .where(received_study.c.upload_id == study.upload_id, is_own)
                    .values(objects=study.objects, rate=study.rate, heard=now)
                )
                if not written.rowcount:
                    if connection.execute(select(upload.c.id).where(is_open)).first() is None:
                        over.append(study.upload_id)
                    continue
                connection.execute(
                    update(reception)
                    .where(reception.c.upload_id == study.upload_id)
                    .values(received=study.bytes, heard=now)
                )
        return over

    def write_associations(self, lines: Iterable[AssociationLine]) -> dict[int, int]:
        """Note associations that began, went on or ended; the oldest beyond those that are kept go.

        The row of each by its number.
        """
        associations = list(lines)
        written: dict[int, int] = {}
        if not associations:
            return written
        with self.catalog.write() as connection:
            known = set(connection.execute(select(receiver.c.id)).scalars())
            for line in associations:
                columns = line.columns
                if line.receiver_id not in known:  # it was removed meanwhile
                    columns["receiver_id"] = None
                row = line.row if line.row is not None or not line.is_unsure else self._find_row(connection, line)
                if row is None:
                    key = connection.execute(
                        insert(dicom_association).values(owner=self.owner, **columns)
                    ).inserted_primary_key
                    assert key is not None
                    row = key[0]
                else:
                    connection.execute(update(dicom_association).where(dicom_association.c.id == row).values(**columns))
                written[line.number] = row
            is_refusal = dicom_association.c.outcome.in_(_REFUSALS)
            for kind in (is_refusal, ~is_refusal):
                newest = select(dicom_association.c.id).where(kind).order_by(dicom_association.c.id.desc())
                oldest = connection.execute(newest.offset(KEPT_ASSOCIATIONS).limit(1)).scalar()
                if oldest is not None:
                    is_over = dicom_association.c.outcome != AssociationOutcome.OPEN
                    connection.execute(delete(dicom_association).where(kind, is_over, dicom_association.c.id <= oldest))
        return written

    def _find_row(self, connection: Connection, line: AssociationLine) -> int | None:
        """The row of an association that may have been written, though nobody said so."""
        columns = dicom_association.c
        same = (columns[name] == line.columns[name] for name in ("port", "called", "calling", "address", "begun"))
        return connection.execute(
            select(columns.id).where(columns.owner == self.owner, *same).order_by(columns.id.desc()).limit(1)
        ).scalar()

    def last_number(self) -> int:
        """The number of the last association of this host; 0 where there is none."""
        with self.catalog.read() as connection:
            query = select(func.max(dicom_association.c.number)).where(dicom_association.c.host == HOST)
            return connection.execute(query).scalar() or 0

    def end_left_associations(self) -> None:
        """Say of associations of processes that are gone that they ended."""
        end_left_associations(self.catalog)

    def commit(self, receiver: Receiver, peer: str, address: str, request: CommitmentRequest) -> CommitmentAnswer:
        """Keep a request for storage commitment, and answer it. Raises Fault of the catalog."""
        return self._commitments.take(receiver, peer, address, request)

    def note_report(self, peer: str, transaction: str, status: int | None) -> None:
        """Note what became of a report on the request's own association."""
        self._commitments.note_report(peer, transaction, status)

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
