"""Frames are found in their files, and copies in Explicit VR Little Endian hold the same, over real files."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from scandock.viewing import frame_places
from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.dicom_pixels import decode_native
from scandock.viewing.explicit_copy import EXPLICIT, copy_explicit
from scandock.viewing.frame_places import FramesJson, find_frames, join_frame
from scandock.viewing.frames import NotViewable
from scandock.viewing.object_reading import read_object
from tests.badinput.objects import Image

FRAMES = [b"\xff\xd8one\xff\xd9", b"\xff\xd8second\xff\xd9", b"\xff\xd8three\xff\xd9"]


def frames_of(stream: BinaryIO) -> FramesJson:
    frames = find_frames(stream, read_object(stream))
    assert frames is not None
    return frames


def bytes_of(stream: BinaryIO, frames: FramesJson) -> list[bytes]:
    return [
        b"".join(os.pread(stream.fileno(), place[at + 1], place[at]) for at in range(0, len(place), 2))
        for place in frames["places"]
    ]


def fragments(*values: bytes, table: bytes = b"") -> bytes:
    """Encapsulated pixel data of these fragments, without its delimiter."""
    padded = [value + b"\0" * (len(value) & 1) for value in (table, *values)]
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value for value in padded)


def compressed(path: Path, value: bytes, count: int, syntax: UID = JPEGBaseline8Bit, **more: bytes) -> BinaryIO:
    """A file with encapsulated pixel data."""
    dataset = pydicom.dcmread(io.BytesIO(Image(case="frames").file()))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = count
    dataset.PixelData = value
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    for name, raw in more.items():
        setattr(dataset, name, raw)
    dataset.save_as(path)
    return open(path, "rb")


@pytest.mark.parametrize(
    "value",
    [
        encapsulate(FRAMES, has_bot=True),
        encapsulate(FRAMES, has_bot=False),
        encapsulate(FRAMES, fragments_per_frame=2, has_bot=True),
        encapsulate(FRAMES, fragments_per_frame=2, has_bot=False),
        fragments(*FRAMES, table=struct.pack("<3I", 0, 7, 9)),  # a table that lies
    ],
    ids=["table", "one fragment a frame", "table of more", "marks", "lying table"],
)
def test_compressed_frames_are_found_however_they_are_told(tmp_path: Path, value: bytes) -> None:
    with compressed(tmp_path / "a.dcm", value, 3) as stream:
        frames = frames_of(stream)
        assert (frames["count"], frames["compressed"]) == (3, True)
        assert bytes_of(stream, frames) == FRAMES


def test_the_extended_table_has_the_very_lengths(tmp_path: Path) -> None:
    odd = [b"rle", b"other"]
    value, offsets, _ = encapsulate_extended(odd)
    tables = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": struct.pack("<2Q", 3, 5)}
    with compressed(tmp_path / "a.dcm", value, 2, RLELossless, **tables) as stream:
        assert bytes_of(stream, frames_of(stream)) == odd


def test_frames_that_can_t_be_told_have_no_places(tmp_path: Path) -> None:
    with compressed(tmp_path / "a.dcm", fragments(b"abcd", b"efgh", b"ijkl"), 2, RLELossless) as stream:
        assert frames_of(stream)["places"] == []
    with compressed(tmp_path / "b.dcm", fragments(b"abcd", b"efgh"), 1, JPEG2000Lossless) as stream:
        assert bytes_of(stream, frames_of(stream)) == [b"abcdefgh"]


def test_one_video_is_one_frame(tmp_path: Path) -> None:
    with compressed(tmp_path / "a.dcm", fragments(b"abcd", b"ef"), 250, UID("1.2.840.10008.1.2.4.102")) as stream:
        frames = frames_of(stream)
        assert (frames["count"], bytes_of(stream, frames)) == (1, [b"abcdef"])


@pytest.mark.parametrize("count", [4, 2_000_000_000])
def test_no_more_frames_are_told_than_there_is_room_for(tmp_path: Path, count: int) -> None:
    """NumberOfFrames is the sender's word: lists as long as it says would end the server."""
    with compressed(tmp_path / "lying.dcm", fragments(*FRAMES), count) as stream:
        frames = frames_of(stream)
        assert frames["count"] <= frames["length"] // 8
    dataset = pydicom.dcmread(io.BytesIO(Image(case="frames").file()))
    dataset.NumberOfFrames = count
    dataset.save_as(tmp_path / "native.dcm")
    with open(tmp_path / "native.dcm", "rb") as stream:
        assert frames_of(stream)["count"] == 1


def test_very_many_fragments_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_places, "MAX_FRAGMENTS", 5)
    for many, places in ((3, 1), (9, 0)):
        value = fragments(*(b"" for _ in range(many - 1)), b"\xff\xd8one\xff\xd9")
        with compressed(tmp_path / f"{many}.dcm", value, 1) as stream:
            found = frames_of(stream)["places"]
            assert len(found) == places
            assert all(len(place) == 2 for place in found)  # empty ones are none
            assert join_frame(stream, 0) == b"\xff\xd8one\xff\xd9"
            with pytest.raises(NotViewable):
                join_frame(stream, 1)
    monkeypatch.setattr(frame_places, "MAX_JOINED", 6)
    with open(tmp_path / "9.dcm", "rb") as stream, pytest.raises(NotViewable):
        join_frame(stream, 0)


def test_native_frames_are_counted_in_bits(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(Image(case="native").file())
    with open(tmp_path / "a.dcm", "rb") as stream:
        frames = frames_of(stream)
        assert (frames["bits"], frames["length"], frames["turn"], frames["count"]) == (256, 32, 1, 1)
        raw = os.pread(stream.fileno(), frames["length"], frames["start"])
        assert raw == decode_native(open_dicom(stream), 0)


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore")
def test_frames_and_copies_of_real_objects_hold_the_same(corpus: Path) -> None:
    found, copied = 0, 0
    for path in sorted([*corpus.glob("pydicom__*/**/*"), *corpus.glob("ImagingDataCommons__*/**/*")]):
        if not path.is_file() or path.read_bytes()[128:132] != b"DICM" or "DICOMDIR" in path.name:
            continue
        with open(path, "rb") as stream:
            found += _frames_agree(path, stream)
            copied += _copy_agrees(path, stream)
    assert found > 60
    assert copied > 120


def _frames_agree(path: Path, stream: BinaryIO) -> int:
    """Whether the compressed frames of a file are those that pydicom finds; 0 where it has none."""
    try:
        frames = find_frames(stream, read_object(stream))
        dataset = pydicom.dcmread(path)
    except (NotViewable, pydicom.errors.InvalidDicomError):
        return 0
    if frames is None or not frames["compressed"] or "PixelData" not in dataset:
        return 0
    theirs = list(generate_frames(dataset.PixelData, number_of_frames=frames["count"]))
    ours = bytes_of(stream, frames)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine in (other, other[:-1]), path.name
    return 1


def _copy_agrees(path: Path, stream: BinaryIO) -> int:
    """Whether the copy of a file has its pixels; 0 where there can be none, or pydicom has no pixels of the file."""
    try:
        copy = pydicom.dcmread(io.BytesIO(copy_explicit(stream)))
        pixels = pydicom.dcmread(path).pixel_array
    except (NotViewable, AttributeError, ValueError, NotImplementedError, RuntimeError):
        return 0
    assert copy.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(copy.pixel_array, pixels), path.name
    return 1
