"""Sizes as messages and the command line write them."""

from __future__ import annotations


def format_size(count: float) -> str:
    """Bytes in three digits, decimal as file managers have them: `999 B`, `1.2 kB`, `221 MB`."""
    if count < 1000:
        return f"{int(count)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:,.0f} {unit}"
