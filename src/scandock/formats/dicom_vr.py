"""Elements whose value representation is blank or none that exists: read as dcmdump reads them (DCMTK's dcvr.cc).

Two capital letters are a VR that is yet to come: those have a length of four bytes. Anything else that prints has one
of two. dcmdump believes that blindly; here what follows has to bear it out: of the ways in which the element can be
read, also as one of implicit VR (which some writers switch to in the middle of a data set), the first counts behind
which a data set goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_order import LITTLE, PIXEL_DATA, UNDEFINED, Buffer, ByteOrder, DeclinedError, OddVRError

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
_SURE: Final = 2


class Reading(NamedTuple):
    """One way to read an element: where its value starts, how long it is, and how its length is written."""

    start: int
    length: int
    form: str


class Odds:
    """How many odd elements of one object may still be read: each costs ten times what another one does."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_ODD

    def spend(self) -> None:
        """Count one more; DeclinedError where they were too many."""
        self.left -= 1
        if self.left < 0:
            raise DeclinedError("too many value representations that are none")


def read_odd(buf: Buffer, pos: int, order: ByteOrder, stop: int, odds: Odds | None = None) -> Reading:
    """Read the element at `pos`, whose VR is not one of the standard; its data set or item ends at `stop` or before.

    Raises OddVRError where no way of reading it leads on, struct.error where the bytes at hand end in it.
    """
    if odds is not None:
        odds.spend()
    number = order.key(order.pair(buf, pos)[0])
    best, most = None, 0
    for reading in _readings(buf, pos, order):
        if number == PIXEL_DATA and reading.form == LONG:
            return reading
        score = _score(buf, number, reading, order, stop)
        if score > most:
            best, most = reading, score
            if score == _SURE:
                break
    if best is None:
        raise OddVRError(number)
    return best


def _readings(buf: Buffer, pos: int, order: ByteOrder) -> Iterator[Reading]:
    """The ways to read an element, dcmdump's first (it gives up where a VR does not print)."""
    vr = bytes(buf[pos + 4 : pos + 6])
    tag, _, length = order.element(buf, pos)
    blank = vr == b"\0\0" or prints(vr)
    if (vr.isalpha() and vr.isupper()) or vr in _LOWER or (blank and tag == order.pixel and length == 0):
        yield Reading(pos + 12, order.length(buf, pos + 8)[0], LONG)
    short, implicit = Reading(pos + 8, length, SHORT), Reading(pos + 8, order.pair(buf, pos)[1], IMPLICIT)
    yield from (short, implicit) if blank else (implicit, short)


def prints(vr: Buffer) -> bool:
    """Whether dcmdump goes on behind a VR that does not exist."""
    return all(0x20 <= byte < 0x80 for byte in vr)


def _score(buf: Buffer, number: int, reading: Reading, order: ByteOrder, stop: int) -> int:
    """How well a data set goes on behind an element read so: not at all, perhaps, for sure."""
    start, length, _ = reading
    if length == UNDEFINED:
        return _SURE if reading.form != SHORT and sequence_at(buf, start, order) is not None else 0
    end = start + length
    if end > stop:
        return 0
    if end == stop:
        return _SURE
    if end + 8 > len(buf):
        return 1
    tag, vr, after = order.element(buf, end)
    following = order.key(tag)
    if following <= number:
        return 0
    if following >> 16 == _ITEM_GROUP or vr in order.short or vr in order.long:
        return _SURE
    if reading.form == IMPLICIT:
        after = order.pair(buf, end)[1]
    return 1 if end + 8 + after <= stop else 0


def sequence_at(buf: Buffer, pos: int, order: ByteOrder) -> ByteOrder | None:
    """The byte order of the items that begin at `pos`; None where there are none.

    What has undefined length and VR `UN` is little endian in a big-endian data set too (PS3.5 6.2.2, note 2).
    """
    for written in (order, LITTLE):
        if written.pair(buf, pos)[0] in (written.item, written.sequence_end):
            return written
    return None
