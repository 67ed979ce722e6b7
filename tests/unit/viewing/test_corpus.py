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
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from scandock.viewing.frames import NoPicture, to_16_bits
from scandock.viewing.imagery import frames_of
from scandock.viewing.pictures import thumbnail

pytestmark = [pytest.mark.corpus, pytest.mark.filterwarnings("ignore")]

LEAST = {
    "1.2.840.10008.1.2": 30, "1.2.840.10008.1.2.1": 380, "1.2.840.10008.1.2.1.99": 2, "1.2.840.10008.1.2.2": 10,
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


def reference(path: Path, number: int) -> np.ndarray | None:
    """A frame as pydicom gives it, with its modality LUT; None where it can't."""
    try:
        data = pydicom.dcmread(path, force=True)
        pixels = data.pixel_array
    except Exception:  # noqa: BLE001  what pydicom can't read, for whatever reason
        return None
    if int(data.get("NumberOfFrames", 1) or 1) > 1:
        pixels = pixels[number]
    if data.PhotometricInterpretation == "PALETTE COLOR":
        if not data.original_encoding[1]:  # plain tables: pydicom takes their words as little-endian ones
            for element in (data[keyword] for keyword in PALETTE if keyword in data):
                element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
        return np.asarray(apply_color_lut(pixels, data))
    return pixels if "PerFrameFunctionalGroupsSequence" in data else apply_modality_lut(pixels, data)


def test_every_image_is_what_pydicom_reads(corpus):
    shown: Counter[str] = Counter()
    for row in rows(corpus):
        path = corpus / row["path"]
        with open(path, "rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                frames = frames_of(stream)
                number = frames.count // 2
                frame = frames.frame(number)
            except NoPicture:
                assert reference(path, 0) is None, row["path"]
                continue
        shown[row["transfer_syntax"]] += 1
        expected = reference(path, number if not getattr(frames, "tiles", None) else 0)
        if expected is None or getattr(frames, "tiles", None):
            continue
        if frame.colour:
            shift = 8 * (expected.dtype.itemsize - 1)
            assert np.array_equal(frame.pixels, expected[..., :3] >> shift), row["path"]
            continue
        numbers, slope, intercept = to_16_bits(frame)
        plain = (slope, intercept) == (1.0, 0.0)
        values = numbers if plain else numbers.astype(np.float64) * slope + intercept
        if "PerFrameFunctionalGroupsSequence" in pydicom.dcmread(path, force=True, stop_before_pixels=True):
            values, expected = frame.pixels, np.asarray(expected)
        if expected.dtype.kind == "f" or np.array_equal(values, expected):
            span = float(expected.max()) - float(expected.min())
            assert np.allclose(values, expected, rtol=0, atol=max(span / 65535, 1e-9)), row["path"]
        else:  # more than 16 bits: scaled, by half a step at most
            assert expected.dtype.itemsize > 2, row["path"]
            assert np.abs(values - expected).max() <= slope / 2 + 1e-6, row["path"]
    assert {syntax: shown[syntax] for syntax, least in LEAST.items() if shown[syntax] < least} == {}


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
            frames = frames_of(stream)
            pictures.append(np.stack([frames.frame(number).pixels for number in range(frames.count)]))
    assert pictures[0].max() > 200
    for picture in pictures[1:]:
        assert np.array_equal(picture, pictures[0])


def test_sixteen_bits_hold_every_rescaled_value_exactly(corpus):
    checked = 0
    for row in rows(corpus):
        if row["modality"] not in ("CT", "MR", "PT") or row["transfer_syntax"] != "1.2.840.10008.1.2.1":
            continue
        path = corpus / row["path"]
        data = pydicom.dcmread(path, force=True)
        if "PixelData" not in data or int(data.get("NumberOfFrames", 1) or 1) > 1 or data.get("SamplesPerPixel") != 1:
            continue
        with open(path, "rb") as stream:
            frames = frames_of(stream)
            if frames.count > 1 or (pixels := reference(path, 0)) is None:
                continue
            numbers, slope, intercept = to_16_bits(frames.frame(0))
        expected = np.asarray(pixels)
        assert np.array_equal(numbers * float(slope) + float(intercept), expected.astype(np.float64)), row["path"]
        checked += 1
    assert checked > 200


def test_every_image_has_a_thumbnail(corpus):
    for row in rows(corpus)[::7]:
        with open(corpus / row["path"], "rb") as stream:
            try:
                frame = frames_of(stream).frame(0)
            except NoPicture:
                continue
        assert thumbnail(frame)[8:12] == b"WEBP", row["path"]


def test_mosaics_are_cut_into_their_slices(corpus):
    """Against nibabel, which reads the same tiles as a volume."""
    from nibabel.nicom.dicomwrappers import MosaicWrapper, wrapper_from_data

    found = 0
    for row in rows(corpus):
        path = corpus / row["path"]
        with open(path, "rb") as stream:
            try:
                frames = frames_of(stream)
                if not getattr(frames, "tiles", None):
                    continue
                frames.frame(0)
                wrapped = wrapper_from_data(pydicom.dcmread(path, force=True))
                if not isinstance(wrapped, MosaicWrapper):
                    continue
                volume = wrapped.get_unscaled_data()
                assert volume.shape[2] == frames.count
                for number in range(frames.count):
                    assert np.array_equal(frames.frame(number).pixels, volume[:, :, number]), row["path"]
            except NoPicture:
                continue
        found += 1
    assert found >= 3


def test_ecat_is_what_nibabel_reads(corpus):
    (path,) = sorted(corpus.rglob("tinypet.v"))
    volume = nibabel.ecat.load(str(path)).get_frame(0)
    with open(path, "rb") as stream:
        frames = frames_of(stream)
        assert frames.count == volume.shape[2]
        for number in range(frames.count):
            frame = frames.frame(number)
            numbers, slope, intercept = to_16_bits(frame)
            shown = volume[::-1, ::-1, number].T
            assert np.allclose(numbers * slope + intercept, shown, rtol=1e-12, atol=0)
            assert frame.unit == "Bq/cc"
