"""Modality and VOI lookup tables: as pydicom applies them, and where it does not."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.dicom_frames import DicomFrames
from scandock.viewing.frames import Frame, NotViewable, Window
from scandock.viewing.rendering import render_jpeg, render_png_within
from tests.unit.viewing.made import dataset, file_of

PIXELS = np.arange(64 * 48, dtype="<u2").reshape(48, 64)


def table(count: int, first: int, bits: int, *, vr: str = "OW", values: np.ndarray | None = None) -> Dataset:
    """A table whose entries go up as a curve."""
    made = Dataset()
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    if values is None:
        values = (((1 << bits) - 1) * (np.arange(count) / max(1, count - 1)) ** 2).astype("<u2")
    made.add_new("LUTData", vr, values.astype("<u2").tobytes() if vr == "OW" else [int(one) for one in values])
    return made


def frame_of(data: Dataset) -> Frame:
    return DicomFrames(open_dicom(io.BytesIO(file_of(data)))).frame(0)


def grey_of(frame: Frame, window: Window | None = None) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(render_png_within(frame, window, None)))).astype(float)


def expected(data: Dataset, bits: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = apply_modality_lut(data.pixel_array, data)
        if values.dtype.kind == "f":
            values = values.astype(int)
        return np.asarray(apply_voi_lut(values, data)) / ((1 << bits) - 1) * 255


@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize(
    ("bits", "count", "first"),
    [(8, 256, 0), (8, 100, 50), (10, 1_000, 500), (12, 3_072, 0), (12, 10, 3_000), (16, 256, 0), (16, 4_000, 2_000)],
)
def test_a_picture_is_what_pydicom_makes_by_the_voi_lut(vr: str, bits: int, count: int, first: int) -> None:
    pixels = (PIXELS % 256).astype("u1") if bits == 8 else PIXELS  # pydicom counts in the type of the entries
    data = dataset(pixels, VOILUTSequence=[table(count, first, bits, vr=vr)])
    assert np.abs(grey_of(frame_of(data)) - expected(data, bits)).max() <= 0.51


@pytest.mark.parametrize("more", [{"WindowCenter": 5, "WindowWidth": 6}, {"RescaleSlope": 2, "RescaleIntercept": -90}])
def test_a_voi_lut_goes_before_windows_and_behind_the_rescaling(more: dict[str, Any]) -> None:
    data = dataset(PIXELS, VOILUTSequence=[table(2_000, 0, 12), table(2, 0, 8)], **more)
    frame = frame_of(data)
    assert np.abs(grey_of(frame) - expected(data, 12)).max() <= 0.51
    asked = Window(1_000, 50)
    assert set(np.unique(grey_of(frame, asked))) >= {0, 255}
    assert not np.array_equal(grey_of(frame, asked), grey_of(frame))
    jpeg = np.asarray(Image.open(io.BytesIO(render_jpeg(frame, None, None, 95)))).astype(float)
    assert np.abs(jpeg - grey_of(frame)).mean() < 2


def test_both_tables_are_applied_one_behind_the_other_and_the_picture_is_turned() -> None:
    modality = table(3_072, 0, 16, values=np.arange(3_072)[::-1] * 3)
    data = dataset(PIXELS, ModalityLUTSequence=[modality], VOILUTSequence=[table(4_000, 2_000, 12)])
    grey = grey_of(frame_of(data))
    assert np.abs(grey - expected(data, 12)).max() <= 0.51
    data.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(grey_of(frame_of(data)), 255 - grey)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("kind", "first"), [("<u2", 100), ("<i2", -200), ("<i2", 0)])
def test_values_are_what_pydicom_makes_by_the_modality_lut(bits: int, kind: str, first: int) -> None:
    pixels = (PIXELS.astype(int) - 1_500 * (kind == "<i2")).astype(kind)
    data = dataset(pixels, ModalityLUTSequence=[table(250, first, bits)])
    assert np.array_equal(frame_of(data).pixels, apply_modality_lut(pixels, data))


def test_what_pydicom_turns_round_or_does_not_take_is_right() -> None:
    far = np.array([[-32_768, -32_000, 0, 32_767]], dtype="<i2")
    data = dataset(far, ModalityLUTSequence=[table(4, -2, 12, values=np.array([7, 8, 9, 10]))])
    assert frame_of(data).pixels.tolist() == [[7, 7, 9, 10]]
    wide = dataset(np.array([[-5, 0, 300, 1_000]], dtype="<i2"), VOILUTSequence=[table(1_000, 0, 8)])
    assert grey_of(frame_of(wide)).tolist() == [[0, 0, float(int(255 * (300 / 999) ** 2)), 255]]
    packed = Dataset()
    packed.LUTDescriptor = [6, 0, 8]
    packed.add_new("LUTData", "OW", bytes([0, 10, 20, 30, 40, 255]))
    narrow = dataset(np.arange(8, dtype="<u2").reshape(2, 4), VOILUTSequence=[packed])
    assert grey_of(frame_of(narrow)).tolist() == [[0, 10, 20, 30], [40, 255, 255, 255]]
    # A descriptor that was written without a sign, of values in HU.
    air = table(2_000, 0, 16)
    air.LUTDescriptor = [2_000, 65_536 - 1_000, 16]
    scaled = dataset(np.array([[0, 1_000, 2_000]], dtype="<u2"), RescaleSlope=1, RescaleIntercept=-1_000)
    scaled.VOILUTSequence = Sequence([air])
    assert [round(one) for one in grey_of(frame_of(scaled))[0]] == [0, 64, 255]


def test_a_first_value_without_a_sign_means_the_same_for_all_frames() -> None:
    """Whichever of them has a value below 0."""
    unsigned = table(2_000, 0, 16)
    unsigned.LUTDescriptor = [2_000, 65_536 - 1_000, 16]
    low, middle, high = (round(255 * (at / 1_999) ** 2) for at in (0, 1_000, 1_999))

    def grey(data: Dataset) -> list[list[int]]:
        frames = DicomFrames(open_dicom(io.BytesIO(file_of(data))))
        return [[round(one) for one in grey_of(frames.frame(number))[0]] for number in range(frames.count)]

    signed = np.array([[[-1_000, 0, 1_000, 1_000]], [[0, 0, 0, 1_000]]], dtype="<i2")
    seen = [[low, middle, high, high], [middle, middle, middle, high]]
    assert grey(dataset(signed, VOILUTSequence=[unsigned])) == seen
    stored = (signed + 1_000).astype("<u2")
    assert grey(dataset(stored, VOILUTSequence=[unsigned], RescaleSlope=1, RescaleIntercept=-1_000)) == seen
    groups = []
    for intercept in (-1_000, 0):
        group, rescaling = Dataset(), Dataset()
        rescaling.RescaleSlope, rescaling.RescaleIntercept = 1, intercept
        group.PixelValueTransformationSequence = Sequence([rescaling])
        groups.append(group)
    stored[1] -= 1_000
    assert grey(dataset(stored, VOILUTSequence=[unsigned], PerFrameFunctionalGroupsSequence=groups)) == seen
    modality = DicomFrames(open_dicom(io.BytesIO(file_of(dataset(signed, ModalityLUTSequence=[unsigned])))))
    entry = int(65_535 * (1_000 / 1_999) ** 2)
    assert modality.frame(0).pixels.tolist() == [[0, entry, 65_535, 65_535]]
    assert modality.frame(1).pixels.tolist() == [[entry, entry, entry, 65_535]]
    # where no value can be below 0, it is what it says
    above = np.array([[0, 64_536, 65_535, 65_535]], dtype="<u2")
    seen = [[0, 0, (last := round(255 * (999 / 1_999) ** 2)), last]]
    assert grey(dataset(above, VOILUTSequence=[unsigned])) == seen
    moved = dataset((above.astype(int) - 32_768).astype("<i2"), VOILUTSequence=[unsigned])
    moved.RescaleSlope, moved.RescaleIntercept = 1, 32_768
    assert grey(moved) == seen


def test_tables_of_a_functional_group_count_and_broken_ones_do_not() -> None:
    group, shared = Dataset(), Dataset()
    group.VOILUTSequence = Sequence([table(3_072, 0, 12)])
    shared.FrameVOILUTSequence = Sequence([group])
    data = dataset(PIXELS, SharedFunctionalGroupsSequence=[shared])
    data.NumberOfFrames = 1
    alone = dataset(PIXELS, VOILUTSequence=[table(3_072, 0, 12)])
    assert np.array_equal(grey_of(frame_of(data)), grey_of(frame_of(alone)))
    for descriptor, entries in (([10, 0, 0], b"\0\1"), ([10, 0, 40], b"\0\1"), ([10, 0, 8], b""), ([10, 0], b"\0\1")):
        broken = Dataset()
        broken.LUTDescriptor = descriptor
        broken.add_new("LUTData", "OW", entries)
        shown = frame_of(dataset(PIXELS, VOILUTSequence=[broken], WindowCenter=9, WindowWidth=9))
        assert shown.table is None
        assert grey_of(shown).max() == 255
        with pytest.raises(NotViewable, match="lookup table"):
            frame_of(dataset(PIXELS, ModalityLUTSequence=[broken]))
