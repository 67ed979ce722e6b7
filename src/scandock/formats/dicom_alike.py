"""Headers of objects that come one after the other: of those that are written alike, only what differs is read.

The objects of a series have the same elements, and the same values in most of them. A *pattern* is made of two such
objects: the bytes that both have, and between them the values that differ, of any length. An object that has those
bytes at their places is read as `read_header` reads it, since that looks at nothing of these values but their lengths.
All other objects are read by `read_header` itself.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from scandock.formats.dicom_encoding import ITEM_END, LITTLE, UNDEFINED, Buffer, DeclinedError, ShortError
from scandock.formats.dicom_header import read_header
from scandock.formats.dicom_items import after_sequence
from scandock.formats.dicom_object import (
    Header,
    SharedValues,
    check_identifiers,
    pixel_state,
    set_identifiers,
    shared_uid,
)
from scandock.formats.dicom_scan import META_GROUP, REQUIRED
from scandock.formats.errors import Unparseable
from scandock.model.tags import NUMBERS, PIXEL_DATA

PATTERNS: Final = 4
"""Patterns that are known at a time: scanners write objects of several kinds in turn."""
EXAMINED: Final = 16
"""At most one of so many objects is examined for a pattern: that takes as long as reading five of them."""
_FIRST_EXAMINED: Final = 4
_MOST: Final = 64 * 1024
"""Bytes of a header from which a pattern is made."""
_SPARE: Final = 1024
"""Bytes by which the values of an object may be longer than those that its pattern was made of."""
_PREAMBLE: Final = 132
_MEDIA_CLASS: Final = NUMBERS["MediaStorageSOPClassUID"]
_MAY_DIFFER_IN_META: Final = frozenset({0x00020000, NUMBERS["MediaStorageSOPInstanceUID"]})
"""Group length and UID: what else the meta information says decides how the data set is read."""
_SHORT_HEAD: Final = 6
_LONG_HEAD: Final = 8
"""Bytes of an element before its length: tag and VR, and two reserved ones where the VR is a long one."""
_SHORT_LENGTH: Final = struct.Struct("<H").unpack_from
_LONG_LENGTH: Final = struct.Struct("<I").unpack_from


class _Element(NamedTuple):
    """An element at top level, by its offsets in the object."""

    at: int
    end: int
    number: int
    """Where its value is wanted, else 0."""
    is_long: bool
    may_differ: bool
    """Whether the reading of all others is the same whatever its value is."""


class _Step(NamedTuple):
    """Bytes that all objects have, and the element that differs behind them, of which they have all but its length."""

    before: bytes
    is_long: bool
    number: int
    dataset_at: int
    """Where in `before` the data set begins; -1 where it does not begin there."""


class _Layout:
    """A header of which it is known where each element is. Raises DeclinedError where it is not a plain one."""

    def __init__(self, data: Buffer, wanted: frozenset[int]) -> None:
        self.head = bytes(data[:_MOST])
        self.elements: list[_Element] = []
        self.dataset_at = 0
        try:
            self.pixels_at, self.pixels_length = self._walk(wanted)
        except (struct.error, ShortError):
            raise DeclinedError("a header that is longer than most") from None
        if self.dataset_at == _PREAMBLE:
            raise DeclinedError("no meta information")

    def _walk(self, wanted: frozenset[int]) -> tuple[int, int]:
        """Find all elements; where the value of the pixel data begins, and its length."""
        head, pos, seen = self.head, _PREAMBLE, set()
        while True:
            tag, vr, length = LITTLE.element(head, pos)
            number, is_long = LITTLE.key(tag), vr in LITTLE.long
            start = pos + 8
            if is_long:
                length, start = LITTLE.length(head, pos + 8)[0], pos + 12
            elif vr not in LITTLE.short:
                raise DeclinedError("a VR that does not exist")
            in_meta = number >> 16 == META_GROUP
            if not in_meta and not self.dataset_at:
                self.dataset_at = pos
            if number in PIXEL_DATA:
                return start, length
            if number == ITEM_END or number in seen or (in_meta and self.dataset_at):
                raise DeclinedError("an element that is out of place")
            seen.add(number)
            is_wanted = number in wanted
            may_differ = number in _MAY_DIFFER_IN_META if in_meta else not (is_long and is_wanted)
            end = start + length
            if length == UNDEFINED:
                may_differ, end = False, after_sequence(head, start, LITTLE, explicit=True)
            self.elements.append(_Element(pos, end, number if is_wanted else 0, is_long, may_differ))
            pos = end

    def differing(self, other: _Layout) -> set[int] | None:
        """Which elements, by their place, differ from those of another header; None where it is not alike."""
        ours, theirs = self.head, other.head
        if len(self.elements) != len(other.elements):
            return None
        places = set()
        for place, (mine, its) in enumerate(zip(self.elements, other.elements, strict=True)):
            if ours[mine.at : mine.end] == theirs[its.at : its.end]:
                continue
            size = _LONG_HEAD if mine.is_long else _SHORT_HEAD
            if not mine.may_differ or ours[mine.at : mine.at + size] != theirs[its.at : its.at + size]:
                return None
            places.add(place)
        return places


class _Pattern:
    """What objects have in common that are written alike."""

    def __init__(self, layout: _Layout, header: Header, differing: Collection[int] = ()) -> None:
        """`header` is that of the object of the layout, of which the elements at the places `differing` do differ."""
        self.layout = layout
        self.header = header
        self.differing = differing
        self._media_class = shared_uid(header.values.get(_MEDIA_CLASS))
        self._steps = list(self._make_steps())
        numbers = frozenset(step.number for step in self._steps if step.number)
        self.shared = SharedValues({tag: raw for tag, raw in header.values.items() if tag not in numbers}, numbers)
        self._last = layout.head[self._end : layout.pixels_at]
        self.reach = layout.pixels_at + _SPARE
        """Bytes of an object that are looked at."""
        last_at = layout.dataset_at - self._end
        self._dataset_in_last = last_at if last_at >= 0 else -1

    def _make_steps(self) -> Iterator[_Step]:
        layout, self._end = self.layout, 0
        for place in sorted(self.differing):
            element = layout.elements[place]
            before = layout.head[self._end : element.at + (_LONG_HEAD if element.is_long else _SHORT_HEAD)]
            dataset_at = layout.dataset_at - self._end
            is_in_before = 0 <= dataset_at < len(before)
            yield _Step(before, element.is_long, element.number, dataset_at if is_in_before else -1)
            self._end = element.end

    def read(self, head: bytes, data: Buffer) -> Header | None:
        """The header of a whole object, which begins with `head`; None where it is not alike."""
        begins, known = head.startswith, self.header
        values = known.values.copy()
        pos = dataset_at = 0
        try:
            for before, is_long, number, starts in self._steps:
                if not begins(before, pos):
                    return None
                if starts >= 0:
                    dataset_at = pos + starts
                pos += len(before)
                if is_long:
                    start = pos + 4
                    pos = start + _LONG_LENGTH(head, pos)[0]
                else:
                    start = pos + 2
                    pos = start + _SHORT_LENGTH(head, pos)[0]
                if number:
                    values[number] = head[start:pos]
        except struct.error:
            return None
        if not begins(self._last, pos):
            return None
        if self._dataset_in_last >= 0:
            dataset_at = pos + self._dataset_in_last
        pixels = pixel_state(data, len(data), pos + len(self._last), self.layout.pixels_length, big=False)
        header = Header(
            values, known.transfer_syntax, known.implicit, known.big_endian, dataset_at, known.preamble, pixels,
            "", "", "", self._media_class,
        )  # fmt: skip
        set_identifiers(header)
        try:
            return check_identifiers(header)
        except Unparseable:
            return None


class AlikeHeaders:
    """Reads headers of whole objects, one after the other. Gives what `read_header` gives, and raises as it does."""

    def __init__(self, tags: frozenset[int]) -> None:
        self._tags = tags
        self._wanted = tags | REQUIRED
        self._patterns: list[_Pattern] = []
        """The one that fitted last comes first."""
        self.shared: SharedValues | None = None
        """What the object that was read last has in common with others, where that is known."""
        self._reach = 0
        self._read = 0
        self._examined = 0

    def read(self, data: Buffer) -> Header:
        """The header of an object with all its bytes."""
        self._read += 1
        patterns, head = self._patterns, bytes(data[: self._reach])
        for place, pattern in enumerate(patterns):
            header = pattern.read(head, data)
            if header is not None:
                if place:
                    patterns.insert(0, patterns.pop(place))
                self.shared = pattern.shared
                return header
        self.shared = None
        header = read_header(data, len(data), self._tags)
        if self._examined * EXAMINED < self._read + _FIRST_EXAMINED * EXAMINED:
            self._examine(data, header)
        return header

    def _examine(self, data: Buffer, header: Header) -> None:
        """Make a pattern of an object that fits none, or let one that is alike fit it too."""
        self._examined += 1
        if header.notes or header.implicit or header.big_endian or not header.preamble:
            return
        try:
            layout = _Layout(data, self._wanted)
        except DeclinedError:
            return
        for pattern in self._patterns:
            differing = pattern.layout.differing(layout)
            if differing is not None:
                wider = _Pattern(pattern.layout, pattern.header, differing.union(pattern.differing))
                self._keep(wider, data, header, instead_of=pattern)
                return
        self._keep(_Pattern(layout, header.copy()), data, header)

    def _keep(self, new: _Pattern, data: Buffer, header: Header, instead_of: _Pattern | None = None) -> None:
        """Use a pattern from now on, if it reads the object for which it was made as that was read."""
        if new.read(bytes(data[: new.reach]), data) == header:
            others = (pattern for pattern in self._patterns if pattern is not instead_of)
            self._patterns = [new, *others][:PATTERNS]
            self._reach = max(pattern.reach for pattern in self._patterns)
