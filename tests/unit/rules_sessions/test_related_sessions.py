"""What a session shares with others of its project: warnings that change no decision."""

from __future__ import annotations

import pytest

from scandock.rules.notices import make_notice
from scandock.rules.reimports import hold_decision
from scandock.rules.related_sessions import ecat_elsewhere_notice, many_subjects_notice, waiting_elsewhere_notice
from scandock.rules.upload_summary import summarize_kept_files
from tests.unit.rules_sessions.builders import NOW, FakeCatalog, codes, decide, held, known, study, waiting

ONE = study("1.2", PatientID="pid")


def test_one_patient_under_several_subjects_is_named_with_all_of_them():
    said = many_subjects_notice("P", "pid", "S1", {"S1", "s2", "S3"})
    assert said is not None
    assert (said.code, said.message) == (
        "patient_many_subjects",
        "PatientID pid has more than one subject in project P: S1 here, and S3 and s2.",
    )
    many = many_subjects_notice("P", "pid", "S1", {f"S{n}" for n in range(1, 8)})
    assert many is not None
    assert many.message.endswith("and S2, S3, S4 and 3 more.")


@pytest.mark.parametrize(("patient", "subjects"), [("pid", set()), ("pid", {"S1"}), ("pid", {"s1"}), ("", {"S2"})])
def test_under_one_subject_in_any_case_or_without_an_id_nothing_is_said(patient, subjects):
    assert many_subjects_notice("P", patient, "S1", subjects) is None


@pytest.mark.parametrize("asked", [{"session": "other"}, {}])
def test_a_study_that_is_held_under_another_label_is_told_of(asked):
    catalog = FakeCatalog(waiting("L", "1.2", held="label_many_studies"))
    (made,) = decide(ONE, catalog=catalog, destination="prearchive", **asked)
    assert (held(made), codes(made)) == ("", ["waiting_elsewhere"])


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        (waiting("pid", "1.2"), {"destination": "prearchive"}),
        (waiting("other", "1.2"), {"destination": "prearchive", "session": "L"}),
        (known("renamed", "1.2"), {"destination": "prearchive"}),
        (waiting("renamed", "1.2"), {}),
    ],
)
def test_but_not_where_it_is_joined_named_already_or_archived(there, asked):
    (made,) = decide(ONE, catalog=FakeCatalog(there), **asked)
    assert "waiting_elsewhere" not in codes(made)


def test_what_is_held_for_its_files_is_told_of_it_too():
    catalog = FakeCatalog(known("pid", "1.2"), waiting("renamed", "1.2"))
    (made,) = decide(ONE, catalog=catalog)
    assert codes(made) == ["session_in_prearchive_left"]
    now = hold_decision(made, make_notice("sop_clash", label="pid", count=1), catalog, NOW)
    assert (now.place, held(now), codes(now)) == ("prearchive", "sop_clash", ["waiting_elsewhere"])
    same = FakeCatalog(known("pid", "1.2"), waiting("pid", "1.2"))
    (made,) = decide(ONE, catalog=same)
    assert codes(hold_decision(made, make_notice("sop_clash", label="pid", count=1), same, NOW)) == []


def test_the_session_that_is_joined_is_no_other():
    there = waiting("other", "1.2", uuid="u")
    assert waiting_elsewhere_notice("mine", [there], "u") is None
    assert waiting_elsewhere_notice("OTHER", [there]) is None
    assert waiting_elsewhere_notice("mine", [known("other", "1.2")]) is None


def test_ecat_files_of_other_sessions_are_counted_and_their_sessions_named():
    said = ecat_elsewhere_notice("P", "E", [{"E", "F"}, {"e"}, {"G", "F"}])
    assert said is not None
    assert said.message == "Session E shares 2 ECAT files with F and G in project P."
    assert ecat_elsewhere_notice("P", "E", [{"E"}, {"e"}]) is None
    assert ecat_elsewhere_notice("P", "E", []) is None


@pytest.mark.parametrize(
    ("entries", "states", "told"),
    [
        ({"stored": 3}, ["archive"], (3, "stored")),
        ({"stored": 3}, ["prearchive"], (3, "stored")),
        ({"stored": 0, "conflict": 3}, ["conflict"], (3, "in the prearchive")),
        ({"stored": 2, "conflict": 1}, ["conflict", "archive"], (3, "in the archive and the prearchive")),
        ({"duplicate": 3}, ["conflict"], (3, "already in the prearchive")),
        ({"duplicate": 3}, ["archive"], (3, "already in the archive")),
        ({"resource": 2, "duplicate": 3}, ["archive"], (2, "stored")),
        ({"stored": 3, "refused": 2}, ["archive", "refused"], (3, "stored")),
        ({"junk": 2}, [], (0, "stored")),
    ],
)
def test_files_are_counted_where_they_are(entries, states, told):
    assert summarize_kept_files(entries, states) == told
