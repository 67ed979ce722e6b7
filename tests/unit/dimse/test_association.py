"""An association's loop: what is answered, in which order, and what aborts it with which reason."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from io import BytesIO

import pytest
from pydicom import Dataset
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from scandock.dimse import association, pdu
from scandock.dimse.association import serve_association
from scandock.dimse.connection import Connection, WholeMessage, _MessageScan
from scandock.dimse.records import (
    Admitted,
    Answer,
    CommitmentAnswer,
    CommitmentRequest,
    CommitmentResult,
    Deadlines,
    Rejected,
    WireLimits,
    calling_not_allowed,
    no_space,
    not_serving,
    too_many_associations,
    unknown_called_title,
)
from tests.acceptors import PATIENT, QUICK, InMemory, Keeper
from tests.crash.processes import until
from tests.dimse_peer import (
    COMMITMENT,
    IMPLICIT,
    MR,
    USUAL,
    action_rq,
    associate_rq,
    dataset,
    echo_rq,
    report_rsp,
    served,
    store_rq,
)

FULL = OSError(28, "No space left on device")


def window(count: int) -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = count
    item.maximum_number_operations_performed = 1
    return item


def pdata(*values: bytes) -> bytes:
    body = b"".join(values)
    return b"\4\0" + struct.pack(">I", len(body)) + body


def pdv(context: int, flags: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context, flags) + data


def test_echo_store_and_release() -> None:
    keeper = Keeper()
    with served(keeper) as peer:
        peer.associate()
        peer.send(echo_rq(7))
        echo = peer.response()
        assert (echo.context, echo.command.CommandField, echo.command.Status) == (1, 0x8030, 0)
        assert echo.command.MessageIDBeingRespondedTo == 7
        data = dataset(pixels=50_000)
        peer.send(store_rq(data, 8))
        stored = peer.response()
        assert (stored.context, stored.command.CommandField, stored.command.Status) == (3, 0x8001, 0)
        assert (stored.command.AffectedSOPClassUID, stored.command.AffectedSOPInstanceUID) == (MR, "1.2.3")
        peer.release()
    assert [kept for _, kept in keeper.objects] == [data]
    assert keeper.ends == ["released"]
    request = keeper.requests[0]
    assert (request.calling, request.called, request.max_pdu) == ("MODALITY", "SCANDOCK", 16384)
    assert keeper.associations[0].objects == 1
    assert keeper.associations[0].bytes_received > len(data)


@pytest.mark.parametrize(
    ("sent", "title"),
    [
        (b"  MODALITY 1", "MODALITY 1"),
        (b"CT".ljust(16, b"\0"), "CT"),
        (b"A\0B\nC\\D\x7f", "A?B?C?D?"),
        (b"\xff" * 16, "?" * 16),
    ],
)
def test_a_title_is_of_characters_that_any_catalog_and_file_takes(sent: bytes, title: str) -> None:
    keeper = Keeper(admits=lambda _: unknown_called_title(""))
    request = associate_rq()
    with served(keeper) as peer:
        peer.send(request[:10] + 2 * sent.ljust(16) + request[42:])
        assert isinstance(peer.read(), A_ASSOCIATE_RJ)
    assert [(one.calling, one.called) for one in keeper.requests] == [(title, title)]


@pytest.mark.parametrize("split", [1, 7, 1000])
def test_bytes_come_in_pieces_of_any_size(split: int) -> None:
    keeper = Keeper()
    stream = associate_rq() + store_rq(dataset(), 1) + echo_rq(2) + A_RELEASE_RQ().encode()
    with served(keeper) as peer:
        for at in range(0, len(stream), split):
            peer.send(stream[at : at + split])
        peer.read()
        assert peer.response().command.MessageIDBeingRespondedTo == 1
        assert peer.response().command.MessageIDBeingRespondedTo == 2
        assert isinstance(peer.read(), A_RELEASE_RP)
    assert keeper.ends == ["released"]


def test_command_and_data_share_a_pdu_and_empty_values_are_taken() -> None:
    keeper = Keeper()
    data = dataset()
    first = store_rq(data, max_pdu=0)
    command_end = 6 + struct.unpack(">I", first[2:6])[0]
    command, rest = first[12:command_end], data
    shared = pdata(
        pdv(3, 1, command[:10]), pdv(3, 3, command[10:]), pdv(3, 0, b""), pdv(3, 0, rest[:5]), pdv(3, 2, rest[5:])
    )
    with served(keeper) as peer:
        peer.associate()
        peer.send(shared)
        assert peer.response().command.Status == 0
        peer.release()
    assert keeper.objects[0][1] == data


@pytest.mark.parametrize(
    ("rejected", "fields"),
    [
        (unknown_called_title("x"), (1, 1, 7)),
        (calling_not_allowed("x"), (1, 1, 3)),
        (too_many_associations("x"), (2, 3, 2)),
        (no_space("x"), (2, 3, 1)),
        (not_serving("x"), (2, 1, 1)),
    ],
)
def test_who_is_rejected_is_told_why(rejected: Rejected, fields: tuple[int, int, int]) -> None:
    with served(Keeper(admits=lambda _: rejected)) as peer:
        peer.send(associate_rq())
        pdu = peer.read()
        assert isinstance(pdu, A_ASSOCIATE_RJ)
        assert (pdu.result, pdu.source, pdu.reason_diagnostic) == fields
        assert peer.read() is None


def test_another_protocol_version_or_application_context_is_rejected() -> None:
    request = associate_rq()
    for bad, fields in (
        (request[:7] + b"\2" + request[8:], (1, 2, 2)),
        (request.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"), (1, 1, 2)),
    ):
        keeper = Keeper()
        with served(keeper) as peer:
            peer.send(bad)
            pdu = peer.read()
            assert (pdu.result, pdu.source, pdu.reason_diagnostic) == fields
        assert keeper.ends[0].startswith("no association: broke the protocol")


def test_objects_that_have_come_are_answered_after_one_settle() -> None:
    keeper = Keeper()
    objects = [store_rq(dataset(f"1.2.{n}"), n, instance=f"1.2.{n}") for n in range(1, 21)]
    with served(keeper) as peer:
        peer.send(associate_rq(USUAL, window(8)), *objects)
        accepted = peer.read()
        peer_window = accepted.user_information.async_ops_window
        assert (peer_window.maximum_number_operations_invoked, peer_window.maximum_number_operations_performed) == (
            8,
            1,
        )
        answered = [peer.response().command.MessageIDBeingRespondedTo for _ in objects]
        peer.release()
    assert answered == list(range(1, 21))
    assert sum(keeper.batches) == 20
    assert max(keeper.batches) == 8


def test_without_a_window_each_object_is_settled_alone() -> None:
    keeper = Keeper()
    with served(keeper) as peer:
        peer.send(associate_rq(), *(store_rq(dataset(f"1.2.{n}"), n, instance=f"1.2.{n}") for n in range(1, 6)))
        peer.read()
        for _ in range(5):
            peer.response()
        peer.release()
    assert keeper.batches == [1] * 5


def test_a_failed_settle_fails_all_that_it_covers() -> None:
    def fail(answers: Sequence[Answer]) -> Sequence[Answer]:
        return [Answer(0xA700, "no sync " * 20) for _ in answers]

    keeper = Keeper(answers=fail)
    with served(keeper) as peer:
        peer.send(associate_rq(USUAL, window(0)), *(store_rq(dataset(), n) for n in range(1, 5)))
        peer.read()
        commands = [peer.response().command for _ in range(4)]
        peer.release()
    assert [command.Status for command in commands] == [0xA700] * 4
    assert all(len(command.ErrorComment) <= 64 for command in commands)


def test_wrong_objects_are_refused_and_named() -> None:
    cases = [
        (store_rq(dataset("1.2.9"), instance="1.2.3"), 0xA900, 0x00080018),
        (store_rq(dataset(), sop_class=MR + ".9"), 0xA900, 0x00080016),
        (store_rq(b"\x08\0\x05\0CS\x02\0AB" + bytes(100)), 0xC000, None),
        (store_rq(b"no DICOM" * 20), 0xC000, None),
    ]
    keeper = Keeper()
    with served(keeper) as peer:
        peer.associate()
        for sent, status, element in cases:
            peer.send(sent)
            command = peer.response().command
            assert command.Status == status
            assert command.ErrorComment
            if element:
                assert command.OffendingElement == element
        peer.release()
    assert not keeper.objects


def test_what_is_no_storage_and_what_nobody_knows_is_answered() -> None:
    find = store_rq(dataset()).replace(b"\0\1\2\0\0\0\1\0", b"\0\1\2\0\0\0\x20\0")
    with served(Keeper()) as peer:
        peer.associate()
        peer.send(store_rq(dataset(), context=1))
        assert peer.response().command.Status == 0x0122
        peer.send(find)
        response = peer.response()
        assert (response.command.CommandField, response.command.Status) == (0x8020, 0x0211)
        peer.send(echo_rq())
        assert peer.response().command.Status == 0
        peer.release()


@pytest.mark.parametrize("size", [2000, 2001, 300_000])
def test_an_object_beyond_memory_goes_to_a_file(size: int) -> None:
    keeper = Keeper()
    data = dataset(pixels=size)
    with served(keeper, limits=WireLimits(memory=2000)) as peer:
        peer.associate()
        for _ in range(2):
            peer.send(store_rq(data))
            assert peer.response().command.Status == 0
        peer.release()
    assert [kept for _, kept in keeper.objects] == [data, data]
    assert [(bytes(file.data), file.closed) for file in keeper.larges] == [(data, 1), (data, 1)]


def test_an_object_over_the_limit_or_without_space_gets_a700_and_the_next_is_taken() -> None:
    class Full(InMemory):
        def write(self, data: memoryview) -> None:
            if len(self.data) > 10_000:
                raise FULL
            super().write(data)

    def none() -> InMemory:
        raise FULL

    for keeper, limits in (
        (Keeper(), WireLimits(object=20_000)),
        (Keeper(), WireLimits(object=20_000, memory=3000)),
        (Keeper(large=Full), WireLimits(memory=3000)),
        (Keeper(large=none), WireLimits(memory=3000)),
    ):
        with served(keeper, limits=limits) as peer:
            peer.associate()
            peer.send(store_rq(dataset(pixels=50_000)))
            command = peer.response().command
            assert command.Status == 0xA700
            assert command.ErrorComment
            peer.send(store_rq(dataset()))
            assert peer.response().command.Status == 0
            peer.release()
        assert len(keeper.refusals) == 1
        assert all(file.closed == 1 for file in keeper.larges)


def test_a_fault_of_ours_is_0110_and_the_association_goes_on() -> None:
    class Broken(Keeper):
        def append(self, association, obj):
            if obj.request.message_id == 1:
                raise ZeroDivisionError
            return super().append(association, obj)

        def settle(self, association, pending):
            if len(self.objects) == 1:
                raise KeyError("x")
            return super().settle(association, pending)

    keeper = Broken()
    with served(keeper) as peer:
        peer.associate()
        statuses = []
        for number in (1, 2, 3):
            peer.send(store_rq(dataset(), number))
            command = peer.response().command
            statuses.append(command.Status)
        peer.release()
    assert statuses == [0x0110, 0x0110, 0]
    assert [type(fault) for fault in keeper.faults] == [ZeroDivisionError, KeyError]
    assert keeper.ends == ["released"]


COMMAND = store_rq(dataset(), max_pdu=0)
COMMAND = COMMAND[: 6 + struct.unpack(">I", COMMAND[2:6])[0]]
ECHO = echo_rq()[12:]

NAMELESS = b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in ((0x100, 0x130), (0x800, 0x101)))

ABORTS = {
    "unknown type": (b"\x09\0\0\0\0\0", 1),
    "a second request": (associate_rq(), 2),
    "an accept": (b"\2\0\0\0\0\4aaaa", 2),
    "a release within a message": (COMMAND + A_RELEASE_RQ().encode(), 2),
    "data without a command": (pdata(pdv(3, 2, b"ab")), 5),
    "a message within a message": (COMMAND + echo_rq(), 5),
    "another context": (pdata(pdv(99, 3, ECHO)), 6),
    "data in another context": (COMMAND + pdata(pdv(1, 2, b"ab")), 6),
    "a command in two contexts": (pdata(pdv(1, 1, ECHO[:4]), pdv(3, 3, ECHO[4:])), 6),
    "no value": (pdata(), 6),
    "a value that is cut off": (pdata(b"\0\0"), 6),
    "a value beyond its PDU": (pdata(struct.pack(">IBB", 9, 1, 3)), 6),
    "a value of one byte": (pdata(struct.pack(">IBB", 1, 1, 3)), 6),
    "a release with a body": (b"\5\0\0\0\0\5aaaaa", 6),
    "four gigabytes": (b"\4\0\xff\xff\xff\xff", 6),
    "a command without a field": (pdata(pdv(1, 3, b"")), 6),
    "a command whose lengths lie": (pdata(pdv(1, 3, ECHO[:-10] + b"\xff" * 10)), 6),
    "a command that is cut off": (pdata(pdv(1, 3, ECHO + b"\0")), 6),
    "a command that is too long": (pdata(*[pdv(1, 1, bytes(60_000))] * 2), 6),
    "an action without a number": (pdata(pdv(5, 3, NAMELESS)), 6),
    "a response to nothing": (pdata(pdv(1, 3, ECHO.replace(b"\x30\0", b"\x30\x80"))), 5),
}


@pytest.mark.parametrize("name", ABORTS)
def test_what_breaks_the_protocol_is_aborted_with_its_reason(name: str) -> None:
    sent, reason = ABORTS[name]
    keeper = Keeper()
    with served(keeper) as peer:
        peer.associate()
        peer.send(sent)
        assert peer.abort() == (2, reason)
    assert keeper.ends[0].startswith("broke the protocol: ")
    assert not keeper.objects


BAD_REQUESTS = {
    "something else": (b"GET / HTTP/1.1\r\n\r\n", 1),
    "data": (pdata(pdv(1, 3, ECHO)), 2),
    "too short": (b"\1\0\0\0\0\4aaaa", 6),
    "no context": (associate_rq()[:74].replace(associate_rq()[2:6], struct.pack(">I", 68)), 6),
    "cut": (associate_rq()[:2] + struct.pack(">I", 80) + associate_rq()[6:86], 6),
    "a context twice": (associate_rq().replace(b"\x20\0\0\x2e\1", b"\x20\0\0\x2e\3", 1), 6),
    "two megabytes": (b"\1\0\0\x20\0\0", 6),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_request_that_is_none_is_aborted(name: str) -> None:
    sent, reason = BAD_REQUESTS[name]
    keeper = Keeper()
    with served(keeper) as peer:
        peer.send(sent)
        assert peer.abort() == (2, reason)
    assert keeper.ends[0].startswith("no association: broke the protocol: ")


SILENT = {
    "nothing": (b"", False),
    "half a request": (associate_rq()[:50], False),
    "a request": (associate_rq(), True),
    "half a header": (associate_rq() + b"\4\0\0", True),
    "half a PDU": (associate_rq() + store_rq(dataset())[:90], True),
    "half a message": (associate_rq() + COMMAND, True),
    "half a command": (associate_rq() + pdata(pdv(1, 1, ECHO[:9])), True),
}


@pytest.mark.parametrize("name", SILENT)
def test_who_falls_silent_is_gone_in_time(name: str) -> None:
    sent, stands = SILENT[name]
    keeper = Keeper()
    began = time.monotonic()
    with served(keeper, deadlines=QUICK) as peer:
        peer.send(sent)
        if stands:
            peer.read()
            assert peer.abort() == (2, 0)
        else:
            assert peer.read() is None
    assert time.monotonic() - began < 3
    assert keeper.ends[0].removeprefix("no association: ").startswith("nothing came in time")


def test_who_sends_a_byte_now_and_then_is_gone_in_time() -> None:
    keeper = Keeper()
    with served(keeper, deadlines=QUICK) as peer:
        peer.associate()
        stream = iter(store_rq(dataset(pixels=4000)))
        while not keeper.ends:
            with contextlib.suppress(OSError):
                peer.send(bytes((next(stream),)))
            with keeper.ended:
                keeper.ended.wait(0.05)
    assert keeper.ends[0].startswith("nothing came in time")


def test_who_does_not_read_is_gone_in_time() -> None:
    keeper = Keeper()
    with served(keeper, deadlines=QUICK) as peer:
        peer.associate()
        echoes = echo_rq() * 200
        with contextlib.suppress(OSError):
            while True:
                peer.send(echoes)
    assert keeper.ends == ["answers were not read in time"]


def test_a_peer_that_aborts_or_goes_is_noticed() -> None:
    for last, end in (
        (b"\7\0\0\0\0\4\0\0\0\0", "aborted by the peer: source 0, reason 0"),
        (b"", "connection closed by the peer"),
    ):
        keeper = Keeper()
        with served(keeper) as peer:
            peer.associate()
            peer.send(COMMAND, last)
        assert keeper.ends == [end]


def test_a_stop_lets_the_running_object_end_and_answers_it() -> None:
    keeper = Keeper()
    sent = store_rq(dataset())
    with served(keeper) as peer:
        peer.associate()
        peer.send(echo_rq())
        peer.response()
        (association,) = keeper.associations
        answered = association.bytes_received
        command = 6 + int.from_bytes(sent[2:6])
        peer.send(sent[:command])
        until(lambda: association.bytes_received > answered, "the command was not read")
        association.stop()
        peer.send(sent[command:])
        assert peer.response().command.Status == 0
        assert peer.abort() == (0, 0)
    assert keeper.ends == ["stopped by the server"]


def test_a_stop_wakes_who_waits_between_messages() -> None:
    keeper = Keeper()
    with served(keeper) as peer:
        peer.associate()
        peer.send(echo_rq())
        peer.response()
        keeper.associations[0].stop()
        assert peer.abort() == (0, 0)
    assert keeper.ends == ["stopped by the server"]


def action(*references: tuple[str, str], transaction: str = "1.2.99", implicit: bool = True) -> bytes:
    ds = Dataset()
    if transaction:
        ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = [item(*pair) for pair in references]
    encoded = encode(ds, implicit, True)
    assert encoded is not None
    return encoded


def item(sop_class: str, instance: str) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = sop_class, instance
    return ds


def keep_all(request: CommitmentRequest) -> CommitmentAnswer:
    return CommitmentAnswer(Answer(), CommitmentResult(request.transaction, request.references, ()))


def test_commitment_is_answered_and_reported_on_the_same_association() -> None:
    def decide(request: CommitmentRequest) -> CommitmentAnswer:
        kept, *failed = request.references
        return CommitmentAnswer(
            Answer(), CommitmentResult(request.transaction, (kept,), tuple((*pair, 0x112) for pair in failed))
        )

    keeper = Keeper(decide=decide)
    with served(keeper) as peer:
        peer.associate()
        peer.send(action_rq(action((MR, "1.2.3"), (MR, "1.2.4")), 5))
        answer = peer.response().command
        assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8130, 0, 5)
        event = peer.response()
        assert (event.command.CommandField, event.command.EventTypeID) == (0x0100, 2)
        assert event.command.AffectedSOPInstanceUID == "1.2.840.10008.1.20.1.1"
        told = decode(BytesIO(event.data), True, True)
        assert told.TransactionUID == "1.2.99"
        assert [one.ReferencedSOPInstanceUID for one in told.ReferencedSOPSequence] == ["1.2.3"]
        assert [(one.ReferencedSOPInstanceUID, one.FailureReason) for one in told.FailedSOPSequence] == [
            ("1.2.4", 0x112)
        ]
        peer.send(report_rsp(event.command.MessageID))
        peer.release()
    assert keeper.commitments[0].references == ((MR, "1.2.3"), (MR, "1.2.4"))
    assert keeper.reports == [("1.2.99", 0)]


def test_a_peer_that_releases_first_is_not_told_on_its_association() -> None:
    keeper = Keeper(
        decide=lambda request: CommitmentAnswer(Answer(), CommitmentResult(request.transaction, request.references, ()))
    )
    with served(keeper) as peer:
        peer.associate()
        peer.send(action_rq(action((MR, "1.2.3"))), A_RELEASE_RQ().encode())
        assert peer.response().command.Status == 0
        assert isinstance(peer.read(), A_RELEASE_RP)
    assert keeper.reports == [("1.2.99", None)]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (action_rq(action((MR, "1.2.3")), action=2), 0x0123),
        (action_rq(action((MR, "1.2.3")), instance="1.2.3"), 0x0112),
        (action_rq(action((MR, "1.2.3"), transaction="")), 0x0115),
        (action_rq(action()), 0x0115),
        (action_rq(action((MR, ""))), 0x0115),
        (action_rq(action((MR, "1.2.3"))[:-3]), 0x0110),
        (action_rq(action((MR, "1.2.3")), context=3), 0x0122),
    ],
)
def test_a_request_for_commitment_that_is_none_is_refused(sent: bytes, status: int) -> None:
    keeper = Keeper()
    with served(keeper) as peer:
        peer.associate()
        peer.send(sent)
        command = peer.response().command
        assert (command.CommandField, command.Status) == (0x8130, status)
        peer.release()
    assert not keeper.commitments


def test_commitment_is_no_context_of_who_does_not_offer_it() -> None:
    with served(Keeper(admits=lambda _: Admitted())) as peer:
        accepted = peer.associate([(COMMITMENT, (IMPLICIT,))])
        assert [context.result for context in accepted.presentation_context] == [3]
        peer.release()


def test_long_answers_fit_what_the_peer_takes() -> None:
    keeper = Keeper(
        decide=lambda request: CommitmentAnswer(Answer(), CommitmentResult(request.transaction, request.references, ()))
    )
    references = [(MR, f"1.2.3.{n}") for n in range(500)]
    with served(keeper) as peer:
        peer.associate(max_pdu=512)
        peer.send(action_rq(action(*references)))
        assert peer.response().command.Status == 0
        event = peer.response()
        assert len(event.data) > 20_000
        peer.send(report_rsp(event.command.MessageID))
        peer.release()
    assert keeper.reports == [("1.2.99", 0)]


def test_a_fault_in_negotiation_ends_what_was_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("too long")

    keeper = Keeper()
    monkeypatch.setattr(pdu, "encode_accept", fail)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(associate_rq())
        with pytest.raises(ValueError, match="too long"):
            serve_association(ours, keeper)
    assert keeper.ends == ["a fault of ours: ValueError"]


def test_results_of_many_objects_are_told_on_another_association(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association, "MAX_REPORTED", 3)
    keeper = Keeper(decide=keep_all)
    with served(keeper) as peer:
        peer.associate()
        peer.send(action_rq(action(*[(MR, f"1.2.{n}") for n in range(4)]), 1))
        assert peer.response().command.Status == 0
        for number in (2, 3):
            peer.send(action_rq(action((MR, "1.2.3"), (MR, "1.2.4"), transaction=f"1.3.{number}"), number))
        assert {peer.response().command.Status for _ in range(2)} == {0}
        event = peer.response()
        peer.send(report_rsp(event.command.MessageID))
        peer.release()
    assert sorted(keeper.reports, key=str) == [("1.2.99", None), ("1.3.2", 0), ("1.3.3", None)]


def test_a_peer_that_takes_a_byte_at_a_time_is_answered() -> None:
    keeper = Keeper(decide=keep_all)
    with served(keeper) as peer:
        peer.associate(max_pdu=1)
        peer.send(action_rq(action(*[(MR, f"1.2.{n}") for n in range(100)]), 1))
        assert peer.response().command.Status == 0
        event = peer.response()
        assert len(event.data) > 5_000
        peer.send(report_rsp(event.command.MessageID))
        peer.release()


def test_objects_of_one_pdu_are_answered_as_the_window_says() -> None:
    keeper = Keeper(checks=False)
    with served(keeper) as peer:
        peer.associate()
        pdus = [store_rq(dataset(f"1.2.{n}"), n, instance=f"1.2.{n}") for n in range(1, 6)]
        values = b"".join(whole[6:] for whole in (part for each in pdus for part in split_pdus(each)))
        peer.send(bytes((4, 0)) + len(values).to_bytes(4, "big") + values)
        assert [peer.response().command.Status for _ in range(5)] == [0] * 5
        peer.release()
    assert keeper.batches == [1] * 5


def split_pdus(data: bytes) -> list[bytes]:
    """The PDUs that stand one after the other."""
    parts = []
    while data:
        end = 6 + int.from_bytes(data[2:6], "big")
        parts.append(data[:end])
        data = data[end:]
    return parts


def test_after_an_answer_that_had_to_wait_for_the_peer_nothing_else_does() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(ours, PATIENT, WireLimits())
        answer = bytes(4_000_000)  # more than the system keeps

        def read() -> None:
            until(lambda: ours.gettimeout() == PATIENT.silence, "nothing waits")
            _read(theirs, len(answer))

        reading = threading.Thread(target=read)
        reading.start()
        connection.send(answer)
        reading.join(30)
        assert ours.gettimeout() == PATIENT.silence
        connection.before_waiting = lambda: theirs.sendall(A_RELEASE_RQ().encode())
        connection.wait_for_pdu()  # which finds nothing at once
        assert ours.gettimeout() is None
        connection.close()


def _read(end: socket.socket, count: int) -> None:
    while count:
        count -= len(end.recv(65_536))


def test_between_messages_a_peer_has_longer_than_within_one(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    wait = Connection._wait  # noqa: SLF001

    def count(wire: Connection, seconds: float) -> None:
        turns.append(seconds)
        wait(wire, seconds)

    with served(Keeper(), deadlines=Deadlines(silence=0.05, between=60)) as peer:
        peer.associate()
        monkeypatch.setattr(Connection, "_wait", count)
        until(lambda: len(turns) > 3, "the loop does not go on waiting")
        peer.send(echo_rq())
        assert peer.response().command.Status == 0
        peer.release()
    assert set(turns) == {0.05}


@pytest.mark.parametrize("sent", [1, 11, 100, 60_000, -1])
def test_objects_are_answered_before_the_rest_of_the_next_is_waited_for(sent: int) -> None:
    keeper = Keeper()
    following = store_rq(dataset("1.2.4", pixels=100_000), 2, instance="1.2.4")
    with served(keeper) as peer:
        peer.associate(USUAL, window(4))
        peer.send(store_rq(dataset(), 1) + following[:sent])
        assert peer.response().command.MessageIDBeingRespondedTo == 1
        peer.send(following[sent:])
        assert peer.response().command.MessageIDBeingRespondedTo == 2
        peer.release()


def test_objects_of_any_length_are_taken_where_the_buffer_has_to_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a receiver's own limits and a window of 32: what begins near the buffer's end is moved to its front."""
    moves: list[int] = []
    move = _MessageScan.move

    def count(scan: _MessageScan, by: int) -> None:
        moves.append(by)
        move(scan, by)

    monkeypatch.setattr(_MessageScan, "move", count)
    rng = random.Random(18)
    keeper = Keeper(checks=False)
    sent = [rng.randbytes(2 * rng.randrange(1, 250_000)) for _ in range(40)]
    with served(keeper) as peer:
        peer.associate(USUAL, window(32))
        messages = [
            store_rq(data, number, instance=f"1.2.{number}", max_pdu=rng.choice([16_384, 65_536]))
            for number, data in enumerate(sent, 1)
        ]
        reading = threading.Thread(target=lambda: [peer.response() for _ in messages])
        reading.start()
        peer.send(b"".join(messages))
        reading.join(30)
        peer.release()
    assert [data for _, data in keeper.objects] == sent
    assert len(moves) > 3


