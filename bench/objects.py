"""Bytes of DICOM objects as scanners write them, built fast: a template for each series, patched for each object.

Explicit VR little endian, with preamble, the elements that archives read, a private block as large vendors write, and
pixels made of a phantom and noise, which deflate takes to about half as it does with real images. Seeded: the same
every time, on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.int16]
Element = tuple[int, str, bytes]

LONG = frozenset({"OB", "OW", "SQ", "UN", "UT"})
NOISE_SAMPLES = 1 << 23
PHASES = 16
UID_LENGTH = 44
PRIVATE_OVERHEAD = 34
SOP_CLASSES = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR enhanced": "1.2.840.10008.5.1.4.1.1.4.1",
}
COMMON = [
    (0x00080005, "CS", "ISO_IR 100"),
    (0x00080018, "UI", "\0" * UID_LENGTH),
    (0x00080020, "DA", "20240311"),
    (0x00080021, "DA", "20240311"),
    (0x00080022, "DA", "20240311"),
    (0x00080030, "TM", "080000.000"),
    (0x00080032, "TM", "080000.000"),
    (0x00080070, "LO", "Example Medical Systems"),
    (0x00080080, "LO", "Benchmark Hospital"),
    (0x00081010, "SH", "SCANNER1"),
    (0x00081030, "LO", "Benchmark study"),
    (0x00081090, "LO", "Example One"),
    (0x00100030, "DA", "19700101"),
    (0x00100040, "CS", "O"),
    (0x00180050, "DS", "1.5"),
    (0x00180080, "DS", "2300"),
    (0x00180081, "DS", "2.98"),
    (0x00180087, "DS", "3"),
    (0x00200012, "IS", "1"),
    (0x00200013, "IS", "1     "),
    (0x00200032, "DS", "-120\\-120\\-300.0  "),
    (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
    (0x00201041, "DS", "-300.0  "),
    (0x00280004, "CS", "MONOCHROME2"),
    (0x00280030, "DS", "0.9375\\0.9375"),
]
"""Elements that are alike in all series."""

PATCHED = {
    "meta": (0x00020003, b"UI"),
    "sop": (0x00080018, b"UI"),
    "time": (0x00080032, b"TM"),
    "instance": (0x00200013, b"IS"),
    "position": (0x00200032, b"DS"),
    "location": (0x00201041, b"DS"),
}
"""Elements that differ from object to object, each of one length throughout a series."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of like objects; `object_bytes` is the size of each, reached by the length of the private block."""

    study: int
    number: int
    patient: str
    kind: str
    rows: int
    columns: int
    objects: int
    object_bytes: int
    frames: int = 1

    @property
    def study_uid(self) -> str:
        return _uid(f"study {self.study}")

    @property
    def series_uid(self) -> str:
        return _uid(f"series {self.study} {self.number}")

    def sop_uid(self, index: int) -> str:
        return f"{_uid(f'object {self.study} {self.number}')[:-6]}{100000 + index}"

    def each(self) -> Iterator[tuple[str, bytes]]:
        """SOPInstanceUID and bytes of each object, in order."""
        template, offsets = self._template()
        for index in range(self.objects):
            uid = self.sop_uid(index)
            patches = {
                "sop": uid,
                "meta": uid,
                "instance": f"{index + 1:<6d}",
                "position": f"-120\\-120\\{index * 1.5 - 300:<8.1f}",
                "location": f"{index * 1.5 - 300:<8.1f}",
                "time": f"{8 + index // 3600:02d}{index // 60 % 60:02d}{index % 60:02d}.{index % 1000:03d}",
            }
            for name, text in patches.items():
                start = offsets[name]
                template[start : start + len(text)] = text.encode()
            yield uid, bytes(template) + self._pixels(index)

    def _pixels(self, index: int) -> bytes:
        frames = (image(self, index * self.frames + frame) for frame in range(self.frames))
        return b"".join(frame.tobytes() for frame in frames)

    def _template(self) -> tuple[bytearray, dict[str, int]]:
        """All bytes up to the pixels, and where in them the parts stand that differ from object to object."""
        filler = bytes(UID_LENGTH)
        meta = encode(
            [
                (0x00020001, "OB", b"\0\1"),
                (0x00020002, "UI", SOP_CLASSES[self.kind].encode()),
                (0x00020003, "UI", filler),
                (0x00020010, "UI", b"1.2.840.10008.1.2.1"),
                (0x00020012, "UI", b"2.25.97531"),
            ]
        )
        head = bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
        pixel_length = self.rows * self.columns * 2 * self.frames
        tail = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, pixel_length)
        without = encode(self._elements(b""))
        private = self.object_bytes - len(head) - len(without) - len(tail) - pixel_length
        body = encode(self._elements(private_block(max(0, private) & ~1)))
        template = bytearray(head + body + tail)
        offsets = {
            name: template.index(struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr), 132) + 8
            for name, (tag, vr) in PATCHED.items()
        }
        return template, offsets

    def _elements(self, private: bytes) -> list[Element]:
        modality = self.kind[:2]
        texts = [
            *COMMON,
            (0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\NORM" if modality == "MR" else "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x00080016, "UI", SOP_CLASSES[self.kind]),
            (0x00080031, "TM", f"08{self.number % 60:02d}00.000"),
            (0x00080050, "SH", f"ACC{self.study:06d}"),
            (0x00080060, "CS", modality),
            (0x0008103E, "LO", f"{modality} series {self.number}"),
            (0x00100010, "PN", f"Bench^{self.patient}"),
            (0x00100020, "LO", self.patient),
            (0x00180015, "CS", "BRAIN" if modality == "MR" else "CHEST"),
            (0x00181030, "LO", f"protocol {self.number}"),
            (0x0020000D, "UI", self.study_uid),
            (0x0020000E, "UI", self.series_uid),
            (0x00200010, "SH", f"{self.study}"),
            (0x00200011, "IS", f"{self.number}"),
            (0x00200052, "UI", _uid(f"frame of reference {self.study}")),
        ]
        numbers = {
            0x00280002: 1,
            0x00280010: self.rows,
            0x00280011: self.columns,
            0x00280100: 16,
            0x00280101: 16,
            0x00280102: 15,
            0x00280103: 1,
        }
        elements = [(tag, vr, text.encode()) for tag, vr, text in texts]
        elements += [(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()]
        if private:
            elements += [(0x00290010, "LO", b"EXAMPLE HEADER"), (0x00291010, "OB", private[PRIVATE_OVERHEAD:])]
        if self.frames > 1:
            elements += [(0x00280008, "IS", str(self.frames).encode()), (0x52009230, "SQ", _frame_groups(self.frames))]
        return sorted(elements)


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element, explicit VR little endian, padded to an even length (PS3.5 section 7.1.2)."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))) + value


def encode(elements: list[Element]) -> bytes:
    return b"".join(element(*each) for each in elements)


def image(series: Series, index: int) -> Pixels:
    """One frame: an ellipse of soft tissue with structure in it, in air; noise all over, more where there is signal."""
    base = phantom(series.rows, series.columns, series.kind[:2], index % PHASES)
    size = series.rows * series.columns
    start = (index * 40_503 + series.number * 7_919 + series.study * 104_729) % (NOISE_SAMPLES - size)
    grain = noise()[start : start + size].reshape(series.rows, series.columns)
    return (base + np.where(base > 60, grain, grain >> 3)).astype("<i2")


@functools.cache
def noise() -> Pixels:
    """Near-Gaussian samples (the sum of four uniform ones), standard deviation about 18."""
    uniform = np.frombuffer(random.Random(2024).randbytes(NOISE_SAMPLES * 4), dtype=np.uint8)
    total: Pixels = uniform.reshape(-1, 4).sum(axis=1, dtype=np.int16)
    return (total - 510) // 8


@functools.cache
def phantom(rows: int, columns: int, modality: str, phase: int) -> Pixels:
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    angle = phase / PHASES * 2 * np.pi
    inside = (x / 0.72) ** 2 + (y / 0.9) ** 2 < 1 - 0.15 * np.sin(angle) ** 2
    structure = 420 + 160 * np.cos(7 * x + angle) * np.cos(5 * y) + 90 * (np.hypot(x - 0.2, y + 0.1) < 0.25)
    air = 10 if modality == "MR" else -1000
    tissue = structure if modality == "MR" else structure - 380 + 80
    picture: Pixels = np.where(inside, np.maximum(tissue, 61), air).astype(np.int16)
    return picture


@functools.cache
def _frame_groups(frames: int) -> bytes:
    """PerFrameFunctionalGroupsSequence: frame content and plane position of each frame (PS3.3 C.7.6.16)."""
    items = []
    for frame in range(frames):
        content = encode(
            [
                (0x00189074, "DT", f"20240311080000.{frame:06d}".encode()),
                (0x00189151, "DT", f"20240311080001.{frame:06d}".encode()),
                (0x00209056, "SH", b"1 "),
                (0x00209057, "UL", struct.pack("<I", frame + 1)),
                (0x00209157, "UL", struct.pack("<II", 1, frame + 1)),
            ]
        )
        position = element(0x00200032, "DS", f"-120\\-120\\{frame * 1.5:.1f}".encode())
        groups = element(0x00209111, "SQ", _item(content)) + element(0x00209113, "SQ", _item(position))
        items.append(_item(groups))
    return b"".join(items)


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


@functools.cache
def private_block(length: int) -> bytes:
    """Half protocol text, half numbers and zeros: as compressible as the private blocks of large vendors."""
    source = random.Random(length)
    lines = (f"sProtocol.element[{n}].value = {source.random():.6f}\n".encode() for n in range(length // 80 + 1))
    text = b"".join(lines)[: length // 2]
    return (text + source.randbytes(length // 8) + bytes(length))[:length]


@functools.cache
def _uid(what: str) -> str:
    """A UID of a fixed length from a name, as made from UUIDs (PS3.5 B.2): 39 digits, below 2 to the power of 128."""
    digits = str(int.from_bytes(hashlib.sha256(what.encode()).digest(), "big"))
    return f"2.25.1{digits[: UID_LENGTH - 6]}"
