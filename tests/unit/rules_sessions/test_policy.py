"""Which session 9, PET/MR, and dates."""

from __future__ import annotations

import pytest

from scandock.rules.policy import ProjectPolicy
from tests.unit.rules_sessions.builders import codes, decide, ecat_facts, held, series, study, study_of, why

PETMR = study_of(series("1.2", uid="1", PatientID="P", Modality="PT"), series("1.2", uid="2", Modality="MR"))


@pytest.mark.parametrize(
    ("setting", "said", "reason", "warnings"),
    [
        ("accept", "NO", "", []),
        ("accept", "YES", "", []),
        ("warn", "NO", "", ["identified_warning"]),
        ("warn", "YES", "", []),
        ("hold", "NO", "identified", []),
        ("hold", "", "identified", []),
        ("hold", "YES", "", []),
    ],
)
def test_identified(setting, said, reason, warnings):
    facts = study("1.2", PatientID="P", PatientIdentityRemoved=said)
    (made,) = decide(facts, policy=ProjectPolicy(id="P", identified=setting))
    assert (held(made), codes(made)) == (reason, warnings)
    assert made.place == ("prearchive" if reason else "archive")


def test_all_objects_must_say_so():
    facts = study_of(
        series("1.2", 9, "1", PatientID="P", PatientIdentityRemoved="YES"), series("1.2", 1, "2", PatientID="P")
    )
    (made,) = decide(facts, policy=ProjectPolicy(id="P", identified="hold"))
    assert "1 of 10 objects" in why(made)


def test_ecat_cannot_say_so():
    from dataclasses import replace

    facts = replace(study("1.2", PatientID="P", PatientIdentityRemoved="YES"), ecat=(ecat_facts(),))
    (made,) = decide(facts, policy=ProjectPolicy(id="P", identified="hold"))
    assert held(made) == "identified"


@pytest.mark.parametrize(
    ("asked", "label"),
    [("S1_PETMR", "S1_PET"), ("PETMR_PETMR", "PETMR_PET"), ("S1", "S1"), ("petmr", "petmr")],
)
def test_a_project_that_keeps_petmr_as_pet_names_it_so(asked, label):
    (made,) = decide(PETMR, policy=ProjectPolicy(id="P", petmr="pet"), session=asked)
    assert made.label == label


def test_a_label_stays_for_other_studies_and_other_projects():
    (made,) = decide(PETMR, session="S1_PETMR")
    assert made.label == "S1_PETMR"
    (made,) = decide(study("1.2", Modality="PT"), policy=ProjectPolicy(id="P", petmr="pet"), session="S1_PETMR")
    assert made.label == "S1_PETMR"


def test_the_date_of_a_study_is_the_most_common_one_that_is_a_date():
    facts = study_of(
        series("1.2", 4, uid="1", StudyDate="20240102"),
        series("1.2", 5, uid="2", StudyDate="2024.01.01"),
        series("1.2", 6, uid="3", StudyDate="20240230"),
    )
    assert facts.date == "20240101"
    assert study("1.2", StudyDate="garbage").date == ""


def test_a_project_is_usable_where_it_exists_and_the_uploader_may():
    assert ProjectPolicy(id="P").usable
    assert not ProjectPolicy(id="P", may_upload=False).usable
    assert not ProjectPolicy(id="P", exists=False).usable
