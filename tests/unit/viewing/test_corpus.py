"""Every real image beside the project, of every transfer syntax, against pydicom's own numbers (ECAT: nibabel's)."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from scandock.viewing.dicom_frames import DicomFrames
from scandock.viewing.frame_sources import open_frames
from scandock.viewing.frames import Frame, NotViewable, to_16_bits
from scandock.viewing.rendering import render_thumbnail

pytestmark = [pytest.mark.long, pytest.mark.corpus, pytest.mark.filterwarnings("ignore")]

EXPLICIT = "1.2.840.10008.1.2.1"
LEAST = {
    "1.2.840.10008.1.2": 30, EXPLICIT: 380, "1.2.840.10008.1.2.1.99": 2, "1.2.840.10008.1.2.2": 10,
    "1.2.840.10008.1.2.4.50": 14, "1.2.840.10008.1.2.4.51": 4, "1.2.840.10008.1.2.4.53": 1,
    "1.2.840.10008.1.2.4.55": 1, "1.2.840.10008.1.2.4.57": 1, "1.2.840.10008.1.2.4.70": 6,
    "1.2.840.10008.1.2.4.80": 11, "1.2.840.10008.1.2.4.81": 7, "1.2.840.10008.1.2.4.90": 14,
    "1.2.840.10008.1.2.4.91": 10, "1.2.840.10008.1.2.4.201": 1, "1.2.840.10008.1.2.4.203": 1,
    "1.2.840.10008.1.2.5": 13, "1.2.840.10008.1.2.8.1": 2,
}  # fmt: skip
"""Images of each transfer syntax that are shown, at least."""
PALETTE = [f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")]


def rows(corpus: Path) -> list[dict[str, str]]:
    with open(corpus / "manifest.tsv", encoding="utf-8", newline="") as lines:
        return [one for one in csv.DictReader(lines, delimiter="\t") if one["kind"] == "DICOM"]


def reference(path: Path, number: int) -> tuple[Dataset, np.ndarray] | None:
    """A frame as pydicom gives it, with its modality LUT, and its data set; None where it can't."""
    try:
        data = pydicom.dcmread(path, force=True)
        pixels = pixel_array(data, index=number)
    except Exception:  # noqa: BLE001  what pydicom can't read, for whatever reason
        return None
    if data.PhotometricInterpretation == "PALETTE COLOR":
        if not data.original_encoding[1]:  # plain tables: pydicom takes their words as little-endian ones
            for element in (data[keyword] for keyword in PALETTE if keyword in data):
                element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
        return data, np.asarray(apply_color_lut(pixels, data))
    own_scaling = "PerFrameFunctionalGroupsSequence" in data
    return data, np.asarray(pixels if own_scaling else apply_modality_lut(pixels, data))


def assert_same_numbers(frame: Frame, data: Dataset, expected: np.ndarray, where: str) -> None:
    """A frame's numbers are pydicom's."""
    if frame.colour:
        shift = 8 * (expected.dtype.itemsize - 1)
        assert np.array_equal(frame.pixels, expected[..., :3] >> shift), where
        return
    numbers, slope, intercept = to_16_bits(frame)
    plain = (slope, intercept) == (1.0, 0.0)
    values = numbers if plain else numbers.astype(np.float64) * slope + intercept
    if "PerFrameFunctionalGroupsSequence" in data:
        values = frame.pixels
    if expected.dtype.kind == "f" or np.array_equal(values, expected):
        span = float(expected.max()) - float(expected.min())
        assert np.allclose(values, expected, rtol=0, atol=max(span / 65535, 1e-9)), where
    else:  # more than 16 bits: scaled, by half a step at most
        assert expected.dtype.itemsize > 2, where
        assert np.abs(values - expected).max() <= slope / 2 + 1e-6, where


def is_plain_slice(row: dict[str, str], data: Dataset) -> bool:
    """Whether it is one grey slice of a modality with values, whose 16 bits have to hold each value exactly."""
    return (
        row["modality"] in ("CT", "MR", "PT")
        and row["transfer_syntax"] == EXPLICIT
        and "PixelData" in data
        and int(data.get("NumberOfFrames", 1) or 1) == 1
        and data.get("SamplesPerPixel") == 1
    )


