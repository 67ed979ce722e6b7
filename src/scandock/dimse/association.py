"""One association from its connection to its end, in the thread that calls (PS3.8 section 9.2).

It reads into one buffer that is reused, never waits without a deadline, and knows neither catalog nor store: an
`Acceptor` decides who may send and keeps what is sent.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, Generic, Protocol, TypeVar

from scandock.dimse import pdu, uids
from scandock.dimse.commands import (
    ACTION_TYPE,
    AFFECTED_CLASS,
    AFFECTED_INSTANCE,
    C_CANCEL,
    C_ECHO,
    C_STORE,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    EVENT_TYPE,
    MESSAGE_ID,
    N_ACTION,
    N_EVENT_REPORT,
    REQUESTED_CLASS,
    REQUESTED_INSTANCE,
    RESPONDED_TO,
    RESPONSE,
    STATUS,
    Command,
    encode_command,
    encode_response,
)
from scandock.dimse.commitment import ALL_KEPT, SOME_FAILED, CommitmentError, encode_result, read_commitment
from scandock.dimse.connection import Connection, EndedError
from scandock.dimse.negotiation import negotiate
from scandock.dimse.pdu import AbortReason, ProtocolError
from scandock.dimse.records import (
    AcceptedContext,
    Admitted,
    Answer,
    Association,
    AssociationRequest,
    CommitmentAnswer,
    CommitmentRequest,
    CommitmentResult,
    Deadlines,
    End,
    EndCause,
    LargeFile,
    Peer,
    ReceivedObject,
    Rejected,
    Status,
    StoreRequest,
    WireLimits,
)

Pending = TypeVar("Pending")

MAX_REPORTED: Final = 10_000
"""Objects that results of storage commitment name which wait to be told on their own association."""


class Acceptor(Protocol[Pending]):
    """Who takes associations and objects. Called in the thread of the association; one acceptor serves many.

    After `admit` has admitted somebody, exactly one of `released` and `aborted` ends it.
    """

    def admit(self, request: AssociationRequest) -> Admitted | Rejected:
        """Whether the association is taken: titles, address, certificate, space, limits."""

    def begin(self, association: Association) -> None:
        """The association stands: contexts are negotiated, the answer is about to be sent."""

    def open_large(self, association: Association, request: StoreRequest) -> LargeFile:
        """A file for an object that is too large for memory. Raises OSError: the object gets A700."""

    def append(self, association: Association, obj: ReceivedObject) -> Pending:
        """Write an object, without waiting for the disk; what is wrong with it is for `settle` to say."""

    def settle(self, association: Association, pending: Sequence[Pending]) -> Sequence[Answer]:
        """Make all that was appended safe, and answer each. What is answered with success is on disk."""

    def refused(self, association: Association, request: StoreRequest, answer: Answer) -> None:
        """The loop answers a C-STORE with a failure by itself: over a limit, no file for it, or a fault of ours."""

    def commit(self, association: Association, request: CommitmentRequest) -> CommitmentAnswer:
        """Take a request for storage commitment."""

    def reported(self, association: Association, transaction: str, status: int | None) -> None:
        """What the peer answered to a result sent on its association; None: it ended without an answer."""

    def fault(self, association: Association, error: Exception) -> None:
        """A call of ours raised; the object or request is answered with 0110 and the association's number."""

    def released(self, association: Association) -> None:
        """The peer released the association."""

    def aborted(self, association: Association, why: End) -> None:
        """The association ended in another way. What was answered stays."""

    def failed(self, peer: Peer, why: End) -> None:
        """A connection ended before there was an association, and nobody was rejected."""


def serve_association(
    connection: socket.socket,
    acceptor: Acceptor[Pending],
    *,
    tls: ssl.SSLContext | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    limits: WireLimits = WireLimits(),  # noqa: B008 - frozen
) -> None:
    """Serve an accepted connection to its end, and close it. Raises nothing that a peer could bring about."""
    wire = Connection(connection, deadlines, limits)
    last = b""
    try:
        if tls is not None:
            wire.start_tls(tls)
        last = _serve(wire, acceptor, deadlines, limits)
    except EndedError as ended:
        acceptor.failed(wire.peer(), ended.end)
    except ProtocolError as error:
        acceptor.failed(wire.peer(), End(EndCause.PROTOCOL, error.detail))
        last = pdu.encode_abort(2, error.reason)
    finally:
        wire.close(last)


