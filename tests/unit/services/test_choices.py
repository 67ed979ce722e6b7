"""What may be decided of held sessions covers every reason for holding one."""

from __future__ import annotations

import pytest

from scandock.rules.choices import CHOICES, MEANING, is_still_held, list_choices
from scandock.rules.notices import CODES
from scandock.rules.routing import HOLD_REASONS


def test_every_reason_has_choices_and_no_other_has():
    held = {code for code, entry in CODES.items() if entry.kind == "held"}
    assert set(CHOICES) == held >= set(HOLD_REASONS)


def test_every_choice_has_a_meaning():
    assert {choice for choices in CHOICES.values() for choice in choices} == set(MEANING)


@pytest.mark.parametrize("code", sorted(CHOICES))
def test_nothing_changed_frees_nothing(code):
    assert is_still_held(code, project=False, label=False, subject=False)


def test_what_lies_in_the_objects_no_name_settles():
    assert is_still_held("sop_clash", project=True, label=True, subject=True)
    assert is_still_held("patient_mismatch", project=True, label=True, subject=True)


def test_names_settle_what_was_about_names():
    assert not is_still_held("label_many_studies", project=False, label=True, subject=False)
    assert is_still_held("label_many_studies", project=False, label=False, subject=True)
    assert not is_still_held("subject_differs", project=False, label=False, subject=True)
    assert not is_still_held("study_elsewhere", project=True, label=False, subject=False)
    assert not is_still_held("", project=False, label=False, subject=False)
    assert list_choices("") == ()
