"""Who may send to a receiver's port, and what becomes of each object: the association loop's `Acceptor`."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, cast

from scandock.dimse.objects import ObjectError, encode_meta, study_of
from scandock.dimse.records import (
    STORED,
    Admitted,
    Answer,
    CommitmentAnswer,
    Rejected,
    Status,
    association_numbers,
    calling_not_allowed,
    no_space,
    not_serving,
    too_many_associations,
    unknown_called_title,
)
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.machine_errors import DiskFull
from scandock.model.receivers import AllowEntry, ClientCertificates, Receiver, parse_address, parse_allow_list
from scandock.model.reception import AssociationOutcome
from scandock.services.byte_sizes import format_bytes
from scandock.services.logs import error_location
from scandock.services.received_records import AssociationLine, StudySender, unfit_reason
from scandock.workers.receiver_studies import AppendedObject, OpenStudies, StudyKey

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.dimse.records import (
        Association,
        AssociationRequest,
        CommitmentRequest,
        End,
        Peer,
        ReceivedObject,
        StoreRequest,
    )
    from scandock.formats.dicom_encoding import Buffer
    from scandock.model.reception import ReceptionSettings
    from scandock.store.port import ObjectFile, ObjectSpool, Store
    from scandock.workers.receiver_figures import ReceiverFigures

_HEAD_BYTES: Final = 16 * 1024
"""Of a data set, that are looked at for its UIDs; more is read where they stand behind these."""
_MAX_REFUSALS: Final = 500
"""Refusals that wait to be written down; of more, the oldest are only counted."""
_MAX_REASONS: Final = 5
"""Reasons for which objects of one association were refused, that are named."""
_MAX_REASON: Final = 200
_MAX_ENDED: Final = 10_000
"""Associations that do, as where the catalog can't be written to for long."""
_REFUSALS: Final = (AssociationOutcome.REJECTED, AssociationOutcome.FAILED)
_NO_NAME: Final = re.compile(r"[^0-9.]+")
_PLAIN_NAME: Final = re.compile(r"[0-9](?:[0-9.]{0,62}[0-9])?")


def entry_name(sop_instance: str) -> str:
    """What an object is called in the archive: its SOP Instance UID, of which only what a UID may have is taken."""
    if _PLAIN_NAME.fullmatch(sop_instance):
        return f"{sop_instance}.dcm"
    uid = _NO_NAME.sub("", sop_instance)[:64].strip(".")
    return f"{uid or 'object'}.dcm"


@dataclass(frozen=True, kw_only=True)
class AdmittedPeer(Admitted):
    """A peer that a receiver takes objects from."""

    receiver: Receiver
    sender: StudySender


class Refused(StrEnum):
    """What of an association can be refused."""

    OBJECT = "object"
    COMMITMENT = "request for storage commitment"


@dataclass(slots=True)
class _Refusals:
    """What of an association was refused for one reason."""

    kind: Refused
    reason: str
    first: str
    """The UID of the first object; empty where it may not be named."""
    count: int = 0

    def __str__(self) -> str:
        if self.count == 1:
            name = f"{self.kind.capitalize()} {self.first}" if self.first else f"One {self.kind}"
            return f"{name} was refused with {self.reason}."
        names = _PLURALS[self.kind]
        first = f" The first one is {self.first}." if self.first else ""
        return f"{self.count:,} {names} were refused with {self.reason}.{first}"


_PLURALS: Final = {Refused.OBJECT: "objects", Refused.COMMITMENT: "requests for storage commitment"}


