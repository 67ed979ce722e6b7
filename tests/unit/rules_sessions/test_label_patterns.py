"""Labels of many sessions by one pattern."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.label_patterns import fill_pattern

ONE = {"label": "S1", "subject": "Ann", "date": "20260131", "n": "7"}


@pytest.mark.parametrize(
    ("pattern", "gives"),
    [
        ("", None),
        ("Same", "Same"),
        ("{subject}_{date}", "Ann_20260131"),
        ("V{n}_{label}_{n}", "V7_S1_7"),
    ],
)
def test_names_in_braces_are_filled_in(pattern, gives):
    assert fill_pattern(pattern, ONE) == gives


@pytest.mark.parametrize("pattern", ["{patient}", "{", "}", "{}", "{{label}}", "a{label", "{label.x}", "{0}"])
def test_what_can_not_be_filled_in_is_refused(pattern):
    with pytest.raises(Usage) as met:
        fill_pattern(pattern, ONE)
    assert met.value.code == "pattern_unknown"


def test_what_is_filled_in_is_not_filled_again():
    assert fill_pattern("{label}", {**ONE, "label": "{subject}"}) == "{subject}"
