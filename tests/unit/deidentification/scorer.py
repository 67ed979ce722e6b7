"""Scores a de-identified object as the public benchmark (MIDI-B) does: by a table of what each element has to be.

Ten kinds of check, each of which counts as much as its `score`, 0 to 1. Pixels that have to be hidden are told by the
digest of rows, in the place of reading letters in them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Check:
    """One row of the answer table: a kind, the element (a path of keywords and item numbers), what the kind needs."""

    kind: str
    path: str = ""
    text: str = ""
    rows: range = range(0)


@dataclass
class Mappings:
    """What has to be the same over all objects: UIDs as they are first met, patient ids as they were handed in."""

    patients: Mapping[str, str]
    uids: dict[str, str] = field(default_factory=dict)


def score(checks: Iterable[Check], before: Dataset, after: Dataset, mappings: Mappings) -> dict[Check, float]:
    """The score of each check."""
    return {check: float(_score(check, before, after, mappings)) for check in checks}


def _score(check: Check, before: Dataset, after: Dataset, mappings: Mappings) -> float:
    old, new = _value(before, check.path), _value(after, check.path)
    match check.kind:
        case "tag retained":
            return new is not None
        case "text not null":
            return bool(new)
        case "text retained":
            return _share(check.text, new or "")
        case "text removed":
            return 1 - _share(check.text, new or "")
        case "date shifted":
            return bool(new) and (old or "") not in (new or "")
        case "uid changed":
            return new is None or (new != old and re.fullmatch(r"[0-9.]{1,64}", new) is not None)
        case "uid consistent":
            return new is None or mappings.uids.setdefault(old or "", new) == new
        case "patient id consistent":
            return new == mappings.patients[old or ""]
        case "pixels hidden":
            return not _digests(before, check.rows) & _digests(after, check.rows)
        case "pixels retained":
            return all(a == b for a, b in zip(_rows(before, check.rows), _rows(after, check.rows), strict=True))
    raise ValueError(check.kind)


def _value(ds: Dataset, path: str) -> str | None:
    """The text of an element, numbers as numbers; None where it is not there."""
    value: Any = ds
    for step in path.split("/") if path else ():
        value = value[int(step)] if step.isdigit() and int(step) < len(value) else getattr(value, step, None)
        if value is None:
            return None
    values = value if isinstance(value, list) or hasattr(value, "append") else [value]
    return "\\".join(f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in values)


def _share(wanted: str, text: str) -> float:
    """How many of the words are there."""
    words, there = Counter(re.findall(r"\w+", wanted.casefold())), Counter(re.findall(r"\w+", text.casefold()))
    return sum((words & there).values()) / sum(words.values())


def _rows(ds: Dataset, rows: range) -> list[bytes]:
    size = ds.Columns * ds.BitsAllocated // 8
    return [ds.PixelData[row * size : (row + 1) * size] for row in rows]


def _digests(ds: Dataset, rows: range) -> set[str]:
    return {hashlib.sha256(row).hexdigest() for row in _rows(ds, rows)}