def test_of_an_object_in_many_pdus_they_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[WholeMessage] = []
    take = Connection.take

    def count(wire: Connection, message: WholeMessage) -> None:
        taken.append(message)
        take(wire, message)

    monkeypatch.setattr(Connection, "take", count)
    keeper = Keeper()
    data = dataset(pixels=20_000)
    with served(keeper) as peer:
        peer.associate()
        for max_pdu in (len(data) // 100, len(data) // 200):  # a place in the buffer is kept for each
            peer.send(store_rq(data, max_pdu=max_pdu))
            assert peer.response().command.Status == 0
        peer.release()
    assert [kept for _, kept in keeper.objects] == [data, data]
    assert len(taken) == 1


@pytest.mark.parametrize("cut", [100, 40_000])
def test_a_peer_that_is_slow_within_an_object_has_the_time_for_its_bytes(cut: int) -> None:
    keeper = Keeper()
    message = store_rq(dataset(pixels=50_000))
    deadlines = Deadlines(silence=0.5, between=60, slowest=1e6, close=0.2)
    with served(keeper, deadlines) as peer:
        peer.associate()
        peer.send(message[:cut])
        dripping = threading.Thread(target=_drip, args=(peer.sock, message[cut : cut + 40]))
        dripping.start()
        assert isinstance(peer.read(), A_ABORT_RQ)
        dripping.join(30)
    assert keeper.ends[0].startswith("nothing came in time")
    assert keeper.associations[0].bytes_received < len(associate_rq()) + cut + 20


def _drip(end: socket.socket, data: bytes) -> None:
    """Send a byte now and then, never as late as the deadline for one, until nobody takes it."""
    with contextlib.suppress(OSError):
        for at in range(len(data)):
            end.sendall(data[at : at + 1])
            select.select([], [], [], 0.1)
