"""Items and elements inside DICOM sequences: walked iteratively, without copying, within given bytes (PS3.5 7.5).

The walk follows pydicom's reading of the odd cases, so that both find the same end of a sequence: an item of
undefined length inside explicit VR data may itself be implicit (told by its first VR), `UN` of undefined length is a
sequence, and other values of undefined length end at the next sequence delimiter. Elements of a VR that does not
exist, and little-endian items in big-endian data, are read as dcmdump reads them (`dicom_vr`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_encoding import (
    LITTLE,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    ByteOrder,
    DeclinedError,
    ShortError,
    TooOddError,
    has_vr_letters,
)
from scandock.formats.dicom_vr import IMPLICIT, UNBOUNDED, OddElementBudget, is_printable_vr, read_odd, sequence_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_CHUNK: Final = 256
_CHUNK: Final = 1 << 18


def after_delimiter(buf: Buffer, pos: int, order: ByteOrder) -> int:
    """The offset behind the next sequence delimiter at or after `pos`; ShortError where there is none at hand."""
    mark = struct.pack(">HH" if order.big else "<HH", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF)
    have, chunk = len(buf), _FIRST_CHUNK
    while pos < have:
        index = bytes(buf[pos : pos + chunk]).find(mark)
        if index >= 0:
            return pos + index + 8
        pos += chunk - 3
        chunk = min(4 * chunk, _CHUNK)
    raise ShortError(have + 8)


def after_sequence(
    buf: Buffer,
    pos: int,
    order: ByteOrder,
    *,
    explicit: bool,
    odds: OddElementBudget | None = None,
    stop: int = UNBOUNDED,
) -> int:
    """The offset behind a sequence of undefined length whose first item stands at `pos`; the object ends at `stop`.

    Items and values of defined length are skipped by their length. Depth costs a list entry, never the stack.
    Raises ShortError where the bytes at hand end before it, DeclinedError where something else than an item or an
    element stands.
    """
    outer: list[bool] = []
    odds = odds or OddElementBudget()
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
                step = _nested_element(buf, pos, order, odds, stop, explicit=explicit)
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
                    explicit = explicit and (has_vr_letters(buf, pos + 4) or is_explicit(buf, pos, order, odds, stop))
                    inside = True
            elif tag != order.sequence_end:
                raise DeclinedError("no item where one is due")
            elif outer:
                inside = True
            else:
                return pos
    except (struct.error, IndexError):
        raise ShortError(max(pos, len(buf)) + 16) from None


def _nested_element(
    buf: Buffer, pos: int, order: ByteOrder, odds: OddElementBudget, stop: int, *, explicit: bool
) -> int:
    """The offset behind the element at `pos` of an item; 0 at the item's end; minus that of a sequence that opens."""
    if explicit:
        tag, vr, length = order.element(buf, pos)
        if vr in order.short:
            return pos + 8 + length
        if tag == order.item_end:
            return 0
        if vr in order.long:
            length = order.length(buf, pos + 8)[0]
            pos += 12
        else:
            pos, length, _ = read_odd(buf, pos, order, stop, odds)
            vr = order.unknown
        if length != UNDEFINED:
            return pos + length
        if vr not in order.sequences:
            return after_delimiter(buf, pos, order)
        if order.big and sequence_at(buf, pos, order) is LITTLE:
            return after_sequence(buf, pos, LITTLE, explicit=True, odds=odds, stop=stop)
        return -pos
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


def is_explicit(
    buf: Buffer, pos: int, order: ByteOrder, odds: OddElementBudget | None = None, stop: int = UNBOUNDED
) -> bool:
    """Whether the first element of an item, at `pos`, is of explicit VR: its VR is one, or odd and read as one."""
    if has_vr_letters(buf, pos + 4):
        return True
    if len(buf) >= pos + 14 and bytes(buf[pos + 4 : pos + 8]) == bytes(4):
        return has_vr_letters(buf, pos + 12)  # empty either way: the next one tells
    try:
        if not is_printable_vr(buf[pos + 4 : pos + 6]) and _begins_implicit(buf, pos, order):
            return False
        return read_odd(buf, pos, order, stop, odds).form != IMPLICIT
    except TooOddError:
        raise
    except (DeclinedError, struct.error):
        return False


def _begins_implicit(buf: Buffer, pos: int, order: ByteOrder) -> bool:
    """Whether an element of implicit VR stands at `pos`, and another one behind it: what items of UN begin with."""
    tag, length = order.pair(buf, pos)
    if length == UNDEFINED:
        return True
    end = pos + 8 + length
    if end + 8 > len(buf) or has_vr_letters(buf, end + 4):
        return False
    return order.key(order.pair(buf, end)[0]) > order.key(tag)


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
    return Item(8, min(8 + length, len(buf)), explicit and len(buf) >= 14 and is_explicit(buf, 8, order))


def items(buf: Buffer, order: ByteOrder, *, explicit: bool) -> Iterator[Item]:
    """The items of a sequence's value; what is cut or damaged ends it, an item that is cut comes as far as it goes."""
    pos, have = 0, len(buf)
    while pos + 8 <= have:
        tag, length = order.pair(buf, pos)
        pos += 8
        if tag != order.item:
            return
        nested = explicit and pos + 6 <= have and is_explicit(buf, pos, order)
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
    pos, stop, odds = item.start, item.end, OddElementBudget()
    while pos + 8 <= stop:
        if item.explicit:
            tag, vr, length = order.element(buf, pos)
            start = pos + 8
            if vr in order.long and pos + 12 <= stop:
                length, start = order.length(buf, pos + 8)[0], pos + 12
            elif vr not in order.short:
                try:
                    start, length, _ = read_odd(buf, pos, order, stop, odds)
                except (DeclinedError, struct.error):
                    return
        else:
            tag, length = order.pair(buf, pos)
            start = pos + 8
            if tag == order.item_end:
                return
        try:
            pos = (
                start + length
                if length != UNDEFINED
                else after_sequence(buf, start, order, explicit=item.explicit, stop=stop)
            )
        except (DeclinedError, ShortError):
            yield Element(order.key(tag), start, stop)
            return
        yield Element(order.key(tag), start, min(pos, stop))
