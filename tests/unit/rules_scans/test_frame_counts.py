"""How many images a file counts for."""

from __future__ import annotations

import pytest

from scandock.model.tags import NUMBERS
from scandock.rules.frame_counts import count_ecat_frames, count_object_frames
from scandock.rules.sop_classes import ROOT
from tests.unit.rules_sessions.builders import ecat_facts

FRAMES, MODALITY = NUMBERS["NumberOfFrames"], NUMBERS["Modality"]


SAID = {b"12": 12, b"4 ": 4, b"3\0": 3, b"5\\6": 5, b"0": 1, b"-3": 1, b"": 1, b"1A": 1, b"9" * 40: 2**31 - 1}


@pytest.mark.parametrize(("said", "frames"), SAID.items())
def test_an_image_counts_for_its_frames_and_for_one_where_it_says_none_that_can_be(said, frames):
    assert count_object_frames(ROOT + "4.1", {FRAMES: said}) == frames
    assert count_object_frames(ROOT + "4.1", {}) == 1


@pytest.mark.parametrize("suffix", ["66", "88.33", "11.1", "4.2"])
def test_what_has_no_pixels_counts_for_none_whatever_it_says(suffix):
    assert count_object_frames(ROOT + suffix, {FRAMES: b"7"}) == 0


def test_a_private_class_goes_by_its_modality():
    assert count_object_frames("1.2.3", {FRAMES: b"7", MODALITY: b"MR"}) == 7
    assert count_object_frames("1.2.3", {FRAMES: b"7", MODALITY: b"SR "}) == 0


@pytest.mark.parametrize("file_type", [2, 6, 7, 10])
def test_an_ecat_image_counts_for_the_frames_of_its_header(file_type):
    facts = ecat_facts()._replace(file_type=file_type, num_frames=4)
    assert count_ecat_frames(facts) == 4
    assert count_ecat_frames(facts._replace(num_frames=0, frames=((1, 0.0, 1.0), (2, 1.0, 1.0)))) == 2
    assert count_ecat_frames(facts._replace(num_frames=0)) == 1


@pytest.mark.parametrize("file_type", [1, 3, 4, 11, 13])
def test_ecat_raw_data_counts_for_none(file_type):
    assert count_ecat_frames(ecat_facts()._replace(file_type=file_type, num_frames=4)) == 0
