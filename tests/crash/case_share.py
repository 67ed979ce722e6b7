"""What `make crash` and `make hosts` go over whole (ALL_POINTS=1), and `make test`, which is to be short, by parts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

RUN_ALL: Final = bool(os.environ.get("ALL_POINTS"))


def choose_cases(part: Sequence[T], whole: Sequence[T]) -> Sequence[T]:
    """The part of the cases, or all of them."""
    return whole if RUN_ALL else part