class AssociationLog:
    """Associations of this process: those that are open, and what is to be told of those that ended."""

    def __init__(self, figures: ReceiverFigures) -> None:
        self._figures = figures
        self._lock = threading.Lock()
        self._open: dict[int, tuple[Association, AssociationLine]] = {}
        self._reasons: dict[int, dict[tuple[Refused, str], _Refusals]] = {}
        """Of associations that are open, why objects were refused."""
        self._changed: dict[int, AssociationLine] = {}
        """Associations that began or ended, by their numbers: no flood of refusals pushes their end out."""
        self._refusals: deque[AssociationLine] = deque(maxlen=_MAX_REFUSALS)
        self._noted: dict[int, tuple[int, int, int]] = {}
        """Of associations that are open, the counts that were taken last."""
        self.shows_uids = True
        """Whether objects that were refused may be named: not where less than everything may be known of them."""

    @property
    def open_count(self) -> int:
        with self._lock:
            return len(self._open)

    def associations(self) -> list[Association]:
        """Those that are open."""
        with self._lock:
            return [association for association, _ in self._open.values()]

    def begin(self, association: Association, line: AssociationLine) -> None:
        """An association stands."""
        with self._lock:
            self._open[association.number] = association, line
            self._change(line)

    def new_line(
        self,
        port: int,
        request: AssociationRequest | None,
        peer: Peer,
        outcome: AssociationOutcome,
        message: str = "",
        number: int | None = None,
    ) -> AssociationLine:
        """What is told of an association, or, with a number of its own, of a connection that came to none."""
        now = time.time_ns() // 1_000_000
        return AssociationLine(
            number=association_numbers.next() if number is None else number,
            receiver_id=None,
            port=port,
            called="" if request is None else request.called,
            calling="" if request is None else request.calling,
            address=peer.address,
            security=" ".join(part for part in (peer.tls, peer.certificate) if part),
            outcome=outcome,
            message=message,
            begun=now,
            ended=None if outcome is AssociationOutcome.OPEN else now,
        )

    def add(self, line: AssociationLine) -> None:
        """Something that has ended already: a refusal."""
        self._figures.count_end(line.outcome)
        with self._lock:
            self._refusals.append(line)

    def note_failure(self, association: Association, kind: Refused, answer: Answer, instance: str = "") -> None:
        """Something was refused: counted for each reason, of which a few are named, each with its first object."""
        reason = f"{answer.status:04X}: {answer.comment}"[:_MAX_REASON].rstrip(".")
        with self._lock:
            found = self._open.get(association.number)
            if found is None:
                return
            line = found[1]
            line.failures += 1
            reasons = self._reasons.setdefault(association.number, {})
            refused = reasons.get((kind, reason))
            if refused is None and len(reasons) < _MAX_REASONS:
                named = instance if self.shows_uids else ""
                refused = reasons[kind, reason] = _Refusals(kind, reason, named)
            if refused is not None:
                refused.count += 1
            others = line.failures - sum(one.count for one in reasons.values())
            sentences = [str(one) for one in reasons.values()]
            if others:
                sentences.append(f"{others:,} more {'was' if others == 1 else 'were'} refused for other reasons.")
            line.message = "\n".join(sentences)

    def end(self, association: Association, outcome: AssociationOutcome, message: str = "") -> None:
        """An association has ended."""
        self._figures.count_end(outcome)
        with self._lock:
            found = self._open.pop(association.number, None)
            self._reasons.pop(association.number, None)
            if found is None:
                return
            line = found[1]
            _count(association, line)
            line.outcome, line.ended = outcome, time.time_ns() // 1_000_000
            if message:
                line.message = f"{line.message}\n{message}" if line.message else message
            self._change(line)
            self._noted.pop(line.number, None)

    def take_changes(self) -> list[AssociationLine]:
        """What has changed since the last time, each once."""
        with self._lock:
            changed = self._changed | {line.number: line for line in self._refusals}
            self._changed = {}
            self._refusals.clear()
            for association, line in self._open.values():
                _count(association, line)
                counts = line.bytes, line.objects, line.failures
                if self._noted.get(line.number) != counts:
                    self._noted[line.number] = counts
                    changed[line.number] = line
            return [replace(line) for line in changed.values()]  # as they are now: associations go on meanwhile

    def give_back(self, lines: Sequence[AssociationLine]) -> None:
        """They could not be written down: again next time."""
        with self._lock:
            room = _MAX_REFUSALS - len(self._refusals)
            refusals = [line for line in lines if line.outcome in _REFUSALS]
            self._refusals.extendleft(reversed(refusals[-room:] if room else ()))
            newer, self._changed = self._changed, {}
            for line in lines:
                if line.outcome not in _REFUSALS:
                    _, live = self._open.get(line.number, (None, line))  # as it is by then, where it goes on
                    self._change(live)
            for line in newer.values():
                self._change(line)

    def _change(self, line: AssociationLine) -> None:
        self._changed.pop(line.number, None)
        self._changed[line.number] = line
        while len(self._changed) > _MAX_ENDED:
            del self._changed[next(iter(self._changed))]


def _count(association: Association, line: AssociationLine) -> None:
    line.objects = association.objects
    line.bytes = association.bytes_received