def _serve(wire: Connection, acceptor: Acceptor[Pending], deadlines: Deadlines, limits: WireLimits) -> bytes:
    """Negotiate, then run the loop. Returns what is sent last."""
    proposal = pdu.decode_associate(wire.read_request())
    if not proposal.version & 1:
        return _reject(wire, acceptor, Rejected(1, 2, 2), "a version of the protocol that is not 1")
    if proposal.application_context != uids.APPLICATION_CONTEXT:
        return _reject(wire, acceptor, Rejected(1, 1, 2), f"application context {proposal.application_context[:64]}")
    request = AssociationRequest(
        peer=wire.peer(),
        called=_title(proposal.called),
        calling=_title(proposal.calling),
        contexts=tuple(proposal.contexts),
        max_pdu=proposal.max_pdu,
        implementation_class=proposal.implementation_class,
        implementation_version=proposal.implementation_version,
        window=proposal.window,
        identity=proposal.identity,
    )
    admitted = acceptor.admit(request)
    if isinstance(admitted, Rejected):
        return pdu.encode_reject(admitted.result, admitted.source, admitted.reason)
    try:
        negotiated = negotiate(proposal, admitted, limits)
        accepted = pdu.encode_accept(proposal.called, proposal.calling, negotiated.accepted)
    except BaseException as error:
        acceptor.aborted(Association(request, admitted, {}, wire.traffic), End(EndCause.FAULT, type(error).__name__))
        raise
    association = Association(request, admitted, negotiated.contexts, wire.traffic)
    del proposal  # it may be large, and is not needed any more
    loop = _Loop(wire, acceptor, association, negotiated.window, deadlines, limits)
    try:
        acceptor.begin(association)
        wire.send(accepted)
        loop.run()
    except EndedError as ended:
        stopped = association.stopping and ended.end.cause in _WAKES
        loop.end(End(EndCause.STOPPED, association.stop_reason) if stopped else ended.end)
        if stopped or ended.end.cause in _OURS:
            return pdu.encode_abort(0 if stopped else 2, AbortReason.NOT_SPECIFIED)
        return b""
    except ProtocolError as error:
        loop.end(End(EndCause.PROTOCOL, error.detail))
        return pdu.encode_abort(2, error.reason)
    except BaseException as error:
        loop.end(End(EndCause.FAULT, type(error).__name__))
        wire.close(pdu.encode_abort(2, AbortReason.NOT_SPECIFIED))
        raise
    loop.end(None)
    return pdu.RELEASE_REPLY


_WAKES: Final = frozenset({EndCause.PEER_CLOSED, EndCause.STOPPED})
_OURS: Final = frozenset({EndCause.SILENT, EndCause.NOT_READING})


def _reject(wire: Connection, acceptor: Acceptor[Pending], rejected: Rejected, why: str) -> bytes:
    acceptor.failed(wire.peer(), End(EndCause.PROTOCOL, why))
    return pdu.encode_reject(rejected.result, rejected.source, rejected.reason)


_SHOWN: Final = bytes(byte if 0x20 <= byte <= 0x7E and byte != 0x5C else 0x3F for byte in range(256))


def _title(value: bytes) -> str:
    """An AE title, of at most 16 characters (PS3.8 section 9.3.2); a byte that none may have is a question mark."""
    return value.strip(b"\0 ")[:16].translate(_SHOWN).decode("ascii")


class _Memory:
    """What a data set is kept in while it comes. The buffer is reused, and given back where it grew large."""

    def __init__(self, usual: int) -> None:
        """`usual`: it grows no further than it has to beyond so many bytes."""
        self._usual = usual
        self._data = memoryview(bytearray())
        self.size = 0

    def clear(self) -> None:
        if len(self._data) > _REUSED:
            self._data = memoryview(bytearray())
        self.size = 0

    def add(self, piece: memoryview) -> None:
        end = self.size + len(piece)
        if end > len(self._data):
            room = min(max(2 * end, 64 * 1024), self._usual)
            grown = memoryview(bytearray(max(room, end)))
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        self._data[self.size : end] = piece
        self.size = end

    @property
    def view(self) -> memoryview:
        return self._data[: self.size]


_REUSED: Final = 1 << 20


class _Message:
    """A message that is being read."""

    __slots__ = ("answer", "command", "context", "file", "head", "size", "store")

    def __init__(self, context: AcceptedContext) -> None:
        self.context = context
        self.head = bytearray()
        self.command: Command | None = None
        self.store: StoreRequest | None = None
        self.answer: Answer | None = None
        """Set where the loop refuses the message itself: what still comes of it is dropped."""
        self.file: LargeFile | None = None
        self.size = 0
        """Bytes of its data set so far."""


