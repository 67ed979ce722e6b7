"""The site's own rules: their syntax (xnat-behaviour.md 2.5) and what they take."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.model.tags import NUMBERS
from scandock.rules.policy import SiteRules
from scandock.rules.routing_rules import first_match, parse_rules
from tests.unit.rules_sessions.builders import series, study, study_of


def taken(rules: str, **elements: str) -> str:
    hit = first_match(parse_rules(rules), study("1.2", **elements))
    return hit[0] if hit else ""


@pytest.mark.parametrize(
    ("rule", "value", "result"),
    [
        (r"(0010,0010):(\w+)\^.*", "Doe^John", "Doe"),
        (r"(0010,0010):(\w+)\^(.*):2", "Doe^John", "John"),
        (r"(0010,0010):.*:0", "Doe^John", "Doe^John"),
        (r"(0010,0010):(\w+)", "Doe^John", ""),
        (r"(0010,0010):(?i)(doe).*", "Doe^John", "Doe"),
        (r"(0010,0010):(\w+)\^.*:1 t:.*o.* r:bar", "Doe^John", "bar"),
        (r"(0010,0010):(\w+)\^.*:1 t:.*x.* r:bar", "Doe^John", "Doe"),
        (r"(0010,0010):(.*) t:(\w+)\^(\w+) r:$2-$1", "Doe^John", "John-Doe"),
        (r"(0010,0010):(.*) t:\^ r:_", "Doe^John", "Doe_John"),
        (r"(0010,0010):(.*) t:\^.*", "Doe^John", "Doe"),
        (r"(0010,0010):(?<last>\w+)\^.*\z", "Doe^John", "Doe"),
        (r"(0010,0010):Project:\s*(\w+)", "Project: ABC", "ABC"),
        (r"(0010,0010):a:(b):1", "a:b", "b"),
    ],
)
def test_rule(rule, value, result):
    assert taken(rule, PatientName=value) == result


def test_the_first_rule_that_matches_wins_and_says_its_line():
    rules = parse_rules("# ours\n\n(0010,0020):X(.*)\n(0010,0020):(.)(.*):2\n(0010,0020):(.*)\n")
    hit = first_match(rules, study("1.2", PatientID="Y12"))
    assert hit is not None
    assert (hit[0], hit[1].line) == ("12", 4)


def test_a_rule_that_takes_nothing_leaves_it_to_the_next():
    assert taken("(0010,0020):A(.*)\n(0010,0020):(.*)", PatientID="A") == "A"


def test_rules_are_asked_of_the_most_common_value():
    facts = study_of(series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="P2"))
    hit = first_match(parse_rules("(0010,0020):(P.)"), facts)
    assert hit is not None
    assert hit[0] == "P1"


def test_classes_are_ascii_as_in_java():
    assert taken(r"(0010,0010):(\w+)", PatientName="M\xfcller") == ""


def test_values_are_cut_before_matching():
    assert taken(r"(0010,0010):(.*)", PatientName="x" * 1000) == "x" * 300


@pytest.mark.parametrize(
    "rule",
    [
        "nonsense",
        "(0010,00):(.*)",
        "(0010,0010):",
        "(0010,0010):(",
        "(0010,0010):abc",
        "(0010,0010):(a):2",
        "(0010,0010):(a) r:b",
        "(0010,0010):(a) t:( r:b",
        "(0010,0010):(a) t:(x) r:$2",
        r"(0010,0010):(\p{Alpha}+)",
        "(0010,0010):((a+)+)",
        "(0010,0010):(x{99999999999999999999})",
    ],
)
def test_what_cannot_be_read_names_its_line(rule):
    with pytest.raises(Usage, match="Line 2") as raised:
        parse_rules(f"(0010,0020):(.*)\n{rule}\n")
    assert raised.value.code == "rules_unreadable"


def test_the_elements_that_rules_read_are_known():
    site = SiteRules(project=parse_rules("(0008,0080):(.*)"), session=parse_rules("(0008,0050):(.*)"))
    assert site.tags == {NUMBERS["InstitutionName"], NUMBERS["AccessionNumber"]}
