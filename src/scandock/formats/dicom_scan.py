"""The hot path: wanted elements of a DICOM data set straight from its bytes, in one loop, without pydicom.

Explicit VR of either byte order and implicit VR little endian (PS3.5 section 7.1). Nothing is allocated by what a
length claims, nothing recurses, and each step moves on by eight bytes at least. What is unusual is `DeclinedError`:
pydicom shall judge it (dicom_slow).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from scandock.formats.dicom_encoding import (
    BIG,
    ITEM_END,
    LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    DeclinedError,
    ShortError,
    has_vr_letters,
)
from scandock.formats.dicom_items import after_delimiter, after_sequence
from scandock.formats.dicom_vr import IMPLICIT, UNBOUNDED, OddElementBudget, read_odd, sequence_at
from scandock.model.tags import NUMBERS, PIXEL_DATA, SEQUENCES

if TYPE_CHECKING:
    from collections.abc import Callable

SEQUENCE_BYTES: Final = 65_536
"""Bytes that are kept of a wanted sequence's value; of the per-frame groups that is the first frames'."""
VALUE_BYTES: Final = 16_384
"""Bytes that are kept of any other wanted value."""
META_GROUP: Final = 2
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
_VRS: Final = frozenset(SHORT_VRS + LONG_VRS)
REQUIRED: Final = frozenset(
    NUMBERS[keyword]
    for keyword in (
        *("MediaStorageSOPClassUID", "TransferSyntaxUID", "SOPClassUID", "SOPInstanceUID"),
        *("StudyInstanceUID", "SeriesInstanceUID"),
    )
)
"""Read whatever the caller wants: they say what an object is."""

_UIDS: Final = frozenset(NUMBERS[keyword] for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"))
_LAST: Final = max(PIXEL_DATA)
"""A higher tag, but that of padding, is none: the scan has lost its way."""
_STOPS: Final = PIXEL_DATA | {ITEM_END}


@lru_cache(maxsize=8)
def _table(tags: frozenset[int], *, big: bool) -> tuple[dict[int, int], int]:
    """What the loop looks up for each element: the tag as its bytes read, to its number; -number where it stops.

    And the highest wanted number.
    """
    order = BIG if big else LITTLE
    table = {order.key(number): number for number in tags | REQUIRED if number >> 16 != META_GROUP}
    table.update((order.key(number), -number) for number in _STOPS)
    return table, max(tags | REQUIRED)


class Scan:
    """A data set being read: where it stands, what it has, and why it stopped.

    After `run` one of these holds: `stopped` (at pixel data, whose value of `length` bytes stands at `start`), or
    `need` is the number of bytes of the object that would let it go on from `pos` (give them to `resume`). `number`,
    `start` and `length` describe the last element that was looked at; `open` says that its length is undefined and
    that its end was not found.
    """

    __slots__ = (
        *("buf", "explicit", "find", "held_at", "highest", "length", "need", "number", "open", "order", "pos", "start"),
        *("odds", "size", "stopped", "values"),
    )

    def __init__(
        self, buf: Buffer, pos: int, tags: frozenset[int], *, explicit: bool, big: bool, size: int = UNBOUNDED
    ) -> None:
        self.buf = buf
        self.size = size
        self.odds = OddElementBudget()
        self.pos = pos
        self.order = BIG if big else LITTLE
        self.explicit = explicit
        table, self.highest = _table(tags, big=big)
        self.find: Callable[[int], int | None] = table.get
        self.values: dict[int, bytes] = {}
        self.need = 0
        self.number = self.start = self.length = 0
        self.held_at = -1
        self.open = False
        self.stopped = False

    @property
    def has_all(self) -> bool:
        """Whether it stands in the last wanted element, a sequence that is held already, and has met the UIDs."""
        return self.open and self.number == self.highest and self.values.keys() >= _UIDS

    @property
    def is_past(self) -> bool:
        """Whether it stands behind the last wanted element, and has met the UIDs."""
        return self.highest < self.number <= _LAST and self.values.keys() >= _UIDS

    def resume(self, buf: Buffer) -> None:
        """Go on with a longer head of the same object."""
        self.buf = buf
        self.run()

    def run(self) -> None:
        """Read on to the pixel data or the end of the bytes at hand; raises DeclinedError where pydicom shall judge."""
        self.need = 0
        self.open = False
        try:
            if self.explicit:
                self._explicit()
            else:
                self._implicit()
        except ShortError as short:
            self.need = short.need

    def _explicit(self) -> None:
        buf, pos, find, values, order = self.buf, self.pos, self.find, self.values, self.order
        element, length_at, short, long = order.element, order.length, order.short, order.long
        have = len(buf)
        tag, start, length = order.key(self.number), self.start, self.length
        try:
            while True:
                tag, vr, length = element(buf, pos)
                if vr in short:
                    start = pos + 8
                    number = find(tag)
                    if number is None:
                        pos = start + length
                        continue
                    end = start + length
                    if end <= have and number > 0 and number not in values:
                        values[number] = bytes(buf[start:end])
                        pos = end
                        continue
                elif vr in long:
                    length = length_at(buf, pos + 8)[0]
                    start = pos + 12
                    number = find(tag)
                    if number is None and length != UNDEFINED:
                        pos = start + length
                        continue
                else:
                    start, length, _ = read_odd(buf, pos, order, self.size, self.odds)
                    number, vr = find(tag), order.unknown
                pos = self._special(pos, number, start, length, sequence=vr in order.sequences)
                if self.stopped:
                    return
        except struct.error:
            raise ShortError(pos + 12) from None
        finally:
            self.pos, self.number, self.start, self.length = pos, order.key(tag), start, length

    def _implicit(self) -> None:
        buf, pos, find, values, order = self.buf, self.pos, self.find, self.values, self.order
        pair = order.pair
        have = len(buf)
        tag, start, length = order.key(self.number), self.start, self.length
        try:
            while True:
                tag, length = pair(buf, pos)
                start = pos + 8
                number = find(tag)
                if number is None:
                    if length != UNDEFINED:
                        pos = start + length
                        continue
                else:
                    end = start + length
                    if end <= have and number > 0 and length <= VALUE_BYTES and number not in values:
                        values[number] = bytes(buf[start:end])
                        pos = end
                        continue
                sequence = length == UNDEFINED and pair(buf, start)[0] in (order.item, order.sequence_end)
                pos = self._special(pos, number, start, length, sequence=sequence)
                if self.stopped:
                    return
        except struct.error:
            raise ShortError(pos + 16) from None
        finally:
            self.pos, self.number, self.start, self.length = pos, order.key(tag), start, length

    def _special(self, pos: int, number: int | None, start: int, length: int, *, sequence: bool) -> int:
        """The offset behind an element that is not simply skipped or copied; `pos` where the reading stops."""
        if number is not None and number < 0:
            self.stopped = True
            return pos
        if number in self.values and self.held_at != start:
            raise DeclinedError("an element that stands twice")
        if length == UNDEFINED:
            return self._undefined(number, start, sequence=sequence)
        if number is not None:
            stop = start + min(length, SEQUENCE_BYTES if number in SEQUENCES else VALUE_BYTES)
            if stop > len(self.buf):
                raise ShortError(stop)
            self.values[number] = bytes(self.buf[start:stop])
        return start + length

    def _undefined(self, number: int | None, start: int, *, sequence: bool) -> int:
        """The offset behind a value of undefined length. A wanted one is held before its end is known."""
        if number is not None:
            if number not in SEQUENCES and not sequence:
                raise DeclinedError("a plain value of undefined length")
            self.values[number] = bytes(self.buf[start : start + SEQUENCE_BYTES])
            self.held_at = start
        self.open = True
        if sequence:
            order = self.order
            if order.big and start + 4 <= len(self.buf):
                order = sequence_at(self.buf, start, order) or order
            end = after_sequence(self.buf, start, order, explicit=self.explicit, odds=self.odds, stop=self.size)
        elif self.explicit:
            end = after_delimiter(self.buf, start, self.order)
        else:
            raise DeclinedError("a value of undefined length that is no sequence")
        self.open = False
        if number is not None:
            self.values[number] = self.values[number][: end - start]
        return end


def read_meta(buf: Buffer, pos: int, tags: frozenset[int], *, whole: bool) -> tuple[dict[int, bytes], int]:
    """The elements of group 0002 from `pos` on, and the offset behind them. Group lengths are not believed.

    Explicit little endian whatever follows (PS3.10 section 7.1). ShortError where the bytes at hand end in the group,
    or with it unless they are the `whole` object; DeclinedError for anything else.
    """
    values: dict[int, bytes] = {}
    have = len(buf)
    while pos + 8 <= have:
        tag, vr, length = LITTLE.element(buf, pos)
        if tag & 0xFFFF != META_GROUP:
            if tag & 0xFFFF == 0:
                raise DeclinedError("command elements in a file")
            return values, pos
        start = pos + 8
        if vr in LITTLE.long and pos + 12 <= have:
            length, start = LITTLE.length(buf, pos + 8)[0], pos + 12
        elif vr not in LITTLE.short:
            try:
                start, length, form = read_odd(buf, pos, LITTLE, UNBOUNDED)
            except struct.error:
                raise ShortError(pos + 12) from None
            if form == IMPLICIT:
                raise DeclinedError("meta information that is not explicit")
        pos = start + length
        number = LITTLE.key(tag)
        if number in tags or number in REQUIRED:
            if pos > have:
                raise ShortError(min(pos, start + VALUE_BYTES))
            if number in values:
                raise DeclinedError("an element that stands twice")
            values[number] = bytes(buf[start:pos])
    if not whole:
        raise ShortError(pos + 8)
    return values, pos


def encoding_of(head: Buffer, at: int, syntax: str) -> tuple[bool, bool]:
    """(explicit, big endian) of the data set at `at`: by transfer syntax, set right by its first VR as pydicom does."""
    big = syntax == EXPLICIT_BIG
    if not syntax and bytes(head[at + 4 : at + 6]) in _VRS:
        big = head[at] + 256 * head[at + 1] >= 0x0400
    return has_vr_letters(head, at + 4), big
