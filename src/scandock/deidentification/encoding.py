"""A tree as bytes again: the original's own where nothing was changed, pixel data as one slice that nobody copies."""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from typing import Final

from scandock.deidentification.data_set import DataSet, DicomObject, EditedPixels, Range
from scandock.deidentification.splicing import element_head, splice
from scandock.formats.dicom_encoding import Buffer

Part = bytes | memoryview | Range | EditedPixels
"""Bytes, or where in the original they stand; or pixels that are edited as they are read, in pieces."""

_GROUP_LENGTH: Final = 0x00020000
_MARK: Final = b"DICM"


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
    splice(meta, written, sorted(meta.changes), meta.start, meta.stop)
    written[1] = struct.pack("<I", sum(map(len, written)) - 12)  # it stands first
    into += written


def _encode_data(obj: DicomObject, before: list[Buffer]) -> tuple[Part | None, list[Buffer]]:
    """Append what stands before the pixel data's value; the value, and what stands behind it."""
    data, pixels = obj.data, obj.pixels
    data.prove()
    tags = sorted(data.changes)
    if pixels is None or pixels.tag not in data:
        splice(data, before, tags, data.start, data.stop)
        return None, []
    at, _, start, end = data.elements[pixels.tag]
    index = bisect_left(tags, pixels.tag)
    change = data.changes.get(pixels.tag)
    after: list[Buffer] = []
    value: Part
    if change is not None and (change[1] is None or change[3]):
        splice(data, before, tags, data.start, data.stop)
        return None, []
    if change is not None:
        splice(data, before, tags[:index], data.start, at)
        value = bytes(change[1] or b"")
        before.append(element_head(pixels.tag, change[0], len(value), explicit=data.explicit, big=data.big))
        index += 1
    else:
        splice(data, before, tags[:index], data.start, at if pixels.is_odd else start)
        if pixels.edits:
            value = EditedPixels(pixels)
        else:
            value = memoryview(obj.original)[slice(*pixels.place)] if obj.whole else pixels.place
        if pixels.is_odd:
            length = pixels.place.end - pixels.place.start + 1
            before.append(element_head(pixels.tag, data.vr(pixels.tag), length, explicit=data.explicit, big=data.big))
            after.append(b"\0")
    splice(data, after, tags[index:], end, data.stop)
    return value, after


def _deflated(obj: DicomObject) -> bytes:
    """The data set, deflated; as it was where nothing of it was changed (PS3.5 A.5)."""
    data = obj.data
    data.prove()
    if not data.changes and obj.compressed is not None:
        return bytes(obj.original[slice(*obj.compressed)])
    parts: list[Buffer] = []
    splice(data, parts, sorted(data.changes), data.start, data.stop)
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = b"".join([*(deflater.compress(part) for part in parts), deflater.flush()])
    return raw + b"\0" * (len(raw) & 1)
