"""PDUs and commands against pynetdicom's codec, in both directions, over made-up values."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dimse_messages import C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP, P_DATA_TF
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationVersionNameNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from scandock.dimse import pdu, uids
from scandock.dimse.commands import C_STORE as STORE
from scandock.dimse.commands import Command, encode_response
from scandock.dimse.commitment import CommitmentError, encode_result, read_commitment
from scandock.dimse.negotiation import negotiate
from scandock.dimse.records import Admitted, Answer, CommitmentResult, WireLimits
from tests.dimse_peer import COMMITMENT, EXPLICIT, IMPLICIT, MR, VERIFICATION, associate_rq, message

UID = st.from_regex(r"1\.[1-9][0-9]{0,4}(\.[1-9][0-9]{0,6}){0,6}", fullmatch=True)
TITLE = st.text("ABCdef019_-", min_size=1, max_size=16)
FIRST: Any = itemgetter(0)


def user_items(values: dict[str, Any]) -> list[Any]:
    items: list[Any] = []
    if "window" in values:
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked, item.maximum_number_operations_performed = values["window"]
        items.append(item)
    for uid, scu, scp in values.get("roles", ()):
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = uid, scu, scp
        items.append(role)
    if "version" in values:
        name = ImplementationVersionNameNotification()
        name.implementation_version_name = values["version"]
        items.append(name)
    for uid, info in values.get("extended", ()):
        extended = SOPClassExtendedNegotiation()
        extended.sop_class_uid, extended.service_class_application_information = uid, info
        items.append(extended)
    for uid, service, related in values.get("common", ()):
        common = SOPClassCommonExtendedNegotiation()
        common.sop_class_uid, common.service_class_uid = uid, service
        common.related_general_sop_class_identification = related
        items.append(common)
    if "identity" in values:
        identity = UserIdentityNegotiation()
        identity.user_identity_type, identity.primary_field, identity.secondary_field = values["identity"][:3]
        identity.positive_response_requested = values["identity"][3]
        items.append(identity)
    return items


@given(
    contexts=st.lists(st.tuples(UID, st.lists(UID, min_size=1, max_size=3)), min_size=1, max_size=6),
    titles=st.tuples(TITLE, TITLE),
    max_pdu=st.integers(0, 2**32 - 1),
    values=st.fixed_dictionaries(
        {},
        optional={
            "window": st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
            "roles": st.lists(
                st.tuples(UID, st.booleans(), st.booleans()).filter(lambda role: role[1] or role[2]),
                max_size=3,
                unique_by=FIRST,
            ),
            "version": st.text("ABC_123", min_size=1, max_size=16),
            "extended": st.lists(st.tuples(UID, st.binary(min_size=1, max_size=9)), max_size=2, unique_by=FIRST),
            "common": st.lists(st.tuples(UID, UID, st.lists(UID, min_size=1, max_size=3)), max_size=2, unique_by=FIRST),
            "identity": st.tuples(st.just(2), st.binary(min_size=1, max_size=9), st.binary(min_size=1), st.booleans()),
        },
    ),
)
@pytest.mark.long
def test_a_request_is_read_as_pynetdicom_writes_it(
    contexts: list[tuple[str, list[str]]], titles: tuple[str, str], max_pdu: int, values: dict[str, Any]
) -> None:
    calling, called = titles
    written = associate_rq(contexts, *user_items(values), max_pdu=max_pdu, calling=calling, called=called)
    request = pdu.decode_associate(written[6:])
    assert (request.calling, request.called) == (calling.ljust(16).encode(), called.ljust(16).encode())
    assert request.application_context == uids.APPLICATION_CONTEXT
    assert [(one.id, one.abstract_syntax) for one in request.contexts] == [
        (2 * number + 1, uid) for number, (uid, _) in enumerate(contexts)
    ]
    for context, (_, syntaxes) in zip(request.contexts, contexts, strict=True):
        assert list(context.transfer_syntaxes) == list(dict.fromkeys(syntaxes))
    assert (request.max_pdu, request.implementation_class) == (max_pdu, "1.2.3.4")
    assert request.window == values.get("window")
    assert [(role.uid, bool(role.scu), bool(role.scp)) for role in request.roles] == values.get("roles", [])
    assert request.implementation_version == values.get("version", "")
    assert request.extended == values.get("extended", [])
    assert request.services == {uid: service for uid, service, _ in values.get("common", ())}
    if "identity" in values:
        assert request.identity is not None
        kind, primary, secondary, wants = values["identity"]
        seen = request.identity
        assert (seen.type, seen.primary, seen.secondary, seen.wants_response) == (kind, primary, secondary, wants)
    accepted = negotiate(request, Admitted(), WireLimits()).accepted
    reread = A_ASSOCIATE_AC()
    written = pdu.encode_accept(request.called, request.calling, accepted)
    reread.decode(written)
    assert reread.encode() == written
    assert [(one.context_id, one.result) for one in reread.presentation_context] == [
        (one.id, one.result) for one in accepted.contexts
    ]


def answer(contexts: Any, *items: Any, admitted: Admitted = Admitted()) -> Any:  # noqa: B008
    """What pynetdicom reads of our answer."""
    request = pdu.decode_associate(associate_rq(contexts, *items)[6:])
    accepted = A_ASSOCIATE_AC()
    accepted.decode(
        pdu.encode_accept(request.called, request.calling, negotiate(request, admitted, WireLimits()).accepted)
    )
    return accepted


def extended(user: Any) -> dict[str, bytes]:
    return {str(item.sop_class_uid): item.service_class_application_information for item in user.ext_neg}


def test_every_context_of_128_is_answered() -> None:
    storage = [(f"{MR}.{number}", [IMPLICIT, EXPLICIT]) for number in range(128)]
    accepted = answer(storage)
    assert [(one.context_id, one.result) for one in accepted.presentation_context] == [
        (2 * number + 1, 0) for number in range(128)
    ]


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def test_however_much_is_proposed_it_is_answered_or_refused_in_words() -> None:
    """Items by the thousand, UIDs that are none and as long as can be: no more is kept than there is sense in."""
    mr, odd = MR.encode(), b"\xff" * 60_000
    syntaxes = item(0x40, EXPLICIT.encode()) + item(0x40, b"") * 10_000
    contexts = [
        item(0x20, bytes((1, 0, 0, 0)) + item(0x30, mr) + syntaxes),
        item(0x20, bytes((3, 0, 0, 0)) + item(0x30, mr) + item(0x40, odd)),
        item(0x20, bytes((5, 0, 0, 0)) + item(0x30, odd) + item(0x40, EXPLICIT.encode())),
        item(0x20, bytes((7, 0, 0, 0))),
    ]
    roles = item(0x54, sized(mr) + b"\1\1") * 1_000
    roles += b"".join(item(0x54, sized(b"%d" % n) + b"\1\1") for n in range(2_000))
    extended = item(0x56, sized(mr) + b"\2") * 1_500
    services = b"".join(item(0x57, sized(b"%d" % n) + sized(b"1.2")) for n in range(3_000))
    body = bytes(68) + item(0x10, b"1.2") + b"".join(contexts)
    body += item(0x50, roles) + item(0x50, extended) + item(0x50, services)
    proposal = pdu.decode_associate(body)
    assert [len(one.transfer_syntaxes) for one in proposal.contexts] == [128, 1, 1, 0]
    assert len(proposal.roles) + len(proposal.extended) + len(proposal.services) <= 1_024
    negotiated = negotiate(proposal, Admitted(), WireLimits())
    written = pdu.encode_accept(proposal.called, proposal.calling, negotiated.accepted)
    assert [one.result for one in negotiated.accepted.contexts] == [0, 4, 3, 3]
    assert (negotiated.accepted.roles, len(written) < 2_000) == ([pdu.Role(MR, 1, 0)], True)


def test_the_table_of_negotiation() -> None:
    jpip = "1.2.840.10008.1.2.4.94"
    cases = [
        (VERIFICATION, [IMPLICIT], 0, IMPLICIT),
        (VERIFICATION, ["1.2.840.10008.1.2.4.50"], 4, None),
        (MR, ["1.2.840.10008.1.2.4.90", IMPLICIT], 0, "1.2.840.10008.1.2.4.90"),
        (MR, [jpip, "1.2.3.4", "1.2.840.10008.1.2.2"], 0, "1.2.840.10008.1.2.2"),
        (MR, [jpip, "1.2.3.4"], 4, None),
        ("1.2.840.113619.4.26", ["1.2.840.10008.1.2.1.99"], 0, "1.2.840.10008.1.2.1.99"),
        ("1.2.840.10008.5.1.4.1.2.1.1", [IMPLICIT], 3, None),
        ("1.2.840.10008.5.1.4.31", [IMPLICIT], 3, None),
        ("1.2.840.10008.3.1.2.3.3", [IMPLICIT], 3, None),
        (COMMITMENT, [EXPLICIT], 3, None),
    ]
    accepted = answer([case[:2] for case in cases])
    for context, (uid, _, result, syntax) in zip(accepted.presentation_context, cases, strict=True):
        assert context.result == result, uid
        if syntax:
            assert context.transfer_syntax == syntax
    assert answer([(COMMITMENT, [EXPLICIT])], admitted=Admitted(commitment=True)).presentation_context[0].result == 0
    assert accepted.user_information.maximum_length == 131_072
    assert accepted.user_information.async_ops_window is None
    assert accepted.user_information.role_selection == {}


def test_what_is_asked_for_is_answered_and_nothing_else() -> None:
    other = "1.2.840.10008.5.1.4.1.1.2"
    items = user_items(
        {
            "window": (0, 0),
            "roles": [(MR, True, True), (other, True, False)],
            "extended": [(MR, b"\2\0\3\0\2\0"), (VERIFICATION, b"\1")],
            "identity": (2, b"user", b"secret", True),
        }
    )
    accepted = answer([(MR, [EXPLICIT]), (VERIFICATION, [IMPLICIT])], *items)
    user = accepted.user_information
    assert {uid: (role.scu_role, role.scp_role) for uid, role in user.role_selection.items()} == {MR: (1, 0)}
    assert extended(user) == {MR: b"\2\0\1\0\0\0"}
    window = user.async_ops_window
    assert (window.maximum_number_operations_invoked, window.maximum_number_operations_performed) == (32, 1)
    assert user.user_identity is None
    changing = answer([(MR, [EXPLICIT])], *items, admitted=Admitted(changes_objects=True, identity_checked=True))
    assert extended(changing.user_information) == {MR: b"\2\0\1\0\1\0"}
    assert changing.user_information.user_identity.server_response == b""


def test_a_class_that_the_peer_gives_to_another_service_is_none_of_storage() -> None:
    private = "1.2.840.113619.4.26"
    for service, result in (("1.2.840.10008.4.2", 0), ("1.2.3", 3)):
        items = user_items({"common": [(private, service, [MR])]})
        assert answer([(private, [EXPLICIT])], *items).presentation_context[0].result == result


@given(
    status=st.integers(0, 0xFFFF),
    comment=st.text("abc xyz", max_size=64).map(str.strip),
    message_id=st.integers(0, 65535),
    uid=UID,
    max_pdu=st.integers(0, 200),
)
def test_responses_are_read_by_pynetdicom(status: int, comment: str, message_id: int, uid: str, max_pdu: int) -> None:
    given_answer = Answer(status, comment, (0x00080018, 0x0020000D) if comment else ())
    command = encode_response(STORE, message_id, MR, uid, given_answer)
    sent = b"".join(pdu.encode_message(3, command, b"", max_pdu))
    dimse = DIMSEMessage()
    whole = False
    while sent:
        end = 6 + int.from_bytes(sent[2:6], "big")
        assert not max_pdu or end - 6 <= max(max_pdu, 7)
        part = P_DATA_TF()
        part.decode(sent[:end])
        whole = dimse.decode_msg(part.to_primitive())
        sent = sent[end:]
    assert whole
    assert isinstance(dimse, C_STORE_RSP)
    read = dimse.command_set
    assert (read.Status, read.MessageIDBeingRespondedTo) == (status, message_id)
    assert (read.AffectedSOPClassUID, read.AffectedSOPInstanceUID) == (MR, uid)
    assert str(read.get("ErrorComment", "")) == comment
    if comment:
        assert [int(tag) for tag in read.OffendingElement] == [0x00080018, 0x0020000D]
    assert read.CommandGroupLength == len(command) - 12


@given(message_id=st.integers(0, 65535), uid=UID, originator=st.none() | TITLE)
def test_commands_are_read_as_pynetdicom_writes_them(message_id: int, uid: str, originator: str | None) -> None:
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = MR, uid
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = originator
    primitive.DataSet = BytesIO(b"12")
    from pynetdicom.dimse_messages import C_STORE_RQ

    sent = message(C_STORE_RQ, primitive, 3, 0)
    _, flags, value = next(pdu.values_of(memoryview(sent)[6 : 6 + int.from_bytes(sent[2:6], "big")]))
    command = Command(bytes(value))
    assert flags == 3
    assert (command.field, command.number(0x0110), command.has_data) == (1, message_id, True)
    assert (command.text(0x0002), command.text(0x1000), command.text(0x1030)) == (MR, uid, originator or "")


def test_rejects_aborts_and_releases_are_read_by_pynetdicom() -> None:
    for result, source, reason in ((1, 1, 7), (2, 3, 2), (2, 1, 1)):
        reject = A_ASSOCIATE_RJ()
        reject.decode(pdu.encode_reject(result, source, reason))
        assert (reject.result, reject.source, reject.reason_diagnostic) == (result, source, reason)
    for source, reason in ((0, 0), (2, 6)):
        abort = A_ABORT_RQ()
        abort.decode(pdu.encode_abort(source, reason))
        assert (abort.source, abort.reason_diagnostic) == (source, reason)
    release = A_RELEASE_RP()
    release.decode(pdu.RELEASE_REPLY)
    assert release.encode() == pdu.RELEASE_REPLY


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2"])
def test_commitments_data_sets_are_pydicoms(syntax: str) -> None:
    implicit, little = syntax == IMPLICIT, syntax != "1.2.840.10008.1.2.2"
    references = [(MR, f"1.2.{number}") for number in range(20)]
    for undefined in (False, True):
        ds = Dataset()
        ds.TransactionUID = "1.2.3"
        ds.StorageMediaFileSetID = "X"
        ds.ReferencedSOPSequence = []
        for sop_class, instance in references:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
            inner = Dataset()
            inner.PatientName = "X"
            item.PurposeOfReferenceCodeSequence = [inner, Dataset()]
            item.is_undefined_length_sequence_item = undefined
            item["PurposeOfReferenceCodeSequence"].is_undefined_length = undefined
            ds.ReferencedSOPSequence.append(item)
        ds["ReferencedSOPSequence"].is_undefined_length = undefined
        data = encode(ds, implicit, little)
        assert data is not None
        assert read_commitment(data, syntax) == ("1.2.3", tuple(references))
        for end in range(0, len(data), 13):
            with contextlib.suppress(CommitmentError):
                read_commitment(data[:end], syntax)
    result = CommitmentResult("1.2.3", tuple(references[:3]), ((MR, "1.2.9", 0x112),))
    told = decode(BytesIO(encode_result(result, syntax)), implicit, little)
    assert told.TransactionUID == "1.2.3"
    assert [
        (one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in told.ReferencedSOPSequence
    ] == references[:3]
    assert [(one.ReferencedSOPInstanceUID, one.FailureReason) for one in told.FailedSOPSequence] == [("1.2.9", 0x112)]


def test_deep_nesting_is_refused() -> None:
    data = b"\x08\0\x99\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100_000
    with pytest.raises(CommitmentError):
        read_commitment(data, IMPLICIT)
