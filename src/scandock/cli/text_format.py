"""Words for people: names made harmless, sizes, counts, durations.

Names come from archives and headers. A terminal acts on control characters in them, and rich acts on square
brackets; so whatever is shown goes through `plain`, and reaches rich as `Text`, never as markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")  # Persian and Indic names are spelled with them


def printable(text: object) -> str:
    r"""`text` in one line that does nothing to a terminal: controls, bidi marks and lone surrogates as \x1b, \u202e."""
    result = str(text)
    if result.isascii() and result.isprintable():
        return result
    return "".join(_escape(char) if unicodedata.category(char) in _HARMFUL else char for char in result)


def _escape(char: str) -> str:
    if char in _JOINERS:
        return char
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8 (surrogateescape)
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def format_count(count: int, singular: str) -> str:
    """`1 session`, `1,234 sessions`, `2 entries`."""
    plural = singular[:-1] + "ies" if singular.endswith("y") else singular + "s"
    return f"{count:,} {singular if count == 1 else plural}"


def format_duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole_seconds = round(seconds)
    if whole_seconds < 3600:
        return f"{whole_seconds // 60} min {whole_seconds % 60:02d} s"
    return f"{whole_seconds // 3600} h {whole_seconds % 3600 // 60:02d} min"


def format_counts(counts: Mapping[str, int]) -> str:
    """Counts by verdict in one line, zero ones left out: `340 stored, 2 junk`."""
    return ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count) or "no files"
