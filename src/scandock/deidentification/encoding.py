"""A tree as bytes again: the original's own where nothing was changed, pixel data as one slice that nobody copies."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from scandock.deidentification.data_set import DataSet, DicomObject, Pixels, Range, tag_text
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
    buf, elements, changes, append = data_set.buf, data_set.elements, data_set.changes, into.append
    explicit = data_set.explicit
    pack_short, pack_long, pack_implicit = _PACK[data_set.big]
    cursor = data_set.start if start is None else start
    stop = data_set.stop if stop is None else stop
    for tag in sorted(changes):
        if not above < tag < below:
            continue
        entry, change = elements.get(tag), changes[tag]
        if entry is not None:
            at, _, _, behind = entry
        else:
            at = behind = data_set.place_of(tag)
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
    """Tag, VR and length of an element as its data set is written; of a VR with a length of four bytes."""
    _, pack_long, pack_implicit = _PACK[data_set.big]
    if not data_set.explicit:
        return pack_implicit(tag >> 16, tag & 0xFFFF, length)
    return pack_long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)


def _mark(tag: int, length: int, *, big: bool) -> bytes:
    return _PACK[big][2](tag >> 16, tag & 0xFFFF, length)
