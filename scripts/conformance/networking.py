"""The part of the conformance statement about DIMSE: associations, storage, storage commitment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydicom._uid_dict import UID_dictionary

from scandock.dimse import uids
from scandock.dimse.negotiation import IMPLEMENTATION_VERSION, negotiate
from scandock.dimse.pdu import AssociateRequest
from scandock.dimse.records import (
    Admitted,
    ProposedContext,
    Rejected,
    Status,
    WireLimits,
    calling_not_allowed,
    no_space,
    not_serving,
    too_many_associations,
    unknown_called_title,
)
from scandock.model.receivers import DEFAULT_TITLE
from scandock.services.commitment import CommitmentTimes
from scandock.services.settings import Settings
from scripts.conformance.markdown import heading, hexadecimal, paragraph, sort_uids, table, uid_name

CHANGES: Final = Admitted(changes_objects=True)

_REJECTIONS: Final = (
    (unknown_called_title(""), "Called AE title not recognized", "no enabled receiver has that AE title at the port"),
    (
        calling_not_allowed(""),
        "Calling AE title not recognized",
        "the AE title or address is not on the allow list, or a client certificate is missing",
    ),
    (too_many_associations(""), "Local limit exceeded", "too many associations, in all, of an address or a receiver"),
    (no_space(""), "Temporary congestion", "the disk has less free space than is to stay free"),
    (
        not_serving(""),
        "No reason given",
        "the server is stopping, or the receiver's project or account can't be used",
    ),
    (Rejected(1, 1, 2), "Application context name not supported", "it is not that of the standard"),
    (Rejected(1, 2, 2), "Protocol version not supported", "it is not version 1"),
)
_STORE: Final = (
    (Status.SUCCESS, "Success", "the object is on the server's disk, also where it is a repeat or will be left out"),
    (Status.OUT_OF_RESOURCES, "Refused: out of resources", "the disk is full or failed, or the object is over a limit"),
    (
        Status.CLASS_MISMATCH,
        "Error: data set does not match SOP class",
        "SOP class or instance differ from those of the command",
    ),
    (
        Status.CANNOT_UNDERSTAND,
        "Error: cannot understand",
        "the header can't be read, or a study, series or instance UID is missing or none",
    ),
    (Status.SOP_CLASS_NOT_SUPPORTED, "Refused: SOP class not supported", "the context is not one of storage"),
    (Status.PROCESSING_FAILURE, "Processing failure", "a fault of the server"),
)
_ACTION: Final = (
    (Status.SUCCESS, "Success", "the request is kept, and will be reported"),
    (
        Status.PROCESSING_FAILURE,
        "Processing failure",
        "no address is known of the peer, UIDs are dropped, or the data set can't be read",
    ),
    (Status.NO_SUCH_SOP_INSTANCE, "No such SOP instance", "it is not the well-known instance"),
    (Status.INVALID_ARGUMENT, "Invalid argument", "the transaction or a reference is missing"),
    (Status.NO_SUCH_ACTION, "No such action", "the action type is not 1"),
    (Status.DUPLICATE_TRANSACTION, "Duplicate transaction UID", "the transaction is under way"),
    (Status.OUT_OF_RESOURCES, "Out of resources", "too many requests are under way, or the catalog can't be reached"),
)
_FAILURES: Final = (
    (Status.NO_SUCH_SOP_INSTANCE, "No such object instance", "it is not stored, or known to be damaged"),
    (Status.CLASS_INSTANCE_CONFLICT, "Class / instance conflict", "it is stored, and of another SOP class"),
    (
        Status.PROCESSING_FAILURE,
        "Processing failure",
        "it was received, and left out: by an import filter, or since it can't be read",
    ),
)
_TIMES: Final = (
    ("dicom_handshake_seconds", "TLS handshake"),
    ("dicom_request_seconds", "until the whole A-ASSOCIATE-RQ (ARTIM)"),
    ("dicom_silence_seconds", "silence within a message, or while an answer is not read"),
    ("dicom_between_seconds", "between two messages"),
)


def lines() -> Iterator[str]:
    """The part, line by line."""
    yield from heading("## 2 Networking")
    yield from _model()
    yield from _associations()
    yield from _contexts()
    yield from _storage_classes()
    yield from _storage()
    yield from _commitment()
    yield from _verification()


def _model() -> Iterator[str]:
    yield from heading("### 2.1 Implementation model")
    yield from paragraph(
        "One process, the receiver, listens for all receivers that are set on its host. Each has an AE title "
        "and a port; those that share a port are told apart by the called AE title. `serve --dicom-port` "
        f"makes one called `{DEFAULT_TITLE}`. Workers call peers: by C-ECHO when a person asks for it, and to "
        "report storage commitment."
    )


def _associations() -> Iterator[str]:
    limits = WireLimits()
    yield from heading("### 2.2 Association policies")
    yield from table(
        ("policy", "value"),
        (
            ("application context", f"`{uids.APPLICATION_CONTEXT}`"),
            ("implementation class UID", f"`{uids.IMPLEMENTATION_CLASS}`"),
            ("implementation version name", f"`{IMPLEMENTATION_VERSION}`"),
            (
                "maximum length announced",
                f"{_default('dicom_max_pdu'):,} bytes, a setting; PDUs up to {limits.pdu:,} are taken",
            ),
            (
                "associations at once",
                f"{_default('dicom_associations'):,}; an address {_default('dicom_associations_per_address'):,}",
            ),
            ("presentation contexts", "up to 128"),
            ("asynchronous operations window", f"up to {limits.window} outstanding where the peer asks for it, else 1"),
            ("role selection", "the requestor is SCU; answered where the peer asks"),
            (
                "SOP class extended negotiation",
                f"storage, level 2: `{_extended(Admitted())}`, or `{_extended(CHANGES)}` where they are de-identified",
            ),
            ("SOP class common extended negotiation", "a class of another service than storage is not accepted"),
            ("user identity", "taken, and not checked"),
        ),
    )
    yield from paragraph("Deadlines, each a setting:")
    yield from table(
        ("setting", "seconds", "for"),
        ((f"`SCANDOCK_{name.upper()}`", f"{_default(name):g}", meaning) for name, meaning in _TIMES),
    )
    yield from paragraph("Associations are rejected so:")
    yield from table(
        ("result, source, reason", "name", "when"),
        ((f"{one.result}, {one.source}, {one.reason}", name, why) for one, name, why in _REJECTIONS),
    )
    yield from paragraph("TCP over IPv4 and IPv6. No name of a peer is looked up.")


def _contexts() -> Iterator[str]:
    yield from heading("### 2.3 Accepted presentation contexts")
    yield from table(
        ("abstract syntax", "UID", "transfer syntaxes", "role"),
        (
            ("Verification", f"`{uids.VERIFICATION}`", _plain(uids.VERIFICATION), "SCP"),
            ("Storage Commitment Push Model", f"`{uids.COMMITMENT}`", _plain(uids.COMMITMENT), "SCP"),
            ("every storage class (2.5)", "", "all of 2.4", "SCP"),
        ),
    )
    yield from paragraph(
        "Of the transfer syntaxes that a context offers, the first that is kept is accepted. Nothing is "
        "converted. Another abstract syntax gets result 3, a context without a transfer syntax that is kept "
        "result 4."
    )
    yield from heading("### 2.4 Transfer syntaxes of storage")
    yield from table(("name", "UID"), ((uid_name(uid), f"`{uid}`") for uid in sort_uids(uids.TRANSFER_SYNTAXES)))
    yield from paragraph(
        "Not kept: JPIP and SMPTE ST 2110, whose pixels are elsewhere, MIME and XML encodings, Papyrus, and "
        "private ones."
    )


def _storage_classes() -> Iterator[str]:
    yield from heading("### 2.5 Storage SOP classes")
    yield from paragraph(
        "Every UID that the standard does not use for something else is taken as a storage class: private "
        "ones, and those of later editions. Of this edition:"
    )
    yield from table(("name", "UID"), ((uid_name(uid), f"`{uid}`") for uid in _known_storage_classes()))


def _storage() -> Iterator[str]:
    yield from heading("### 2.6 Storage")
    yield from paragraph(
        "Level 2 (full): all attributes are kept, private ones too, in the bytes that were sent, with meta "
        "information of our own. An object is answered once it and all before it are on disk. It is imported "
        "with its study, by the rules of every import; where a project de-identifies, objects are changed "
        "then."
    )
    yield from _statuses(_STORE)


def _commitment() -> Iterator[str]:
    times = CommitmentTimes()
    yield from heading("### 2.7 Storage commitment")
    yield from paragraph(
        "N-ACTION is answered at once. Where all that it asks for is stored, or nothing that was sent before "
        "is still on its way, N-EVENT-REPORT follows on the same association, if that is not released within "
        "a second. Else a worker decides, once the imports that were under way have ended, at most "
        f"{times.wait / 60:g} minutes later, and reports on an association of its own, as SCP (role selection: "
        "SCU 0, SCP 1), to the address that is set for the peer. A report that fails is tried again after "
        f"{', '.join(f'{seconds:,g}' for seconds in times.retries)} seconds, then given up. Objects whose UIDs "
        "were changed by de-identification are found by the UIDs that they came with, unless UIDs are "
        "dropped."
    )
    yield from _statuses(_ACTION)
    yield from paragraph("Failure reasons (0008,1197):")
    yield from _statuses(_FAILURES)


def _verification() -> Iterator[str]:
    yield from heading("### 2.8 Verification")
    yield from paragraph(
        f"C-ECHO is answered with {Status.SUCCESS:04X} at every receiver. Other DIMSE requests in an accepted "
        f"context get {Status.UNRECOGNIZED_OPERATION:04X}."
    )


def _statuses(rows: Iterable[tuple[int, str, str]]) -> Iterator[str]:
    return table(("status", "name", "when"), ((hexadecimal(status), name, why) for status, name, why in rows))


def _default(name: str) -> float:
    value: float = Settings.model_fields[name].default
    return value


def _known_storage_classes() -> list[str]:
    return sort_uids(uid for uid, entry in UID_dictionary.items() if uids.is_storage(uid) and entry[0])


def _plain(abstract_syntax: str) -> str:
    """What is accepted of a class that is none of storage, as it is negotiated."""
    taken = [uid for uid in sort_uids(uids.TRANSFER_SYNTAXES) if _is_accepted(abstract_syntax, uid)]
    return ", ".join(uid_name(uid) for uid in taken)


def _is_accepted(abstract_syntax: str, transfer_syntax: str) -> bool:
    request = AssociateRequest(1, b"", b"", contexts=[ProposedContext(1, abstract_syntax, (transfer_syntax,))])
    return bool(negotiate(request, Admitted(commitment=True), WireLimits()).contexts)


def _extended(admitted: Admitted) -> str:
    """What is answered to extended negotiation of a storage class."""
    uid = _known_storage_classes()[0]
    request = AssociateRequest(1, b"", b"", contexts=[ProposedContext(1, uid, (uids.IMPLICIT,))], extended=[(uid, b"")])
    return negotiate(request, admitted, WireLimits()).accepted.extended[0][1].hex(" ")
