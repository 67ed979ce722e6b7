"""Days and times as XNAT's clients write them in searches and filters, and stretches of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from scandock.model.dataclass import dataclass

_DAY: Final = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), (1, 2, 3)),
    (re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})"), (3, 1, 2)),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), (3, 1, 2)),
    (re.compile(r"(\d{4})(\d{2})(\d{2})"), (1, 2, 3)),
)
"""Forms with the groups that are year, month and day: `2026-11-24`, `11/24/2026`, `11.24.2026`, `20261124`."""
_TIME: Final = re.compile(r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d*)?)?)?Z?")
_MONTH_OR_YEAR: Final = re.compile(r"(\d{4})(?:-(\d{2}))?-?[%*]")


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of time: a second, a minute, a day, a month, or all from one of these to another."""

    begin: int
    """In Unix milliseconds, UTC."""
    end: int
    """The first that is not of it any more."""

    @property
    def first_day(self) -> str:
        return _format_day(self.begin)

    @property
    def last_day(self) -> str:
        return _format_day(self.end - 1)


def parse_day(text: str) -> TimeRange | None:
    """The day, or the minute or second, that a text says; None where it says none, or one that never was."""
    for pattern, groups in _DAY:
        match = pattern.match(text)
        time = _TIME.fullmatch(text, match.end()) if match else None
        if match and time:
            hour, minute, second = (None if group is None else int(group) for group in time.groups())
            begin = _to_ms(*(int(match[n]) for n in groups), hour or 0, minute or 0, second or 0)
            if begin is None:
                return None
            duration = (
                timedelta(days=1) if hour is None else timedelta(minutes=1) if second is None else timedelta(seconds=1)
            )
            return TimeRange(begin, begin + int(duration.total_seconds() * 1000))
    return None


def parse_month_or_year(text: str) -> TimeRange | None:
    """The year or month that a text with `%` or `*` at its end says: `2026*`, `2026-11%`; None where it says none."""
    match = _MONTH_OR_YEAR.fullmatch(text)
    if match is None:
        return None
    year, month = int(match[1]), int(match[2] or 0)
    begin = _to_ms(year, month or 1, 1)
    end = _to_ms(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1)
    return None if begin is None or end is None else TimeRange(begin, end)


def parse_days(text: str) -> TimeRange | None:
    """What a filter says: a day, a year or month with `*`, or two with `-` between; None for what is no date.

    `01/01/2018-01/01/2019` has both days in it.
    """
    single = parse_day(text) or parse_month_or_year(text)
    if single is not None:
        return single
    for index in (n for n, sign in enumerate(text) if sign == "-"):
        first, last = parse_day(text[:index].strip()), parse_day(text[index + 1 :].strip())
        if first is not None and last is not None:
            return TimeRange(first.begin, last.end)
    return None


def _format_day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d}"


def _to_ms(*parts: int) -> int | None:
    try:
        return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
