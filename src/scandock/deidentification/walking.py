"""The walker: where the elements and items of a data set stand, to its very end (PS3.5 7).

Unlike the header scan it holds a data set to the letter: known VRs, even lengths, ascending tags, each value within
what it stands in. What is unusual is `DeclinedError`: pydicom shall read it (`slow_path`). Nothing is copied.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.deidentification.errors import ObjectUnreadable
from scandock.formats.dicom_encoding import (
    LITTLE,
    UNDEFINED,
    Buffer,
    ByteOrder,
    DeclinedError,
    ShortError,
    has_vr_letters,
)
from scandock.model.dataclass import dataclass
from scandock.model.tags import PIXEL_DATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.deidentification.runs import Run, Runs

MOST_LEVELS: Final = 64
"""Sequences within sequences."""
MOST_ELEMENTS: Final = 1_000_000
"""Elements of one object, of which an item counts as three: some 300 MB."""
_ITEM_COST: Final = 3
_MAY_HAVE_ITEMS: Final = frozenset({"SQ", UNKNOWN})
_ITEM_GROUP: Final = 0xFFFE0000
_SQ: Final = {False: int.from_bytes(b"SQ", "little"), True: int.from_bytes(b"SQ", "big")}
_WORDS: Final = {big: struct.Struct((">" if big else "<") + "Q").unpack_from for big in (False, True)}

Head = tuple[int, int, int]
"""Of explicit VR: tag, VR (0 where there is no such, or the length is odd), and the size of an element of a VR with a
short length; 0 where four bytes of length follow."""
_HEADS: Final[dict[bool, dict[int, Head]]] = {False: {}, True: {}}
"""What the first eight bytes of an element say, by byte order."""
_MOST_HEADS: Final = 16_384
_NO_RUNS: Final[Mapping[int, Run]] = {}

Entry = tuple[int, int, int, int]
"""Of an element: where it starts, its VR as the number that stands there (0 in implicit VR), and where its value starts
and ends, a delimiter included."""


def too_deep() -> ObjectUnreadable:
    """Why an object fails that takes more time and memory than one is given."""
    return ObjectUnreadable("It has too many elements, or sequences within sequences.")


class PixelElement(NamedTuple):
    """The pixel data element of a data set: its tag, where it and its value start, its VR and length as written."""

    tag: int
    at: int
    vr: int
    start: int
    length: int


@dataclass(slots=True)
class Walked:
    """The elements of a data set or an item, which stand in [start, stop); `end` is behind the delimiter of an item.

    `nested` has the items of sequences of undefined length, which had to be walked to find their end; `sequences` the
    tags of all that explicit VR calls SQ or UN.
    """

    elements: dict[int, Entry]
    nested: dict[int, list[Walked]]
    sequences: list[int]
    start: int
    stop: int
    end: int
    order: ByteOrder
    explicit: bool
    undefined: bool = False
    pixels: PixelElement | None = None
    in_runs: int = 0
    """Elements that were read as those of runs."""


class Budget:
    """How many elements of one object are still walked."""

    __slots__ = ("left",)

    def __init__(self, most: int = MOST_ELEMENTS) -> None:
        self.left = most

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise too_deep()


def walk_data_set(
    buf: Buffer,
    start: int,
    stop: int,
    order: ByteOrder,
    budget: Budget,
    *,
    explicit: bool,
    after: int = -1,
    runs: Runs | None = None,
) -> Walked:
    """Walk a data set from `start` to its pixel data or to `stop`; its tags are higher than `after`.

    `runs` are those of other data sets of its kind, and learn of this one. Raises DeclinedError where it is unusual,
    ShortError where the bytes at hand end before `stop`.
    """
    walked = Walked({}, {}, [], start, stop, stop, order, explicit)
    try:
        walked.stop = walked.end = _walk(buf, walked, stop, budget, 0, after, runs)
    except (DeclinedError, ShortError):
        end = _last_end(walked)
        if end == start or not _is_padding(buf, end, stop):
            raise
        walked.stop = walked.end = end
    else:
        if runs is not None and explicit and walked.in_runs * 2 < len(walked.elements):
            runs.learn(walked.elements, buf, order)
    return walked


def walk_following(
    buf: Buffer, start: int, stop: int, order: ByteOrder, budget: Budget, *, explicit: bool, after: int
) -> Walked:
    """Walk what stands behind pixel data of tag `after`, as far as elements follow in order."""
    walked = Walked({}, {}, [], start, stop, stop, order, explicit)
    try:
        walked.stop = walked.end = _walk(buf, walked, stop, budget, 0, after)
    except (DeclinedError, ShortError):
        while walked.elements and next(reversed(walked.elements)) >= _ITEM_GROUP:
            walked.elements.popitem()
        walked.stop = walked.end = _last_end(walked)
    return walked


def _last_end(walked: Walked) -> int:
    return next(reversed(walked.elements.values()))[3] if walked.elements else walked.start


def _is_padding(buf: Buffer, pos: int, stop: int) -> bool:
    """Whether the rest of the object is at hand, and nothing but NULs."""
    return pos < stop <= len(buf) and not bytes(buf[pos:stop]).strip(b"\0")


def walk_items(
    buf: Buffer, start: int, stop: int, order: ByteOrder, budget: Budget, level: int, *, explicit: bool
) -> list[Walked]:
    """The items of a sequence of defined length, whose value stands in [start, stop)."""
    try:
        items, end = _items(buf, start, stop, order, budget, level, explicit=explicit, delimited=False)
    except (struct.error, ShortError):
        raise DeclinedError("a sequence that ends within an item") from None
    if end != stop:
        raise DeclinedError("a sequence of another length than its items")
    return items


def walk_unknown(
    buf: Buffer, start: int, stop: int, order: ByteOrder, budget: Budget, level: int, *, explicit: bool
) -> list[Walked]:
    """The items of a value of VR UN: of implicit VR little endian (PS3.5 6.2.2), or as their data set is written."""
    try:
        return _unknown(buf, start, stop, order, budget, level, explicit=explicit, delimited=False)[0]
    except ShortError:
        raise DeclinedError("a sequence that ends within an item") from None


def fragments_end(buf: Buffer, pos: int, order: ByteOrder) -> int:
    """The offset behind encapsulated pixel data whose first fragment stands at `pos`, its delimiter included."""
    while True:
        if pos + 8 > len(buf):
            raise ShortError(pos + 8)
        tag, length = order.pair(buf, pos)
        pos += 8
        if tag == order.sequence_end and length == 0:
            return pos
        if tag != order.item or length == UNDEFINED:
            raise DeclinedError("no fragment where one is due")
        pos += length


def _walk(
    buf: Buffer, walked: Walked, stop: int, budget: Budget, level: int, before: int, runs: Runs | None = None
) -> int:
    try:
        if walked.explicit:
            table = runs.tables[walked.order.big] if runs is not None else _NO_RUNS
            pos = _explicit(buf, walked, stop, budget, level, before, table)
        else:
            pos = _implicit(buf, walked, stop, budget, level, before)
    except struct.error:
        raise ShortError(len(buf) + 16) from None
    elements = walked.elements
    if elements and next(reversed(elements)) >= _ITEM_GROUP:
        raise DeclinedError("an element of the group of delimiters")
    budget.spend(len(elements) + _ITEM_COST)
    return pos


def _explicit(
    buf: Buffer, walked: Walked, stop: int, budget: Budget, level: int, before: int, runs: Mapping[int, Run]
) -> int:
    """Walk elements of explicit VR; the offset where they end: at `stop`, an item's delimiter, or the pixel data."""
    order, elements, pos = walked.order, walked.elements, walked.start
    limit, big = min(stop, len(buf)), order.big
    word, heads, length_at = _WORDS[big], _HEADS[big], order.length
    find, find_run = heads.get, runs.get
    while pos < stop:
        (eight,) = word(buf, pos)
        run = find_run(eight)
        if run is not None and run.first > before and pos + run.size <= limit and run.read(buf, pos) == run.heads:
            elements.update(run.entries(pos))
            before, pos = run.last, pos + run.size
            walked.in_runs += run.count
            continue
        head = find(eight)
        if head is None:
            head = _learn(buf, pos, eight, order)
        tag, vr, size = head
        if tag <= before:
            raise DeclinedError("an element out of order")
        if size:
            end = pos + size
            if end > limit:
                raise _unfit(end, stop, size)
            elements[tag] = pos, vr, pos + 8, end
        elif vr:
            (length,) = length_at(buf, pos + 8)
            start = pos + 12
            if vr in order.sequences:
                walked.sequences.append(tag)
            if level == 0 and tag in PIXEL_DATA:
                walked.pixels = PixelElement(tag, pos, vr, start, length)
                return pos
            if length == UNDEFINED:
                end = _undefined(buf, walked, tag, vr, start, stop, budget, level)
            else:
                end = start + length
                if end > limit or length & 1:
                    raise _unfit(end, stop, length)
            elements[tag] = pos, vr, start, end
        elif walked.undefined and order.pair(buf, pos) == (order.item_end, 0):
            return pos
        else:
            raise DeclinedError("a value representation that does not exist, or an odd length")
        before, pos = tag, end
    if walked.undefined:
        raise DeclinedError("an item without an end")
    return pos