class Admissions:
    """Who may associate with which receiver: as they are set, and with how many associations there are."""

    def __init__(self, store: Store, settings: ReceptionSettings) -> None:
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._receivers: dict[tuple[int, str], Receiver] = {}
        self._by_number: dict[int, Receiver] = {}
        self._allowed: dict[int, tuple[AllowEntry, ...]] = {}
        self._by_address: Counter[str] = Counter()
        self._by_receiver: Counter[int] = Counter()
        self.is_stopping = False

    def set_receivers(self, receivers: Sequence[Receiver]) -> None:
        """Those that listen on this host."""
        allowed = {one.number: parse_allow_list(one.allow_list) for one in receivers if one.allow_list_enabled}
        with self._lock:
            self._receivers = {(one.port, one.title): one for one in receivers}
            self._by_number = {one.number: one for one in receivers}
            self._allowed = allowed

    def current(self, receiver: Receiver) -> Receiver:
        """A receiver as it is set now; as it was where it is gone."""
        with self._lock:
            return self._by_number.get(receiver.number, receiver)

    def check_again(self, association: Association) -> str:
        """Why an association that was taken would not be taken now, as receivers are set; empty where it would."""
        taken = _admitted(association).receiver
        with self._lock:
            now = self._by_number.get(taken.number)
            allowed = self._allowed.get(taken.number)
        if now is None:
            return "The receiver was disabled or removed."
        if (now.title, now.port, now.bind, now.tls) != (taken.title, taken.port, taken.bind, taken.tls):
            return "The receiver has another AE title, port, address or TLS."
        refusal = self._check_peer(now, allowed, association.request)
        if refusal is not None:
            return refusal.why
        return _unfit_sentence(now)

    def decide(self, port: int, request: AssociationRequest) -> AdmittedPeer | Rejected:
        """Whether an association is taken; one that is counts until `leave`."""
        if self.is_stopping:
            return not_serving("The server is stopping.")
        with self._lock:
            receiver = self._receivers.get((port, request.called))
            allowed = self._allowed.get(receiver.number) if receiver is not None else None
        if receiver is None:
            return unknown_called_title(f"No enabled receiver is called {request.called} at this port.")
        refusal = self._check_peer(receiver, allowed, request) or self._check_state(receiver)
        if refusal is not None:
            return refusal
        with self._lock:
            refusal = self._check_counts(receiver, request.peer.address)
            if refusal is not None:
                return refusal
            self._by_address[request.peer.address] += 1
            self._by_receiver[receiver.number] += 1
        sender = StudySender(calling=request.calling, called=request.called, address=request.peer.address)
        return AdmittedPeer(receiver=receiver, sender=sender, commitment=True)

    def leave(self, admitted: AdmittedPeer) -> None:
        """An association that was taken has ended."""
        with self._lock:
            self._by_address[admitted.sender.address] -= 1
            self._by_address += Counter()  # drops what is 0
            self._by_receiver[admitted.receiver.number] -= 1

    def _check_peer(
        self, receiver: Receiver, allowed: tuple[AllowEntry, ...] | None, request: AssociationRequest
    ) -> Rejected | None:
        if receiver.client_certificates is ClientCertificates.REQUIRED and not request.peer.certificate:
            return calling_not_allowed("The peer has shown no certificate, and the receiver asks for one.")
        if allowed is not None:
            try:
                address = parse_address(request.peer.address)
            except ValueError:
                return calling_not_allowed("The allow list names addresses, and the peer has none.")
            if not any(entry.fits(request.calling, address) for entry in allowed):
                return calling_not_allowed(f"{request.calling} at {request.peer.address} is not on the allow list.")
        return None

    def _check_state(self, receiver: Receiver) -> Rejected | None:
        if why := _unfit_sentence(receiver):
            return not_serving(why)
        try:
            self._store.reserve(0, files=2, min_free=self._settings.min_free)
        except DiskFull as error:
            return no_space(error.message)
        except Fault as fault:
            return not_serving(f"The data folder does not answer ({fault.code}).")
        return None

    def _check_counts(self, receiver: Receiver, address: str) -> Rejected | None:
        total = self._by_address.total()
        if total >= self._settings.associations:
            return too_many_associations(f"There are {total} associations.")
        if self._by_address[address] >= self._settings.associations_per_address:
            return too_many_associations(f"There are {self._by_address[address]} associations of this address.")
        most = receiver.max_associations
        if most is not None and self._by_receiver[receiver.number] >= most:
            return too_many_associations(f"There are {most} associations with this receiver.")
        return None


