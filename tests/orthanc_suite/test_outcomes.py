"""The table of outcomes is whole."""

from __future__ import annotations

import pytest

from tests.orthanc_suite.checkout import VARIABLE, checkout, names_of
from tests.orthanc_suite.outcomes import DIFFERS, OBJECTS, OUT, PASSES


def test_each_test_has_one_outcome_and_what_does_not_pass_a_reason() -> None:
    names = [*OUT, *PASSES, *DIFFERS]
    assert len(names) == len(set(names))
    assert len(PASSES) + len(DIFFERS) == 35
    assert set(OBJECTS) <= {*PASSES, *DIFFERS}
    assert all(difference.reason and difference.messages for many in DIFFERS.values() for difference in many)


def test_every_test_of_the_suite_is_in_the_table() -> None:
    """This one asks for the suite: without it, it is skipped, and the test that runs it is not there."""
    root = checkout()
    if root is None:
        pytest.skip(f"no checkout of orthanc-tests is named by {VARIABLE}: its tests of DICOMweb are not run")
    assert set(names_of(root)) == {*OUT, *PASSES, *DIFFERS}
