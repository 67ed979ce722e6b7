"""The codes as their page documents them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "codes.md"


@cache
def read_documented_codes() -> dict[str, frozenset[int]]:
    """Code -> statuses that its rows name, in a column of their own or in brackets; none where no row names one."""
    statuses_by_code: dict[str, set[int]] = {}
    for code, rest in re.findall(r"^\| `([a-z0-9_]+)` \|(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        match = re.search(r"^ ([45]\d\d(?:, [45]\d\d)*) \||\(([45]\d\d)\)", rest)
        statuses = {int(status) for status in (match[1] or match[2]).split(", ")} if match else set()
        statuses_by_code.setdefault(code, set()).update(statuses)
    return {code: frozenset(statuses) for code, statuses in statuses_by_code.items()}
