"""Byte sizes as people write them: `500MB` is 500,000,000, `2GiB` is 2,147,483,648."""

from __future__ import annotations

import re
from typing import Final

_FACTORS: Final[dict[str, int]] = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", start=1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", start=1)},
}
_SIZE: Final = re.compile(r"(\d[\d_]*)(?:\.(\d+))?\s*([a-z]*)", re.IGNORECASE | re.ASCII)


def parse_bytes(text: str) -> int:
    """Number of bytes that `text` says: a whole number, or a number with B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.

    Bare letters (`2G`) are refused: half of the world's tools mean 1000 by them, the other half 1024.
    Raises ValueError where `text` is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _FACTORS.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(text)
    integer, fraction = int(match[1]), match[2] or ""
    # in whole numbers: a float loses bytes beyond 2**53
    part = int(fraction or "0") * factor // int("1" + "0" * len(fraction))
    return integer * factor + part


def format_bytes(count: int) -> str:
    """The shortest exact writing of `count`: `50 GiB`, `1 GB`, `65535 B`; parse_bytes gives `count` back."""
    for unit in ("PiB", "PB", "TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        factor = _FACTORS[unit.lower()]
        if count and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} B"
