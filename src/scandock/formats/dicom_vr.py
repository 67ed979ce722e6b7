"""Elements whose value representation is blank or none that exists: read as dcmdump reads them (DCMTK's dcvr.cc).

Two capital letters are a VR that is yet to come: those have a length of four bytes. Anything else that prints has one
of two. dcmdump believes that blindly; here what follows has to bear it out: of the ways in which the element can be
read, also as one of implicit VR (which some writers switch to in the middle of a data set), the first counts behind
which a data set goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_encoding import (
    LITTLE,
    PIXEL_DATA,
    UNDEFINED,
    Buffer,
    ByteOrder,
    OddVRError,
    ShortError,
    TooOddError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT, LONG, IMPLICIT = "short", "long", "implicit"
MOST_ODD: Final = 20_000
"""Elements of odd VRs that are read in one object."""
UNBOUNDED: Final = 1 << 62
"""For `stop`, where nothing says where the data set or item ends."""

_LOWER: Final = frozenset({b"ox", b"px", b"lt"})
"""DCMTK's own names of VRs, which old versions wrote; of four bytes of length."""
_ITEM_GROUP: Final = 0xFFFE
_SURE: Final = 3
"""Elements that have to follow before a reading is believed: one is there by chance at times (`SV` begins a header of
Siemens's, and is a VR)."""
_NEAR: Final = 1 << 20
"""Most bytes behind an odd element that are asked for only to tell how it is to be read."""


class Reading(NamedTuple):
    """One way to read an element: where its value starts, how long it is, and how its length is written."""

    start: int
    length: int
    form: str


class OddElementBudget:
    """How many odd elements of one object may still be read: each costs ten times what another one does."""

    __slots__ = ("left",)

    def __init__(self, most: int | None = None) -> None:
        self.left = MOST_ODD if most is None else most

    def spend(self) -> None:
        """Count one more; TooOddError where they were too many."""
        self.left -= 1
        if self.left < 0:
            raise TooOddError("too many value representations that are none")


def read_odd(buf: Buffer, pos: int, order: ByteOrder, stop: int, odds: OddElementBudget | None = None) -> Reading:
    """Read the element at `pos`, whose VR is not one of the standard; its data set or item ends at `stop` or before.

    Raises OddVRError where no way of reading it leads on, struct.error where the bytes at hand end in it, and
    ShortError where they end before it is told (not where `stop` is unknown or all bytes are at hand).
    """
    if odds is not None:
        odds.spend()
    number = order.key(order.pair(buf, pos)[0])
    best, most, need = None, 0, 0
    for reading in _readings(buf, pos, order):
        if number == PIXEL_DATA and reading.form == LONG:
            return reading
        score, unseen = _score(buf, number, reading, order, stop)
        if score > most:
            best, most = reading, score
            if score == _SURE:
                return reading
        if unseen and unseen - pos <= _NEAR:
            need = min(need, unseen) if need else unseen
    if need and stop != UNBOUNDED:
        raise ShortError(need)
    if best is None:
        raise OddVRError(number)
    return best


def _readings(buf: Buffer, pos: int, order: ByteOrder) -> Iterator[Reading]:
    """The ways to read an element, dcmdump's first (it gives up where a VR does not print).

    The last one is for a VR with a length of four bytes that was blanked: the two bytes before such a length are zero.
    """
    vr = bytes(buf[pos + 4 : pos + 6])
    tag, _, length = order.element(buf, pos)
    blank = vr == b"\0\0" or is_printable_vr(vr)
    capitals = (vr.isalpha() and vr.isupper()) or vr in _LOWER
    first = length == 0 and (capitals or (blank and tag == order.pixel))
    if first:
        yield Reading(pos + 12, order.length(buf, pos + 8)[0], LONG)
    short, implicit = Reading(pos + 8, length, SHORT), Reading(pos + 8, order.pair(buf, pos)[1], IMPLICIT)
    yield from (short, implicit) if blank else (implicit, short)
    if not first and (capitals or length == 0) and pos + 12 <= len(buf):
        yield Reading(pos + 12, order.length(buf, pos + 8)[0], LONG)


def is_printable_vr(vr: Buffer) -> bool:
    """Whether dcmdump goes on behind a VR that does not exist."""
    return all(0x20 <= byte < 0x80 for byte in vr)


def _score(buf: Buffer, number: int, reading: Reading, order: ByteOrder, stop: int) -> tuple[int, int]:
    """How well a data set goes on behind an element read so: not at all (0), perhaps, by some elements, for sure.

    And how many bytes would tell more, 0 where those at hand do.
    """
    start, length, form = reading
    if length == UNDEFINED:
        return (_SURE if form != SHORT and sequence_at(buf, start, order) is not None else 0), 0
    end, before = start + length, number
    for ahead in range(_SURE):
        if end == stop:
            return _SURE, 0
        if end > stop:  # of a later one: the object is cut
            return ahead, 0
        if end + 8 > len(buf):
            return max(ahead, 1), end + 8 if len(buf) < stop else 0
        tag, vr, after = order.element(buf, end)
        following = order.key(tag)
        if following <= before:
            return ahead, 0
        if following >> 16 == _ITEM_GROUP or (vr in order.long and following == PIXEL_DATA):
            return _SURE, 0
        if vr in order.long:
            if end + 12 > len(buf):
                return max(ahead, 1), end + 12 if len(buf) < stop else 0
            after, end = order.length(buf, end + 8)[0], end + 4
        elif vr not in order.short:
            after = order.pair(buf, end)[1] if form == IMPLICIT else after
            return max(ahead, 1 if end + 8 + after <= stop else 0), 0
        if after == UNDEFINED:
            return _SURE, 0
        before, end = following, end + 8 + after
    return _SURE, 0


def sequence_at(buf: Buffer, pos: int, order: ByteOrder) -> ByteOrder | None:
    """The byte order of the items that begin at `pos`; None where there are none.

    What has undefined length and VR `UN` is little endian in a big-endian data set too (PS3.5 6.2.2, note 2).
    """
    for written in (order, LITTLE):
        if written.pair(buf, pos)[0] in (written.item, written.sequence_end):
            return written
    return None
