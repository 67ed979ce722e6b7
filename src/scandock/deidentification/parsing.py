"""Bytes as a tree that can be changed, or ObjectUnreadable: what is not read to its end is not de-identified.

The walker reads what is written by the rules, pydicom the rest (`slow_path`). The object may be given whole, as bytes
or as a view of a mapped file, or by its first bytes and a function that reads ranges of it: of pixel data beyond them
only the places of fragments are read.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DataSet, DicomObject, Pixels, Range
from scandock.deidentification.dictionary import UNKNOWN, dictionary_vr
from scandock.deidentification.errors import ObjectUnreadable
from scandock.deidentification.runs import Runs
from scandock.deidentification.walking import (
    Budget,
    PixelElement,
    Walked,
    fragments_end,
    walk_data_set,
    walk_following,
)
from scandock.formats.dicom_encoding import BIG, LITTLE, UNDEFINED, Buffer, ByteOrder, DeclinedError, ShortError
from scandock.formats.dicom_object import shared_uid
from scandock.formats.dicom_scan import META_GROUP, encoding_of, read_meta
from scandock.formats.dicom_sniff import begins_like_a_data_set, has_preamble
from scandock.model.dataclass import dataclass
from scandock.model.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scandock.deidentification.slow_path import SlowElement

    ReadRange = Callable[[int, int], Buffer]

MAX_HEADER: Final = 32 * MIB
"""Most bytes before the pixel data, and behind it, of an object that is read by ranges."""
MAX_INFLATED: Final = 256 * MIB
"""Most bytes of a deflated data set, packed or not: its pixels are in it."""
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_PREAMBLE: Final = 132
_META: Final = b"\x02\0"
_GROUP_LENGTH: Final = b"\x02\0\0\0UL\4\0"
_SYNTAX: Final = 0x00020010
_FIRST_GROUP: Final = 0x00080000
_CHUNK: Final = 65_536
_READ_META: Final = Runs()
_READ: Final = Runs()
"""Runs of elements that were read, of meta information and of data sets."""


@dataclass(slots=True)
class _Source:
    """The object's first bytes, its size, and how other ranges are read."""

    head: Buffer
    size: int
    read: ReadRange | None

    @property
    def whole(self) -> bool:
        return len(self.head) >= self.size

    def extend(self, need: int) -> bool:
        """Get `need` bytes of the head or all there are, at most MAX_HEADER; False where there are no more."""
        have, need = len(self.head), min(need, self.size)
        if self.read is None or self.whole or need > MAX_HEADER:
            return False
        self.head = self.read(0, min(max(need, 4 * have), self.size, MAX_HEADER))
        return len(self.head) > have

    def range(self, start: int, end: int) -> Buffer:
        if self.whole or self.read is None:
            return self.head[start:end]
        return self.read(start, end)


def parse(head: Buffer, size: int | None = None, read: ReadRange | None = None) -> DicomObject:
    """The object that begins with `head`, as a tree.

    `size` is that of the whole object where `head` is not all of it; `read(start, end)` then gives its bytes
    [start, end). Raises ObjectUnreadable for whatever is not walked to its end; what `read` raises passes through.
    """
    source = _Source(head, len(head) if size is None else size, read)
    try:
        while True:
            try:
                return _parse(source)
            except ShortError as short:
                if not source.extend(short.need):
                    raise ObjectUnreadable("The object ends within its header.") from None
    except DeclinedError as declined:
        raise ObjectUnreadable(f"The object can't be read: {declined}.") from None


def _parse(source: _Source) -> DicomObject:
    head, size = source.head, source.size
    preamble = has_preamble(head) and not (head[132:134] != _META and begins_like_a_data_set(head, size))
    if not preamble and len(head) < min(size, _PREAMBLE + 2):
        raise ShortError(_PREAMBLE + 2)
    start = _PREAMBLE if preamble else 0
    budget = Budget()
    meta, at = _meta(source, start, budget)
    syntax = shared_uid(meta.value(_SYNTAX)) if meta is not None and _SYNTAX in meta else ""
    first = bytes(head[:128]) if preamble else b""
    if syntax == DEFLATED:
        if size - at > MAX_INFLATED:
            raise DeclinedError("its deflated data set is too large")
        data, packed = inflate(source.range(at, size))
        end = at + packed
        obj = _parse_data(_Source(data, len(data), None), 0, syntax, budget)
        obj.original, obj.deflated = head, True
        if not obj.trailing:
            obj.compressed = Range(at, end)
        obj.trailing += size - end
    else:
        obj = _parse_data(source, at, syntax, budget)
    obj.preamble, obj.preamble_bytes, obj.meta = preamble, first, meta
    return obj