def _learn(buf: Buffer, pos: int, eight: int, order: ByteOrder) -> Head:
    """Read an element's first eight bytes and keep what they say, since the same ones stand in many objects."""
    tag, vr, length = order.element(buf, pos)
    if vr in order.short:
        head = order.key(tag), vr if length & 1 == 0 else 0, (8 + length) * (length & 1 ^ 1)
    else:
        head = order.key(tag), vr if vr in order.long else 0, 0
    heads = _HEADS[order.big]
    if len(heads) >= _MOST_HEADS:
        heads.clear()
    heads[eight] = head
    return head


def _implicit(buf: Buffer, walked: Walked, stop: int, budget: Budget, level: int, before: int) -> int:
    order, elements, pos = walked.order, walked.elements, walked.start
    pair, big, limit = order.pair, order.big, min(stop, len(buf))
    while pos < stop:
        tag, length = pair(buf, pos)
        if not big:
            tag = (tag & 0xFFFF) << 16 | tag >> 16
        if tag <= before:
            raise DeclinedError("an element out of order")
        start = pos + 8
        if level == 0 and tag in PIXEL_DATA:
            walked.pixels = PixelElement(tag, pos, 0, start, length)
            return pos
        if tag >= _ITEM_GROUP:
            if walked.undefined and pair(buf, pos) == (order.item_end, 0):
                return pos
            raise DeclinedError("a delimiter where none is due")
        if length == UNDEFINED:
            end = _undefined(buf, walked, tag, 0, start, stop, budget, level)
        else:
            end = start + length
            if end > limit or length & 1:
                raise _unfit(end, stop, length)
        elements[tag] = pos, 0, start, end
        before, pos = tag, end
    if walked.undefined:
        raise DeclinedError("an item without an end")
    return pos


