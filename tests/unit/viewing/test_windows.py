"""Windows and 16 bits: what a number looks like, against the formulas of PS3.3 C.11.2.1 and pydicom's own."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.dicom_frames import DicomFrames
from scandock.viewing.frames import Frame, NotViewable, Window, check_size, to_16_bits
from scandock.viewing.windows import automatic_window, to_grey
from tests.unit.viewing.made import dataset, file_of, ramp


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(100, 50), (127.5, 256), (40, 400), (128, 1)])
def test_grey_is_what_pydicom_windows(function, center, width):
    pixels = ramp(dtype="<u1")
    data = dataset(pixels, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    if function == "LINEAR" and width < 1:
        pytest.skip("not allowed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.clip(apply_windowing(pixels, data), 0, 255)
    got = to_grey(Frame(pixels=pixels), Window(center, width, "", function.lower()))
    assert np.abs(got.astype(float) - expected).max() <= 0.75


def test_monochrome_1_is_turned_round():
    pixels = ramp(dtype="<u1")
    window = Window(128, 256, "", "linear_exact")
    plain, turned = (to_grey(Frame(pixels=pixels, invert=invert), window) for invert in (False, True))
    assert np.array_equal(plain.astype(int) + turned, np.full(pixels.shape, 255))


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", "<u2", ">u2", ">i2", "<i4", "<u4", "?"])
def test_whole_numbers_that_fit_stay_as_they_are(dtype):
    pixels = (ramp(8, 8, "i4") % 100).astype(dtype)
    numbers, slope, intercept = to_16_bits(Frame(pixels=pixels, slope=2.5, intercept=-7))
    assert numbers.dtype.itemsize == 2
    assert np.array_equal(numbers, pixels.astype(int))
    assert (slope, intercept) == (2.5, -7)


@pytest.mark.parametrize(
    "pixels",
    [
        np.array([[0, 1, 4_000_000_000]], dtype="<u4"),
        np.array([[-3.5, 0.25, 1e6]], dtype="<f4"),
        np.array([[1e-9, 2e-9, np.nan, np.inf]], dtype="<f8"),
        np.array([[7.5, 7.5]], dtype="<f8"),
        np.array([[-(2**31), 2**31 - 1]], dtype="<i4"),
    ],
)
def test_other_numbers_are_scaled_by_less_than_a_step(pixels):
    numbers, slope, intercept = to_16_bits(Frame(pixels=pixels, slope=3.0, intercept=1.0))
    values = pixels.astype(float) * 3.0 + 1.0
    finite = np.isfinite(values)
    got = numbers.astype(float) * slope + intercept
    assert np.abs(got - values)[finite].max() <= slope / 2 * 1.001


def test_the_automatic_window_leaves_out_padding_and_specks():
    pixels = np.full((100, 100), 500, dtype="<i2")
    pixels[:50] = 100
    pixels[0] = -2000
    pixels[99, 99] = 30_000
    window = automatic_window(Frame(pixels=pixels, padding=(-2000, -2000)))
    assert (window.center, window.width) == (300, 400)


@pytest.mark.parametrize(
    ("charsets", "written", "name"),
    [
        (["", "ISO 2022 IR 58"], b"\x1b$)A\xb7\xce\\BONE", "\u80ba"),
        ("ISO_IR 192", "\u80ba\\BONE".encode(), "\u80ba"),
        ("ISO_IR 100", b"M\xfcnster\\BONE", "M\u00fcnster"),
        (["", "ISO 2022 IR 87"], b"\x1b$BGY\x1b(B\\BONE", "\u80ba"),
    ],
)
@pytest.mark.parametrize("framed", [False, True])
def test_names_of_windows_are_read_in_every_character_set(charsets, written, name, framed):
    """By the decoder that an import uses: pydicom leaves the escape sequences of some in the text."""
    said = Dataset()
    said.WindowCenter, said.WindowWidth = [40, 400], [80, 2000]
    held = b"X" * ((len(written) + 1) // 2 * 2)
    said.WindowCenterWidthExplanation = held.decode()
    macro = Dataset()
    macro.FrameVOILUTSequence = [said]
    pixels = ramp(dtype="<u2")
    data = dataset(pixels, SpecificCharacterSet=charsets)
    if framed:
        data.SharedFunctionalGroupsSequence = [macro]
    else:
        data.update(said)
    file = io.BytesIO(file_of(data).replace(held, written.ljust(len(held))))
    frame = DicomFrames(open_dicom(file)).frame(0)
    assert [window.name for window in frame.windows] == [name, "BONE"]


def test_frames_larger_than_any_are_refused_before_they_are_decoded():
    check_size(10_000, 10_000)
    for rows, columns in ((10_000, 10_001), (0, 5), (-1, 5)):
        with pytest.raises(NotViewable):
            check_size(rows, columns)
