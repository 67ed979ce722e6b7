"""Timestamps of the prearchive: `yyyyMMdd_HHmmssSSS`, one for each session (xnat-behaviour.md 5.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta


def timestamp_of(moment: datetime) -> str:
    """A moment as the prearchive writes it."""
    return f"{moment:%Y%m%d_%H%M%S}{moment.microsecond // 1000:03d}"


def free_timestamp(now: datetime, is_taken: Callable[[str], bool]) -> str:
    """The first timestamp from `now` on that is not taken, milliseconds counted up."""
    while is_taken(stamp := timestamp_of(now)):
        now += timedelta(milliseconds=1)
    return stamp
