"""What may be decided of held sessions covers every reason for holding one."""

from __future__ import annotations

import pytest

from scandock.rules.choices import CHOICES, MEANING, choices_of, still_holds
from scandock.rules.notices import CODES
from scandock.rules.settle import REASONS


def test_every_reason_has_choices_and_no_other_has():
    held = {code for code, entry in CODES.items() if entry.kind == "held"}
    assert set(CHOICES) == held >= set(REASONS)


def test_every_choice_has_a_meaning():
    assert {choice for choices in CHOICES.values() for choice in choices} == set(MEANING)


@pytest.mark.parametrize("code", sorted(CHOICES))
def test_nothing_changed_frees_nothing(code):
    assert still_holds(code, project=False, label=False, subject=False)


def test_what_lies_in_the_objects_no_name_settles():
    assert still_holds("sop_clash", project=True, label=True, subject=True)
    assert still_holds("patient_mismatch", project=True, label=True, subject=True)


def test_names_settle_what_was_about_names():
    assert not still_holds("label_many_studies", project=False, label=True, subject=False)
    assert still_holds("label_many_studies", project=False, label=False, subject=True)
    assert not still_holds("subject_differs", project=False, label=False, subject=True)
    assert not still_holds("study_elsewhere", project=True, label=False, subject=False)
    assert not still_holds("", project=False, label=False, subject=False)
    assert choices_of("") == ()
