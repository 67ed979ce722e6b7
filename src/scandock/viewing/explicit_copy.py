"""Copies of objects in Explicit VR Little Endian, which every client of DICOMweb reads: pixels decoded, nothing else
changed. What stands in the file meta information stays there, but for the transfer syntax.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final, NamedTuple

from scandock.formats.dicom_encoding import LONG_VRS
from scandock.viewing.dicom_file import NATIVE, get_integer, open_dicom
from scandock.viewing.dicom_json import BINARY, MAX_DEPTH, PIXELS, Node, meant_vr, to_little_endian
from scandock.viewing.dicom_pixels import PLAIN_FRAMES, decode_all, decode_native
from scandock.viewing.frame_places import unit_of
from scandock.viewing.frames import NotViewable
from scandock.viewing.object_reading import PixelPlace, ReadObject, read_object

EXPLICIT: Final = "1.2.840.10008.1.2.1"
_COMPRESSED: Final = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
MAX_BYTES: Final = 480 * 1024**2
"""Of a copy; a larger one is not made."""
_LONG: Final = frozenset(vr.decode() for vr in LONG_VRS)
_WIDTHS: Final = {"US": 2, "SS": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8}
_UNITS: Final = {2: "OW", 4: "OL", 8: "OV"}
_MOST_SHORT: Final = 65_534
_META_LENGTH, _META_SYNTAX, _META_CLASS, _META_INSTANCE = 0x00020000, 0x00020010, 0x00020002, 0x00020003
_CLASS, _INSTANCE = 0x00080016, 0x00080018
_TABLES: Final = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})
"""What tells where compressed frames stand."""
_SAMPLES, _PHOTOMETRIC, _PLANAR, _BITS = 0x00280002, 0x00280004, 0x00280006, 0x00280100


class _Value(NamedTuple):
    vr: str
    raw: bytes


def check_explicit(stream: BinaryIO) -> None:
    """Raise NotViewable with the reason where there can be no copy. What needs no decoding is not read for it."""
    read = read_object(stream)
    _check_syntax(read)
    pixels = read.pixels
    if pixels is not None and pixels.encapsulated:
        copy_explicit(stream)
        return
    changed = {} if pixels is None else {pixels.tag: _Value(pixels.vr, b"")}
    parts: list[bytes] = []
    _write_elements(parts, read.node, changed, 0)
    if sum(map(len, parts)) + (0 if pixels is None else pixels.end - pixels.start) > MAX_BYTES:
        raise NotViewable("It is too large to be converted.")


def copy_explicit(stream: BinaryIO) -> bytes:
    """The copy. NotViewable with the reason where there can be none."""
    read = read_object(stream)
    _check_syntax(read)
    changed: dict[int, _Value] = {}
    pixels = read.pixels
    if pixels is not None and read.syntax in PLAIN_FRAMES:
        changed[pixels.tag] = _plain_pixels(stream)
    elif pixels is not None and pixels.encapsulated:
        file = open_dicom(stream)
        decoded = decode_all(file)
        changed[_BITS] = _Value("US", struct.pack("<H", decoded.bits_allocated))
        changed[_SAMPLES] = _Value("US", struct.pack("<H", decoded.samples))
        changed[_PHOTOMETRIC] = _Value("CS", decoded.photometric.encode("ascii", "replace"))
        if decoded.samples > 1:
            changed[_PLANAR] = _Value("US", b"\0\0")
        changed[pixels.tag] = _Value("OB" if decoded.bits_allocated <= 8 else "OW", decoded.data)
    elif pixels is not None:
        changed[pixels.tag] = _Value(pixels.vr, _native_pixels(stream, read, pixels))
    parts: list[bytes] = [bytes(128), b"DICM", *_meta(read)]
    _write_elements(parts, read.node, changed, 0)
    if sum(map(len, parts)) > MAX_BYTES:
        raise NotViewable("It is too large to be converted.")
    return b"".join(parts)


def _check_syntax(read: ReadObject) -> None:
    """Raise NotViewable where nobody knows what a transfer syntax does to values or pixels, as with private ones."""
    if not (read.syntax in NATIVE or read.syntax in PLAIN_FRAMES or read.syntax.startswith(_COMPRESSED)):
        raise NotViewable(f"Its transfer syntax {read.syntax[:64]} is not known.")


def _plain_pixels(stream: BinaryIO) -> _Value:
    """Pixel data of frames that are laid out as if they were not encapsulated."""
    file = open_dicom(stream)
    count = max(1, get_integer(file.data, "NumberOfFrames", 1))
    allocated = get_integer(file.data, "BitsAllocated", 8)
    pixels = get_integer(file.data, "Rows", 0) * get_integer(file.data, "Columns", 0)
    if count > 1 and allocated == 1 and pixels % 8:
        raise NotViewable("Its frames of single bits do not end with a byte.")
    if count * pixels * allocated // 8 > MAX_BYTES:
        raise NotViewable("It is too large to be converted.")
    raw = b"".join(decode_native(file, number) for number in range(count))
    return _Value("OB" if allocated <= 8 else "OW", raw)


def _native_pixels(stream: BinaryIO, read: ReadObject, pixels: PixelPlace) -> bytes:
    if pixels.end - pixels.start > MAX_BYTES:
        raise NotViewable("It is too large to be converted.")
    if read.deflated:
        file = open_dicom(stream)
        source = file.stream
        start = file.pixels.start if file.pixels is not None else pixels.start
    else:
        source, start = stream, pixels.start
    source.seek(start)
    raw = source.read(pixels.end - pixels.start)
    if not read.node.big or pixels.vr == "OB":
        return raw
    allocated = int.from_bytes(read.node.value(_BITS)[:2], "big") if _BITS in read.node else 16
    unit = {"OF": 4, "OD": 8}.get(pixels.vr) or unit_of(pixels.vr, allocated)
    return to_little_endian(raw, _UNITS.get(unit, "OB"), big=True)


def _meta(read: ReadObject) -> list[bytes]:
    """The file meta information, with its length."""
    values: dict[int, _Value] = {}
    if read.meta is not None:
        for tag in read.meta.tags():
            if tag != _META_LENGTH:
                values[tag] = _Value(read.meta.vr(tag), read.meta.value(tag))
    values.setdefault(0x00020001, _Value("OB", b"\0\1"))
    for number, of in ((_META_CLASS, _CLASS), (_META_INSTANCE, _INSTANCE)):
        if number not in values and of in read.node:
            values[number] = _Value("UI", read.node.value(of))
    values[_META_SYNTAX] = _Value("UI", EXPLICIT.encode())
    written = [_element(tag, *values[tag]) for tag in sorted(values)]
    length = sum(map(len, written))
    return [_element(_META_LENGTH, "UL", struct.pack("<I", length)), *written]


def _write_elements(parts: list[bytes], node: Node, changed: dict[int, _Value], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotViewable("Its header is nested too deeply.")
    decoded = any(tag in PIXELS for tag in changed) and depth == 0
    for tag in sorted({*node.tags(), *changed}):
        if tag in changed:
            parts.append(_element(tag, *changed[tag]))
            continue
        if tag & 0xFFFF == 0 or tag >> 16 < 8 or (decoded and tag in _TABLES):
            continue
        items = node.items(tag)
        if items is not None:
            _write_sequence(parts, tag, items, depth)
            continue
        vr = meant_vr(node, tag)
        parts.append(_element(tag, vr, _turned(node.value(tag), vr, big=node.big)))


def _write_sequence(parts: list[bytes], tag: int, items: Sequence[Node], depth: int) -> None:
    parts.append(struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, 0xFFFFFFFF))
    for item in items:
        parts.append(struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF))
        _write_elements(parts, item, {}, depth + 1)
        parts.append(struct.pack("<HHI", 0xFFFE, 0xE00D, 0))
    parts.append(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def _turned(raw: bytes, vr: str, *, big: bool) -> bytes:
    if not big:
        return raw
    width = _WIDTHS.get(vr) or BINARY.get(vr, 1)
    return to_little_endian(raw, _UNITS.get(width, "OB"), big=True)


def _element(tag: int, vr: str, raw: bytes) -> bytes:
    """An element as it is written; a value that is too long for its VR is one of VR UN (PS3.5 6.2.2)."""
    if len(raw) & 1:
        raw += b"\0" if vr in BINARY or vr == "UI" else b" "
    if vr not in _LONG and len(raw) > _MOST_SHORT:
        vr = "UN"
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(raw)) + raw
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw
