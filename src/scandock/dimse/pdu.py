"""Protocol data units to values and back (PS3.8 section 9.3, PS3.7 annex D.3.3).

What is read is strict about lengths, which have to add up, and takes what is unknown in passing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import field
from typing import Final, NamedTuple

from scandock.dimse.records import ProposedContext, UserIdentity
from scandock.model.dataclass import dataclass

ASSOCIATE_RQ: Final = 1
ASSOCIATE_AC: Final = 2
ASSOCIATE_RJ: Final = 3
P_DATA: Final = 4
RELEASE_RQ: Final = 5
RELEASE_RP: Final = 6
ABORT: Final = 7

_U32: Final = struct.Struct(">I")
_U16: Final = struct.Struct(">H")
_PDV: Final = struct.Struct(">IBB")
_SINGLE: Final = struct.Struct(">BxIIBB")
VALUE_AT: Final = _SINGLE.size
"""Where the bytes of a P-DATA's first value begin."""
_MAX_SYNTAXES: Final = 128
"""Transfer syntaxes of a context that are looked at: the standard has some 60."""
_MAX_NAMED: Final = 1_024
"""Items of user information about SOP classes that are: three for each of 128 contexts, and more."""
_BLOCK: Final = 64 * 1024


class AbortReason:
    """Reasons of an A-ABORT by the provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED: Final = 0
    UNRECOGNIZED_PDU: Final = 1
    UNEXPECTED_PDU: Final = 2
    UNEXPECTED_PARAMETER: Final = 5
    INVALID_PARAMETER: Final = 6


class ProtocolError(Exception):
    """A peer broke the protocol: the reason that its A-ABORT gets, and words for our own log."""

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Role(NamedTuple):
    """A role selection, or our answer (PS3.7 D.3.3.4)."""

    uid: str
    scu: int
    scp: int


@dataclass(slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ as it is written. AE titles as bytes, since they are sent back so."""

    version: int
    called: bytes
    calling: bytes
    application_context: str = ""
    contexts: list[ProposedContext] = field(default_factory=list)
    max_pdu: int = 0
    implementation_class: str = ""
    implementation_version: str = ""
    window: tuple[int, int] | None = None
    roles: list[Role] = field(default_factory=list)
    """Each SOP class once, as the next; of one that comes again the first counts."""
    extended: list[tuple[str, bytes]] = field(default_factory=list)
    """SOP class and what it says (0x56)."""
    services: dict[str, str] = field(default_factory=dict)
    """SOP class and service class (0x57)."""
    identity: UserIdentity | None = None


def decode_associate(body: bytes) -> AssociateRequest:
    """Read the body of an A-ASSOCIATE-RQ. Raises ProtocolError."""
    if len(body) < 68:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "an A-ASSOCIATE-RQ that is too short")
    request = AssociateRequest(_U16.unpack_from(body)[0], body[4:20], body[20:36])
    ids: set[int] = set()
    named: set[tuple[int, str]] = set()
    for kind, value in _items(body[68:]):
        if kind == 0x10:
            request.application_context = _uid(value)
        elif kind == 0x20:
            context = _context(value)
            if not context.id % 2 or context.id in ids:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, f"presentation context {context.id}")
            ids.add(context.id)
            request.contexts.append(context)
        elif kind == 0x50:
            _user_information(request, value, named)
    if not request.contexts:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "no presentation context")
    return request


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "an item that is cut off")
        end = at + 4 + _U16.unpack_from(data, at + 2)[0]
        if end > len(data):
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "an item that is longer than what holds it")
        yield data[at], data[at + 4 : end]
        at = end


def _context(value: bytes) -> ProposedContext:
    if len(value) < 4:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "a presentation context that is too short")
    abstract = ""
    syntaxes: list[str] = []
    for kind, name in _items(value[4:]):
        if kind == 0x30:
            abstract = _uid(name)
        elif kind == 0x40 and len(syntaxes) < _MAX_SYNTAXES:
            syntaxes.append(_uid(name))
    return ProposedContext(value[0], abstract, tuple(syntaxes))


def _user_information(request: AssociateRequest, data: bytes, named: set[tuple[int, str]]) -> None:
    """Read an item of user information. `named`: kinds of items about SOP classes that came, and the classes."""
    try:
        for kind, value in _items(data):
            if kind == 0x51:
                (request.max_pdu,) = _U32.unpack_from(value)
            elif kind == 0x52:
                request.implementation_class = _uid(value)
            elif kind == 0x53:
                request.window = (_U16.unpack_from(value)[0], _U16.unpack_from(value, 2)[0])
            elif kind == 0x55:
                request.implementation_version = value.decode("ascii", "backslashreplace").strip("\0 ")
            elif kind in {0x54, 0x56, 0x57}:
                _class_information(request, kind, value, named)
            elif kind == 0x58:
                primary, at = _text(value, 2)
                secondary, _ = _text(value, at)
                request.identity = UserIdentity(value[0], primary, secondary, value[1] == 1)
    except (struct.error, IndexError):
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "user information that is too short") from None


