"""Little ECAT 7 files: main header, directory, one subheader and its data for each frame (xnat-behaviour.md 3.4)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

RECORD: Final = 512
IMAGE: Final = 2
VOLUME16: Final = 7

_MAIN: Final[dict[str, tuple[int, str]]] = {
    "magic": (0, "14s"),
    "original_file_name": (14, "32s"),
    "sw_version": (46, ">h"),
    "system_type": (48, ">h"),
    "file_type": (50, ">h"),
    "serial_number": (52, "10s"),
    "scan_start_time": (62, ">I"),
    "isotope_name": (66, "8s"),
    "isotope_halflife": (74, ">f"),
    "radiopharmaceutical": (78, "32s"),
    "study_type": (154, "12s"),
    "patient_id": (166, "16s"),
    "patient_name": (182, "32s"),
    "operator_name": (264, "32s"),
    "study_description": (296, "32s"),
    "acquisition_type": (328, ">h"),
    "patient_orientation": (330, ">h"),
    "facility_name": (332, "20s"),
    "num_planes": (352, ">H"),
    "num_frames": (354, ">H"),
    "num_gates": (356, ">H"),
    "plane_separation": (424, ">f"),
    "dose_start_time": (454, ">I"),
    "data_units": (466, "32s"),
}
_DEFAULTS: Final[dict[str, bytes | int | float]] = {
    "magic": b"MATRIX72v",
    "original_file_name": b"PAT1_1.v",
    "sw_version": 72,
    "system_type": 962,
    "file_type": VOLUME16,
    "scan_start_time": 1_580_465_700,
    "isotope_name": b"F-18",
    "isotope_halflife": 6586.2,
    "radiopharmaceutical": b"FDG",
    "study_type": b"BRAIN",
    "patient_id": b"PET1",
    "patient_name": b"DOE JANE",
    "acquisition_type": 3,
    "facility_name": b"SOMEWHERE",
    "num_planes": 2,
    "num_frames": 1,
    "num_gates": 1,
    "plane_separation": 0.2425,
    "dose_start_time": 1_580_465_000,
    "data_units": b"Bq/cc",
}
X, Y, Z = 16, 8, 2
"""256 voxels of two bytes: one record, to its last byte."""


def main_header(**values: bytes | int | float) -> bytes:
    """The first 512 bytes; texts may fill their field to its last byte, without a NUL."""
    raw = bytearray(RECORD)
    for name, value in {**_DEFAULTS, **values}.items():
        offset, kind = _MAIN[name]
        struct.pack_into(kind, raw, offset, value)
    return bytes(raw)


def subheader(*, start_ms: int = 0, length_ms: int = 60_000) -> bytes:
    """Image subheader of file type 7."""
    raw = bytearray(RECORD)
    struct.pack_into(">5h", raw, 0, 6, 3, X, Y, Z)
    struct.pack_into(">5f", raw, 10, 0.0, 0.0, 0.0, 1.0, 1.0)
    struct.pack_into(">2h3f2i", raw, 30, 0, 31, 0.2, 0.2, 0.2425, length_ms, start_ms)
    return bytes(raw)


def directory(matrices: Mapping[int, tuple[int, int]], *, following: int = 2) -> bytes:
    """One directory record: matrix id -> (first record, last record); `following` is the next one's record."""
    used = len(matrices)
    head = struct.pack(">4i", 31 - used, following, 0, used)
    rows = b"".join(struct.pack(">4i", matrix, first, last, 1) for matrix, (first, last) in matrices.items())
    return (head + rows).ljust(RECORD, b"\0")


def ecat(*, frames: int = 1, following: int = 2, **values: bytes | int | float) -> bytes:
    """A whole file of `frames` frames of 16 x 8 x 2 voxels: 1024 bytes and 1024 more for each frame."""
    voxels = struct.pack(f">{X * Y * Z}h", *range(X * Y * Z)).ljust(RECORD, b"\0")
    matrices = {0x01000001 + frame: (3 + 2 * frame, 4 + 2 * frame) for frame in range(frames)}
    body = b"".join(subheader(start_ms=60_000 * frame) + voxels for frame in range(frames))
    return main_header(**{"num_frames": frames, **values}) + directory(matrices, following=following) + body
