"""The list of what came of other suites' tests is true, and whole where the original's suite is there to be read."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.xnat_suite.originals import VARIABLE, checkout, data_folder
from tests.xnat_suite.out import CLASSES, OUT, OUT_OF_PYXNAT
from tests.xnat_suite.outcomes import NAMED_ON, ORIGINAL, PAGE, PYXNAT, of_the_original, rows_of, with_counts, with_rows

_METHOD = re.compile(r"^    (?:public|private) void (\w+)\(\)", re.MULTILINE)
_TESTS = "src/test/java/org/nrg/testing/xnat/tests"


def test_the_page_says_what_our_tests_of_the_originals_are_marked_with():
    page = PAGE.read_text()
    assert page == with_rows(page, ORIGINAL, of_the_original()), "python -m tests.xnat_suite.outcomes writes it"


def test_the_page_says_how_many_of_pyxnats_tests_pass_and_why_others_do_not():
    """Whether each does, a run of them tells (tests/clients/test_pyxnat_own.py)."""
    page = PAGE.read_text()
    rows = rows_of(page, PYXNAT)
    assert page == with_rows(page, PYXNAT, rows)
    assert {row.name: row.reason for row in rows if not row.passes} == OUT_OF_PYXNAT


def test_the_page_on_compatibility_names_the_list_with_its_counts():
    text = NAMED_ON.read_text()
    assert text == with_counts(text, PAGE.read_text()), "python -m tests.xnat_suite.outcomes writes them"
    assert len(re.findall(r"\d+ of \d+ pass|own \d+ of \d+:", text)) == 2
    assert f"]({PAGE.name})" in text


def test_each_of_the_originals_tests_is_listed_once_and_what_stays_out_has_a_reason():
    rows = of_the_original()
    assert [name for name, often in Counter(row.name for row in rows).items() if often > 1] == []
    assert [row.name for row in rows if not row.passes and not row.reason] == []
    assert {row.name.partition(".")[0] for row in rows} == set(CLASSES)


def test_every_test_of_the_originals_classes_is_listed():
    """One of our tests asks for the suite: without it, this is skipped, and those that send its files are not there."""
    root = checkout()
    if root is None or data_folder() is None:
        pytest.skip(f"no checkout of NrgXnat/xnat-rest-tests is named by {VARIABLE}: its requests are not sent")
    listed = {row.name for row in of_the_original()}
    found = set()
    for name in CLASSES:
        text = (root / _TESTS / f"{name}.java").read_text()
        found |= {f"{name}.{method}" for method in _METHOD.findall(text) if method.startswith(("test", "simple"))}
    assert found - listed - HELPERS == set()
    assert listed - found == set()


HELPERS = {
    "TestSubjAssessmentResources.testURIFormatValidation",
}
"""Methods that are no test there."""


def test_what_stays_out_is_of_a_class_that_is_listed():
    assert {name.partition(".")[0] for name in OUT} <= set(CLASSES)