def _meta(source: _Source, start: int, budget: Budget) -> tuple[DataSet | None, int]:
    """The meta information from `start` on, and the offset behind it."""
    head = source.head
    if head[start : start + 2] != _META:
        return None, start
    try:
        end = _meta_end(head, start)
        walked = walk_data_set(head, start, end, LITTLE, budget, explicit=True, runs=_READ_META)
        if next(reversed(walked.elements)) >> 16 != META_GROUP:
            raise DeclinedError("a group length that lies")
    except (DeclinedError, ShortError, StopIteration):
        end = read_meta(head, start, frozenset(), whole=source.whole)[1]
        return _read_meta_slowly(head, start, end, budget), end
    return DataSet(walked, head, budget), end


def _read_meta_slowly(head: Buffer, start: int, end: int, budget: Budget) -> DataSet:
    """Meta information whose length is not told, or that is odd in other ways."""
    from scandock.deidentification.slow_path import read_data_set

    try:
        return DataSet(walk_data_set(head, start, end, LITTLE, budget, explicit=True), head, budget)
    except (DeclinedError, ShortError):
        found, _ = read_data_set(head[start:end], 0, explicit=True, big=False, lowest=META_GROUP)
    meta = DataSet(Walked({}, {}, [], end, end, end, LITTLE, True), head, budget)
    meta.add_slowly(found)
    return meta


def _meta_end(head: Buffer, start: int) -> int:
    """Where the meta information ends if its group length (0002,0000) is right; 0 where that can't be told."""
    if bytes(head[start : start + 8]) != _GROUP_LENGTH or start + 14 > len(head):
        return 0
    end: int = start + 12 + LITTLE.length(head, start + 8)[0]
    return end if end + 8 <= len(head) and head[end : end + 2] != _META else 0


def _parse_data(source: _Source, at: int, syntax: str, budget: Budget) -> DicomObject:
    head, size = source.head, source.size
    if at == size:
        raise DeclinedError("it has no data set")
    if len(head) < at + 8:
        raise ShortError(at + 8)
    explicit, big = encoding_of(head, at, syntax)
    order = BIG if big else LITTLE
    found: Sequence[SlowElement] = ()
    try:
        walked = walk_data_set(head, at, size, order, budget, explicit=explicit, after=_FIRST_GROUP - 1, runs=_READ)
    except (DeclinedError, ShortError) as declined:
        if isinstance(declined, ShortError) and not source.whole:
            raise
        found, walked = _read_slowly(source, at, order, explicit=explicit)
    obj = DicomObject(False, b"", None, DataSet(walked, source.head, budget), syntax, source.head, whole=source.whole)
    if walked.pixels is not None:
        _add_pixels(obj, source, walked.pixels, budget)
    elif not found:
        obj.trailing = size - walked.stop
    if found:
        if any(element.tag in obj.data for element in found):
            raise DeclinedError("an element before the pixel data and behind it")
        obj.data.add_slowly(found)
    return obj


def _read_slowly(source: _Source, at: int, order: ByteOrder, *, explicit: bool) -> tuple[list[SlowElement], Walked]:
    """What pydicom reads before the pixel data, and as if walked the pixel data alone."""
    from scandock.deidentification.slow_path import read_data_set

    while source.extend(MAX_HEADER):
        pass
    found, pixels = read_data_set(source.head, at, explicit=explicit, big=order.big)
    if pixels is None and not source.whole:
        raise DeclinedError("its header is too long")
    start = pixels.at if pixels is not None else len(source.head)
    return found, Walked({}, {}, [], start, start, start, order, explicit, pixels=pixels)


