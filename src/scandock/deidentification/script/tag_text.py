"""Tags and paths as scripts write them, from text to steps; and direct notation, of `set` and `delete` alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, cast

from scandock.deidentification.script.syntax import ANY_ITEM, LevelStep, Path, Step, TagPattern, TagStep

MOST_STEPS: Final = 32
MOST_ITEMS: Final = 9_999
"""The highest number of an item."""
_WILDCARDS: Final = {"X": (0, 0), "@": (0, 1), "#": (1, 1)}
_PRIVATE: Final = re.compile(r"\(([^, \t]+)[ \t]*,[ \t]*\{([^}]+)\}(..)\)")
_TAG: Final = (
    r"\((?:[0-9A-Fa-fXx@#]{3}[02468ACEace@][ \t]*,[ \t]*[0-9A-Fa-fXx@#]{4}"
    r"|[0-9A-Fa-fXx@#]{3}[13579BDFbdf#][ \t]*,[ \t]*\{[^}\r\n]+\}[0-9A-Fa-fXx@#]{2})\)"
)
_STEP: Final = re.compile(
    rf"[ \t]*(?:({_TAG})[ \t]*+(?:\[[ \t]*(0|[1-9][0-9]{{0,5}}|%)[ \t]*\])?|([*+.]))[ \t]*(?:/|\Z)"
)
_DIRECT: Final = re.compile(
    r"[ \t]*\(([0-9A-Fa-f]{4})[ \t]*,[ \t]*([0-9A-Fa-f]{4})\)(?:\[[ \t]*(0|[1-9][0-9]{0,5})[ \t]*\])?[ \t]*(?:/|\Z)"
)


class PathError(ValueError):
    """A text that is no path; says why without quoting it."""


def read_tag(text: str) -> TagPattern:
    """The tag of a token, `(gggg,eeee)` or `(gggg,{CREATOR}ee)`."""
    private = _PRIVATE.fullmatch(text)
    if private is None:
        group, element = text[1:-1].split(",")
        return TagPattern(*_digits(group.strip() + element.strip()))
    group, creator, element = private.groups()
    value, mask = _digits(group + "00" + element)
    return TagPattern(value, mask & ~0xFF00, creator.strip())


def _digits(text: str) -> tuple[int, int]:
    value = mask = 0
    for digit in text.upper():
        bits, known = _WILDCARDS.get(digit) or (int(digit, 16), 15)
        value, mask = value << 4 | bits, mask << 4 | known
    return value, mask


@lru_cache(maxsize=1024)
def read_path(text: str) -> Path:
    """A path that stands in quotes, as older scripts have it. Raises PathError."""
    steps: list[Step] = []
    for match in _steps(_STEP.match, text):
        tag, item, level = match.groups()
        if level:
            steps.append(LevelStep(cast("Any", level)))
        else:
            steps.append(TagStep(read_tag(tag), ANY_ITEM if item == "%" else _item(item)))
    return Path(tuple(steps), text.strip())


@lru_cache(maxsize=1024)
def read_direct(text: str) -> tuple[tuple[int, int | None], ...]:
    """Tags and item numbers of direct notation, where private elements stand by their numbers. Raises PathError."""
    steps = tuple((int(match[1] + match[2], 16), _item(match[3])) for match in _steps(_DIRECT.match, text))
    if any(item is None for _, item in steps[:-1]):
        raise PathError("a path in direct notation leads through a sequence without the number of an item")
    return steps


def _steps(match_step: Callable[[str, int], re.Match[str] | None], text: str) -> list[re.Match[str]]:
    at = 0
    matches: list[re.Match[str]] = []
    while at < len(text) or text[at - 1 : at] == "/" or not matches:
        match = match_step(text, at)
        if match is None:
            raise PathError("a text is no path")
        matches.append(match)
        at = match.end()
        if len(matches) > MOST_STEPS:
            raise PathError(f"a path has more than {MOST_STEPS} steps")
    return matches


def _item(text: str | None) -> int | None:
    if text is None:
        return None
    if int(text) > MOST_ITEMS:
        raise PathError(f"an item has a higher number than {MOST_ITEMS}")
    return int(text)
