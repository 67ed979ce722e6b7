"""DICOM objects byte by byte, so that a test can say exactly what is odd about one (PS3.5 section 7.1, PS3.10 7.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.70"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY, SERIES, SOP = "1.2.3", "1.2.3.4", "1.2.3.4.5"
UNDEFINED = 0xFFFFFFFF
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
PIXELS = 0x7FE00010

Value = str | bytes | int
DATASET: dict[int, tuple[str, Value]] = {
    0x00080005: ("CS", "ISO_IR 100"),
    0x00080008: ("CS", "ORIGINAL\\PRIMARY"),
    0x00080016: ("UI", MR),
    0x00080018: ("UI", SOP),
    0x00080020: ("DA", "20200131"),
    0x00080060: ("CS", "MR"),
    0x0008103E: ("LO", "t1 mprage"),
    0x00100010: ("PN", "DOE^JANE"),
    0x00100020: ("LO", "P1"),
    0x00180050: ("DS", "1.5"),
    0x0020000D: ("UI", STUDY),
    0x0020000E: ("UI", SERIES),
    0x00200011: ("IS", "4"),
    0x00200013: ("IS", "7"),
    0x00280010: ("US", 2),
    0x00280011: ("US", 2),
}


class Writer:
    """Elements in one transfer syntax."""

    def __init__(self, *, explicit: bool = True, big: bool = False) -> None:
        self.explicit = explicit
        self.order = ">" if big else "<"

    def element(self, number: int, vr: str, value: Value = b"", *, length: int | None = None) -> bytes:
        """One element; `length` overrides what its header says of the value."""
        raw = self.raw(vr, value)
        said = len(raw) if length is None else length
        tag = struct.pack(self.order + "HH", number >> 16, number & 0xFFFF)
        if not self.explicit:
            return tag + struct.pack(self.order + "I", said) + raw
        if vr in LONG:
            return tag + vr.encode() + b"\0\0" + struct.pack(self.order + "I", said) + raw
        return tag + vr.encode() + struct.pack(self.order + "H", said & 0xFFFF) + raw

    def raw(self, vr: str, value: Value) -> bytes:
        if isinstance(value, int):
            return struct.pack(self.order + {"US": "H", "UL": "I", "SS": "h"}[vr], value)
        raw = value.encode("latin-1") if isinstance(value, str) else value
        return raw + (b"\0" if vr in {"UI", "OB"} else b" ") * (len(raw) % 2)

    def item(self, *content: bytes, undefined: bool = False) -> bytes:
        body = b"".join(content)
        if undefined:
            return self._mark(0xE000, UNDEFINED) + body + self._mark(0xE00D, 0)
        return self._mark(0xE000, len(body)) + body

    def sequence(self, number: int, *items: bytes, undefined: bool = False, vr: str = "SQ") -> bytes:
        body = b"".join(items)
        if undefined:
            return self.element(number, vr, length=UNDEFINED) + body + self._mark(0xE0DD, 0)
        return self.element(number, vr, body)

    def dataset(self, values: Mapping[int, tuple[str, Value]]) -> bytes:
        return b"".join(self.element(number, *values[number]) for number in sorted(values))

    def _mark(self, element: int, length: int) -> bytes:
        return struct.pack(self.order + "HHI", 0xFFFE, element, length)


def writer(syntax: str) -> Writer:
    return Writer(explicit=syntax != IMPLICIT, big=syntax == BIG)


def meta(syntax: str | None, *, media_class: str = MR, group_length: int | None = None) -> bytes:
    """Group 0002; `syntax` None leaves the transfer syntax out."""
    little = Writer()
    body = little.element(0x00020002, "UI", media_class) + little.element(0x00020003, "UI", SOP)
    if syntax is not None:
        body += little.element(0x00020010, "UI", syntax)
    said = len(body) if group_length is None else group_length
    return little.element(0x00020000, "UL", struct.pack("<I", said)) + body


def make_object(
    changes: Mapping[int, tuple[str, Value] | None] | None = None,
    *,
    syntax: str = EXPLICIT,
    preamble: bytes | None = bytes(128),
    extra: bytes = b"",
    pixels: bytes | None = bytes(8),
) -> bytes:
    """A small MR object. `changes` replace elements (None leaves one out), `extra` stands before the pixel data."""
    values = {**DATASET, **(changes or {})}
    write = writer(syntax)
    body = write.dataset({number: value for number, value in values.items() if value is not None}) + extra
    if pixels is not None:
        body += write.element(PIXELS, "OW", pixels)
    return body if preamble is None else preamble + b"DICM" + meta(syntax) + body