def _unfit(end: int, stop: int, length: int) -> Exception:
    """Why an element is not taken: its length is odd, or it ends behind `stop`, or else behind the bytes at hand."""
    return ShortError(end) if end <= stop and not length & 1 else DeclinedError("an element of an odd or wrong length")


def _undefined(
    buf: Buffer, walked: Walked, tag: int, vr: int, start: int, stop: int, budget: Budget, level: int
) -> int:
    """The offset behind a value of undefined length."""
    order, explicit = walked.order, walked.explicit
    if tag in PIXEL_DATA:  # of an icon
        end = fragments_end(buf, start, order)
        if end > stop:
            raise DeclinedError("fragments beyond the end of their item")
        return end
    if not explicit and dictionary_vr(tag) not in _MAY_HAVE_ITEMS:
        raise DeclinedError("a plain value of undefined length")
    if explicit and vr == order.unknown:
        items, end = _unknown(buf, start, stop, order, budget, level + 1, explicit=True, delimited=True)
    elif explicit and vr != _SQ[order.big]:
        raise DeclinedError("a plain value of undefined length")
    else:
        items, end = _items(buf, start, stop, order, budget, level + 1, explicit=explicit, delimited=True)
    walked.nested[tag] = items
    return end


def _unknown(
    buf: Buffer, start: int, stop: int, order: ByteOrder, budget: Budget, level: int, *, explicit: bool, delimited: bool
) -> tuple[list[Walked], int]:
    """Items of VR UN and where they end. What can be read in two ways is read in none."""
    implicit = _attempt(buf, start, stop, LITTLE, budget, level, explicit=False, delimited=delimited)
    if implicit is not None and not (explicit and any(_begins_explicit(buf, item) for item in implicit[0])):
        return implicit
    other = _attempt(buf, start, stop, order, budget, level, explicit=True, delimited=delimited) if explicit else None
    if implicit is not None and other is not None:
        raise ObjectUnreadable("A sequence of VR UN can be read in two ways.")
    found = implicit or other
    if found is None:
        raise DeclinedError("a value of VR UN that is no sequence")
    return found


def _attempt(
    buf: Buffer, start: int, stop: int, order: ByteOrder, budget: Budget, level: int, *, explicit: bool, delimited: bool
) -> tuple[list[Walked], int] | None:
    """Items and where they end; None where there are none."""
    try:
        items, end = _items(buf, start, stop, order, budget, level, explicit=explicit, delimited=delimited)
    except (DeclinedError, struct.error):
        return None
    except ShortError:
        if stop > len(buf):
            raise
        return None
    return (items, end) if delimited or end == stop else None


def _begins_explicit(buf: Buffer, item: Walked) -> bool:
    return bool(item.elements) and has_vr_letters(buf, item.start + 4)


def _items(
    buf: Buffer, pos: int, stop: int, order: ByteOrder, budget: Budget, level: int, *, explicit: bool, delimited: bool
) -> tuple[list[Walked], int]:
    """Items from `pos` on, to a delimiter or to `stop`, and the offset behind them."""
    if level > MOST_LEVELS:
        raise too_deep()
    items: list[Walked] = []
    have = len(buf)
    while delimited or pos < stop:
        tag, length = order.pair(buf, pos)
        start = pos + 8
        if tag != order.item:
            if delimited and tag == order.sequence_end and length == 0 and start <= stop:
                return items, start
            raise DeclinedError("no item where one is due")
        undefined = length == UNDEFINED
        end = stop if undefined else start + length
        if not undefined and (end > stop or end > have):
            raise _unfit(end, stop, length)
        letters = explicit and (length == 0 or start + 6 > have or has_vr_letters(buf, start + 4))
        if explicit and undefined and not letters and order.pair(buf, start)[0] == order.item_end:
            letters = True
        item = Walked({}, {}, [], start, end, end, order, letters, undefined)
        item.stop = _walk(buf, item, end, budget, level, -1)
        item.end = pos = item.stop + 8 if undefined else end
        items.append(item)
    return items, pos
