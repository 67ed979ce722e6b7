"""Headers made fit for pydicom: what it would read otherwise than the fast scan is written as it knows it, in place.

An element of a VR that does not exist gets one with a length of the same size, and a sequence of little-endian items
in big-endian data becomes one opaque value. No byte moves, and no value changes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.dicom_encoding import (
    BIG,
    LITTLE,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    ByteOrder,
    DeclinedError,
    ShortError,
    TooOddError,
)
from scandock.formats.dicom_items import after_delimiter, after_sequence, is_explicit
from scandock.formats.dicom_scan import encoding_of
from scandock.formats.dicom_vr import LONG, SHORT, OddElementBudget, read_odd, sequence_at
from scandock.model.tags import PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

Change = tuple[int, bytes]
"""An offset, and the bytes that are to stand there."""

_SEQUENCE: Final = {False: int.from_bytes(b"SQ", "little"), True: int.from_bytes(b"SQ", "big")}
MOST_STEPS: Final = 1_000_000
"""Elements and items of one header that are looked at."""
MOST_SET_RIGHT: Final = 50_000
"""Elements of odd VRs among them."""


class _Open(NamedTuple):
    """A data set, item or sequence that the walk is in; `end` is None where its length is undefined."""

    sequence: bool
    explicit: bool
    end: int | None


def repair_header(
    data: Buffer, start: int, at: int, syntax: str, encoding: tuple[bool, bool] | None = None
) -> bytes | None:
    """The header with what pydicom misreads set right; None where there is nothing of the kind.

    Its meta information stands in [start, at), its data set from `at` on, in the encoding (explicit, big endian) that
    is given, or that its transfer syntax and its first element tell. Raises TooOddError where too much would be.
    """
    if len(data) < at + 8:
        return None
    explicit, big = encoding or encoding_of(data, at, syntax)
    changes = [*_changes(data, start, at, LITTLE)]
    if explicit:
        changes += _changes(data, at, len(data), BIG if big else LITTLE)
    if not changes:
        return None
    whole = bytearray(data)
    for offset, right in changes:
        whole[offset : offset + len(right)] = right
    return bytes(whole)


def _changes(buf: Buffer, pos: int, stop: int, order: ByteOrder) -> Iterator[Change]:
    """What is to be changed in the explicit data set at `pos`, sequences included, up to the pixel data.

    Ends quietly where the bytes do, at what no reader makes anything of, and raises
    TooOddError where too much is odd.
    """
    opened = [_Open(sequence=False, explicit=True, end=stop)]
    odds = OddElementBudget(MOST_SET_RIGHT)
    try:
        for _ in range(MOST_STEPS):
            inner = opened[-1]
            if inner.end is not None and pos >= inner.end:
                opened.pop()
                if not opened:
                    return
            elif inner.sequence:
                pos = _item(buf, pos, order, opened, odds)
            elif inner.explicit:
                pos = yield from _element(buf, pos, order, opened, odds)
            else:
                pos = _implicit(buf, pos, order, opened)
    except TooOddError:
        raise
    except (struct.error, IndexError, DeclinedError, ShortError):
        return


def _item(buf: Buffer, pos: int, order: ByteOrder, opened: list[_Open], odds: OddElementBudget) -> int:
    tag, length = order.pair(buf, pos)
    if tag == order.sequence_end:
        opened.pop()
    elif tag == order.item:
        explicit = length != 0 and opened[-1].explicit and is_explicit(buf, pos + 8, order, odds, len(buf))
        opened.append(_Open(sequence=False, explicit=explicit, end=_end(pos + 8, length)))
    else:
        raise DeclinedError("no item where one is due")
    return pos + 8


def _element(
    buf: Buffer, pos: int, order: ByteOrder, opened: list[_Open], odds: OddElementBudget
) -> Generator[Change, None, int]:
    """Look at one element of explicit VR; returns the offset where the walk goes on."""
    tag, vr, length = order.element(buf, pos)
    if tag == order.item_end:
        opened.pop()
        return pos + 8
    if vr in order.short:
        return pos + 8 + length
    start, number = pos + 12, order.key(tag)
    if vr in order.long:
        length = order.length(buf, pos + 8)[0]
    else:
        start, length, form = read_odd(buf, pos, order, opened[-1].end or len(buf), odds)
        vr = order.unknown
        if form == SHORT:
            yield pos + 4, _short_vr(number)
        elif form == LONG:
            sequence = length != 0 and number not in PIXEL_DATA and sequence_at(buf, start, order) is order
            vr = _SEQUENCE[order.big] if sequence else vr
            yield pos + 4, b"SQ" if sequence else b"UN"
    if number in PIXEL_DATA and len(opened) == 1:
        raise DeclinedError("pixel data")
    if length == UNDEFINED:
        return (yield from _undefined(buf, pos, start, vr, order, opened, odds))
    if vr in order.sequences and vr != order.unknown:
        opened.append(_Open(sequence=True, explicit=True, end=start + length))
        return start
    return start + length


def _undefined(
    buf: Buffer, pos: int, start: int, vr: int, order: ByteOrder, opened: list[_Open], odds: OddElementBudget
) -> Generator[Change, None, int]:
    """Look at an element of undefined length; returns the offset where the walk goes on."""
    if vr not in order.sequences:
        return after_delimiter(buf, start, order)
    if order.big and sequence_at(buf, start, order) is LITTLE:
        end = after_sequence(buf, start, LITTLE, explicit=True, odds=odds, stop=len(buf))
        if start == pos + 12:
            yield pos + 4, b"UN\0\0"
        yield start - 4, struct.pack(">I", end - start)
        return end
    opened.append(_Open(sequence=True, explicit=True, end=None))
    return start


def _implicit(buf: Buffer, pos: int, order: ByteOrder, opened: list[_Open]) -> int:
    tag, length = order.pair(buf, pos)
    if tag == order.item_end:
        opened.pop()
        return pos + 8
    if length != UNDEFINED:
        return pos + 8 + length
    opened.append(_Open(sequence=True, explicit=False, end=None))
    return pos + 8


def _end(start: int, length: int) -> int | None:
    return None if length == UNDEFINED else start + length


def _short_vr(number: int) -> bytes:
    """The VR of an element by the dictionary; text where that has none, or one with a length of four bytes."""
    from pydicom.datadict import dictionary_VR

    try:
        vr = dictionary_VR(number)[:2].encode()
    except KeyError:
        return b"LT"
    return vr if vr in SHORT_VRS else b"LT"
