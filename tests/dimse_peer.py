"""A peer for tests that says what it is told to, byte by byte: its PDUs are made and read by pynetdicom's codec."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from pydicom import Dataset
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
)
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

from scandock.dimse.association import serve_association
from scandock.dimse.records import Deadlines, WireLimits
from tests.acceptors import PATIENT, Keeper

MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
USUAL = ((VERIFICATION, (IMPLICIT,)), (MR, (EXPLICIT,)), (COMMITMENT, (IMPLICIT,)))
"""Contexts 1, 3 and 5."""

_PDUS: dict[int, Any] = {
    2: A_ASSOCIATE_AC,
    3: A_ASSOCIATE_RJ,
    4: P_DATA_TF,
    5: A_RELEASE_RQ,
    6: A_RELEASE_RP,
    7: A_ABORT_RQ,
}


class Response(NamedTuple):
    context: int
    command: Dataset
    data: bytes


def associate_rq(
    contexts: Sequence[tuple[str, Sequence[str]]] = USUAL, *items: Any, max_pdu: int = 16384, **titles: str
) -> bytes:
    """An A-ASSOCIATE-RQ by pynetdicom; `items` are further items of its user information."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = titles.get("calling", "MODALITY")
    primitive.called_ae_title = titles.get("called", "SCANDOCK")
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = max_pdu
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [length, implementation, *items]
    proposed = [build_context(uid, list(syntaxes)) for uid, syntaxes in contexts]
    for number, context in enumerate(proposed):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = proposed
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def message(kind: type[DIMSEMessage], primitive: Any, context: int, max_pdu: int = 16384) -> bytes:
    """The P-DATA PDUs of a message, by pynetdicom."""
    dimse = kind()
    dimse.primitive_to_message(primitive)
    pdus = b""
    for part in dimse.encode_msg(context, max_pdu):
        pdu = P_DATA_TF()
        pdu.from_primitive(part)
        pdus += pdu.encode()
    return pdus


def echo_rq(message_id: int = 1, context: int = 1) -> bytes:
    primitive = C_ECHO()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = VERIFICATION
    return message(C_ECHO_RQ, primitive, context)


def store_rq(
    data: bytes,
    message_id: int = 1,
    *,
    instance: str = "1.2.3",
    sop_class: str = MR,
    context: int = 3,
    max_pdu: int = 16384,
) -> bytes:
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = sop_class
    primitive.AffectedSOPInstanceUID = instance
    primitive.Priority = 0
    primitive.DataSet = BytesIO(data)
    return message(C_STORE_RQ, primitive, context, max_pdu)


def action_rq(data: bytes, message_id: int = 1, *, context: int = 5, action: int = 1, instance: str = "") -> bytes:
    primitive = N_ACTION()
    primitive.MessageID = message_id
    primitive.RequestedSOPClassUID = COMMITMENT
    primitive.RequestedSOPInstanceUID = instance or "1.2.840.10008.1.20.1.1"
    primitive.ActionTypeID = action
    primitive.ActionInformation = BytesIO(data)
    return message(N_ACTION_RQ, primitive, context)


def report_rsp(message_id: int, status: int = 0, context: int = 5) -> bytes:
    primitive = N_EVENT_REPORT()
    primitive.MessageIDBeingRespondedTo = message_id
    primitive.Status = status
    return message(N_EVENT_REPORT_RSP, primitive, context)


def dataset(instance: str = "1.2.3", *, syntax: str = EXPLICIT, sop_class: str = MR, pixels: int = 64) -> bytes:
    """An MR object's data set."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, instance
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.PatientID = "1.2.3.100", "1.2.3.101", "MR", "P1"
    ds.Rows = ds.Columns = 8
    ds.add_new(0x7FE00010, "OW", bytes(pixels))
    encoded = encode(ds, syntax == IMPLICIT, True)
    assert encoded is not None
    return encoded


class RawPeer:
    """The other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(20)

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def read(self) -> Any:
        """The next PDU as pynetdicom reads it; None at the end."""
        head = self._exactly(6)
        if head is None:
            return None
        body = self._exactly(int.from_bytes(head[2:], "big"))
        assert body is not None
        pdu = _PDUS[head[0]]()
        pdu.decode(head + body)
        assert pdu.encode() == head + body
        return pdu

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                piece = self.sock.recv(count - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                assert not data
                return None
            data += piece
        return data

    def associate(self, *args: Any, **more: Any) -> A_ASSOCIATE_AC:
        self.send(associate_rq(*args, **more))
        accepted = self.read()
        assert isinstance(accepted, A_ASSOCIATE_AC), accepted
        return accepted

    def response(self) -> Response:
        """The next message, read by pynetdicom."""
        dimse = DIMSEMessage()
        while True:
            pdu = self.read()
            assert isinstance(pdu, P_DATA_TF), pdu
            primitive = pdu.to_primitive()
            if dimse.decode_msg(primitive):
                context = primitive.presentation_data_value_list[0][0]
                return Response(context, dimse.command_set, dimse.data_set.getvalue() if dimse.data_set else b"")

    def abort(self) -> tuple[int, int]:
        """Source and reason of the abort that has to come next, with the end of the connection."""
        pdu = self.read()
        assert isinstance(pdu, A_ABORT_RQ), pdu
        assert self.read() is None
        return pdu.source or 0, pdu.reason_diagnostic or 0

    def release(self) -> None:
        self.send(A_RELEASE_RQ().encode())
        assert isinstance(self.read(), A_RELEASE_RP)
        self.sock.close()


@contextlib.contextmanager
def served(
    keeper: Keeper,
    deadlines: Deadlines = PATIENT,
    limits: WireLimits = WireLimits(),  # noqa: B008
) -> Iterator[RawPeer]:
    """A peer of an association without a network: the keeper serves it in a thread."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(
        target=serve_association, args=(ours, keeper), kwargs={"deadlines": deadlines, "limits": limits}
    )
    thread.start()
    try:
        with theirs:
            yield RawPeer(theirs)
    finally:
        thread.join(20)
        assert not thread.is_alive()
