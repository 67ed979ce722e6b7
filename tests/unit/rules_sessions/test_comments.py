"""Assignments in comments, as xnat-behaviour.md 2.5 finds them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.rules.comments import auto_archive, find_assignment, find_common_assignment
from tests.unit.rules_sessions.builders import series, study, study_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Project:ABC Subject:S01 Session:S01_MR1 AA:true", "S01_MR1"),
        ("Session:X", "X"),
        ("session : X", "X"),
        ("see below;Session:X,y", "X"),
        ("first line\nsecond line\nSession:X\nlast", "X"),
        ("MySession:X", ""),
        ("Session:X.Y", ""),
        ("Session:", ""),
        ("Session: Subject:S", ""),
        ("Session:A and Session:B", "A"),
        ("then Session:A and Session:B", "B"),
        ("", ""),
    ],
)
def test_assignment(text, value):
    assert find_assignment("Session", text) == value


@given(st.text(alphabet="Sesion:XyAB ,;\n\t-_.", max_size=40))
def test_the_search_finds_what_the_original_pattern_finds(text):
    """The original's pattern, read over several lines; where it finds nothing usable ours may find an earlier one."""
    original = re.compile(
        r"(?:\A|(?:.*[\s,;]))Session\s*\:\s*([\w\-]*)(?:(?:[\s,;].*\Z)|\Z)", re.ASCII | re.IGNORECASE | re.DOTALL
    )
    match = original.fullmatch(text)
    if match and match[1]:
        assert find_assignment("Session", text) == match[1]
    elif not match:
        assert find_assignment("Session", text) == ""


def test_a_long_comment_costs_little():
    assert find_assignment("Session", "Session " * 100_000 + " " * 100_000) == ""


def test_the_three_elements_are_asked_in_order():
    both = study("1.2", StudyComments="Session:second", AdditionalPatientHistory="Session:third")
    assert find_common_assignment("Session", both) == ("second", "StudyComments")
    assert (
        find_common_assignment("Session", study("1.2", PatientComments="Session:1st", StudyComments="Session:2nd"))[0]
        == "1st"
    )
    assert find_common_assignment("Session", study("1.2", AdditionalPatientHistory="Session:third"))[0] == "third"


def test_most_objects_decide_whatever_else_their_comments_say():
    facts = study_of(
        series("1.2", 4, "1.2.1", PatientComments="Session:A left"),
        series("1.2", 4, "1.2.2", PatientComments="Session:A right"),
        series("1.2", 5, "1.2.3", PatientComments="Session:B"),
    )
    assert find_common_assignment("Session", facts) == ("A", "PatientComments")


@pytest.mark.parametrize(
    ("comment", "wanted"), [("AA:true", True), ("AA:T", True), ("aa:false", False), ("AA:maybe", None), ("", None)]
)
def test_auto_archive(comment, wanted):
    assert auto_archive(study("1.2", PatientComments=comment)) is wanted
