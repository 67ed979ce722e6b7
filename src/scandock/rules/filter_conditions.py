r"""Conditions of modality maps: `Modality = 'MR' and not SeriesDescription ~ 'MRAC'`.

The original has JavaScript here, of which nothing is run. What it ships with, the split of PET/MR sessions, is known by
its text and read as the conditions that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from scandock.model.dataclass import dataclass
from scandock.rules.java_patterns import PatternError

MAX_DEPTH: Final = 20
_TOKEN: Final = re.compile(
    r"\s*+(?:(?P<tag>\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)|[0-9A-Fa-f]{4},[0-9A-Fa-f]{4})|(?P<word>[A-Za-z]\w*+)"
    r"|(?P<text>'[^']*+'|\"[^\"]*+\")|(?P<sign>!=|!~|=|~|\(|\)))"
)
_OPERATORS: Final = ("=", "!=", "~", "!~")
_KNOWN: Final = {
    "/^yes$/i.test('#BurnedInAnnotation#')": "BurnedInAnnotation ~ '(?i)^yes$'",
    "'#Modality#' == 'PT' || ('#Modality#' == 'MR' && /^.*MRAC.*$/.test('#SeriesDescription#'))": (
        "Modality = 'PT' or (Modality = 'MR' and SeriesDescription ~ 'MRAC')"
    ),
    "'#Modality#' != 'PT' && !('#Modality#' == 'MR' && /^.*MRAC.*$/.test('#SeriesDescription#'))": (
        "Modality != 'PT' and not (Modality = 'MR' and SeriesDescription ~ 'MRAC')"
    ),
}
"""Expressions of the original's own split of PET/MR sessions, by their text with single blanks."""


class ConditionError(ValueError):
    """A condition that can't be read; says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the values of an object, of which an element that it lacks has the value ""."""

    tags: frozenset[int]
    holds: Callable[[Mapping[int, str]], bool]


class CompilePattern(Protocol):
    """Compiles a pattern to be searched for; raises PatternError."""

    def __call__(self, pattern: str, /) -> re.Pattern[str]: ...


def parse_condition(text: str, find_tag: Callable[[str], int | None], compile_pattern: CompilePattern) -> Condition:
    """Read a condition; raises ConditionError."""
    known = _KNOWN.get(" ".join(text.split()))
    parser = _Parser(known if known is not None else text, find_tag, compile_pattern)
    condition = parser.alternatives(0)
    parser.end()
    return condition


class _Parser:
    """Reads a condition from left to right: `or` binds least, then `and`, then `not`."""

    def __init__(self, text: str, find_tag: Callable[[str], int | None], compile_pattern: CompilePattern) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.find_tag = find_tag
        self.compile_pattern = compile_pattern
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ConditionError(f"{text[at : at + 20].strip()!r} can't stand there")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind]))
            at = match.end()

    def alternatives(self, depth: int) -> Condition:
        """`a or b`."""
        if depth > MAX_DEPTH:
            raise ConditionError(f"it is nested more than {MAX_DEPTH} deep")
        parts = [self._both(depth)]
        while self._skip_word("or"):
            parts.append(self._both(depth))
        if len(parts) == 1:
            return parts[0]
        return Condition(_tags_of(parts), lambda values: any(part.holds(values) for part in parts))

    def end(self) -> None:
        """Nothing may follow."""
        if self.at < len(self.tokens):
            raise ConditionError(f"{self.tokens[self.at][1]!r} can't stand there")

    def _both(self, depth: int) -> Condition:
        parts = [self._single(depth)]
        while self._skip_word("and"):
            parts.append(self._single(depth))
        if len(parts) == 1:
            return parts[0]
        return Condition(_tags_of(parts), lambda values: all(part.holds(values) for part in parts))

    def _single(self, depth: int) -> Condition:
        if self._skip_word("not"):
            if depth >= MAX_DEPTH:
                raise ConditionError(f"it is nested more than {MAX_DEPTH} deep")
            denied = self._single(depth + 1)
            return Condition(denied.tags, lambda values: not denied.holds(values))
        kind, text = self._next("an element")
        if (kind, text) == ("sign", "("):
            inner = self.alternatives(depth + 1)
            if self._next("a parenthesis") != ("sign", ")"):
                raise ConditionError("a parenthesis is not closed")
            return inner
        if kind not in ("tag", "word"):
            raise ConditionError(f"{text!r} stands where an element is to be named")
        return self._comparison(text)

    def _comparison(self, name: str) -> Condition:
        tag = self.find_tag(name)
        if tag is None:
            raise ConditionError(f"there is no element {name[:40]!r}")
        kind, operator = self._next("=, !=, ~ or !~")
        if kind != "sign" or operator not in _OPERATORS:
            raise ConditionError(f"{operator!r} stands where =, !=, ~ or !~ is to stand")
        kind, quoted = self._next("a text in quotes")
        if kind != "text":
            raise ConditionError(f"{quoted!r} stands where a text in quotes is to stand")
        text = quoted[1:-1]
        if operator in ("=", "!="):
            return Condition(frozenset({tag}), lambda values: (values.get(tag, "") == text) == (operator == "="))
        try:
            pattern = self.compile_pattern(text)
        except PatternError as error:
            raise ConditionError(str(error)) from None
        return Condition(
            frozenset({tag}), lambda values: (pattern.search(values.get(tag, "")) is not None) == (operator == "~")
        )

    def _next(self, expected: str) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise ConditionError(f"it ends where {expected} is to stand")
        self.at += 1
        return self.tokens[self.at - 1]

    def _skip_word(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == ("word", word):
            self.at += 1
            return True
        return False


def _tags_of(parts: list[Condition]) -> frozenset[int]:
    return frozenset[int]().union(*(part.tags for part in parts))
