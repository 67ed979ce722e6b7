"""Labels of many sessions by one pattern: text with names in braces, filled in for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from scandock.rules.errors import PatternUnknown

NAMES: Final = ("label", "subject", "date", "n")
"""The session's own label and subject, its date as 20260131, and its number among those that are chosen."""

_BRACES: Final = re.compile(r"\{([^{}]*)\}")


def fill_pattern(pattern: str, values: Mapping[str, str]) -> str | None:
    """What a pattern gives; None for an empty one, which leaves things as they are. Usage `pattern_unknown`."""
    if not pattern:
        return None
    unknown = [name for name in _BRACES.findall(pattern) if name not in NAMES]
    rest = _BRACES.sub("", pattern)
    if unknown or "{" in rest or "}" in rest:
        raise PatternUnknown(pattern[:100], ", ".join(NAMES))
    return _BRACES.sub(lambda match: values[match[1]], pattern)
