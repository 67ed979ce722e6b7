"""Items and elements inside DICOM sequences: walked iteratively, without copying, within given bytes (PS3.5 7.5).

The walk follows pydicom's reading of the odd cases, so that both find the same end of a sequence: an item of
undefined length inside explicit VR data may itself be implicit (told by its first VR), `UN` of undefined length is a
sequence, and other values of undefined length end at the next sequence delimiter.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Buffer = bytes | memoryview

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010

SHORT_VRS: Final = (
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
    *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
)
LONG_VRS: Final = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")

_FIRST_CHUNK: Final = 256
_CHUNK: Final = 1 << 18


class DeclinedError(Exception):
    """The bytes are unusual for the fast path: pydicom shall judge them."""


class ShortError(Exception):
    """The value goes on beyond the bytes at hand; `need` is the least number of bytes that would tell more."""

    def __init__(self, need: int) -> None:
        super().__init__(need)
        self.need = need


class ByteOrder:
    """Unpackers and known value representations of one byte order.

    `short` and `long` hold the two letters of a VR as the 16-bit number that `element` gives for them; `key` turns a
    tag's number into what `element` and `pair` give for it (little endian keeps group and element in two halves).
    """

    __slots__ = (
        *(
            "big",
            "element",
            "item",
            "item_end",
            "length",
            "long",
            "pair",
            "pixel",
            "sequence_end",
            "sequences",
            "short",
        ),
    )

    def __init__(self, *, big: bool) -> None:
        order = ">" if big else "<"
        name = "big" if big else "little"
        self.big = big
        self.element: Callable[[Buffer, int], tuple[int, int, int]] = struct.Struct(order + "IHH").unpack_from
        self.pair: Callable[[Buffer, int], tuple[int, int]] = struct.Struct(order + "II").unpack_from
        self.length: Callable[[Buffer, int], tuple[int]] = struct.Struct(order + "I").unpack_from
        self.short = frozenset(int.from_bytes(vr, name) for vr in SHORT_VRS)  # type: ignore[arg-type]
        self.long = frozenset(int.from_bytes(vr, name) for vr in LONG_VRS)  # type: ignore[arg-type]
        self.sequences = frozenset(int.from_bytes(vr, name) for vr in (b"SQ", b"UN"))  # type: ignore[arg-type]
        self.item, self.item_end = self.key(ITEM), self.key(ITEM_END)
        self.sequence_end, self.pixel = self.key(SEQUENCE_END), self.key(PIXEL_DATA)

    def key(self, number: int) -> int:
        """The 32-bit number that this byte order reads where the tag `number` (group * 65536 + element) stands."""
        return number if self.big else (number & 0xFFFF) << 16 | number >> 16


LITTLE: Final = ByteOrder(big=False)
BIG: Final = ByteOrder(big=True)


def letters(buf: Buffer, at: int) -> bool:
    """Whether two capital letters, as of a VR, stand at `at`; IndexError beyond the end."""
    return 0x40 < buf[at] < 0x5B and 0x40 < buf[at + 1] < 0x5B


def after_delimiter(buf: Buffer, pos: int, order: ByteOrder) -> int:
    """The offset behind the next sequence delimiter at or after `pos`; ShortError where there is none at hand."""
    mark = struct.pack(">HH" if order.big else "<HH", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF)
    have, chunk = len(buf), _FIRST_CHUNK
    while pos < have:
        found = bytes(buf[pos : pos + chunk]).find(mark)
        if found >= 0:
            return pos + found + 8
        pos += chunk - 3
        chunk = min(4 * chunk, _CHUNK)
    raise ShortError(have + 8)


def after_sequence(buf: Buffer, pos: int, order: ByteOrder, *, explicit: bool) -> int:
    """The offset behind a sequence of undefined length whose first item stands at `pos`.

    Items and values of defined length are skipped by their length. Depth costs a list entry, never the stack.
    Raises ShortError where the bytes at hand end before it, DeclinedError where something else than an item or an
    element stands.
    """
    outer: list[bool] = []
    inside = False
    element, pair, short, item_end = order.element, order.pair, order.short, order.item_end
    try:
        while True:
            if inside:
                if explicit:
                    _, vr, length = element(buf, pos)
                    while vr in short:
                        pos += 8 + length
                        _, vr, length = element(buf, pos)
                else:
                    tag, length = pair(buf, pos)
                    while length != UNDEFINED and tag != item_end:
                        pos += 8 + length
                        tag, length = pair(buf, pos)
                step = _nested_element(buf, pos, order, explicit=explicit)
                if step > 0:
                    pos = step
                elif step == 0:
                    pos, inside, explicit = pos + 8, False, outer.pop()
                else:
                    pos, inside = -step, False
                continue
            tag, length = pair(buf, pos)
            pos += 8
            if tag == order.item:
                if length != UNDEFINED:
                    pos += length
                else:
                    outer.append(explicit)
                    explicit = explicit and letters(buf, pos + 4)
                    inside = True
            elif tag != order.sequence_end:
                raise DeclinedError("no item where one is due")
            elif outer:
                inside = True
            else:
                return pos
    except (struct.error, IndexError):
        raise ShortError(max(pos, len(buf)) + 16) from None


def _nested_element(buf: Buffer, pos: int, order: ByteOrder, *, explicit: bool) -> int:
    """The offset behind the element at `pos` of an item; 0 at the item's end; minus that of a sequence that opens."""
    if explicit:
        tag, vr, length = order.element(buf, pos)
        if vr in order.short:
            return pos + 8 + length
        if tag == order.item_end:
            return 0
        if vr not in order.long:
            raise DeclinedError("a value representation that is none")
        length = order.length(buf, pos + 8)[0]
        pos += 12
        if length != UNDEFINED:
            return pos + length
        return -pos if vr in order.sequences else after_delimiter(buf, pos, order)
    tag, length = order.pair(buf, pos)
    if tag == order.item_end:
        return 0
    pos += 8
    if length != UNDEFINED:
        return pos + length
    if tag == order.pixel:
        return after_delimiter(buf, pos, order)
    if order.pair(buf, pos)[0] not in (order.item, order.sequence_end):
        raise DeclinedError("a value of undefined length that is no sequence")
    return -pos


