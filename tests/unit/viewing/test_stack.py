"""The order of a scan's images, whatever order their files come in."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from scandock.viewing.frame_positions import read_positions
from scandock.viewing.stack import Stack, sort_images
from tests.unit.viewing.made import dicom, kept, ramp

AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]


def places(tmp_path: Path, objects: list[dict]) -> list[tuple[int, int, list]]:
    """(resource, number of the file, images) of made objects."""
    found = []
    for number, elements in enumerate(objects):
        with open(kept(tmp_path, dicom(ramp(8, 8), **elements)), "rb") as stream:
            found.append((0, number, read_positions(stream)))
    return found


def order(found: list[tuple[int, int, list]]) -> list[int]:
    return [image.file for image in sort_images(found)]


def slices(heights, **more):
    return [{"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, z], **more} for z in heights]


def test_slices_go_from_the_feet_up_whatever_their_numbers_say(tmp_path):
    found = places(tmp_path, [{**one, "InstanceNumber": 9 - at} for at, one in enumerate(slices([30, -10, 5.5, 0]))])
    assert order(found) == [1, 3, 2, 0]
    for _ in range(5):
        random.Random(1).shuffle(found)
        assert order(found) == [1, 3, 2, 0]


def test_images_at_one_place_follow_each_other_in_time_and_echo(tmp_path):
    timed = [
        {**one, "TemporalPositionIdentifier": moment, "InstanceNumber": 1}
        for moment in (2, 1, 3)
        for one in slices([10, 0])
    ]
    found = sort_images(places(tmp_path, timed))
    assert [(image.file, image.place, image.turn) for image in found] == [
        (3, 0, 0), (1, 0, 1), (5, 0, 2), (2, 1, 0), (0, 1, 1), (4, 1, 2),
    ]  # fmt: skip
    echoes = [{**one, "EchoTime": echo} for echo in (90, 12.5) for one in slices([0, 10])]
    assert order(places(tmp_path, echoes)) == [2, 0, 3, 1]


def test_a_localizer_shows_one_direction_after_the_other(tmp_path):
    axial = slices([0, 10], InstanceNumber=5)
    sagittal = [
        {"ImageOrientationPatient": SAGITTAL, "ImagePositionPatient": [x, 0, 0], "InstanceNumber": 1} for x in (4, -4)
    ]
    found = sort_images(places(tmp_path, [axial[0], sagittal[0], axial[1], sagittal[1]]))
    assert sorted(image.file for image in found[:2]) == [1, 3]
    assert [image.file for image in found[2:]] == [0, 2]
    assert [image.place for image in found] == [0, 1, 2, 3]


def test_images_without_a_place_follow_their_numbers(tmp_path):
    assert order(places(tmp_path, [{"InstanceNumber": 3}, {"InstanceNumber": 1}, {}, {"InstanceNumber": 2}])) == [
        1, 3, 0, 2,
    ]  # fmt: skip


def test_a_film_at_one_place_is_a_row_of_places(tmp_path):
    found = sort_images(places(tmp_path, [{**slices([7])[0], "AcquisitionTime": f"12000{n}"} for n in (2, 0, 1)]))
    assert [(image.file, image.place, image.turn) for image in found] == [(1, 0, 0), (2, 1, 0), (0, 2, 0)]


def test_positions_that_differ_by_rounding_are_one_place(tmp_path):
    found = sort_images(places(tmp_path, slices([0, 0.004, 5, 5.003])))
    assert [image.place for image in found] == [0, 0, 1, 1]


@pytest.mark.parametrize("position", [[0, 0], ["", "", ""], [float("inf"), 0, 0], ["1e400", 0, 0]])
def test_positions_that_are_none_are_told_as_none(tmp_path, position):
    raw = dicom(ramp(8, 8), ImageOrientationPatient=AXIAL, ImagePositionPatient=[0, 0, 7], InstanceNumber=4)
    text = "\\".join(str(one) for one in position).encode()
    text += b" " * (len(text) % 2)
    at = raw.index(b"\x20\x00\x32\x00DS") + 6
    raw = raw[:at] + len(text).to_bytes(2, "little") + text + raw[at + 2 + int.from_bytes(raw[at : at + 2], "little") :]
    with open(kept(tmp_path, raw), "rb") as stream:
        ((_, direction, along, *_, instance, shown),) = read_positions(stream)
    assert (direction, along, instance, shown) == (None, None, 4, None)


def test_frames_of_one_file_are_images_of_their_own(tmp_path):
    import numpy as np

    raw = dicom(np.stack([ramp(8, 8)] * 5), ImageOrientationPatient=AXIAL, ImagePositionPatient=[0, 0, 7])
    with open(kept(tmp_path, raw), "rb") as stream:
        found = sort_images([(0, 3, read_positions(stream))])
    assert [(image.file, image.frame, image.place) for image in found] == [(3, n, n) for n in range(5)]


def test_the_middle_is_the_first_image_at_the_place_in_the_middle(tmp_path):
    stack = Stack(sort_images(places(tmp_path, [one for _ in range(2) for one in slices([0, 1, 2, 3, 4])])))
    assert (stack.places, stack.turns, stack.middle) == (5, 2, 4)
    assert Stack().middle == 0


def test_what_is_kept_of_a_stack_gives_it_back(tmp_path):
    stack = Stack(sort_images(places(tmp_path, slices([0, 1, 2]))), [(7, "why")], "note")
    again = Stack.from_json(stack.to_json())
    assert (again.images, again.reasons, again.note) == (stack.images, stack.reasons, stack.note)


def test_pixels_are_not_read_for_a_place(tmp_path, monkeypatch):
    read = 0
    pread = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        nonlocal read
        found = pread(fd, count, offset)
        read += len(found)
        return found

    monkeypatch.setattr(os, "pread", counted)
    with open(kept(tmp_path, dicom(ramp(512, 512), **slices([1])[0])), "rb") as stream:
        read_positions(stream)
        assert stream.tell() == 0
    assert read <= 65_536
