"""Days and times as XNAT's clients write them in searches and filters, and stretches of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_DAY: Final = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), (1, 2, 3)),
    (re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})"), (3, 1, 2)),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), (3, 1, 2)),
    (re.compile(r"(\d{4})(\d{2})(\d{2})"), (1, 2, 3)),
)
"""Forms with the groups that are year, month and day: `2026-11-24`, `11/24/2026`, `11.24.2026`, `20261124`."""
_TIME: Final = re.compile(r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d*)?)?)?Z?")
_STARTS: Final = re.compile(r"(\d{4})(?:-(\d{2}))?-?[%*]")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time: a second, a minute, a day, a month, or all from one of these to another."""

    begin: int
    """In Unix milliseconds, UTC."""
    end: int
    """The first that is not of it any more."""

    @property
    def first_day(self) -> str:
        return _iso(self.begin)

    @property
    def last_day(self) -> str:
        return _iso(self.end - 1)


def one_of_days(text: str) -> Stretch | None:
    """The day, or the minute or second, that a text says; None where it says none, or one that never was."""
    for pattern, groups in _DAY:
        found = pattern.match(text)
        time = _TIME.fullmatch(text, found.end()) if found else None
        if found and time:
            hour, minute, second = (None if one is None else int(one) for one in time.groups())
            begin = _ms(*(int(found[n]) for n in groups), hour or 0, minute or 0, second or 0)
            if begin is None:
                return None
            long = (
                timedelta(days=1) if hour is None else timedelta(minutes=1) if second is None else timedelta(seconds=1)
            )
            return Stretch(begin, begin + int(long.total_seconds() * 1000))
    return None


def beginning_with(text: str) -> Stretch | None:
    """The year or month that a text with `%` or `*` at its end says: `2026*`, `2026-11%`; None where it says none."""
    starts = _STARTS.fullmatch(text)
    if starts is None:
        return None
    year, month = int(starts[1]), int(starts[2] or 0)
    begin = _ms(year, month or 1, 1)
    end = _ms(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1)
    return None if begin is None or end is None else Stretch(begin, end)


def days_of(text: str) -> Stretch | None:
    """What a filter says: a day, a year or month with `*`, or two with `-` between; None for what is no date.

    `01/01/2018-01/01/2019` has both days in it.
    """
    known = one_of_days(text) or beginning_with(text)
    if known is not None:
        return known
    for at in (n for n, sign in enumerate(text) if sign == "-"):
        first, last = one_of_days(text[:at].strip()), one_of_days(text[at + 1 :].strip())
        if first is not None and last is not None:
            return Stretch(first.begin, last.end)
    return None


def _iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d}"


def _ms(*parts: int) -> int | None:
    try:
        return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
