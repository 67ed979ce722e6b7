"""Where the frames of a file belong in a scan: what the stack is sorted by, read from headers alone."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.ecat import looks_like_ecat
from scandock.viewing.dicom_file import format_text, get_integer, parse_numbers
from scandock.viewing.frames import NotViewable

if TYPE_CHECKING:
    from scandock.viewing.dicom_frames import DicomFrames

FramePosition = list[Any]
"""[frame, direction, along, temporal, echo, b, time, instance, position] of one frame; None where it is not said.

`direction` is the normal of its plane, `along` its place on that, in mm.
"""

MOST_FRAMES: Final = 100_000
_HEAD: Final = 65_536
_TAGS: Final = {
    "image_type": 0x00080008, "content_time": 0x00080033, "acquisition_time": 0x00080032, "echo": 0x00180081,
    "trigger": 0x00181060, "b": 0x00189087, "position": 0x00200032, "orientation": 0x00200037, "instance": 0x00200013,
    "temporal": 0x00200100, "frames": 0x00280008, "shared": 0x52009229,
}  # fmt: skip
_READ_TAGS: Final = frozenset(_TAGS.values())
_TIME: Final = re.compile(r"\d{2,14}(?:\.\d{1,6})?")


def read_positions(stream: BinaryIO) -> list[FramePosition]:
    """The frames of an open file. NotViewable where it has none."""
    fd = stream.fileno()
    head = os.pread(fd, _HEAD, 0)
    if looks_like_ecat(head):
        return _read_ecat_positions(stream)
    simple = _read_simple(head, fd)
    return [simple] if simple is not None else _read_by_pydicom(stream)


def _read_simple(head: bytes, fd: int) -> FramePosition | None:
    """The one frame of a plain object, without pydicom; None where that takes more of a look."""
    try:
        header = read_header(head, os.fstat(fd).st_size, _READ_TAGS, lambda count: os.pread(fd, count, 0))
    except Unparseable:
        return None
    raw = header.values
    if (
        header.pixels == "none" or _TAGS["shared"] in raw or b"MOSAIC" in raw.get(_TAGS["image_type"], b"")
        or raw.get(_TAGS["frames"], b"1").strip(b" \0") not in (b"1", b"")
    ):  # fmt: skip
        return None
    texts = {name: raw[tag].decode("latin-1").strip("\0 ") for name, tag in _TAGS.items() if tag in raw and name != "b"}

    def values(name: str) -> list[float]:
        return split_numbers(texts.get(name, ""))

    def first(name: str) -> float | None:
        numbers = values(name)
        return numbers[0] if numbers else None

    time = texts.get("acquisition_time") or texts.get("content_time") or ""
    moment = first("temporal")
    return _make_position(
        0, values("orientation"), values("position"), moment if moment is not None else first("trigger"),
        first("echo"), None, time, first("instance"),
    )  # fmt: skip


def split_numbers(written: str) -> list[float]:
    """The numbers of a DS or IS value; none where one of them is none."""
    return parse_numbers(written.split("\\")) if written else []


def _make_position(
    frame: int, orientation: list[float], position: list[float], temporal: float | None, echo: float | None,
    b: float | None, time: str, instance: float | None,
) -> FramePosition:  # fmt: skip
    direction = along = None
    if len(orientation) == 6 and len(position) == 3:
        row, column = orientation[:3], orientation[3:]
        normal = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ]
        length = sum(component * component for component in normal) ** 0.5
        if 0.5 < length < 2:
            normal = [component / length for component in normal]
            direction = [round(component, 3) + 0.0 for component in normal]
            along = sum(component * two for component, two in zip(normal, position, strict=True))
    match = _TIME.match(time)
    return [
        frame, direction, along, temporal, echo, b, match[0] if match else None,
        int(instance) if instance is not None else None, position if len(position) == 3 else None,
    ]  # fmt: skip


def _read_ecat_positions(stream: BinaryIO) -> list[FramePosition]:
    from scandock.viewing.ecat_frames import EcatFrames

    frames = EcatFrames(stream)
    if not 0 < frames.count <= MOST_FRAMES:
        raise NotViewable(f"It says that it has {frames.count} planes.")
    positions, number = [], 0
    for at, start in enumerate(frames.starts()):
        for height in frames.heights(at):
            positions.append(
                [number, [0.0, 0.0, 1.0], height, float(at), None, None, f"{start:.1f} s", number + 1, None]
            )
            number += 1
    return positions


def _read_by_pydicom(stream: BinaryIO) -> list[FramePosition]:
    """By pydicom: objects with several frames, mosaics, and what is unusual."""
    from scandock.viewing.frame_sources import open_dicom_frames

    frames = open_dicom_frames(stream)
    if frames.file.pixels is None:
        raise NotViewable(frames.without())
    if frames.count > MOST_FRAMES:
        raise NotViewable(f"It says that it has {frames.count} frames.")
    data = frames.data
    instance = get_integer(data, "InstanceNumber", 0)
    time = format_text(data.get("AcquisitionTime")) or format_text(data.get("ContentTime"))
    if frames.tiles:
        return [
            [tile, [0.0, 0.0, 0.0], float(tile), None, None, None, time[:16], instance, None]
            for tile in range(frames.count)
        ]
    return [_read_frame_position(frames, number, instance, time) for number in range(frames.count)]


def _read_frame_position(frames: DicomFrames, number: int, instance: int, time: str) -> FramePosition:
    groups, content = frames.groups, "FrameContentSequence"
    orientation = groups.numbers(number, "PlaneOrientationSequence", "ImageOrientationPatient")
    position = groups.numbers(number, "PlanePositionSequence", "ImagePositionPatient")
    if frames.count > 1 and not groups.frame_items:
        orientation = position = []  # one place for all frames, as in a film: they follow each other

    def first(sequence: str, keyword: str) -> float | None:
        numbers = groups.numbers(number, sequence, keyword)
        return numbers[0] if numbers else None

    moment = first(content, "TemporalPositionIndex")
    return _make_position(
        number, orientation, position, moment, first("MREchoSequence", "EffectiveEchoTime"),
        first("MRDiffusionSequence", "DiffusionBValue"),
        groups.text(number, content, "FrameAcquisitionDateTime")[8:] or time,
        instance if frames.count == 1 else number + 1,
    )  # fmt: skip
