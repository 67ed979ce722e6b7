"""Secrets that stand in settings, before they are shown or logged."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
"""What stands in place of a secret."""
_USER: Final = re.compile(r"(://[^:/@]*):.*", re.DOTALL)
_WORDS: Final = ("password", "passwd", "secret")


def mask(url: str | None) -> str | None:
    """A database URL without its password, wherever that stands in it (user part or query)."""
    if url is None:
        return None
    # by hand, as passwords hold signs that a parser of URLs trips over; what is masked too much does no harm
    before, at, after = url.rpartition("@")
    masked = _USER.sub(rf"\1:{MASK}", before) + at + after
    first, *parts = masked.split("&")
    return "&".join([_mask_part(first, is_query=False), *(_mask_part(part, is_query=True) for part in parts)])


def _mask_part(part: str, *, is_query: bool) -> str:
    """What stands between two `&`, without a secret's value; `is_query`: it begins with a key, else after a `?`."""
    pieces = part.split("=")
    for at, piece in enumerate(pieces[:-1]):
        key = piece if is_query and at == 0 else piece.partition("?")[2]
        if any(word in key.lower() for word in _WORDS):
            return "=".join([*pieces[: at + 1], MASK])
    return part
