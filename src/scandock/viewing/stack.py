"""The stack of a scan: in which order its images are shown. By place in space, then by time, echo and number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Final, NamedTuple

from scandock.model.dataclass import dataclass

_NEAR: Final = 0.01
"""Millimetres within which two images are at the same place."""


class StackImage(NamedTuple):
    """One image of a stack: a frame (from 0) of a file (its number in the session), and where it is in the stack.

    `turn` counts the images at one place: times, echoes. `position` is the first pixel's, in mm (PS3.3 C.7.6.2).
    """

    file: int
    frame: int
    place: int
    turn: int
    instance: int | None
    time: str | None
    position: list[float] | None


@dataclass(slots=True)
class Stack:
    """Images in the order in which they are shown; `reasons` tells of files that have none."""

    images: list[StackImage] = field(default_factory=list)
    reasons: list[tuple[int, str]] = field(default_factory=list)
    note: str = ""

    @property
    def places(self) -> int:
        return self.images[-1].place + 1 if self.images else 0

    @property
    def turns(self) -> int:
        return max((image.turn for image in self.images), default=-1) + 1

    @property
    def middle(self) -> int:
        """The image that stands for all: the first at the place in the middle."""
        middle_place = self.places // 2
        return next((at for at, image in enumerate(self.images) if image.place == middle_place), 0)

    def to_json(self) -> str:
        return json.dumps([self.images, self.reasons, self.note], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Stack:
        images, reasons, note = json.loads(text)
        return cls([StackImage(*image) for image in images], [(int(n), str(why)) for n, why in reasons], str(note))


def sort_images(files: Iterable[tuple[int, int, list[list[Any]]]]) -> list[StackImage]:
    """The images of files, each as (resource, number, images as `places.images_of` gives them), in order."""
    groups: dict[tuple[Any, ...], list[tuple[int, list[Any]]]] = {}
    for resource, number, images in files:
        for image in images:
            direction = image[1]
            key = (resource, direction is None or image[2] is None, *(direction or ()))
            groups.setdefault(key, []).append((number, image))
    ordered = sorted(
        groups.items(), key=lambda item: (item[0][0], item[0][1], min(_instance_key(image) for image in item[1]))
    )
    stack_images: list[StackImage] = []
    for key, group in ordered:
        places = [[item] for item in sorted(group, key=_number_key)] if key[1] else _group_by_position(group)
        if len(places) == 1:
            places = [[item] for item in places[0]]
        for place in places:
            at = stack_images[-1].place + 1 if stack_images else 0
            stack_images.extend(
                StackImage(number, image[0], at, turn, image[7], image[6], image[8])
                for turn, (number, image) in enumerate(place)
            )
    return stack_images


def _group_by_position(numbered_images: list[tuple[int, list[Any]]]) -> list[list[tuple[int, list[Any]]]]:
    """Images of one direction by where they are; those at one place by what tells them apart."""
    places: list[list[tuple[int, list[Any]]]] = []
    before = 0.0
    for numbered_image in sorted(numbered_images, key=lambda numbered_image: numbered_image[1][2]):
        along = numbered_image[1][2]
        if places and along - before < _NEAR:
            places[-1].append(numbered_image)
        else:
            places.append([numbered_image])
        before = along
    for place in places:
        place.sort(key=_turn_key)
    return places


def _instance_key(numbered_image: tuple[int, list[Any]]) -> tuple[Any, ...]:
    return (_none_last(numbered_image[1][7]), numbered_image[0], numbered_image[1][0])


def _turn_key(numbered_image: tuple[int, list[Any]]) -> tuple[Any, ...]:
    """What images at one place are sorted by: moment, echo, diffusion weighting, time, number."""
    _, _, _, temporal, echo, b, time, _, _ = numbered_image[1]
    return (_none_last(temporal), _none_last(echo), _none_last(b), time or "", *_instance_key(numbered_image))


def _number_key(numbered_image: tuple[int, list[Any]]) -> tuple[Any, ...]:
    """What images without a place are sorted by."""
    return (
        _none_last(numbered_image[1][7]),
        _none_last(numbered_image[1][3]),
        numbered_image[1][6] or "",
        numbered_image[0],
        numbered_image[1][0],
    )


def _none_last(value: float | None) -> tuple[bool, float]:
    """A key that puts what is not said behind what is."""
    return (value is None, value or 0)
