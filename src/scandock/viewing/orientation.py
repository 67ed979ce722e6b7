"""Towards which side of the patient the edges of an image lie: letters of PS3.3 C.7.6.1.1.1, from its header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypedDict

_AXES: Final = ("RL", "AP", "FH")
"""Of each axis of the patient (PS3.3 C.7.6.2.1.1), the side of its negative and of its positive direction."""
_OPPOSITE: Final = str.maketrans("RLAPFH", "LRPAHF")
_LETTERS: Final = re.compile(r"(?!.*(?:R.*L|L.*R|A.*P|P.*A|F.*H|H.*F|(.).*\1))[RLAPFH]{1,3}")
_LEAST: Final = 0.2
"""A direction that is within 11.5 degrees of an axis or a plane has no letter of what is beside it."""
_LENGTHS: Final = (0.9, 1.1)
_MOST_SKEW: Final = 0.1


class Orientation(TypedDict):
    """The letters at the edges of an image, as `R` or `AH`."""

    left: str
    right: str
    top: str
    bottom: str


def orientation_of_sides(row: str, column: str) -> Orientation | None:
    """By the sides that rows and columns lead to, as Patient Orientation has them; None where they are none."""
    row, column = row.strip().upper(), column.strip().upper()
    return _at_edges(row, column) if _LETTERS.fullmatch(row) and _LETTERS.fullmatch(column) else None


def orientation_of_cosines(cosines: Sequence[float]) -> Orientation | None:
    """By Image Orientation (Patient); None where its numbers are not two directions at right angles."""
    if len(cosines) != 6:
        return None
    row, column = cosines[:3], cosines[3:]
    lengths = [sum(component * component for component in direction) ** 0.5 for direction in (row, column)]
    if not all(_LENGTHS[0] < length < _LENGTHS[1] for length in lengths):
        return None
    if abs(sum(one * other for one, other in zip(row, column, strict=True))) > _MOST_SKEW:
        return None
    return _at_edges(_name_direction(row), _name_direction(column))


def _name_direction(direction: Sequence[float]) -> str:
    """The sides that a direction leads to, the nearest first."""
    named = sorted(zip(direction, _AXES, strict=True), key=lambda item: -abs(item[0]))
    return "".join(sides[component > 0] for component, sides in named if abs(component) >= _LEAST)


def _at_edges(row: str, column: str) -> Orientation:
    """By where rows and columns lead to: to the right and down."""
    return {
        "left": row.translate(_OPPOSITE), "right": row,
        "top": column.translate(_OPPOSITE), "bottom": column,
    }  # fmt: skip
