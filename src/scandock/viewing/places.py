"""Where the frames of a file belong in a scan: what the stack is sorted by, read from headers alone."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.formats.dicom_header import Unparseable, read_header
from scandock.formats.ecat import looks_like_ecat
from scandock.viewing.dicom_file import integer, numbers, text
from scandock.viewing.frames import NoPicture

if TYPE_CHECKING:
    from scandock.viewing.dicom_frames import DicomFrames

Image = list[Any]
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
_WANTED: Final = frozenset(_TAGS.values())
_TIME: Final = re.compile(r"\d{2,14}(?:\.\d{1,6})?")


def images_of(stream: BinaryIO) -> list[Image]:
    """The frames of an open file. NoPicture where it has none."""
    fd = stream.fileno()
    head = os.pread(fd, _HEAD, 0)
    if looks_like_ecat(head):
        return _of_ecat(stream)
    simple = _simple(head, fd)
    return [simple] if simple is not None else _slowly(stream)


def _simple(head: bytes, fd: int) -> Image | None:
    """The one frame of a plain object, without pydicom; None where that takes more of a look."""
    try:
        header = read_header(head, os.fstat(fd).st_size, _WANTED, lambda count: os.pread(fd, count, 0))
    except Unparseable:
        return None
    raw = header.values
    if (
        header.pixels == "none" or _TAGS["shared"] in raw or b"MOSAIC" in raw.get(_TAGS["image_type"], b"")
        or raw.get(_TAGS["frames"], b"1").strip(b" \0") not in (b"1", b"")
    ):  # fmt: skip
        return None
    said = {name: raw[tag].decode("latin-1").strip("\0 ") for name, tag in _TAGS.items() if tag in raw and name != "b"}

    def values(name: str) -> list[float]:
        return numbers_of(said.get(name, ""))

    def first(name: str) -> float | None:
        found = values(name)
        return found[0] if found else None

    time = said.get("acquisition_time") or said.get("content_time") or ""
    moment = first("temporal")
    return _image(
        0, values("orientation"), values("position"), moment if moment is not None else first("trigger"),
        first("echo"), None, time, first("instance"),
    )  # fmt: skip


def numbers_of(written: str) -> list[float]:
    """The numbers of a DS or IS value; none where one of them is none."""
    return numbers(written.split("\\")) if written else []


def _image(
    frame: int, orientation: list[float], position: list[float], temporal: float | None, echo: float | None,
    b: float | None, time: str, instance: float | None,
) -> Image:  # fmt: skip
    direction = along = None
    if len(orientation) == 6 and len(position) == 3:
        row, column = orientation[:3], orientation[3:]
        normal = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ]
        length = sum(one * one for one in normal) ** 0.5
        if 0.5 < length < 2:
            normal = [one / length for one in normal]
            direction = [round(one, 3) + 0.0 for one in normal]
            along = sum(one * two for one, two in zip(normal, position, strict=True))
    match = _TIME.match(time)
    return [
        frame, direction, along, temporal, echo, b, match[0] if match else None,
        int(instance) if instance is not None else None, position if len(position) == 3 else None,
    ]  # fmt: skip


def _of_ecat(stream: BinaryIO) -> list[Image]:
    from scandock.viewing.ecat_frames import EcatFrames

    frames = EcatFrames(stream)
    if not 0 < frames.count <= MOST_FRAMES:
        raise NoPicture(f"It says that it has {frames.count} planes.")
    found, number = [], 0
    for at, start in enumerate(frames.starts()):
        for height in frames.heights(at):
            found.append([number, [0.0, 0.0, 1.0], height, float(at), None, None, f"{start:.1f} s", number + 1, None])
            number += 1
    return found


def _slowly(stream: BinaryIO) -> list[Image]:
    """By pydicom: objects with several frames, mosaics, and what is unusual."""
    from scandock.viewing.imagery import dicom_frames_of

    frames = dicom_frames_of(stream)
    if frames.file.pixels is None:
        raise NoPicture(frames.without())
    if frames.count > MOST_FRAMES:
        raise NoPicture(f"It says that it has {frames.count} frames.")
    data = frames.data
    instance = integer(data, "InstanceNumber", 0)
    time = text(data.get("AcquisitionTime")) or text(data.get("ContentTime"))
    if frames.tiles:
        return [
            [tile, [0.0, 0.0, 0.0], float(tile), None, None, None, time[:16], instance, None]
            for tile in range(frames.count)
        ]
    return [_framed(frames, number, instance, time) for number in range(frames.count)]


def _framed(frames: DicomFrames, number: int, instance: int, time: str) -> Image:
    groups, content = frames.groups, "FrameContentSequence"
    orientation = groups.numbers(number, "PlaneOrientationSequence", "ImageOrientationPatient")
    position = groups.numbers(number, "PlanePositionSequence", "ImagePositionPatient")
    if frames.count > 1 and not groups.framed:
        orientation = position = []  # one place for all frames, as in a film: they follow each other

    def first(sequence: str, keyword: str) -> float | None:
        found = groups.numbers(number, sequence, keyword)
        return found[0] if found else None

    moment = first(content, "TemporalPositionIndex")
    return _image(
        number, orientation, position, moment, first("MREchoSequence", "EffectiveEchoTime"),
        first("MRDiffusionSequence", "DiffusionBValue"),
        groups.text(number, content, "FrameAcquisitionDateTime")[8:] or time,
        instance if frames.count == 1 else number + 1,
    )  # fmt: skip
