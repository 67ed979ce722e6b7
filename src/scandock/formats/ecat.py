"""ECAT 7 files: bytes to facts (xnat-behaviour.md 3.4). Nothing is believed that the file's size contradicts.

512-byte records: the main header is record 1, the directory a linked list of records that begins at record 2, each
with up to 31 entries (matrix id, first record, last record, status). An entry's first record is its subheader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.ecat_fields import (
    FRAME_DURATION_AT,
    FRAME_START_AT,
    IMAGE_PARAMETERS,
    MAIN_PARAMETERS,
    VOXEL_BYTES,
    Record,
)
from scandock.formats.errors import EcatTruncated, NotEcat
from scandock.model.series import EcatFacts

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD: Final = 512
MAX_FRAMES: Final = 4096
"""Frames whose subheaders are read; a dynamic study has tens, rarely hundreds."""
IMAGE_TYPES: Final = frozenset({2, 6, 7, 10})
"""File types with image subheaders: image 16 and 8 bit, volume 8 and 16 bit."""

_MAGIC: Final = b"MATRIX7"
_VERSIONS: Final = range(70, 80)
_LAST_FILE_TYPE: Final = 14
_ENTRIES: Final = 31
_EXISTS: Final = (1, 2)
_ENTRY_BYTES: Final = 16
FIRST_DIRECTORY: Final = 2


class Matrix(NamedTuple):
    """One directory entry: which frame, gate and bed position, and the records it fills."""

    frame: int
    gate: int
    bed: int
    first: int
    last: int


def looks_like_ecat(head: bytes | memoryview) -> bool:
    """Whether bytes begin as an ECAT 7 file does: `MATRIX7` and a letter or digit more (MATRIX72v, MATRIX7011 ...)."""
    return head[:7] == _MAGIC


def read_ecat(head: bytes | memoryview, size: int, read_at: Callable[[int, int], bytes | memoryview]) -> EcatFacts:
    """Facts of a file of `size` bytes that begins with `head`; `read_at(offset, length)` gives more of it.

    Raises Unparseable: `not_ecat` for another magic or a header that is none, `ecat_truncated` below 512 bytes. A
    file that is cut behind its main header has facts, and a note. What `read_at` raises passes through.
    """
    if not looks_like_ecat(head):
        raise NotEcat("It is not ECAT 7: it does not begin with MATRIX7.")
    if size < RECORD:
        raise EcatTruncated(f"It is cut in its main header: {size} bytes of {RECORD}.")
    raw = bytes(head[:RECORD]) if len(head) >= RECORD else bytes(read_at(0, RECORD))
    if len(raw) < RECORD:
        raise EcatTruncated(f"It is cut in its main header: {len(raw)} bytes of {RECORD}.")
    file = EcatFile(head, size, read_at, byte_order(raw))
    main = Record(raw, file.order)
    matrices = file.directory()
    parameters = main.parameters(MAIN_PARAMETERS)
    frames: tuple[tuple[int, float, float], ...] = ()
    if main.number(50, "h") in IMAGE_TYPES:
        frames = file.frames(matrices, parameters)
    claimed = main.number(354, "H")
    if not file.notes and main.number(50, "h") in IMAGE_TYPES and claimed != len(frames):
        file.notes.append(f"The main header says {claimed} frames, the directory has {len(frames)}.")
    return EcatFacts(
        magic=main.text(0, 14),
        file_type=main.number(50, "h"),
        patient_id=main.text(166, 16),
        patient_name=main.text(182, 32),
        scan_start_time=main.number(62, "I"),
        study_type=main.text(154, 12),
        study_description=main.text(296, 32),
        facility=main.text(332, 20),
        acquisition_type=main.number(328, "h"),
        num_planes=main.number(352, "H"),
        num_frames=claimed,
        num_gates=main.number(356, "H"),
        operator=main.text(264, 32),
        original_file_name=main.text(14, 32),
        system_type=main.number(48, "h"),
        isotope=main.text(66, 8),
        radiopharmaceutical=main.text(78, 32),
        dose_start_time=main.number(454, "I"),
        parameters=parameters,
        frames=frames,
        note=" ".join(file.notes),
    )


def byte_order(raw: bytes) -> str:
    """`>` (as the format says) or `<` (as some tools write it), by the version; a header that is none is refused."""
    big, little = Record(raw, ">"), Record(raw, "<")
    if big.number(46, "h") in _VERSIONS:
        return ">"
    if little.number(46, "h") in _VERSIONS:
        return "<"
    if not 0 <= big.number(50, "h") <= _LAST_FILE_TYPE:
        raise NotEcat("It begins with MATRIX7, but has neither a version nor a file type of ECAT 7.")
    return ">"


class EcatFile:
    """Records of one file, read where they lie; whatever is cut or wild becomes a note."""

    def __init__(
        self, head: bytes | memoryview, size: int, read_at: Callable[[int, int], bytes | memoryview], order: str
    ) -> None:
        self.head = head
        self.size = size
        self.read_at = read_at
        self.order = order
        self.notes: list[str] = []
        self.directory_records: set[int] = set()
        """The records that the directory itself fills, once it was read."""

    def record(self, number: int) -> Record | None:
        """Record `number` (the first is 1); None where it does not lie whole within the file."""
        offset = (number - 1) * RECORD
        if number < 1 or offset + RECORD > self.size:
            return None
        if offset + RECORD <= len(self.head):
            raw = bytes(self.head[offset : offset + RECORD])
        else:
            raw = bytes(self.read_at(offset, RECORD))
        return Record(raw, self.order) if len(raw) == RECORD else None

    def directory(self) -> list[Matrix]:
        """The entries of the directory, MAX_FRAMES at most. A loop or a wild pointer ends it, with a note."""
        matrices: list[Matrix] = []
        seen = self.directory_records
        at = FIRST_DIRECTORY
        while len(matrices) < MAX_FRAMES and len(seen) < MAX_FRAMES:
            record = self.record(at)
            if record is None:
                self.notes.append("It is cut before its directory." if not seen else "Its directory points beyond it.")
                break
            seen.add(at)
            matrices += self._entries(record)
            at = record.number(4, "i")
            if at in (0, 1, FIRST_DIRECTORY):
                break
            if at in seen:
                self.notes.append("Its directory runs in a circle.")
                break
        else:
            self.notes.append(f"Its directory goes on beyond {MAX_FRAMES} entries; the first ones are read.")
        return matrices[:MAX_FRAMES]

    def _entries(self, record: Record) -> list[Matrix]:
        used = min(max(record.number(12, "i"), 0), _ENTRIES)
        matrices = []
        for row in range(1, used + 1):
            number, first, last, status = (record.number(16 * row + 4 * column, "i") for column in range(4))
            if status in _EXISTS:
                matrices.append(Matrix(number & 0x1FF, number >> 24 & 0x3F, number >> 12 & 0xF, first, last))
        return matrices

    @staticmethod
    def without_unused_entries(record: Record) -> bytes:
        """A record of the directory in which entries that are not in use, or of deleted matrices, are zeros."""
        raw = bytearray(record.raw)
        used = min(max(record.number(12, "i"), 0), _ENTRIES)
        for row in range(1, _ENTRIES + 1):
            at = _ENTRY_BYTES * row
            if row > used or record.number(at + 12, "i") not in _EXISTS:
                raw[at : at + _ENTRY_BYTES] = bytes(_ENTRY_BYTES)
        return bytes(raw)

    def frames(self, matrices: list[Matrix], parameters: dict[str, str]) -> tuple[tuple[int, float, float], ...]:
        """(number, start in s, length in s) of each frame in order; the first one's values go to `parameters`."""
        first_of: dict[tuple[int, int, int], Matrix] = {}
        for matrix in matrices:
            first_of.setdefault((matrix.frame, matrix.gate, matrix.bed), matrix)
        frames: list[tuple[int, float, float]] = []
        cut = 0
        for key in sorted(first_of):
            matrix = first_of[key]
            subheader = self.record(matrix.first) if matrix.first > FIRST_DIRECTORY else None
            if subheader is None:
                cut += 1
                continue
            cut += self.is_cut(matrix, subheader)
            if not frames:
                parameters.update(subheader.parameters(IMAGE_PARAMETERS))
            start, length = subheader.number(FRAME_START_AT, "i"), subheader.number(FRAME_DURATION_AT, "i")
            frames.append((len(frames) + 1, start / 1000, length / 1000))
        if cut:
            self.notes.append(f"{cut} of {len(first_of)} frames are cut, or not where the directory says.")
        return tuple(frames)

    def is_cut(self, matrix: Matrix, subheader: Record) -> bool:
        """Whether the voxels go beyond the file; the last record need not be filled up behind them."""
        if matrix.last * RECORD <= self.size:
            return False
        count = self.voxel_bytes(subheader)
        return not count or matrix.first * RECORD + count > self.size

    @staticmethod
    def voxel_bytes(subheader: Record) -> int:
        """How many bytes the voxels behind an image's subheader are; 0 where it does not say that."""
        planes = subheader.number(8, "H") or int(subheader.number(2, "h") == 2)
        voxels = subheader.number(4, "H") * subheader.number(6, "H") * planes
        return voxels * VOXEL_BYTES.get(subheader.number(0, "h"), 0)
