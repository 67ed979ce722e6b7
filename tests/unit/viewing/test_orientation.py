"""The letters at the edges of an image, by hand-made headers (PS3.3 C.7.6.1.1.1 and C.7.6.2.1.1)."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from scandock.viewing.frame_sources import open_frames
from tests.unit.viewing.made import dataset, file_of, kept, ramp


@pytest.fixture
def edges(tmp_path):
    """The letters of a made image's frame: left, right, top, bottom; None where it has none."""

    def read(pixels: np.ndarray | None = None, frame: int = 0, **elements: Any) -> str | None:
        made = dataset(ramp(8, 8) if pixels is None else pixels, **elements)
        with open(kept(tmp_path, file_of(made)), "rb") as stream:
            found = open_frames(stream).frame(frame).orientation
        return found and " ".join(found[edge] for edge in ("left", "right", "top", "bottom"))

    return read


def tilted(degrees: float) -> list[float]:
    """Axial, tilted about the patient's left-right axis, so that the lower edge goes down to the feet."""
    return [1, 0, 0, 0, cos(radians(degrees)), -sin(radians(degrees))]


def test_letters_follow_the_direction_of_rows_and_columns(edges):
    for cosines, expected in {
        (1, 0, 0, 0, 1, 0): "R L A P",  # axial, seen from the feet
        (-1, 0, 0, 0, 1, 0): "L R A P",  # axial, seen from the head
        (1, 0, 0, 0, -1, 0): "R L P A",  # axial of one who lies on the belly
        (0, 1, 0, 0, 0, -1): "A P H F",  # sagittal
        (1, 0, 0, 0, 0, -1): "R L H F",  # coronal
        (0, -1, 0, 1, 0, 0): "P A R L",  # turned by a quarter
        tuple(tilted(10)): "R L A P",
        tuple(tilted(30)): "R L AH PF",
        tuple(tilted(60)): "R L HA FP",
        (0.8, 0.6, 0, 0, 0, -1): "RA LP H F",
        (0.577, 0.577, 0.577, 0.707, -0.707, 0): "RAF LPH RP LA",
    }.items():
        assert edges(ImageOrientationPatient=list(cosines)) == expected, cosines


def test_three_letters_stand_in_the_order_of_their_size(edges):
    assert edges(ImageOrientationPatient=[0.36, 0.48, -0.8, 0.8, -0.6, 0]) == "HAR FPL RP LA"


def test_patient_orientation_is_taken_where_nothing_else_says_it(edges):
    assert edges(PatientOrientation=["A", "F"]) == "P A H F"
    assert edges(PatientOrientation=["L", "FP"]) == "R L HA FP"
    both = {"PatientOrientation": ["P", "F"], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    assert edges(**both) == "R L A P"


def test_what_is_no_orientation_has_no_letters(edges):
    assert edges() is None
    for cosines in ([0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0], [2, 0, 0, 0, 2, 0], [1, 0, 0, 0.7, 0.7, 0]):
        assert edges(ImageOrientationPatient=cosines) is None, cosines
    for sides in ("A", ["A", ""], ["A", "X"], ["AP", "F"], ["AA", "F"], ["A", "F", "L"], ["LAFH", "F"]):
        assert edges(PatientOrientation=sides) is None, sides


def test_an_animal_on_four_legs_has_no_letters(edges):
    axial = [1, 0, 0, 0, 1, 0]
    assert edges(ImageOrientationPatient=axial, AnatomicalOrientationType="QUADRUPED") is None
    assert edges(ImageOrientationPatient=axial, AnatomicalOrientationType="BIPED") == "R L A P"


def item(sequence: str, **elements: Any) -> Dataset:
    """A functional group with one macro."""
    inner, group = Dataset(), Dataset()
    for name, value in elements.items():
        setattr(inner, name, value)
    setattr(group, sequence, [inner])
    return group


def test_each_frame_has_its_own_letters_or_those_of_all(edges):
    pixels = np.stack([ramp(8, 8)] * 2)
    own = [
        item("PlaneOrientationSequence", ImageOrientationPatient=cosines)
        for cosines in ([0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])
    ]
    shared = [item("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    groups = {"PerFrameFunctionalGroupsSequence": own, "SharedFunctionalGroupsSequence": shared}
    assert [edges(pixels, frame, **groups) for frame in (0, 1)] == ["A P H F", "R L H F"]
    assert edges(pixels, 1, SharedFunctionalGroupsSequence=shared) == "R L A P"
    sides = [item("PatientOrientationInFrameSequence", PatientOrientation=["L", "F"])]
    assert edges(pixels, 0, SharedFunctionalGroupsSequence=sides) == "R L H F"


def test_pictures_in_color_have_letters_too(edges):
    color = np.zeros((8, 8, 3), np.uint8)
    assert edges(color, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]) == "R L A P"
