"""Rules tried on objects: which fires, what it reads, what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import examples

from scandock.cli.rules_trial import read_studies, try_rules
from scandock.model.errors import Usage
from scandock.rules.routing_rules import parse_rules

CT = str(examples.get_path("ct"))
MR = str(examples.get_path("mr"))


def told(kind, text, *objects):
    rules = parse_rules(text)
    return [line for study in read_studies(objects, rules) for line in try_rules(kind, rules, study)]


def test_the_first_rule_that_fits_fires_and_all_say_what_they_read():
    lines = told("session", "# a comment\n(0010,4000):Session:(\\w+)\n(0010,0010):(\\w+)\\^.*\n(0010,0010):.*(1)", MR)
    assert "session CompressedSamples (line 3)" in lines[0]
    assert "line 2" in lines[1]
    assert "does not match" in lines[1]
    assert "PatientName is 'CompressedSamples^MR1'" in lines[2]
    assert [line.endswith("<- fires") for line in lines] == [False, False, True, False]


def test_each_study_is_told_for_itself():
    lines = told("session", "(0008,0060):(.*)", MR, CT)
    assert [line.split(": ")[1] for line in lines if line.startswith("study")] == [
        "session MR (line 1)",
        "session CT (line 1)",
    ]


def test_elements_that_an_import_does_not_read_otherwise_are_read_for_a_rule():
    assert "(0028,0101) is '16', gives '16'" in told("subject", "(0028,0101):(.*)", CT)[1]


def test_no_rule_and_no_label():
    assert "no rule fits" in told("subject", "(0010,4000):(.+)", MR)[0]
    assert "can't be a project" in told("project", "(0010,0010):(.*)", MR)[0]


def test_a_file_that_is_no_object_is_named(tmp_path):
    other = Path(tmp_path, "notes.txt")
    other.write_text("no DICOM")
    with pytest.raises(Usage, match=r"notes\.txt"):
        read_studies([str(other)], ())
