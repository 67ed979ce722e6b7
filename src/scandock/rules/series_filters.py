r"""Series import filters as XNAT has them: which objects of an upload are taken, by what their headers say.

A filter is a list of lines with a mode (`whitelist`, `blacklist`), or a map of names to conditions (`modalityMap`). A
line is a pattern that is searched for in a value, without regard to case, or `EXISTS` or `!EXISTS`. `[...]` names the
element of the lines below it, SeriesDescription at first. The first line that matches decides; where none does, a
whitelist leaves the object out and a blacklist takes it (docs/filters.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final, NamedTuple

from scandock.model.dataclass import dataclass
from scandock.model.tags import NUMBERS
from scandock.rules.errors import FilterUnreadable
from scandock.rules.filter_conditions import Condition, ConditionError, parse_condition
from scandock.rules.java_patterns import PatternError, compile_pattern

WHITELIST: Final = "whitelist"
BLACKLIST: Final = "blacklist"
MODALITY_MAP: Final = "modalityMap"
MODES: Final = (WHITELIST, BLACKLIST, MODALITY_MAP)
MAX_VALUE: Final = 300
"""Characters of a value that are looked at."""
MAX_TEXT: Final = 64 * 1024
MAX_LINES: Final = 2_000
NO_LINE: Final = "no line matches"
"""What is said in the place of a line where none decided."""
_LINES_NAMED: Final = 20
_NOT_CONDITIONS: Final = frozenset({"mode", "enabled", "projectId", "list", "default", "strict"})
_SECTION: Final = re.compile(r"\[([^\[\]]*)\]")
_NUMBER: Final = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)|([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})")
_PIXELS: Final = 0x7FE00000
"""The group of pixel data, where the reading of a header ends."""
_EXISTS: Final = "EXISTS"
_NOT_EXISTS: Final = "!EXISTS"
_SERIES_DESCRIPTION: Final = NUMBERS["SeriesDescription"]

Values = Mapping[int, str]
"""The texts of the elements that an object has, by number; one that it lacks is not in it."""


class FilterDecision(NamedTuple):
    """Whether an object is taken, and what decided: `line 3`, the name of a condition, or that no line matches."""

    accepted: bool
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterText:
    """A filter as it is written: its mode and its lines, or the conditions of a modality map."""

    mode: str
    lines: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Of a modality map: `exclude` and others, in their order."""
    default: str = ""
    """Of a modality map: what an object is taken as for which no condition holds; with "" it is left out."""
    strict: bool = False
    """Of a modality map: no condition holds for an object that lacks an element which it names."""
    enabled: bool | None = None
    """As the document says it; None where it says nothing. No part of the text that is kept."""

    def to_document(self) -> str:
        """The text that is kept: JSON as XNAT has it, without what is no part of the filter's text."""
        values: dict[str, Any] = {"mode": self.mode}
        if self.mode == MODALITY_MAP:
            values |= self.conditions
            values |= {"default": self.default} if self.default else {}
            values |= {"strict": "true"} if self.strict else {}
        else:
            values["list"] = self.lines
        return json.dumps(values, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterLine:
    """A line: the element that it looks at, and what it looks for."""

    number: int
    """Of the line, from 1."""
    tag: int
    exists: bool = False
    """What the line asks where it has no pattern: whether the element is there, or is not."""
    pattern: re.Pattern[str] | None = None

    def matches(self, values: Values) -> bool:
        """Whether an object matches the line; one without the element matches `!EXISTS` alone."""
        value = values.get(self.tag)
        if self.pattern is None:
            return (value is not None) == self.exists
        return value is not None and self.pattern.search(value[:MAX_VALUE]) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFilter:
    """A filter that can be asked."""

    tags: frozenset[int]
    """The elements that it looks at."""
    decide: Callable[[Values], FilterDecision]


def read_document(text: str) -> FilterText:
    """A filter as JSON, XNAT's configuration of it. Usage `filter_unreadable`."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FilterUnreadable(f"The filter can't be read as JSON from {where} on.") from None
    except (ValueError, RecursionError):  # a number of too many digits, lists in lists in lists
        raise FilterUnreadable("The filter can't be read as JSON.") from None
    if not isinstance(values, dict):
        raise FilterUnreadable("The filter is no JSON object with mode and list.")
    mode, lines = values.get("mode"), values.get("list", "")
    if not isinstance(mode, str) or mode not in MODES:
        raise _unknown_mode(mode)
    enabled = _read_flag(values, "enabled")
    if mode != MODALITY_MAP:
        if not isinstance(lines, str):
            raise FilterUnreadable("The list of the filter is no text.", "Write it as one text with line ends.")
        return FilterText(mode=mode, lines=_plain_line_ends(lines), enabled=enabled)
    conditions = {name: value for name, value in values.items() if name not in _NOT_CONDITIONS}
    for name, value in (*conditions.items(), ("default", values.get("default", ""))):
        if not isinstance(value, str):
            raise FilterUnreadable(f"{name[:40]!r} of the modality map is no text.")
    return FilterText(
        mode=mode,
        conditions=conditions,
        default=values.get("default", ""),
        strict=_read_flag(values, "strict") or False,
        enabled=enabled,
    )


def read_lines(text: str, mode: str) -> FilterText:
    """A filter as the lines of a text. Usage `filter_unreadable` for a mode that there is not."""
    if mode not in MODES:
        raise _unknown_mode(mode)
    if mode == MODALITY_MAP:
        raise FilterUnreadable(
            "A modality map is no list of lines.", 'Write it as JSON: {"mode": "modalityMap", "exclude": ...}.'
        )
    return FilterText(mode=mode, lines=_plain_line_ends(text.removeprefix("\N{BYTE ORDER MARK}")))


def read_typed(text: str, mode: str) -> FilterText:
    """A filter as somebody typed it: lines, or JSON where the mode is a modality map. Usage `filter_unreadable`."""
    return read_document(text) if mode == MODALITY_MAP else read_lines(text, mode)


def parse_filter(text: FilterText) -> SeriesFilter:
    """The filter of a text. Usage `filter_unreadable` naming every line that can't be read."""
    if len(text.to_document().encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise FilterUnreadable(f"The filter has more than {MAX_TEXT:,} bytes.", "Shorten it.")
    if text.mode == MODALITY_MAP:
        if text.lines:
            raise FilterUnreadable("A modality map has conditions, and no lines.", "Choose another mode for lines.")
        return _parse_map(text)
    if text.conditions or text.default or text.strict:
        raise FilterUnreadable("A list of lines has no conditions.", "Choose the mode modalityMap for conditions.")
    return _parse_lines(text)


def find_tag(name: str) -> int | None:
    """The number of an element of headers by `(gggg,eeee)`, `gggg,eeee` or its keyword; None where there is none."""
    number = _find_number(name)
    return number if number is not None and number < _PIXELS else None


def _find_number(name: str) -> int | None:
    match = _NUMBER.fullmatch(name)
    if match is not None:
        return int("".join(part for part in match.groups() if part), 16)
    if name in NUMBERS:
        return NUMBERS[name]
    if not name.isidentifier():
        return None
    from pydicom.datadict import tag_for_keyword  # takes a while, and few filters need it

    return tag_for_keyword(name)


def _parse_lines(text: FilterText) -> SeriesFilter:
    lines: list[FilterLine] = []
    problems: list[str] = []
    tag = _SERIES_DESCRIPTION
    split_lines = _split_lines(text.lines)
    if len(split_lines) > MAX_LINES:
        raise FilterUnreadable(f"The filter has more than {MAX_LINES:,} lines.", "Shorten it.")
    for number, line in enumerate((line.strip() for line in split_lines), 1):
        if not line or line.startswith("#"):
            continue
        heading = _SECTION.fullmatch(line)
        if heading is not None:
            found = find_tag(heading[1])
            if found is None:
                problems.append(f"Line {number} names no element of the header: [{heading[1][:40]}].")
            else:
                tag = found
        elif line in (_EXISTS, _NOT_EXISTS):
            lines.append(FilterLine(number=number, tag=tag, exists=line == _EXISTS))
        else:
            try:
                pattern = compile_filter_pattern(line, ignore_case=True)
            except PatternError as reason:
                problems.append(f"Line {number} can't be used: {reason}.")
            else:
                lines.append(FilterLine(number=number, tag=tag, pattern=pattern))
    if problems:
        more = f" And {len(problems) - _LINES_NAMED} more lines." if len(problems) > _LINES_NAMED else ""
        raise FilterUnreadable(" ".join(problems[:_LINES_NAMED]) + more)
    is_whitelist = text.mode == WHITELIST

    def decide(values: Values) -> FilterDecision:
        for line in lines:
            if line.matches(values):
                return FilterDecision(is_whitelist, f"line {line.number}")
        return FilterDecision(not is_whitelist, NO_LINE)

    return SeriesFilter(tags=frozenset(line.tag for line in lines), decide=decide)


def _parse_map(text: FilterText) -> SeriesFilter:
    conditions: dict[str, Condition] = {}
    for name, expression in text.conditions.items():
        if name in _NOT_CONDITIONS:
            raise FilterUnreadable(f"No condition can be called {name!r}.", "Choose another name.")
        try:
            conditions[name] = parse_condition(expression, find_tag, compile_filter_pattern)
        except ConditionError as reason:
            raise FilterUnreadable(
                f"The condition {name[:40]!r} of the modality map can't be read: {reason}.",
                "Conditions are written as Modality = 'MR' and SeriesDescription ~ 'MRAC', with and, or, not, =, !=,"
                " ~, !~ and parentheses. JavaScript is not run.",
            ) from None
    exclude = conditions.pop("exclude", None)

    def holds(condition: Condition, values: Values) -> bool:
        return condition.holds(values) and not (text.strict and condition.tags - values.keys())

    def decide(values: Values) -> FilterDecision:
        cut = {tag: value[:MAX_VALUE] for tag, value in values.items()}
        if exclude is not None and holds(exclude, cut):
            return FilterDecision(False, "exclude")
        name = next((name for name, condition in conditions.items() if holds(condition, cut)), text.default)
        return FilterDecision(bool(name), name or NO_LINE)

    every = (*conditions.values(), *([exclude] if exclude is not None else []))
    return SeriesFilter(tags=frozenset[int]().union(*(condition.tags for condition in every)), decide=decide)


def compile_filter_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern to be searched for. Raises PatternError, also for one that takes long for a value."""
    return compile_pattern(pattern, is_search=True, ignore_case=ignore_case, value_length=MAX_VALUE).compiled


def _split_lines(text: str) -> list[str]:
    r"""The lines of a list; where the two characters `\n` stand in it, it is cut there, and at line ends not."""
    return text.split("\\n") if "\\n" in text else text.split("\n")


def _plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_flag(values: Mapping[str, Any], name: str) -> bool | None:
    """A flag of the document, written as JSON's own or as text; None where it is missing."""
    flag = values.get(name)
    if flag is None or isinstance(flag, bool):
        return flag
    if isinstance(flag, str) and flag.lower() in ("true", "false"):
        return flag.lower() == "true"
    raise FilterUnreadable(f"{name!r} of the filter is neither true nor false.")


def _unknown_mode(mode: object) -> FilterUnreadable:
    shown = f"{str(mode)[:40]!r}" if mode is not None else "nothing"
    return FilterUnreadable(f"The mode of the filter is {shown}.", f"Right are {', '.join(MODES)}, spelled exactly so.")
