"""Frames that are not compressed, or no more, hold what the metadata of their object say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, cast

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import RLELossless

from scandock.deidentification import parsing
from scandock.services.dicomweb_errors import PartUnknown
from scandock.services.dicomweb_frames import native_frames, read_native
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.services.dicomweb_packs import FramePlaces
from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.dicom_pixels import decode_native
from scandock.viewing.explicit_copy import copy_explicit
from scandock.viewing.frame_places import find_frames
from scandock.viewing.frames import NotViewable
from scandock.viewing.object_reading import read_object
from tests.unit.viewing.made import JPEG_2000, dataset, deflated, encapsulated, file_of

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's of headers, which a decoder leaves out

EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
RLE = "1.2.840.10008.1.2.5"


class FileReader:
    """Reads a file as an ObjectReader does, in small pieces."""

    def __init__(self, stream: BinaryIO, piece: int) -> None:
        self._stream = stream
        self._piece = piece

    def chunks(self, _: object, offset: int = 0, length: int = 0) -> Iterator[bytes]:
        self._stream.seek(offset)
        while length and (piece := self._stream.read(min(length, self._piece))):
            length -= len(piece)
            yield piece


def told_frames(path: Path, raw: bytes, piece: int) -> tuple[list[bytes], bytes]:
    """All frames of a file, and all of its pixel data but for its first byte, as they are sent."""
    path.write_bytes(raw)
    with open(path, "rb") as stream:
        described = find_frames(stream, read_object(stream))
        assert described is not None
        count, start, bits, turn, length = (described[key] for key in ("count", "start", "bits", "turn", "length"))
        places = FramePlaces(count, start, bits, turn, False, length, [])
        reader, found = cast("ObjectReader", FileReader(stream, piece)), cast("FoundObject", None)
        frames = [b"".join(pieces) for pieces in native_frames(reader, found, places, range(count))]
        return frames, b"".join(read_native(reader, found, places, 1, length - 1))


def swapped(raw: bytes, width: int) -> bytes:
    """Each unit the other way round, the last one padded."""
    raw += b"\0" * (-len(raw) % width)
    return b"".join(raw[at : at + width][::-1] for at in range(0, len(raw), width))


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 7), (4, 8)])
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
@pytest.mark.parametrize("kind", ["bits", "u1", "u1 OB", "u2", "f4"])
def test_frames_of_any_size_in_either_byte_order(
    tmp_path: Path, piece: int, rows: int, columns: int, syntax: str, kind: str
) -> None:
    count = 3
    numbers = (np.arange(count * rows * columns) * 37 % 251).reshape(count, rows, columns)
    if kind == "bits":
        pixels = (numbers % 3 == 0).astype(np.uint8)
        little = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        wanted = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in pixels]
        allocated, vr, width = 1, "OW", 2
    else:
        pixels = numbers.astype(f"<{kind.partition(' ')[0]}")
        little, wanted = pixels.tobytes(), [frame.tobytes() for frame in pixels]
        allocated = pixels.dtype.itemsize * 8
        vr, width = ("OB", 1) if kind == "u1 OB" else ("OF", 4) if kind == "f4" else ("OW", 2)
    made = dataset(np.zeros((count, rows, columns), "u1"), syntax=syntax, BitsAllocated=allocated)
    little += b"\0" * (len(little) % 2)
    value = swapped(little, width) if syntax == BIG else little
    name = "FloatPixelData" if vr == "OF" else "PixelData"
    if name != "PixelData":
        del made.PixelData
    made.add_new(pydicom.tag.Tag(name), vr, value)
    frames, rest = told_frames(tmp_path / "a.dcm", file_of(made), piece)
    assert frames == wanted
    assert rest == little[1:]


def test_a_frame_that_is_cut_is_none(tmp_path: Path) -> None:
    made = dataset(np.zeros((4, 4), "u1"))
    made.PixelData = made.PixelData[:-6]
    with pytest.raises(PartUnknown):
        told_frames(tmp_path / "a.dcm", file_of(made), 9)


# -- colors ------------------------------------------------------------------------------------------------------------

ROWS, COLUMNS = np.mgrid[0:16, 0:24]
RGB = np.stack([COLUMNS * 10, ROWS * 15, 255 - COLUMNS * 5 - ROWS * 5], -1).astype(np.uint8)


def jpeg(**how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", quality=98, **how)
    return file.getvalue()


def as_told(data: bytes, frame: bytes) -> NDArray[Any]:
    """The colors of a frame, as pydicom reads it by the elements of its object."""
    told = pydicom.dcmread(io.BytesIO(data))
    told.file_meta.TransferSyntaxUID = pydicom.uid.UID(EXPLICIT)
    told.PixelData = frame
    told["PixelData"].is_undefined_length = False
    return pixel_array(told)


def rle_encode(pixels: NDArray[Any]) -> bytes:
    made = dataset(pixels)
    made.compress(RLELossless, generate_instance_uid=False)
    return next(generate_frames(made.PixelData, number_of_frames=1))


STREAMS = {
    "JPEG of YBR": (JPEG, jpeg(subsampling=0)), "JPEG 4:2:2": (JPEG, jpeg(subsampling=1)),
    "JPEG 4:2:0": (JPEG, jpeg(subsampling=2)), "JPEG of RGB": (JPEG, jpeg(subsampling=0, keep_rgb=True)),
    "JPEG-LS": (JPEG_LS, bytes(imagecodecs.jpegls_encode(RGB))),
    "RLE": (RLE, rle_encode(RGB)),
    "JPEG 2000": (JPEG_2000, bytes(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", reversible=True))),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "photometric", "planar"), [
    *product([name for name in STREAMS if name.startswith("JPEG ") and "2000" not in name],
             ["RGB", "YBR_FULL"], [0, 1]),
    *product([name for name in STREAMS if name.startswith("JPEG ") and "2000" not in name], ["YBR_FULL_422"], [0]),
    *product(["RLE"], ["RGB"], [0, 1]),
    *product(["JPEG-LS"], ["RGB"], [0, 1]),
    *product(["JPEG 2000"], ["RGB", "YBR_RCT"], [0, 1]),
])  # fmt: skip
def test_decoded_frames_have_the_colors_and_planes_that_metadata_say(
    tmp_path: Path, stream: str, photometric: str, planar: int
) -> None:
    syntax, packed = STREAMS[stream]
    data = encapsulated([packed], RGB, syntax=syntax, PhotometricInterpretation=photometric,
                        PlanarConfiguration=planar)  # fmt: skip
    (tmp_path / "a.dcm").write_bytes(data)
    with open(tmp_path / "a.dcm", "rb") as opened:
        frame = decode_native(open_dicom(opened), 0)
        copy = copy_explicit(opened)
    told = data.replace(b"YBR_RCT ", b"RGB     ")  # what it is once decoded (PS3.5 8.2.4)
    for colors in (as_told(told, frame), pixel_array(pydicom.dcmread(io.BytesIO(copy)))):
        assert np.abs(colors.astype(int) - RGB).mean() < 6


def test_decoded_frames_have_the_bits_that_metadata_say(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    packed = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True))
    data = encapsulated([packed], pixels.astype("<u2"), syntax=JPEG_2000, BitsStored=8, HighBit=7)
    (tmp_path / "a.dcm").write_bytes(data)
    with open(tmp_path / "a.dcm", "rb") as stream:
        assert decode_native(open_dicom(stream), 0) == pixels.astype("<u2").tobytes()


def test_pairs_of_pixels_that_share_colors_need_an_even_row(tmp_path: Path) -> None:
    odd = np.ascontiguousarray(RGB[:, :23])
    file = io.BytesIO()
    Image.fromarray(odd).save(file, "JPEG")
    data = encapsulated([file.getvalue()], odd, syntax=JPEG, PhotometricInterpretation="YBR_FULL_422")
    (tmp_path / "a.dcm").write_bytes(data)
    with open(tmp_path / "a.dcm", "rb") as stream:
        with pytest.raises(NotViewable, match="even number"):
            decode_native(open_dicom(stream), 0)
        copy = copy_explicit(stream)
    whole = pydicom.dcmread(io.BytesIO(copy))  # whose own header says that each pixel has its colors
    assert whole.PhotometricInterpretation == "YBR_FULL"
    assert np.abs(pixel_array(whole).astype(int) - odd).mean() < 12


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", ["color", "bits", "odd"])
def test_frames_of_a_deflated_data_set_are_as_they_stand_in_it(tmp_path: Path, kind: str, planar: int) -> None:
    if kind == "color":
        pixels = np.stack([RGB, RGB[::-1]])
        stored = pixels.transpose(0, 3, 1, 2) if planar else pixels
        raw, wanted, allocated = stored.tobytes(), [frame.tobytes() for frame in stored], 8
    elif kind == "bits":
        pixels = np.arange(2 * 35).reshape(2, 5, 7) % 3 == 0
        raw = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        wanted, allocated = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in pixels], 1
    else:
        pixels = np.arange(30, dtype="u1").reshape(2, 3, 5)
        raw, wanted, allocated = pixels.tobytes(), [frame.tobytes() for frame in pixels], 8
    made = dataset(pixels.astype("u1"), NumberOfFrames=2, BitsAllocated=allocated)
    if kind == "color":
        made.PlanarConfiguration = planar
    made.PixelData = raw + b"\0" * (len(raw) % 2)
    plain = file_of(made)
    whole = deflated(plain[144 + int.from_bytes(plain[140:144], "little") :])
    (tmp_path / "a.dcm").write_bytes(whole)
    with open(tmp_path / "a.dcm", "rb") as stream:
        file = open_dicom(stream)
        assert [decode_native(file, n) for n in range(2)] == wanted
        with pytest.raises(NotViewable):
            decode_native(file, 2)


def test_pixels_of_a_deflated_data_set_end_where_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the reader of bytes takes for too large is read by pydicom, and is longer than its file."""
    monkeypatch.setattr(parsing, "MAX_INFLATED", 1000)
    pixels = np.zeros((1, 64, 64), "u1")
    plain = file_of(dataset(pixels))
    whole = deflated(plain[144 + int.from_bytes(plain[140:144], "little") :])
    assert len(whole) < pixels.nbytes
    (tmp_path / "a.dcm").write_bytes(whole)
    with open(tmp_path / "a.dcm", "rb") as stream:
        place = read_object(stream).pixels
        assert place is not None
        assert place.end - place.start == pixels.nbytes
        copy = pydicom.dcmread(io.BytesIO(copy_explicit(stream)))
        assert copy.PixelData == pixels.tobytes()