def _class_information(request: AssociateRequest, kind: int, value: bytes, named: set[tuple[int, str]]) -> None:
    """Read an item about a SOP class. Raises struct.error and IndexError, also of one that is not kept."""
    name, at = _text(value, 0)
    uid = _uid(name)
    role = Role(uid, value[at], value[at + 1]) if kind == 0x54 else None
    service = _uid(_text(value, at)[0]) if kind == 0x57 else ""
    if (kind, uid) in named or len(named) >= _MAX_NAMED:
        return
    named.add((kind, uid))
    if role is not None:
        request.roles.append(role)
    elif kind == 0x56:
        request.extended.append((uid, value[at:]))
    else:
        request.services[uid] = service


def _text(value: bytes, at: int) -> tuple[bytes, int]:
    start = at + 2
    end = start + _U16.unpack_from(value, at)[0]
    if end > len(value):
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "a length beyond its item")
    return value[start:end], end


def _uid(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace").strip("\0 ")


class ContextResult(NamedTuple):
    """The answer to a presentation context; result 0 accepts (PS3.8 table 9-18)."""

    id: int
    result: int
    transfer_syntax: str


class Accepted(NamedTuple):
    """What an A-ASSOCIATE-AC says beside the titles, which are the request's."""

    application_context: str
    contexts: list[ContextResult]
    max_pdu: int
    implementation_class: str
    implementation_version: str
    window: tuple[int, int] | None
    roles: list[Role]
    extended: list[tuple[str, bytes]]
    identity_response: bytes | None


def encode_accept(called: bytes, calling: bytes, accepted: Accepted) -> bytes:
    """An A-ASSOCIATE-AC."""
    user = [_item(0x51, _U32.pack(accepted.max_pdu)), _item(0x52, accepted.implementation_class.encode())]
    if accepted.window is not None:
        user.append(_item(0x53, struct.pack(">HH", *accepted.window)))
    user += (_item(0x54, _sized(role.uid.encode()) + bytes((role.scu, role.scp))) for role in accepted.roles)
    user.append(_item(0x55, accepted.implementation_version.encode()))
    user += (_item(0x56, _sized(uid.encode()) + info) for uid, info in accepted.extended)
    if accepted.identity_response is not None:
        user.append(_item(0x59, _sized(accepted.identity_response)))
    body = [
        struct.pack(">HH", 1, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32),
        _item(0x10, accepted.application_context.encode()),
        *(
            _item(0x21, bytes((context.id, 0, context.result, 0)) + _item(0x40, context.transfer_syntax.encode()))
            for context in accepted.contexts
        ),
        _item(0x50, b"".join(user)),
    ]
    return _pdu(ASSOCIATE_AC, b"".join(body))


def encode_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ."""
    return _pdu(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def encode_abort(source: int, reason: int) -> bytes:
    """An A-ABORT: source 0 is the service's user, 2 its provider."""
    return _pdu(ABORT, bytes((0, 0, source, reason)))


RELEASE_REPLY: Final = bytes((RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0))


def encode_message(context: int, command: bytes, data: bytes, max_pdu: int) -> Iterator[bytes]:
    """The P-DATA PDUs of a message, each value in a PDU of its own and none longer than the peer takes (0: any).

    In blocks of some 64 kB: a peer that takes a byte at a time makes many PDUs of a message.
    """
    room = max(max_pdu - 6, 1) if max_pdu else 1 << 20
    block = bytearray()
    for value, kind in ((command, 1), (data, 0)):
        for at in range(0, len(value), room):
            piece = value[at : at + room]
            last = 2 if at + room >= len(value) else 0
            block += _pdu(P_DATA, _PDV.pack(len(piece) + 2, context, kind | last) + piece)
            if len(block) >= _BLOCK:
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)


def _pdu(kind: int, body: bytes) -> bytes:
    return bytes((kind, 0)) + _U32.pack(len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return bytes((kind, 0)) + _U16.pack(len(value)) + value


def _sized(value: bytes) -> bytes:
    return _U16.pack(len(value)) + value


def decode_single_value(buffer: memoryview, at: int) -> tuple[int, int, int, int, int]:
    """Of the PDU at `at`, as a P-DATA with one value: type, length; length of its first value, context, flags."""
    return _SINGLE.unpack_from(buffer, at)


def values_of(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The values of a P-DATA: context, flags (1: command, 2: last), bytes. Raises ProtocolError."""
    at, size = 0, len(body)
    if not size:
        raise ProtocolError(AbortReason.INVALID_PARAMETER, "a P-DATA without a value")
    while at < size:
        if at + 6 > size:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "a value that is cut off")
        length, context, flags = _PDV.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > size:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, "a value whose length does not fit its P-DATA")
        yield context, flags, body[at + 6 : end]
        at = end
