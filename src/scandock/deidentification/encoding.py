"""A tree as bytes again: the original's own where nothing was changed, pixel data as one slice that nobody copies."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import Change, DataSet, DicomObject, Pixels, Range, tag_text
from scandock.deidentification.errors import ValueUnfit
from scandock.formats.dicom_encoding import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, UNDEFINED, Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = bytes | memoryview | Range
"""Bytes, or where in the original they stand."""

_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_GROUP_LENGTH: Final = 0x00020000
_MARK: Final = b"DICM"
_MOST: Final = 0xFFFFFFFE


def encode(obj: DicomObject) -> list[Part]:
    """The object's bytes in parts: header, pixel data, what follows it. Nothing changed: as it was.

    Left out is what stands behind the data set. Raises ScrubError where a sequence that nobody has looked at can't be
    read to its end, and where a value does not fit.
    """
    head: list[Buffer] = []
    if obj.preamble:
        head += (obj.preamble_bytes, _MARK)
    if obj.meta is not None:
        _encode_meta(obj.meta, head)
    before, pixels, after = _encode_data(obj)
    if obj.deflated:
        head.append(_deflated(obj, before + after))
        return [b"".join(head)]
    parts: list[Part] = [b"".join(head + before)]
    if pixels is not None:
        parts.append(memoryview(obj.original)[slice(*pixels.place)] if obj.whole else pixels.place)
    if after:
        parts.append(b"".join(after))
    return parts


def _encode_meta(meta: DataSet, into: list[Buffer]) -> None:
    """The meta information; where it was changed, its group length (0002,0000) is computed anew."""
    if meta.changes:
        meta.set_value(_GROUP_LENGTH, "UL", bytes(4))
        written: list[Buffer] = []
        _splice(meta, written)
        meta.set_value(_GROUP_LENGTH, "UL", struct.pack("<I", sum(map(len, written)) - 12))
    _splice(meta, into)


def _encode_data(obj: DicomObject) -> tuple[list[Buffer], Pixels | None, list[Buffer]]:
    """What stands before the pixel data, that, and what stands behind; all in the first where it goes along."""
    data, pixels = obj.data, obj.pixels
    data.prove()
    before: list[Buffer] = []
    if pixels is None or pixels.tag not in data.elements or pixels.tag in data.changes or obj.deflated:
        _splice(data, before)
        return before, None, []
    after: list[Buffer] = []
    at, _, start, end = data.elements[pixels.tag]
    _splice(data, before, stop=at if pixels.is_odd else start, below=pixels.tag)
    if pixels.is_odd:
        length = pixels.place.end - pixels.place.start
        before.append(_element_head(data, pixels.tag, data.vr(pixels.tag), length + 1))
        after.append(b"\0")
    _splice(data, after, start=end, above=pixels.tag)
    return before, pixels, after


def _deflated(obj: DicomObject, parts: list[Buffer]) -> bytes:
    """The data set, deflated; as it was where nothing of it was changed (PS3.5 A.5)."""
    if not obj.data.changes and obj.compressed is not None:
        return bytes(obj.original[slice(*obj.compressed)])
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = b"".join([*(deflater.compress(part) for part in parts), deflater.flush()])
    return raw + b"\0" * (len(raw) & 1)


def _splice(
    data_set: DataSet,
    into: list[Buffer],
    *,
    start: int | None = None,
    stop: int | None = None,
    above: int = -1,
    below: int = 1 << 32,
) -> None:
    """Append a data set's bytes from `start` to `stop`, with its changes of the tags between `above` and `below`."""
    buf, elements, changes = data_set.buf, data_set.elements, data_set.changes
    cursor = data_set.start if start is None else start
    stop = data_set.stop if stop is None else stop
    for tag in sorted(changes):
        if not above < tag < below:
            continue
        entry, change = elements.get(tag), changes[tag]
        at, behind = (entry[0], entry[3]) if entry is not None else (data_set.place_of(tag),) * 2
        if cursor < at:
            into.append(buf[cursor:at])
        cursor = max(cursor, behind)
        if change is not None:
            _encode_element(data_set, tag, change, into)
    if cursor < stop:
        into.append(buf[cursor:stop])


def _encode_element(data_set: DataSet, tag: int, change: Change, into: list[Buffer]) -> None:
    vr, value, items, undefined = change
    if items is None:
        value = value or b""
        into.append(_element_head(data_set, tag, vr, UNDEFINED if undefined else len(value)))
        into.append(value)
        if undefined:
            into.append(_mark(SEQUENCE_END, 0, big=data_set.big))
        return
    raw = encode_items(items, data_set)
    if len(raw) > _MOST:
        raise ValueUnfit(f"The sequence {tag_text(tag)} is too long: {len(raw)} bytes.")
    into.append(_element_head(data_set, tag, vr, UNDEFINED if undefined else len(raw)))
    into.append(raw)
    if undefined:
        big = items[0].big if items else data_set.big
        into.append(_mark(SEQUENCE_END, 0, big=big))


def encode_items(items: Sequence[DataSet], data_set: DataSet) -> bytes:
    """The items of a sequence of this data set, without a delimiter."""
    into: list[Buffer] = []
    for item in items:
        content: list[Buffer] = []
        _splice(item, content)
        length = sum(map(len, content))
        big = item.big if item.elements or item.changes else data_set.big
        into.append(_mark(ITEM, UNDEFINED if item.undefined else length, big=big))
        into += content
        if item.undefined:
            into.append(_mark(ITEM_END, 0, big=big))
    return b"".join(into)


def _element_head(data_set: DataSet, tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length of an element as its data set is written."""
    order = ">" if data_set.big else "<"
    if not data_set.explicit:
        return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length)
    if vr in _LONG:
        return struct.pack(order + "HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _mark(tag: int, length: int, *, big: bool) -> bytes:
    return struct.pack(">HHI" if big else "<HHI", tag >> 16, tag & 0xFFFF, length)
