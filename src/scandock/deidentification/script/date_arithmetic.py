"""Dates and times of DICOM moved by an increment, as precise as they were (DicomEdit 6).

What a value leaves out counts as its middle: 1 July of a year, noon of a day, half past an hour. The sum is cut to the
precision that the value had; a fraction of a second and a time zone are carried over as they stand.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

_WRITTEN: Final = re.compile(
    r"(?P<number>(?P<year>\d{4})(?:(?P<month>\d{2})(?:(?P<day>\d{2})(?:(?P<hour>\d{2})(?:(?P<minute>\d{2})"
    r"(?P<second>\d{2})?)?)?)?)?)(?P<rest>(?:\.\d{1,6})?(?:[+-]\d{4})?)",
    re.ASCII,
)
_UNITS: Final = {
    "years": timedelta(days=365),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
}
_INCREMENT: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_MOST: Final = 2**31
"""The original counts in 32 bits."""


class DateError(ValueError):
    """A value that is no date, or a sum that is none; says why without quoting it."""


def midpoint(text: str) -> datetime:
    """The moment that a date or time of DICOM stands for. Raises DateError."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise DateError("a value is no date or time")
    try:
        return _middle(match)
    except ValueError:
        raise DateError("a value is no date or time") from None


def shift(text: str, increment: str, unit: str) -> str:
    """A date or time moved by `increment` of `unit` (years are 365 days). Raises DateError."""
    step = _UNITS.get(unit)
    if step is None:
        raise DateError("a unit is none of years, days, hours, minutes, seconds")
    if _INCREMENT.fullmatch(increment) is None or abs(int(increment)) >= _MOST:
        raise DateError("an increment is no whole number")
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise DateError("a value is no date or time")
    try:
        moved = _middle(match) + step * int(increment)
    except (ValueError, OverflowError):
        raise DateError("a value, or what it becomes, is no date or time") from None
    digits = f"{moved.year:04}{moved.month:02}{moved.day:02}{moved.hour:02}{moved.minute:02}{moved.second:02}"
    return digits[: len(match["number"])] + match["rest"]


def _middle(match: re.Match[str]) -> datetime:
    year = int(match["year"])
    if match["month"] is None:
        return datetime(year, 7, 1)  # noqa: DTZ001 - of whatever zone the value is
    month = int(match["month"])
    if match["day"] is None:
        days = monthrange(year, month)[1] if 1 <= month <= 12 else 0
        return datetime(year, month, days // 2 + 1, 12 if days % 2 else 0)  # noqa: DTZ001
    day = int(match["day"])
    if match["hour"] is None:
        return datetime(year, month, day, 12)  # noqa: DTZ001
    hour = int(match["hour"])
    if match["minute"] is None:
        return datetime(year, month, day, hour, 30)  # noqa: DTZ001
    return datetime(  # noqa: DTZ001
        year, month, day, hour, int(match["minute"]), 30 if match["second"] is None else int(match["second"])
    )
