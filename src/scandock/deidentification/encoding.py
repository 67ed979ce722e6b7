"""A tree as bytes again: the original's own where nothing was changed, pixel data as one slice that nobody copies."""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DataSet, DicomObject, Range, tag_text
from scandock.deidentification.errors import ValueUnfit
from scandock.formats.dicom_encoding import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, UNDEFINED, Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = bytes | memoryview | Range
"""Bytes, or where in the original they stand."""

_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_PACK: Final = {
    big: tuple(struct.Struct((">" if big else "<") + form).pack for form in ("HH2sH", "HH2sHI", "HHI"))
    for big in (False, True)
}
"""Heads of elements by byte order: explicit VR with a short and with a long length, implicit VR (and items)."""
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
    if obj.deflated:
        return [b"".join([*head, _deflated(obj)])]
    pixels, after = _encode_data(obj, head)
    parts: list[Part] = [b"".join(head)]
    if pixels is not None:
        parts.append(pixels)
    if after:
        parts.append(b"".join(after))
    return parts


def _encode_meta(meta: DataSet, into: list[Buffer]) -> None:
    """The meta information; where it was changed, its group length (0002,0000) is computed anew."""
    if not meta.changes:
        into.append(meta.buf[meta.start : meta.stop])
        return
    meta.set_value(_GROUP_LENGTH, "UL", bytes(4))
    written: list[Buffer] = []
    _splice(meta, written, sorted(meta.changes), meta.start, meta.stop)
    written[1] = struct.pack("<I", sum(map(len, written)) - 12)  # it stands first
    into += written


def _encode_data(obj: DicomObject, before: list[Buffer]) -> tuple[Part | None, list[Buffer]]:
    """Append what stands before the pixel data's value; the value, and what stands behind it."""
    data, pixels = obj.data, obj.pixels
    data.prove()
    tags = sorted(data.changes)
    if pixels is None or pixels.tag not in data:
        _splice(data, before, tags, data.start, data.stop)
        return None, []
    at, _, start, end = data.elements[pixels.tag]
    index = bisect_left(tags, pixels.tag)
    change = data.changes.get(pixels.tag)
    after: list[Buffer] = []
    value: Part
    if change is not None and (change[1] is None or change[3]):
        _splice(data, before, tags, data.start, data.stop)
        return None, []
    if change is not None:
        _splice(data, before, tags[:index], data.start, at)
        value = bytes(change[1] or b"")
        before.append(_element_head(data, pixels.tag, change[0], len(value)))
        index += 1
    else:
        _splice(data, before, tags[:index], data.start, at if pixels.is_odd else start)
        value = memoryview(obj.original)[slice(*pixels.place)] if obj.whole else pixels.place
        if pixels.is_odd:
            length = pixels.place.end - pixels.place.start + 1
            before.append(_element_head(data, pixels.tag, data.vr(pixels.tag), length))
            after.append(b"\0")
    _splice(data, after, tags[index:], end, data.stop)
    return value, after


def _deflated(obj: DicomObject) -> bytes:
    """The data set, deflated; as it was where nothing of it was changed (PS3.5 A.5)."""
    data = obj.data
    data.prove()
    if not data.changes and obj.compressed is not None:
        return bytes(obj.original[slice(*obj.compressed)])
    parts: list[Buffer] = []
    _splice(data, parts, sorted(data.changes), data.start, data.stop)
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = b"".join([*(deflater.compress(part) for part in parts), deflater.flush()])
    return raw + b"\0" * (len(raw) & 1)


def _splice(data_set: DataSet, into: list[Buffer], tags: Sequence[int], start: int, stop: int) -> None:
    """Append the bytes of a data set from `start` to `stop`, with the changes of `tags`, which are ascending."""
    buf, elements, changes, append = data_set.buf, data_set.elements, data_set.changes, into.append
    explicit, (pack_short, pack_long, pack_implicit) = data_set.explicit, _PACK[data_set.big]
    cursor, original = start, None
    for tag in tags:
        entry, change = elements.get(tag), changes[tag]
        if entry is not None:
            at, _, _, behind = entry
        else:
            if original is None:
                original = list(elements)
            index = bisect_left(original, tag)
            at = behind = elements[original[index]][0] if index < len(original) else data_set.stop
        if cursor < at:
            append(buf[cursor:at])
        cursor = max(cursor, behind)
        if change is None:
            continue
        vr, value, items, undefined = change
        if value is None:
            value = encode_items(items or (), data_set)
            if len(value) > _MOST:
                raise ValueUnfit(f"The sequence {tag_text(tag)} is too long: {len(value)} bytes.")
        length = UNDEFINED if undefined else len(value)
        if not explicit:
            append(pack_implicit(tag >> 16, tag & 0xFFFF, length))
        elif vr in _LONG:
            append(pack_long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length))
        else:
            append(pack_short(tag >> 16, tag & 0xFFFF, vr.encode(), length))
        append(value)
        if undefined:
            append(_mark(SEQUENCE_END, 0, big=items[0].big if items else data_set.big))
    if cursor < stop:
        append(buf[cursor:stop])


def encode_items(items: Sequence[DataSet], data_set: DataSet) -> bytes:
    """The items of a sequence of this data set, without a delimiter."""
    into: list[Buffer] = []
    for item in items:
        big, changes = item.big if item.elements or item.changes else data_set.big, item.changes
        content: list[Buffer] = []
        _splice(item, content, sorted(changes) if len(changes) > 1 else list(changes), item.start, item.stop)
        if item.undefined:
            into.append(_mark(ITEM, UNDEFINED, big=big))
            into += content
            into.append(_mark(ITEM_END, 0, big=big))
        else:
            into.append(_mark(ITEM, sum(map(len, content)), big=big))
            into += content
    return b"".join(into)


def _element_head(data_set: DataSet, tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length of an element as its data set is written; of a VR with a length of four bytes."""
    _, pack_long, pack_implicit = _PACK[data_set.big]
    if not data_set.explicit:
        return pack_implicit(tag >> 16, tag & 0xFFFF, length)
    return pack_long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)


def _mark(tag: int, length: int, *, big: bool) -> bytes:
    return _PACK[big][2](tag >> 16, tag & 0xFFFF, length)
