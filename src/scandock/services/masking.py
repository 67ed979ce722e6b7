"""Secrets that stand in settings, before they are shown or logged."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
"""What stands in place of a secret."""


def mask(url: str | None) -> str | None:
    """A database URL without its password, wherever that stands in it (user part or query)."""
    if url is None:
        return None
    # by hand, as passwords hold signs that a parser of URLs trips over; what is masked too much does no harm
    masked = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:password|passwd|secret)[^=&]*=)[^&]*", r"\1***", masked)
