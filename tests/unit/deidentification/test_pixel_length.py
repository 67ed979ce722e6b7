"""Bytes behind the last frame are told."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.encaps import encapsulate

from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.options import parse_profile
from scandock.deidentification.profile.pixel_length import has_longer_pixels
from scandock.deidentification.scrub import Context, Rules, Scrubbed, scrub
from tests.unit.deidentification.generated import KEY, make_object, written


def _image(size: int, **values: Any) -> Any:
    ds = make_object("MR")
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated = 3, 5, 1, 8
    ds.PixelData = bytes(size)
    ds["PixelData"].VR = "OB"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("size", "values", "is_longer"),
    [
        (16, {}, False),
        (18, {}, True),
        (14, {}, False),
        (30, {"NumberOfFrames": "2"}, False),
        (32, {"NumberOfFrames": "2"}, True),
        (30, {"BitsAllocated": 16}, False),
        (2, {"BitsAllocated": 1}, False),
        (4, {"BitsAllocated": 1}, True),
        (46, {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, False),
        (30, {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422"}, False),
        (46, {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422"}, True),
        (2, {"Rows": None}, True),
    ],
)
def test_lengths(size: int, values: dict[str, Any], *, is_longer: bool) -> None:
    ds = _image(size, **values)
    for syntax, big in (("1.2.840.10008.1.2.1", False), ("1.2.840.10008.1.2.2", True)):
        assert has_longer_pixels(parse(written(ds, syntax, big=big))) is is_longer


def test_compressed_pixels_and_none_are_not_measured() -> None:
    ds = _image(2)
    ds.PixelData = encapsulate([bytes(100)])
    ds["PixelData"].is_undefined_length = True
    assert not has_longer_pixels(parse(written(ds, "1.2.840.10008.1.2.4.50")))
    del ds.PixelData
    assert not has_longer_pixels(parse(written(ds)))


def test_the_warning_stands_beside_the_copy() -> None:
    context = Context(key=KEY)
    result = scrub(written(_image(24)), rules=Rules(profile=parse_profile("basic")), context=context)
    assert isinstance(result, Scrubbed)
    assert [notice.code for notice in result.warnings] == ["deid_pixels_longer"]
    plain = scrub(written(_image(16)), rules=Rules(profile=parse_profile("basic")), context=context)
    assert isinstance(plain, Scrubbed)
    assert plain.warnings == ()
