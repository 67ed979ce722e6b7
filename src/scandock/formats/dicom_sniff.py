"""Whether bytes are DICOM, by content and cheaply: asked of every entry before anything is read."""

from __future__ import annotations

from typing import Final

from scandock.formats.dicom_encoding import BIG, LITTLE, Buffer, ByteOrder

_STARTS: Final = {bytes((group, 0)): LITTLE for group in (0x02, 0x08)} | {
    bytes((0, group)): BIG for group in (0x02, 0x08)
}
_FIRST_GROUPS: Final = frozenset({0x0002, 0x0008})
_NEXT_GROUPS: Final = frozenset(range(0x0002, 0x0029))
_MOST: Final = 4096
"""No first element of a data set (group length, character set, image type, a class) is longer."""


def has_preamble(head: Buffer) -> bool:
    """Whether `DICM` stands behind a preamble of 128 bytes (PS3.10 section 7.1)."""
    return head[128:132] == b"DICM"


def looks_like_dicom(head: Buffer, size: int) -> bool:
    """Whether an object of `size` bytes that begins with `head` is DICOM, with a preamble or without one.

    Without one, its first element must be of group 0002 or 0008 and its second one follow in order and nearby, both
    with a length that makes sense and, if explicit, a VR that exists. Text, PNG and JSON fail at their first
    two bytes.
    """
    return has_preamble(head) or begins_like_a_data_set(head, size)


def begins_like_a_data_set(head: Buffer, size: int) -> bool:
    """Whether the first two elements of a data set, or of the meta information, stand at the very beginning."""
    order = _STARTS.get(bytes(head[:2]))
    return order is not None and size >= 16 and len(head) >= 16 and _plausible(head, order)


def _plausible(head: Buffer, order: ByteOrder) -> bool:
    pos, before = 0, -1
    for _ in range(2):
        if pos + 12 > len(head):
            return before >= 0
        tag, vr, length = order.element(head, pos)
        number = order.key(tag)
        if number <= before or number >> 16 not in (_FIRST_GROUPS if before < 0 else _NEXT_GROUPS):
            return False
        start = pos + 8
        if vr in order.long:
            length, start = order.length(head, pos + 8)[0], pos + 12
        elif vr not in order.short:
            length = order.pair(head, pos)[1]
        if length > _MOST:
            return before >= 0 and vr in order.long
        before, pos = number, start + length
    return True