def _add_pixels(obj: DicomObject, source: _Source, found: PixelElement, budget: Budget) -> None:
    """Enter the pixel data, and what follows it."""
    data, head, size = obj.data, source.head, source.size
    tag, at, vr, start, length = found
    encapsulated = length == UNDEFINED
    end = _fragments_end(source, start, data.order) if encapsulated else start + length
    if end > size:
        raise DeclinedError("pixel data beyond the end of the object")
    odd = not encapsulated and length & 1 == 1
    obj.pixels = data.pixels = Pixels(tag, Range(start, end), source.range, encapsulated, is_odd=odd)
    if source.whole:
        buf, begin, stop = head, end, size
        data.elements[tag] = at, vr, start, end
    else:
        if size - end > MAX_HEADER:
            raise DeclinedError("too much stands behind the pixel data")
        buf = data.buf = bytes(head[:start]) + bytes(source.range(end, size))
        begin, stop = start, len(buf)
        data.elements[tag] = at, vr, start, start
    if begin == stop:
        data.stop = stop
        return
    following = walk_following(buf, begin, stop, data.order, budget, explicit=data.explicit, after=tag)
    if following.pixels is not None:
        raise DeclinedError("it has pixel data twice")
    data.elements |= following.elements
    data.sequences += following.sequences
    for number, items in following.nested.items():
        data.nested[number] = [DataSet(item, buf, budget, data, number) for item in items]
    data.stop = following.stop
    obj.trailing = stop - following.stop
    if obj.trailing and _is_element(buf, following.stop, stop, data):
        _add_stray(obj, buf, following.stop, stop)


def _is_element(buf: Buffer, at: int, stop: int, data: DataSet) -> bool:
    """Whether what stands behind the data set is no junk: an element, if one out of order or twice."""
    order = data.order
    if at + 8 > stop:
        return False
    if data.explicit:
        tag, vr, length = order.element(buf, at)
        start = at + 8
        if vr in order.long and at + 12 <= stop:
            length, start = order.length(buf, at + 8)[0], at + 12
        elif vr not in order.short:
            return False
    else:
        tag, length = order.pair(buf, at)
        start = at + 8
        if dictionary_vr(order.key(tag)) == UNKNOWN:
            return False
    return order.key(tag) >= _FIRST_GROUP and (length == UNDEFINED or start + length <= stop)


def _add_stray(obj: DicomObject, buf: Buffer, at: int, stop: int) -> None:
    """Enter elements that stand behind the pixel data though their place is before it, as pydicom reads them."""
    from scandock.deidentification.slow_path import read_data_set

    data = obj.data
    found, pixels = read_data_set(buf[at:stop], 0, explicit=data.explicit, big=data.big)
    if pixels is not None or any(element.tag in data for element in found):
        raise DeclinedError("an element before the pixel data and behind it")
    data.add_slowly(found)
    obj.trailing = 0


def _fragments_end(source: _Source, start: int, order: ByteOrder) -> int:
    """The offset behind encapsulated pixel data: behind its delimiter."""
    if source.whole:
        try:
            return fragments_end(source.head, start, order)
        except ShortError:
            raise DeclinedError("pixel data beyond the end of the object") from None
    pos, chunk, chunk_at = start, b"", start
    while True:
        if pos + 8 > source.size:
            raise DeclinedError("pixel data beyond the end of the object")
        if pos + 8 > chunk_at + len(chunk):
            chunk, chunk_at = bytes(source.range(pos, min(pos + _CHUNK, source.size))), pos
        tag, length = order.pair(chunk, pos - chunk_at)
        pos += 8
        if tag == order.sequence_end and length == 0:
            return pos
        if tag != order.item or length == UNDEFINED:
            raise DeclinedError("no fragment where one is due")
        pos += length


def inflate(deflated: Buffer) -> tuple[bytes, int]:
    """A deflated data set, whole but bounded, and how many bytes of what is given it is of (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(deflated, MAX_INFLATED)
    except zlib.error:
        raise DeclinedError("its deflated data set is damaged") from None
    if not inflater.eof:
        raise DeclinedError("its deflated data set is cut or too large")
    padding = 1 if inflater.unused_data == b"\0" else 0
    return data, len(deflated) - len(inflater.unused_data) + padding