def assert_exact(frame: Frame, expected: np.ndarray, where: str) -> None:
    """The 16 bits of a frame hold every rescaled value exactly."""
    numbers, slope, intercept = to_16_bits(frame)
    assert np.array_equal(numbers * float(slope) + float(intercept), expected.astype(np.float64)), where


def is_cut_as_nibabel_does(frames: DicomFrames, data: Dataset, where: str) -> bool:
    """Compare a mosaic's slices with the volume that nibabel reads of it; False where nibabel sees no mosaic."""
    from nibabel.nicom.dicomwrappers import MosaicWrapper, wrapper_from_data  # warns as it is imported

    wrapped = wrapper_from_data(data)
    if not isinstance(wrapped, MosaicWrapper):
        return False
    volume = wrapped.get_unscaled_data()
    assert volume.shape[2] == frames.count
    for number in range(frames.count):
        assert np.array_equal(frames.frame(number).pixels, volume[:, :, number]), where
    return True


@pytest.mark.parametrize("plain", [True, False], ids=["explicit little endian", "all other syntaxes"])
def test_every_image_is_what_pydicom_reads(corpus, plain):
    """Its numbers, the slices of mosaics (nibabel's), and of each seventh a thumbnail."""
    shown: Counter[str] = Counter()
    exact = mosaics = 0
    for place, row in enumerate(rows(corpus)):
        if (row["transfer_syntax"] == EXPLICIT) is not plain:
            continue
        path, where = corpus / row["path"], row["path"]
        with open(path, "rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                frames = open_frames(stream)
                number = frames.count // 2
                frame = frames.frame(number)
            except NotViewable:
                assert reference(path, 0) is None, where
                continue
            shown[row["transfer_syntax"]] += 1
            if place % 7 == 0:
                assert render_thumbnail(frame)[8:12] == b"WEBP", where
            is_mosaic = bool(getattr(frames, "tiles", None))
            read = reference(path, 0 if is_mosaic else number)
            if read is None:
                continue
            data, expected = read
            if is_mosaic:
                assert isinstance(frames, DicomFrames)
                mosaics += is_cut_as_nibabel_does(frames, data, where)
                continue
            assert_same_numbers(frame, data, expected, where)
            if frames.count == 1 and is_plain_slice(row, data):
                assert_exact(frame, expected, where)
                exact += 1
    least = {syntax: count for syntax, count in LEAST.items() if (syntax == EXPLICIT) is plain}
    assert {syntax: shown[syntax] for syntax, count in least.items() if shown[syntax] < count} == {}
    if plain:
        assert exact > 200
        assert mosaics >= 3


@pytest.mark.parametrize(
    ("stem", "others"),
    [
        ("OBXXXX1A", ("_expb", "_rle")),
        ("OBXXXX1A_2frame", ("_expb_2frame", "_rle_2frame")),
        ("gdcm-US-ALOKA-16", ("_big",)),
    ],
)
def test_a_palette_image_looks_the_same_in_every_encoding_of_it(corpus, stem, others):
    """The same picture, which pydicom's authors wrote anew in other byte orders and compressed."""
    (path,) = sorted(corpus.rglob(f"{stem}.dcm"))
    pictures = []
    for one in (path, *(path.with_name(f"{stem.removesuffix('_2frame')}{other}.dcm") for other in others)):
        with open(one, "rb") as stream:
            frames = open_frames(stream)
            pictures.append(np.stack([frames.frame(number).pixels for number in range(frames.count)]))
    assert pictures[0].max() > 200
    for picture in pictures[1:]:
        assert np.array_equal(picture, pictures[0])


def test_ecat_is_what_nibabel_reads(corpus):
    (path,) = sorted(corpus.rglob("tinypet.v"))
    volume = nibabel.ecat.load(str(path)).get_frame(0)
    with open(path, "rb") as stream:
        frames = open_frames(stream)
        assert frames.count == volume.shape[2]
        for number in range(frames.count):
            frame = frames.frame(number)
            numbers, slope, intercept = to_16_bits(frame)
            shown = volume[::-1, ::-1, number].T
            assert np.allclose(numbers * slope + intercept, shown, rtol=1e-12, atol=0)
            assert frame.unit == "Bq/cc"
