"""Timestamps of the prearchive: `yyyyMMdd_HHmmssSSS` (xnat-behaviour.md 5.1)."""

from __future__ import annotations

from datetime import datetime


def timestamp_of(moment: datetime) -> str:
    """A moment as the prearchive writes it, in the moment's own zone."""
    return f"{moment:%Y%m%d_%H%M%S}{moment.microsecond // 1000:03d}"
