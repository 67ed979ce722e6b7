"""Dates moved by whole days, by one number of days for all that a project has of a patient (option modified-dates).

Times of day stay, so that intervals hold to the second: between visits, and between the injection of a tracer and the
images of it. What can't be read as a date becomes empty.
"""

from __future__ import annotations

import hmac
import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

LONGEST: Final = 3650
"""Days that dates move back at most."""
_CACHED: Final = 20_000
_PATIENTS: Final = 1_000
_LONGEST_CACHED: Final = 256
"""Bytes of a value whose shifted dates are kept in memory."""
_DATE: Final = re.compile(rb"(\d{4})(\.?)(\d{2})\2(\d{2})")
_DATETIME: Final = re.compile(
    rb"(\d{4})(?:(\d{2})(?:(\d{2})((?:\d{2}(?:\d{2}(?:\d{2})?)?)?(?:\.\d{1,6})?))?)?([+-]\d{4})?"
)
_TIME: Final = re.compile(rb"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?")
_PATTERNS: Final = {"DA": _DATE, "DT": _DATETIME, "TM": _TIME}


@lru_cache(maxsize=_PATIENTS)
def days_of_patient(key: bytes, project: str, patient: str) -> int:
    """The days, -3650 to -1, by which a patient's dates move in a project; `patient` is an id, or a study's UID."""
    digest = hmac.digest(key, f"days\0{project}\0{patient}".encode(), "sha256")
    return -1 - int.from_bytes(digest[:8], "big") % LONGEST


def shift_dates(value: bytes, days: int) -> bytes:
    """The value of a DA element, each of its dates moved; those that can't be read are empty."""
    return _shifted_dates(value, days) if len(value) <= _LONGEST_CACHED else _shifted_dates.__wrapped__(value, days)


@lru_cache(maxsize=_CACHED)
def _shifted_dates(value: bytes, days: int) -> bytes:
    return b"\\".join(_shifted_date(part.strip(b" \0"), days) for part in value.split(b"\\"))


def shift_datetimes(value: bytes, days: int) -> bytes:
    """The value of a DT element, the date part of each moved; those that can't be read are empty.

    A year or month alone moves as its middle day does, and stays a year or month.
    """
    return b"\\".join(_shifted_datetime(part.strip(b" \0"), days) for part in value.split(b"\\"))


def readable_dates(value: bytes, vr: str) -> bytes:
    """The value of a DA, DT or TM element as it is, but for what can't be read as such: that is empty."""
    pattern = _PATTERNS[vr]
    if pattern.fullmatch(value):
        return value
    parts = [part.strip(b" \0") for part in value.split(b"\\")]
    return (
        value
        if all(pattern.fullmatch(p) or not p for p in parts)
        else b"\\".join(part if pattern.fullmatch(part) else b"" for part in parts)
    )


def _shifted_date(text: bytes, days: int) -> bytes:
    match = _DATE.fullmatch(text)
    return _moved(int(match[1]), int(match[3]), int(match[4]), days) if match else b""


def _shifted_datetime(text: bytes, days: int) -> bytes:
    match = _DATETIME.fullmatch(text)
    if match is None:
        return b""
    year, month, day, time, zone = match.groups()
    if month is None:
        return _with_zone(_moved(int(year), 7, 1, days)[:4], zone)
    if day is None:
        if not 1 <= int(month) <= 12 or int(year) < 1:
            return b""
        from calendar import monthrange  # it takes longer to load than most modules of readers

        middle = monthrange(int(year), int(month))[1] // 2 + 1
        return _with_zone(_moved(int(year), int(month), middle, days)[:6], zone)
    return _with_zone(_moved(int(year), int(month), int(day), days), (time or b"") + (zone or b""))


def _with_zone(moved: bytes, rest: bytes | None) -> bytes:
    return moved + (rest or b"") if moved else b""


def _moved(year: int, month: int, day: int, days: int) -> bytes:
    try:
        return (date(year, month, day) + timedelta(days=days)).strftime("%Y%m%d").rjust(8, "0").encode()
    except (ValueError, OverflowError):
        return b""
