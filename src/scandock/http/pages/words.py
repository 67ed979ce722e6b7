"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size(count: int | None) -> str:
    """12,3 MB is `12.3 MB`; decimal units, as file managers show them."""
    value, unit = float(count or 0), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 99.95 else f"{value:.1f} {_UNITS[unit]}"


def number(count: int | None) -> str:
    """With thin spaces between thousands, which no line breaks at."""
    return f"{count or 0:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def moment(ms: int | None) -> str:
    """Unix milliseconds as ISO 8601 in UTC, for <time datetime>."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def segment(text: object) -> str:
    """One segment of an address."""
    return quote(str(text), safe="")


SAID: Final = {
    "project-made": "The project is made.",
    "import-cancelled": "The import is being cancelled.",
    "import-retried": "The import is tried again.",
    "logged-out": "You are logged out.",
}
"""What a page says of the change that led to it, by the word in its address: an address never brings a sentence."""

FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "size": size,
    "number": number,
    "plural": plural,
    "moment": moment,
    "day": day,
    "segment": segment,
}
