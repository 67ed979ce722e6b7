"""Little DICOM files, byte by byte, with a place for every defect (PS3.5 chapter 7, PS3.10 chapter 7)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Element = tuple[bytes, bytes]
"""Value representation and value, unpadded."""

IMPLICIT = b"1.2.840.10008.1.2"
EXPLICIT = b"1.2.840.10008.1.2.1"
DEFLATED = b"1.2.840.10008.1.2.1.99"
BIG_ENDIAN = b"1.2.840.10008.1.2.2"

SECONDARY_CAPTURE = b"1.2.840.10008.5.1.4.1.1.7"
CLASSES = {
    b"MR": b"1.2.840.10008.5.1.4.1.1.4",
    b"CT": b"1.2.840.10008.5.1.4.1.1.2",
    b"PT": b"1.2.840.10008.5.1.4.1.1.128",
}

UNDEFINED = 0xFFFFFFFF
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

_LONG = frozenset({b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"UC", b"UR"})


def uid(*parts: object) -> bytes:
    """A UID under 2.25 that follows from `parts` alone."""
    digest = hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
    return b"2.25.%d" % int.from_bytes(digest[:15], "big")


def element(tag: int, vr: bytes, value: bytes, *, length: int | None = None) -> bytes:
    """One explicit little-endian element; `length` is what it claims, whatever stands there."""
    if len(value) % 2:
        value += b"\0" if vr in {b"UI", b"OB", b"UN"} else b" "
    claimed = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    return head + (struct.pack("<HI", 0, claimed) if vr in _LONG else struct.pack("<H", claimed)) + value


def dataset(elements: Mapping[int, Element]) -> bytes:
    """The elements in ascending order of tags, explicit little endian."""
    return b"".join(element(tag, vr, value) for tag, (vr, value) in sorted(elements.items()))


def implicit(elements: Mapping[int, Element]) -> bytes:
    """The same, implicit little endian."""
    parts = []
    for tag, (vr, value) in sorted(elements.items()):
        even = value if len(value) % 2 == 0 else value + (b"\0" if vr == b"UI" else b" ")
        parts.append(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(even)) + even)
    return b"".join(parts)


def meta(sop_class: bytes, sop_uid: bytes | None, syntax: bytes) -> bytes:
    """The file meta group with its length element; without a media storage UID where `sop_uid` is None."""
    group = {
        0x00020001: (b"OB", b"\0\1"),
        0x00020002: (b"UI", sop_class),
        0x00020010: (b"UI", syntax),
        0x00020012: (b"UI", b"2.25.77"),
    }
    if sop_uid is not None:
        group[0x00020003] = (b"UI", sop_uid)
    body = dataset(group)
    return element(0x00020000, b"UL", struct.pack("<I", len(body))) + body


def part10(head: bytes, body: bytes, *, preamble: bytes = b"") -> bytes:
    """Preamble, magic, file meta and data set."""
    return preamble.ljust(128, b"\0")[:128] + b"DICM" + head + body


def nested(depth: int, tag: int = 0x0040A730) -> bytes:
    """A sequence in an item of a sequence, `depth` levels down, all of undefined length."""
    opened = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, UNDEFINED) + ITEM
    return opened * depth + (ITEM_END + SEQUENCE_END) * depth


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image object. `case`, `study`, `series` and `number` seed its UIDs and pixels; the rest are values.

    `also` adds or replaces elements, `without` leaves some out.
    """

    case: str
    study: object = 1
    series: object = 1
    number: int = 1
    patient_id: bytes = b"PAT1"
    patient_name: bytes = b"DOE^JANE"
    modality: bytes = b"MR"
    series_number: bytes = b"1"
    study_date: bytes = b"20200131"
    also: Mapping[int, Element] = field(default_factory=dict)
    without: frozenset[int] = frozenset()

    @property
    def study_uid(self) -> bytes:
        return uid(self.case, "study", self.study)

    @property
    def series_uid(self) -> bytes:
        return uid(self.case, "study", self.study, "series", self.series)

    @property
    def sop_uid(self) -> bytes:
        return uid(self.case, "study", self.study, "series", self.series, "object", self.number)

    @property
    def sop_class(self) -> bytes:
        return CLASSES.get(self.modality, SECONDARY_CAPTURE)

    def elements(self) -> dict[int, Element]:
        pixels = hashlib.sha256(self.sop_uid).digest()
        values: dict[int, Element] = {
            0x00080016: (b"UI", self.sop_class),
            0x00080018: (b"UI", self.sop_uid),
            0x00080020: (b"DA", self.study_date),
            0x00080030: (b"TM", b"101500"),
            0x00080060: (b"CS", self.modality),
            0x00100010: (b"PN", self.patient_name),
            0x00100020: (b"LO", self.patient_id),
            0x0020000D: (b"UI", self.study_uid),
            0x0020000E: (b"UI", self.series_uid),
            0x00200011: (b"IS", self.series_number),
            0x00200013: (b"IS", b"%d" % self.number),
            0x00280002: (b"US", struct.pack("<H", 1)),
            0x00280004: (b"CS", b"MONOCHROME2"),
            0x00280010: (b"US", struct.pack("<H", 4)),
            0x00280011: (b"US", struct.pack("<H", 4)),
            0x00280100: (b"US", struct.pack("<H", 16)),
            0x00280101: (b"US", struct.pack("<H", 16)),
            0x00280102: (b"US", struct.pack("<H", 15)),
            0x00280103: (b"US", struct.pack("<H", 0)),
            0x7FE00010: (b"OW", pixels),
        }
        values.update(self.also)
        return {tag: value for tag, value in values.items() if tag not in self.without}

    def head(self, syntax: bytes = EXPLICIT) -> bytes:
        """File meta; it takes the SOP UID of the data set, and none where that has none."""
        sop = self.elements().get(0x00080018)
        return meta(self.sop_class, None if sop is None else sop[1], syntax)

    def parts(self, split: int) -> tuple[bytes, bytes]:
        """The data set in two: the elements below `split`, and the rest."""
        elements = self.elements()
        low = {tag: value for tag, value in elements.items() if tag < split}
        return dataset(low), dataset({tag: value for tag, value in elements.items() if tag >= split})

    def file(self, *, syntax: bytes = EXPLICIT, preamble: bytes = b"") -> bytes:
        return part10(self.head(syntax), dataset(self.elements()), preamble=preamble)

    def with_inserted(self, split: int, what: bytes) -> bytes:
        """The file with raw bytes between the elements below `split` and those from it on."""
        low, high = self.parts(split)
        return part10(self.head(), low + what + high)


def series(case: str, count: int = 3, **values: object) -> list[bytes]:
    """`count` good objects of one series of one study."""
    return [Image(case=case, number=number, **values).file() for number in range(1, count + 1)]  # type: ignore[arg-type]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_of(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
