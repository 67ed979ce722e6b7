r"""The site's own rules, one a line: `(gggg,eeee):pattern[:group] [t:target] [r:replacement]` (xnat-behaviour.md 2.5).

The pattern must match the whole value; the group, 1 where none is given, is what is taken from it; where `t:` is
given, each part of that which it matches becomes `r:` (nothing, where that is missing). Blank lines and lines that
begin with `#` say nothing. Patterns are Python's `re` with ASCII classes, plus Java's `(?<name>`, `\z` and `$1`.

A pattern is only as safe as who wrote it (administrators): values are cut at 300 characters before matching, and a
repeated group that is itself nothing but a repetition, as in `(a+)+`, is refused, since it may never end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.rules.errors import RulesUnreadable
from scandock.rules.study import StudyFacts

MAX_VALUE: Final = 300
_LINE: Final = re.compile(r"\((?P<g>[0-9A-Fa-f]{4})\s*+,\s*+(?P<e>[0-9A-Fa-f]{4})\)\s*+:(?P<rest>.+)")
_AFTER_PATTERN: Final = re.compile(
    r"(?::(?P<group>\d{1,3}))?(?:(?:(?<!\s)|(?<=\A\s))\s++(?P<word>[tr]):(?P<said>.*))?\Z", re.DOTALL
)
"""What follows a pattern, which ends where this is first found: a group, and what is replaced in it."""
_AFTER_TARGET: Final = re.compile(r"(?<!\s)\s++r:")
_JAVA_PATTERN: Final = re.compile(r"\\.|\(\?<(?![=!])", re.DOTALL)
_JAVA_GROUP: Final = re.compile(r"\\(.)|\$(\d{1,2})")
_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\[.*|\((?:\?:|\?P<\w+>)?|\)[+*{]?|.", re.DOTALL)
"""A piece of a pattern. A class that does not end is one, too: else each of its signs would be looked at as one."""


class RuleMatch(NamedTuple):
    """What a rule takes from a value that its pattern matches."""

    group: str
    """The text of the group."""
    result: str
    """The same after `t:` and `r:`, without blanks around it; with "" the rule gives nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """One rule; `tag` is the element that it reads, `line` where it stands in its text (from 1)."""

    tag: int
    pattern: re.Pattern[str]
    group: int = 1
    target: re.Pattern[str] | None = None
    replacement: str = ""
    line: int = 1

    @property
    def tags(self) -> frozenset[int]:
        """The elements to be read for this rule."""
        return frozenset({self.tag})

    def match(self, text: str) -> RuleMatch | None:
        """What the rule takes from a value, step by step; None where the pattern does not match."""
        match = self.pattern.fullmatch(text[:MAX_VALUE])
        if match is None:
            return None
        group = match[self.group] or ""
        value = group if self.target is None else self.target.sub(self.replacement, group)
        return RuleMatch(group, value.strip())

    def value(self, text: str) -> str:
        """What the rule takes from a value, or "" where it does not match."""
        match = self.match(text)
        return "" if match is None else match.result


def parse_rules(text: str) -> tuple[RoutingRule, ...]:
    """The rules of a text; `Usage` (`rules_unreadable`) naming the line for one that cannot be read."""
    lines = text.lstrip("\N{BYTE ORDER MARK}").splitlines()
    return tuple(
        _parse(line.strip(), number)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def rule_tags(rules: Sequence[RoutingRule]) -> frozenset[int]:
    """The elements to be read for some rules."""
    return frozenset(rule.tag for rule in rules)


def first_match(rules: Sequence[RoutingRule], study: StudyFacts) -> tuple[str, RoutingRule] | None:
    """What the first rule that matches takes from the study's most common value, and that rule."""
    for rule in rules:
        value = rule.value(study.common(rule.tag))
        if value:
            return value, rule
    return None


def _parse(line: str, number: int) -> RoutingRule:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _bad(number, "is not (gggg,eeee):pattern[:group] [t:target] [r:replacement]")
    rest = match["rest"]
    after = _AFTER_PATTERN.search(rest, 1)
    assert after is not None  # as it finds the end
    pattern = _compile(rest[: after.start()], number)
    group = int(after["group"] or 1)
    if group > pattern.groups:
        raise _bad(number, f"takes group {group}, and its pattern has {pattern.groups}")
    if after["word"] == "r":
        raise _bad(number, "has r: without t:")
    target_text, *replacements = _AFTER_TARGET.split(after["said"] or "", maxsplit=1)
    target = _compile(target_text, number) if target_text else None
    replacement = _python_replacement(replacements[0] if replacements else "")
    if target is not None:
        _try_replacement(target, replacement, number)
    tag = int(match["g"] + match["e"], 16)
    return RoutingRule(tag=tag, pattern=pattern, group=group, target=target, replacement=replacement, line=number)


def _compile(pattern: str, number: int) -> re.Pattern[str]:
    python = _JAVA_PATTERN.sub(lambda m: {"(?<": "(?P<", r"\z": r"\Z"}.get(m[0], m[0]), pattern)
    if _is_runaway(python):
        raise _bad(number, f"repeats a repetition ({pattern}), which may never end")
    try:
        return re.compile(python, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise _bad(number, f"has a pattern that can't be read ({pattern}): {error}") from None


def _is_runaway(pattern: str) -> bool:
    """Whether a group that is itself nothing but a repetition is repeated."""
    tokens = _TOKEN.findall(pattern)
    return any(
        opening[0] == "(" and single[0] not in "()" and again in ("+", "*") and closing in (")+", ")*", "){")
        for opening, single, again, closing in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    )


def _python_replacement(text: str) -> str:
    r"""Java's `$1` and `\$` as Python's `re.sub` takes them."""

    def put(match: re.Match[str]) -> str:
        if match[2] is not None:
            return rf"\g<{int(match[2])}>"
        return r"\\" if match[1] == "\\" else match[1]

    return _JAVA_GROUP.sub(put, text)


def _try_replacement(target: re.Pattern[str], replacement: str, number: int) -> None:
    named = [int(group) for group in re.findall(r"\\g<(\d+)>", replacement)]
    if any(group > target.groups for group in named):
        raise _bad(number, f"replaces by group {max(named)}, and its target has {target.groups}")


def _bad(number: int, what: str) -> Usage:
    return RulesUnreadable(number, what)
