"""Objects whose pixels could show texts are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.burned_in import burned_in_notice, content_kind, find_burned_in
from tests.unit.deidentification.generated import make_object, written

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _overlay(ds: Dataset) -> None:
    ds.add_new(0x60020010, "US", 8)
    ds.add_new(0x60020102, "US", 15)


def _with(**values: object) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_with(), None),
        (_with(BurnedInAnnotation="YES"), "the object says so"),
        (_with(BurnedInAnnotation="NO"), None),
        (_with(Modality="OT"), "its modality is OT"),
        (_with(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.1"), "it is an object of visible light"),
        (_with(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "it is a copy of a screen"),
        (_with(SOPClassUID=CAPTURE, ImageType=["DERIVED", "SECONDARY"]), "it is a derived secondary capture"),
        (_with(SOPClassUID=CAPTURE), None),
        (_with(SOPClassUID=CAPTURE, Rows=4), "it is a secondary capture that is not square"),
        (_with(ConversionType="WSD", Rows=4), "it is a secondary capture that is not square"),
        (_overlay, "it has an overlay in the bits of its pixels"),
    ],
)
def test_reasons(change: Callable[[Dataset], None], reason: str | None) -> None:
    ds = make_object("MR")
    change(ds)
    assert find_burned_in(parse(written(ds)).data) == reason


def test_ultrasound_is_always_told() -> None:
    assert find_burned_in(parse(written(make_object("US"))).data) == "it is an object of ultrasound"
    notice = burned_in_notice("its modality is OT")
    assert (notice.code, notice.message) == (
        "burned_in",
        "The pixels could show the patient's name or other texts: its modality is OT.",
    )


def test_kinds_of_content() -> None:
    storage = "1.2.840.10008.5.1.4.1.1."
    kinds = {
        "104.1": "encapsulated document",
        "104.3": "encapsulated document",
        "88.59": "structured report",
        "88.50": "structured report",
        "11.1": "presentation state",
        "7.4": "secondary capture",
        "6.1": "ultrasound",
        "3.1": "ultrasound",
        "12.1": "angiography",
        "77.1.5.1": "visible light",
        "66": "raw data",
        "66.4": None,
        "4": None,
        "128": None,
    }
    assert {number: content_kind(storage + number) for number in kinds} == kinds
    assert content_kind("1.3.12.2.1107.5.9.1") is None