class Item(NamedTuple):
    """One item: its elements stand in [start, end); `explicit` tells how they are written."""

    start: int
    end: int
    explicit: bool


class Element(NamedTuple):
    number: int
    start: int
    end: int


def first_item(buf: Buffer, order: ByteOrder, *, explicit: bool) -> Item | None:
    """The first item of a sequence's value; one of undefined length is said to end where the bytes do."""
    if len(buf) < 8:
        return None
    tag, length = order.pair(buf, 0)
    if tag != order.item:
        return None
    return Item(8, min(8 + length, len(buf)), explicit and len(buf) >= 14 and letters(buf, 12))


def items(buf: Buffer, order: ByteOrder, *, explicit: bool) -> Iterator[Item]:
    """The items of a sequence's value; what is cut or damaged ends it, an item that is cut comes as far as it goes."""
    pos, have = 0, len(buf)
    while pos + 8 <= have:
        tag, length = order.pair(buf, pos)
        pos += 8
        if tag != order.item:
            return
        nested = explicit and pos + 6 <= have and letters(buf, pos + 4)
        if length != UNDEFINED:
            end = pos + length
            yield Item(pos, min(end, have), nested)
        else:
            end = pos
            for element in elements(buf, Item(pos, have, nested), order):
                end = element.end
            yield Item(pos, min(end, have), nested)
            end += 8
        pos = end


def elements(buf: Buffer, item: Item, order: ByteOrder) -> Iterator[Element]:
    """The elements of an item, one level; ends at its end, its delimiter or the first thing that can't be read."""
    pos, stop = item.start, item.end
    while pos + 8 <= stop:
        if item.explicit:
            tag, vr, length = order.element(buf, pos)
            start = pos + 8
            if vr in order.long and pos + 12 <= stop:
                length, start = order.length(buf, pos + 8)[0], pos + 12
            elif vr not in order.short:
                return
        else:
            tag, length = order.pair(buf, pos)
            start = pos + 8
            if tag == order.item_end:
                return
        try:
            pos = start + length if length != UNDEFINED else after_sequence(buf, start, order, explicit=item.explicit)
        except (DeclinedError, ShortError):
            yield Element(order.key(tag), start, stop)
            return
        yield Element(order.key(tag), start, min(pos, stop))
