"""How often this process met the bounds of accounts, for its metrics. Counts alone: nobody's name stands here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Limit(StrEnum):
    """A bound that an account has."""

    LOGINS = "logins"
    PROJECTS = "projects"


_counts: Final = Counter(dict.fromkeys(Limit, 0))
_lock: Final = threading.Lock()


def count_limit(limit: Limit, times: int = 1) -> None:
    """What the bound ended or refused, that many times."""
    with _lock:
        _counts[limit] += times


def limit_counts() -> Mapping[Limit, int]:
    """All bounds, and what each has ended or refused since the process began."""
    with _lock:
        return dict(_counts)