class _Loop(Generic[Pending]):
    """The messages of one association, from its acceptance on."""

    def __init__(
        self,
        wire: Connection,
        acceptor: Acceptor[Pending],
        association: Association,
        window: int,
        deadlines: Deadlines,
        limits: WireLimits,
    ) -> None:
        self._wire = wire
        self._acceptor = acceptor
        self._association = association
        self._window = window
        self._deadlines = deadlines
        self._limits = limits
        self._message: _Message | None = None
        self._memory = _Memory(limits.memory)
        self._pending: list[Pending] = []
        self._stores: list[tuple[StoreRequest, Answer | None]] = []
        """All objects that are to be answered, in their order; those without an answer are `_pending`."""
        self._results: list[tuple[AcceptedContext, CommitmentResult]] = []
        """To be told on this association, where the peer does not release it first."""
        self._event_id = 0
        self._reported: dict[int, str] = {}
        """Message id and transaction of what was told and not answered."""

    def run(self) -> None:
        """Until the peer releases. Raises EndedError and ProtocolError."""
        while True:
            if self._message is None:
                self._wait()
                if self._take_object():
                    continue
            kind, body = self._wire.read_pdu()
            if kind == pdu.P_DATA:
                for context, flags, piece in pdu.values_of(body):
                    self._value(context, flags, piece)
            elif kind == pdu.RELEASE_RQ:
                if self._message is not None:
                    raise ProtocolError(AbortReason.UNEXPECTED_PDU, "a release within a message")
                self._settle()
                return
            elif kind == pdu.ABORT:
                raise EndedError(EndCause.PEER_ABORTED, f"source {body[2]}, reason {body[3]}")
            else:
                raise ProtocolError(AbortReason.UNEXPECTED_PDU, f"a PDU of type {kind} out of its turn")

    def end(self, why: End | None) -> None:
        """Tell the acceptor, once. What was appended and not answered is made safe all the same."""
        if self._message is not None:
            self._give_up(self._message)
        self._answers()
        for transaction in self._reported.values():
            self._acceptor.reported(self._association, transaction, None)
        for _, result in self._results:
            self._acceptor.reported(self._association, result.transaction, None)
        if why is None:
            self._acceptor.released(self._association)
        else:
            self._acceptor.aborted(self._association, why)

    def _wait(self) -> None:
        """Wait for the first PDU of a message. Meanwhile the association can be stopped, and a result be told."""
        if not self._association.stopping and not self._wire.is_empty:
            self._wire.wait_for_pdu()
            return
        if self._association.stopping or not self._association.idle(self._wire.wake):
            self._settle()
            raise EndedError(EndCause.STOPPED)
        try:
            if self._results:
                self._wait_or_report()
            else:
                self._wire.wait_for_pdu()
        finally:
            self._association.idle(None)

    def _wait_or_report(self) -> None:
        try:
            self._wire.wait_for_pdu(self._deadlines.report)
            return
        except EndedError as ended:
            if ended.end.cause is not EndCause.SILENT or not self._wire.is_empty:
                raise
        self._report()
        self._wire.wait_for_pdu()

    def _take_object(self) -> bool:
        """Take the object that comes, all at once; False where that can't be: its PDUs are to be read one by one.

        This is for speed alone: what is in any way unusual, refused or long is left to the other way.
        """
        message: _Message | None = None
        store: StoreRequest | None = None

        def begin(context_id: int, command: bytes) -> bool:
            nonlocal message, store
            context = self._association.contexts.get(context_id)
            if context is None or len(command) > self._limits.command:
                return False
            message = _Message(context)
            try:
                store = self._store_request(message, Command(command))
            except ProtocolError:  # raised there again
                return False
            return store is not None and message.answer is None

        whole = self._wire.read_message(begin, min(self._limits.memory, self._limits.object))
        if whole is None or message is None or store is None:
            return False
        self._wire.take(whole)
        self._store(message, store, whole.data)
        return True

    def _value(self, context_id: int, flags: int, piece: memoryview) -> None:
        context = self._association.contexts.get(context_id)
        if context is None:
            raise ProtocolError(
                AbortReason.INVALID_PARAMETER, f"a value of context {context_id}, which is not accepted"
            )
        message = self._message
        if flags & 1:
            if message is None:
                message = self._message = _Message(context)
                self._memory.clear()
            elif message.command is not None:
                raise ProtocolError(AbortReason.UNEXPECTED_PARAMETER, "a message within a message")
            elif message.context is not context:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, "a command set in two contexts")
            if len(message.head) + len(piece) > self._limits.command:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, "a command set that is too long")
            message.head += piece
            if flags & 2:
                self._command(message, Command(bytes(message.head)))
            return
        if message is None or message.command is None:
            raise ProtocolError(AbortReason.UNEXPECTED_PARAMETER, "data without a command")
        if message.context is not context:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "data in another context than their command")
        self._data(message, piece, last=bool(flags & 2))

    def _command(self, message: _Message, command: Command) -> None:
        message.command = command
        field = command.field
        message.store = self._store_request(message, command)
        if message.store is None and not field & RESPONSE and field != C_CANCEL:
            command.number(MESSAGE_ID)  # there to be answered to
        elif field & RESPONSE and field != N_EVENT_REPORT | RESPONSE:
            raise ProtocolError(AbortReason.UNEXPECTED_PARAMETER, f"a response {field:04X} to nothing")
        if field == N_ACTION and message.context.abstract_syntax != uids.COMMITMENT:
            message.answer = Answer(Status.SOP_CLASS_NOT_SUPPORTED, "The context is not one of storage commitment")
        if not command.has_data:
            self._complete(message, command)

    def _store_request(self, message: _Message, command: Command) -> StoreRequest | None:
        """What a C-STORE's command asks for, None of another one; the message has its answer where it is refused."""
        if command.field != C_STORE:
            return None
        context = message.context
        if context.abstract_syntax in (uids.VERIFICATION, uids.COMMITMENT):
            message.answer = Answer(Status.SOP_CLASS_NOT_SUPPORTED, "The context is not one of storage")
        elif not command.has_data:
            message.answer = Answer(Status.CANNOT_UNDERSTAND, "C-STORE without a data set")
        return StoreRequest(
            message_id=command.number(MESSAGE_ID),
            sop_class=command.text(AFFECTED_CLASS),
            sop_instance=command.text(AFFECTED_INSTANCE),
            transfer_syntax=context.transfer_syntax,
            context=context.id,
        )

    def _data(self, message: _Message, piece: memoryview, *, last: bool) -> None:
        command = message.command
        assert command is not None
        message.size += len(piece)
        if message.answer is None:
            if message.store is not None:
                self._add_to_object(message, message.store, piece)
            elif command.field == N_ACTION:
                if message.size > self._limits.action:
                    message.answer = Answer(Status.OUT_OF_RESOURCES, "The request is too long")
                else:
                    self._memory.add(piece)
        if last:
            self._complete(message, command)

    def _add_to_object(self, message: _Message, store: StoreRequest, piece: memoryview) -> None:
        if message.size > self._limits.object:
            self._give_up(message)
            message.answer = Answer(Status.OUT_OF_RESOURCES, "The object is larger than the limit for one")
            return
        if message.size <= self._limits.memory:
            self._memory.add(piece)
            return
        try:
            if message.file is None:
                message.file = self._acceptor.open_large(self._association, store)
                message.file.write(self._memory.view)
                self._memory.clear()
            message.file.write(piece)
        except OSError as error:
            self._give_up(message)
            message.answer = Answer(Status.OUT_OF_RESOURCES, error.strerror or "The object could not be written")
        except Exception as error:  # noqa: BLE001 - told, and answered
            self._give_up(message)
            message.answer = self._fault(error)

    def _give_up(self, message: _Message) -> None:
        if message.file is not None:
            message.file.close()
            message.file = None

    def _fault(self, error: Exception) -> Answer:
        self._acceptor.fault(self._association, error)
        return Answer(Status.PROCESSING_FAILURE, f"Fault in association {self._association.number}")

    def _complete(self, message: _Message, command: Command) -> None:
        """A message is whole: do what it asks for."""
        self._message = None
        if message.store is not None:
            self._store(message, message.store, self._memory.view if message.file is None else message.file)
            self._memory.clear()
            return
        self._settle()
        field = command.field
        if field == C_ECHO:
            self._respond(message.context.id, self._response(command, AFFECTED_CLASS, AFFECTED_INSTANCE, Answer()))
        elif field == N_ACTION:
            self._act(message, command)
        elif field == N_EVENT_REPORT | RESPONSE:
            transaction = self._reported.pop(command.number(RESPONDED_TO), None)
            if transaction is not None:
                self._acceptor.reported(self._association, transaction, command.number(STATUS, 0))
        elif field != C_CANCEL:
            answer = Answer(Status.UNRECOGNIZED_OPERATION)
            self._respond(message.context.id, self._response(command, AFFECTED_CLASS, AFFECTED_INSTANCE, answer))

    def _store(self, message: _Message, store: StoreRequest, data: memoryview | LargeFile) -> None:
        answer = message.answer
        if answer is None:
            size = len(data) if isinstance(data, memoryview) else message.size
            try:
                self._pending.append(self._acceptor.append(self._association, ReceivedObject(store, data, size)))
            except Exception as error:  # noqa: BLE001 - told, and answered
                answer = self._fault(error)
            finally:
                self._give_up(message)
        if answer is not None:
            self._acceptor.refused(self._association, store, answer)
        self._stores.append((store, answer))
        self._wire.before_waiting = self._settle
        if len(self._stores) >= self._window:
            self._settle()

    def _settle(self) -> None:
        """Answer all objects that came, in one write."""
        answers = self._answers()
        if answers:
            self._wire.send(answers)

    def _answers(self) -> bytes:
        if not self._stores:
            return b""
        self._wire.before_waiting = None
        stores, self._stores = self._stores, []
        pending, self._pending = self._pending, []
        try:
            settled = iter(self._acceptor.settle(self._association, pending) if pending else ())
            answers = [next(settled) if answer is None else answer for _, answer in stores]
        except Exception as error:  # noqa: BLE001 - told, and answered
            fault = self._fault(error)
            answers = [answer or fault for _, answer in stores]
        self._association.objects += len(stores)
        return b"".join(
            block
            for (store, _), answer in zip(stores, answers, strict=True)
            for block in self._message_of(
                store.context,
                encode_response(C_STORE, store.message_id, store.sop_class, store.sop_instance, answer),
            )
        )

    def _act(self, message: _Message, command: Command) -> None:
        """Storage commitment's N-ACTION (PS3.4 J.3.2)."""
        answer, result = message.answer, None
        action = command.number(ACTION_TYPE, 0)
        if answer is None and action != 1:
            answer = Answer(Status.NO_SUCH_ACTION, f"Action type {action}")
        if answer is None and command.text(REQUESTED_INSTANCE) != uids.COMMITMENT_INSTANCE:
            answer = Answer(Status.NO_SUCH_SOP_INSTANCE, "Not the well-known instance of storage commitment")
        if answer is None:
            try:
                transaction, references = read_commitment(self._memory.view, message.context.transfer_syntax)
                request = CommitmentRequest(command.number(MESSAGE_ID), transaction, references)
                committed = self._acceptor.commit(self._association, request)
                answer, result = committed.answer, committed.result
            except CommitmentError as error:
                answer = error.answer
            except Exception as error:  # noqa: BLE001 - told, and answered
                answer = self._fault(error)
        self._memory.clear()
        response = self._response(command, REQUESTED_CLASS, REQUESTED_INSTANCE, answer, action_type=action)
        self._respond(message.context.id, response)
        if result is None:
            return
        waiting = sum(len(one.kept) + len(one.failed) for _, one in [*self._results, (message.context, result)])
        if waiting > MAX_REPORTED:  # on an association of ours
            self._acceptor.reported(self._association, result.transaction, None)
        else:
            self._results.append((message.context, result))

    def _report(self) -> None:
        """Tell the results of storage commitment that wait, as N-EVENT-REPORT."""
        while self._results:
            context, result = self._results.pop(0)
            self._event_id = self._event_id % 0xFFFF + 1
            self._reported[self._event_id] = result.transaction
            command = encode_command(
                {
                    AFFECTED_CLASS: uids.COMMITMENT,
                    COMMAND_FIELD: N_EVENT_REPORT,
                    MESSAGE_ID: self._event_id,
                    DATA_SET_TYPE: 1,
                    AFFECTED_INSTANCE: uids.COMMITMENT_INSTANCE,
                    EVENT_TYPE: SOME_FAILED if result.failed else ALL_KEPT,
                }
            )
            self._respond(context.id, command, encode_result(result, context.transfer_syntax))

    def _response(self, command: Command, sop_class: int, sop_instance: int, answer: Answer, **more: int) -> bytes:
        return encode_response(
            command.field,
            command.number(MESSAGE_ID),
            command.text(sop_class),
            command.text(sop_instance),
            answer,
            **more,
        )

    def _message_of(self, context: int, command: bytes, data: bytes = b"") -> Iterator[bytes]:
        return pdu.encode_message(context, command, data, self._association.request.max_pdu)

    def _respond(self, context: int, command: bytes, data: bytes = b"") -> None:
        for block in self._message_of(context, command, data):
            self._wire.send(block)
