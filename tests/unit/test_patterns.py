"""Whatever text strangers send, no pattern of the source takes longer for it than its length accounts for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from scandock.model.errors import Usage
from scandock.rules.routing_rules import MAX_VALUE, parse_rules
from scandock.web.xnat.services.columns import MAX_NAME
from scandock.web.xnat.services.experiments import LISTING
from tests.patterns import TAIL, Pattern, hostile_texts, patterns, unknown_patterns

pytestmark = pytest.mark.long

SIZES = (20, 600, 6_000)
MOST = 20
"""Times of a text's that ten times its length may take."""
FLOOR = 0.0005
"""Seconds of processor time that any text may take: what a clock says of less is chance."""
TRIES = 3
AT_RUN_TIME = {
    "rules/java_patterns.py:compile_pattern",
    "rules/routing_rules.py:_compile",
    "web/router_index.py:_match_any_path",
}
"""What makes patterns as it runs: of what administrators and scripts say, whose values are cut before they are matched;
of routes, each of which is asked of Starlette too.
"""


@pytest.fixture(scope="module")
def known() -> list[Pattern]:
    return patterns()


def test_every_pattern_is_linear(known, subtests):
    assert len(known) > 80
    for pattern in known:
        with subtests.test(pattern.where):
            assert slow(pattern) == ""


def slow(pattern: Pattern) -> str:
    """How a pattern is made to take too long; empty where it is not."""
    asked = calls(pattern)
    for head, unit in hostile_texts(pattern):
        texts = [head + unit * (size // len(unit)) + TAIL for size in SIZES]
        for name, ask in asked.items():
            if is_slow(ask, texts):
                return f"{name} of {pattern.text!r}: {head!r}, then {unit!r} again and again"
    return ""


def is_slow(ask: Callable[[str], object], texts: list[str]) -> bool:
    """Whether ten times the text takes more than twenty times as long.

    Shorter ones first: what is slow ends soon, and what tries all ways at all within a few characters.
    """
    return cpu(ask, texts[0]) >= MOST * FLOOR or any(
        cpu(ask, large) >= MOST * FLOOR and cpu(ask, large, TRIES) >= MOST * max(cpu(ask, small, TRIES), FLOOR)
        for small, large in pairwise(texts[1:])
    )


def cpu(ask: Callable[[str], object], text: str, tries: int = 1) -> float:
    """Seconds of this thread's processor time, the least of some tries."""
    best = float("inf")
    for _ in range(tries):
        begin = time.thread_time()
        ask(text)
        best = min(best, time.thread_time() - begin)
    return best


def calls(pattern: Pattern) -> dict[str, Callable[[str], object]]:
    """The ways in which a pattern is asked, without those that do what another does, too."""
    compiled = re.compile(pattern.text, pattern.flags)
    ways: dict[str, Callable[[str], object]] = {
        "match": compiled.match,
        "fullmatch": compiled.fullmatch,
        "search": compiled.search,
        "findall": compiled.findall,
    }
    names = {name if name in ways else "findall" for name in pattern.methods}
    names -= {"search"} if "findall" in names else set()
    names -= {"match"} if "fullmatch" in names else set()
    return {name: ways[name] for name in sorted(names)}


@pytest.mark.parametrize(
    ("text", "method"),
    [
        (r"\[[^\]]*\]", "sub"),
        (r"(.+)-([A-Z0-9_]+?)(\d+)", "fullmatch"),
        (r"(a|a)*b", "match"),
    ],
)
def test_a_pattern_that_is_not_is_found(text, method):
    assert slow(Pattern("here", text, 0, frozenset({method}))) != ""


def test_patterns_that_are_made_of_what_people_say_are_known():
    assert unknown_patterns() == AT_RUN_TIME


def test_a_rule_of_the_site_sees_the_beginning_of_a_value_alone():
    rule = parse_rules(r"(0010,0010):(\w+)(x*)x*!?")[0]
    assert rule.value("x" * 60_000) == "x" * MAX_VALUE
    with pytest.raises(Usage, match="repeats a repetition"):
        parse_rules(r"(0010,0010):((\w+)+)!")


def test_a_columns_name_is_bounded_before_it_is_matched():
    path = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender"
    assert LISTING.find(path) is LISTING.find("subject_gender")
    assert LISTING.find(f"{path}[{'a' * MAX_NAME}]") is None
    with pytest.raises(Usage, match="At most 300") as caught:
        LISTING.choose_columns(f"label,{'[' * 60_000}")
    assert caught.value.code == "request_invalid"
    assert [one.name for one in LISTING.choose_columns("label,unknown")] == ["label", "unknown", "ID", "URI"]
