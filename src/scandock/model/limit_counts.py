"""How often this process met bounds of accounts and of requests, for its metrics. Counts alone: no names stand here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar


class AccountLimit(StrEnum):
    """A bound that an account has."""

    LOGINS = "logins"
    PROJECTS = "projects"


class RequestLimit(StrEnum):
    """A bound on what one request may ask or say."""

    FIELDS = "fields"
    PARTS = "parts"
    PARAMETERS = "parameters"
    MEMBERS = "members"
    MAPPING_ROWS = "mapping_rows"
    MAPPING_COLUMNS = "mapping_columns"
    COLUMNS = "columns"
    VALUES = "values"
    CONDITIONS = "conditions"
    CRITERIA = "criteria"
    NAME = "name"
    PATTERN = "pattern"


K = TypeVar("K", AccountLimit, RequestLimit)
E = TypeVar("E", bound=Exception)

_counts: Final[Counter[AccountLimit | RequestLimit]] = Counter()
_lock: Final = threading.Lock()


def count_limit(limit: AccountLimit | RequestLimit, times: int = 1) -> None:
    """What the bound ended or refused, that many times."""
    with _lock:
        _counts[limit] += times


def count_exceeded(limit: RequestLimit, error: E) -> E:
    """Count what is over a bound, and give back the error that refuses it, to be raised."""
    count_limit(limit)
    return error


def limit_counts(kind: type[K]) -> Mapping[K, int]:
    """All bounds of a kind, and what each has ended or refused since the process began."""
    with _lock:
        return {limit: _counts[limit] for limit in kind}
