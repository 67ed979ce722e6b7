"""Command sets: group 0000, implicit VR little endian (PS3.7 section 6.3 and annex E)."""

from __future__ import annotations

import struct
from typing import Final

from scandock.dimse.pdu import AbortReason, ProtocolError
from scandock.dimse.records import COMMENT_LENGTH, Answer

C_STORE: Final = 0x0001
C_ECHO: Final = 0x0030
C_CANCEL: Final = 0x0FFF
N_EVENT_REPORT: Final = 0x0100
N_ACTION: Final = 0x0130
RESPONSE: Final = 0x8000
NO_DATA: Final = 0x0101

AFFECTED_CLASS: Final = 0x0002
REQUESTED_CLASS: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
RESPONDED_TO: Final = 0x0120
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
AFFECTED_INSTANCE: Final = 0x1000
REQUESTED_INSTANCE: Final = 0x1001
EVENT_TYPE: Final = 0x1002
ACTION_TYPE: Final = 0x1008

_ELEMENT: Final = struct.Struct("<HHI")
_SUCCESS: Final = struct.Struct("<" + 4 * "HHIH")
_GROUP_LENGTH: Final = struct.Struct("<HHII")
_MAX_TEXT: Final = 128
_U16: Final = struct.Struct("<H")


class Command:
    """A command set as received: values by element number."""

    __slots__ = ("values",)

    def __init__(self, data: bytes) -> None:
        """Raises ProtocolError where its lengths do not add up. Group lengths are not believed."""
        self.values: dict[int, bytes] = {}
        at, size = 0, len(data)
        while at < size:
            if at + 8 > size:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, "a command set that is cut off")
            group, element, length = _ELEMENT.unpack_from(data, at)
            end = at + 8 + length
            if end > size:
                raise ProtocolError(AbortReason.INVALID_PARAMETER, "a command set whose lengths do not add up")
            if group == 0:
                self.values[element] = data[at + 8 : end]
            at = end

    def number(self, element: int, default: int | None = None) -> int:
        """The value of a US. Raises ProtocolError where it is not there and has no default."""
        value = self.values.get(element)
        if value is not None and len(value) >= 2:
            return int.from_bytes(value[:2], "little")
        if default is None:
            raise ProtocolError(AbortReason.INVALID_PARAMETER, f"a command set without (0000,{element:04X})")
        return default

    def text(self, element: int) -> str:
        """The value of a UI or AE; empty where it is not there. What no UID is as long as is cut: it is echoed."""
        return self.values.get(element, b"")[:_MAX_TEXT].decode("ascii", "backslashreplace").strip("\0 ")

    @property
    def field(self) -> int:
        return self.number(COMMAND_FIELD)

    @property
    def has_data(self) -> bool:
        return self.number(DATA_SET_TYPE) != NO_DATA


def encode_command(values: dict[int, bytes | str | int]) -> bytes:
    """A command set with its group length: numbers as US, texts as UI. In the order of its elements."""
    parts = []
    for element in sorted(values):
        value = values[element]
        if isinstance(value, int):
            value = _U16.pack(value)
        elif isinstance(value, str):
            value = value.encode("ascii", "replace")
            value += b"\0" * (len(value) % 2)
        parts.append(_ELEMENT.pack(0, element, len(value)) + value)
    body = b"".join(parts)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _encode_success(field: int, message_id: int, sop_class: str, sop_instance: str) -> bytes:
    """What is sent for nearly each object, in one step."""
    class_element, instance_element = (
        _uid_element(AFFECTED_CLASS, sop_class),
        _uid_element(AFFECTED_INSTANCE, sop_instance),
    )
    length = len(class_element) + _SUCCESS.size + len(instance_element)
    numbers = _SUCCESS.pack(
        *(0, COMMAND_FIELD, 2, field | RESPONSE), *(0, RESPONDED_TO, 2, message_id), *(0, DATA_SET_TYPE, 2, NO_DATA),
        *(0, STATUS, 2, 0),
    )  # fmt: skip
    return b"".join((_GROUP_LENGTH.pack(0, 0, 4, length), class_element, numbers, instance_element))


def _uid_element(element: int, value: str) -> bytes:
    data = value.encode("ascii", "replace")
    data += b"\0" * (len(data) % 2)
    return _ELEMENT.pack(0, element, len(data)) + data


def encode_response(
    field: int, message_id: int, sop_class: str, sop_instance: str, answer: Answer, **more: int
) -> bytes:
    """The command set of a response without a data set. `more`: `action_type`, which an N-ACTION's has."""
    if not (answer.status or answer.comment or answer.elements or more) and sop_class and sop_instance:
        return _encode_success(field, message_id, sop_class, sop_instance)
    values: dict[int, bytes | str | int] = {
        COMMAND_FIELD: field | RESPONSE,
        RESPONDED_TO: message_id,
        DATA_SET_TYPE: NO_DATA,
        STATUS: answer.status,
    }
    if sop_class:
        values[AFFECTED_CLASS] = sop_class
    if sop_instance:
        values[AFFECTED_INSTANCE] = sop_instance
    if "action_type" in more:
        values[ACTION_TYPE] = more["action_type"]
    if answer.elements:
        values[OFFENDING_ELEMENT] = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in answer.elements)
    if answer.comment:
        comment = answer.comment.encode("ascii", "replace")[:COMMENT_LENGTH]
        values[ERROR_COMMENT] = comment + b" " * (len(comment) % 2)
    return encode_command(values)
