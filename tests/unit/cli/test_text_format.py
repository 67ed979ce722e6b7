"""Words for people: names that do nothing to a terminal, sizes, counts, durations."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.cli.text_format import format_count, format_counts, format_duration, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("two\nlines\r\ttab", r"two\x0alines\x0d\x09tab"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("bad \udcff byte", r"bad \xff byte"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("Müller 王小东 علی\u200cرضا", "Müller 王小东 علی\u200cرضا"),
        (None, "None"),
    ],
)
def test_names_are_made_harmless_and_stay_readable(text, shown):
    assert printable(text) == shown


@given(st.text(alphabet=st.characters(codec=None), max_size=50))
def test_nothing_that_acts_on_a_terminal_is_left(text):
    shown = printable(text)
    left = {char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert left <= {"\u200c", "\u200d"}
    shown.encode()  # lone surrogates would not


def test_counts_agree_with_their_nouns():
    said = [format_count(1, "session"), format_count(1234, "session"), format_count(2, "entry")]
    assert said == ["1 session", "1,234 sessions", "2 entries"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (3.21, "3.2 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds, shown):
    assert format_duration(seconds) == shown


def test_sums_leave_out_zeros():
    assert format_counts({"stored": 1340, "duplicate": 0, "junk": 2}) == "1,340 stored, 2 junk"
    assert format_counts({"stored": 0}) == "no files"