Pending = AppendedObject[Receiver, StudySender] | Answer


class AcceptorRows(Protocol):
    """What the catalog knows of receivers and of storage commitment (`services.received_studies.ReceivedStudies`)."""

    def changes_objects(self, receiver: Receiver) -> bool: ...
    def commit(self, receiver: Receiver, peer: str, address: str, request: CommitmentRequest) -> CommitmentAnswer: ...
    def note_report(self, peer: str, transaction: str, status: int | None) -> None: ...


class PortAcceptor:
    """What associations at one port do; one object for all of them."""

    def __init__(
        self,
        port: int,
        store: Store,
        admissions: Admissions,
        studies: OpenStudies[Receiver, StudySender],
        associations: AssociationLog,
        rows: AcceptorRows,
        settings: ReceptionSettings,
        figures: ReceiverFigures,
        log: FilteringBoundLogger,
    ) -> None:
        self._rows = rows
        self._port = port
        self._store = store
        self._admissions = admissions
        self._studies = studies
        self._associations = associations
        self._settings = settings
        self._figures = figures
        self._log = log

    # -- associations ------------------------------------------------------------------------------------------------

    def admit(self, request: AssociationRequest) -> Admitted | Rejected:
        decision = self._admissions.decide(self._port, request)
        if isinstance(decision, Rejected):
            line = self._associations.new_line(
                self._port, request, request.peer, AssociationOutcome.REJECTED, decision.why
            )
            self._associations.add(line)
            self._log.warning(
                "association rejected", association=line.number, calling=request.calling, called=request.called,
                address=request.peer.address, why=decision.why,
            )  # fmt: skip
            return decision
        return replace(decision, changes_objects=self._changes_objects(decision.receiver))

    def _changes_objects(self, receiver: Receiver) -> bool:
        """Whether what a receiver takes is de-identified; no where the catalog can't be asked."""
        try:
            return self._rows.changes_objects(receiver)
        except Fault:
            return False

    def begin(self, association: Association) -> None:
        request = association.request
        line = self._associations.new_line(
            self._port, request, request.peer, AssociationOutcome.OPEN, number=association.number
        )
        line.receiver_id = _admitted(association).receiver.number
        self._associations.begin(association, line)

    def released(self, association: Association) -> None:
        self._end(association, AssociationOutcome.RELEASED, aborted=False)

    def aborted(self, association: Association, why: End) -> None:
        request = association.request
        self._log.warning(
            "association ended", association=association.number, calling=request.calling, called=request.called,
            address=request.peer.address, why=str(why),
        )  # fmt: skip
        self._end(association, AssociationOutcome.ENDED, _sentence(f"The association ended: {why}"), aborted=True)

    def _end(self, association: Association, outcome: AssociationOutcome, message: str = "", *, aborted: bool) -> None:
        self._admissions.leave(_admitted(association))
        self._studies.leave(association, aborted=aborted)
        self._associations.end(association, outcome, message)

    def failed(self, peer: Peer, why: End) -> None:
        line = self._associations.new_line(
            self._port, None, peer, AssociationOutcome.FAILED, _sentence(f"No association: {why}")
        )
        self._associations.add(line)
        self._log.warning(
            "no association", association=line.number, port=self._port, address=peer.address, why=str(why)
        )

    def fault(self, association: Association, error: Exception) -> None:
        self._log.error(
            "unexpected", association=association.number, error=type(error).__name__, where=error_location(error)
        )

    # -- objects -----------------------------------------------------------------------------------------------------

    def open_large(self, association: Association, request: StoreRequest) -> ObjectFile:
        try:
            return self._store.open_object(entry_name(request.sop_instance), encode_meta(request, association.request))
        except Fault as fault:
            raise OSError(fault.message) from fault

    def append(self, association: Association, obj: ReceivedObject) -> Pending:
        try:
            return self._append(association, obj)
        except ObjectError as error:
            self._refuse(association, obj.request, error.answer)
            return error.answer
        except Fault as fault:
            answer = _answer_fault(fault)
            self._refuse(association, obj.request, answer)
            return answer

    def _append(self, association: Association, obj: ReceivedObject) -> Pending:
        admitted = _admitted(association)
        receiver = self._admissions.current(admitted.receiver)
        request, data = obj.request, obj.data
        if association.stop_reason:
            raise ObjectError(Answer(Status.OUT_OF_RESOURCES, association.stop_reason.rstrip(".")))
        most = self.max_object_bytes(receiver)
        if obj.size > most:
            why = f"The object has more than the {format_bytes(most)} that one may have"
            raise ObjectError(Answer(Status.OUT_OF_RESOURCES, why))
        meta = encode_meta(request, association.request)
        read_first: Callable[[int], Buffer]
        write: Callable[[ObjectSpool], int]
        if isinstance(data, memoryview):
            name = entry_name(request.sop_instance)
            read_first = lambda count: data[:count]  # noqa: E731

            def write(spool: ObjectSpool) -> int:
                return spool.append(name, [meta, data])
        else:
            file = cast("ObjectFile", data)  # of `open_large`
            read_first = file.read_first

            def write(spool: ObjectSpool) -> int:
                return spool.append_file(file)

        study_uid = study_of(request, meta, read_first(_HEAD_BYTES), obj.size, read_first)
        key = StudyKey(receiver.number, study_uid)
        return self._studies.append(
            key, receiver, admitted.sender, association, len(meta) + obj.size, write, request.sop_instance
        )

    def max_object_bytes(self, receiver: Receiver) -> int:
        """Bytes of one object that a receiver takes: with its header it has to fit into an upload of its own."""
        most = min(self._settings.object_bytes, self._settings.study_bytes) - 2_048
        return most if receiver.max_object_bytes is None else min(most, receiver.max_object_bytes)

    def settle(self, association: Association, pending: Sequence[Pending]) -> Sequence[Answer]:
        ends = {one.study: one.end for one in pending if isinstance(one, AppendedObject)}  # the last one of each
        faults = {}
        for study, end in ends.items():
            try:
                self._studies.sync(study, end)
            except Fault as fault:
                faults[study] = fault
        answers = []
        stored = 0
        for one in pending:
            if isinstance(one, Answer):
                answer = one
            elif one.study in faults and one.end > one.study.spool.synced:
                answer = _answer_fault(faults[one.study])
                self._note_refusal(association, one.instance, answer)
            else:
                answer = STORED
                stored += one.bytes
            answers.append(answer)
        self._figures.count_answers([answer.status for answer in answers], stored)
        return answers

    def refused(self, association: Association, request: StoreRequest, answer: Answer) -> None:
        self._refuse(association, request, answer)
        self._figures.count_answers([answer.status])

    def _refuse(self, association: Association, request: StoreRequest, answer: Answer) -> None:
        self._note_refusal(association, request.sop_instance[:64], answer)

    def _note_refusal(self, association: Association, instance: str, answer: Answer) -> None:
        self._associations.note_failure(association, Refused.OBJECT, answer, instance)
        self._log.warning(
            "object refused", association=association.number, calling=association.request.calling,
            address=association.request.peer.address, status=f"{answer.status:04X}", why=answer.comment,
            instance=instance if self._associations.shows_uids else None,
        )  # fmt: skip

    # -- storage commitment --------------------------------------------------------------------------------------------

    def commit(self, association: Association, request: CommitmentRequest) -> CommitmentAnswer:
        admitted = _admitted(association)
        receiver = self._admissions.current(admitted.receiver)
        try:
            taken = self._rows.commit(receiver, admitted.sender.calling, admitted.sender.address, request)
        except Fault as fault:
            taken = CommitmentAnswer(_answer_fault(fault))
        if taken.answer.status:
            why = f"{taken.answer.status:04X}: {taken.answer.comment}"
            self._associations.note_failure(association, Refused.COMMITMENT, taken.answer)
            self._log.warning(
                "storage commitment refused", association=association.number, calling=admitted.sender.calling, why=why
            )
        return taken

    def reported(self, association: Association, transaction: str, status: int | None) -> None:
        with contextlib.suppress(Fault):  # else it is told again
            self._rows.note_report(_admitted(association).sender.calling, transaction, status)


def _sentence(text: str) -> str:
    """Text that may be a sentence already, as one."""
    return f"{text.rstrip('.')}."


def _unfit_sentence(receiver: Receiver) -> str:
    reason = unfit_reason(receiver)
    return f"The receiver takes nothing: {reason}." if reason else ""


def _admitted(association: Association) -> AdmittedPeer:
    assert isinstance(association.admitted, AdmittedPeer)
    return association.admitted


def _answer_fault(fault: Fault) -> Answer:
    """A700 for whatever the machine refuses: the sender may try again once that is well."""
    return Answer(Status.OUT_OF_RESOURCES, fault.message)
