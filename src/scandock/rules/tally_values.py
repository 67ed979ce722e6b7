"""Values of attributes from what was counted over a series: agreed, most common, earliest; text made fit to show."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS, TAGS

_NUMERIC: Final = frozenset({"DS", "IS", "FD", "FL", "US", "SS", "UL", "SL"})
MAX_TEXT: Final = 4096
"""Characters kept of one attribute: values that header dumps put into LO or LT elements are cut there."""

_UNSHOWN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_DA: Final = re.compile(r"(\d{4})(\d{2})(\d{2})|(\d{4})\.(\d{2})\.(\d{2})")
_TM: Final = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,]\d*)?)?)?")


def clean_text(text: str) -> str:
    """Text without what XML, terminals and UTF-8 can't carry: controls, bidirectional overrides, lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWN.sub("", text).strip()[:MAX_TEXT]


def count_values(tally: SeriesTally, keyword: str) -> dict[str, int]:
    """Non-empty cleaned values of an element, counted; else the one in its functional groups (enhanced objects)."""
    value_counts: dict[str, int] = {}
    for text, count in tally.values.get(NUMBERS[keyword], {}).items() if keyword in NUMBERS else ():
        cleaned = clean_text(text)
        if cleaned:
            value_counts[cleaned] = value_counts.get(cleaned, 0) + count
    if not value_counts and (nested := clean_text(tally.nested.get(keyword, ""))):
        value_counts[nested] = max(tally.objects, 1)
    return value_counts


def most_common(value_counts: Mapping[str, int]) -> str:
    """The most common value; ties: the first in code-point order, so that the order of reading never shows."""
    return min(value_counts, key=lambda text: (-value_counts[text], text), default="")


def agreed_value(value_counts: Mapping[str, int]) -> str:
    """The one value that all objects with the element carry; numbers agree by value (`3`, `3.0`). Else empty."""
    if len(value_counts) <= 1:
        return next(iter(value_counts), "")
    numbers = {parse_number(text) for text in value_counts}
    return most_common(value_counts) if len(numbers) == 1 and None not in numbers else ""


def measured_value(tally: SeriesTally, keyword: str) -> str:
    """The agreed value of a parameter: numbers by value, in their shortest form (`3.7` for `3.70e+00`)."""
    value_counts = count_values(tally, keyword)
    if keyword not in NUMBERS or TAGS[NUMBERS[keyword]].vr not in _NUMERIC:
        return agreed_value(value_counts).rstrip("\\ ")
    shortened: dict[str, int] = {}
    for text, count in value_counts.items():
        short = "\\".join(map(shorten_number, split_values(text)))
        shortened[short] = shortened.get(short, 0) + count
    return agreed_value(shortened)


def shorten_number(text: str) -> str:
    """A decimal string in its shortest usual form; a text that is no number as it is."""
    value = parse_number(text)
    if value is None:
        return text
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.10g}"


def parse_number(text: str) -> float | None:
    """A decimal string as a finite number; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_date(text: str) -> dt.date | None:
    """A DA value (`YYYYMMDD`, or `YYYY.MM.DD` of ACR-NEMA) as a date that exists; None for anything else."""
    match = _DA.fullmatch(text.strip()) if text.isascii() else None
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups() if part is not None)
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def parse_time(text: str) -> dt.time | None:
    """A TM value (`HH`, `HHMM`, `HHMMSS.ffffff`, colons allowed) to the second; None for anything else."""
    match = _TM.fullmatch(text.strip()) if text.isascii() else None
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return dt.time(hour, minute, min(second, 59) if second == 60 else second)
    except ValueError:
        return None


def parse_dates(value_counts: Iterable[str]) -> list[dt.date]:
    """The readable dates among some DA values, each once, earliest first."""
    return sorted(
        {date for text in value_counts for part in text.split("\\") if (date := parse_date(part)) is not None}
    )


def parse_times(value_counts: Iterable[str]) -> list[dt.time]:
    """The readable times among some TM values, each once, earliest first."""
    return sorted(
        {time for text in value_counts for part in text.split("\\") if (time := parse_time(part)) is not None}
    )


def split_values(text: str) -> list[str]:
    """The values of a multi-valued element."""
    return [part.strip() for part in text.split("\\")]
