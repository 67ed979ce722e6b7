"""ECAT: which session an ECAT file belongs to."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from scandock.rules.ecat_groups import group_ecat, scan_date
from scandock.rules.shown_names import ShownNames
from tests.unit.rules_sessions.builders import (
    FakeCatalog,
    codes,
    decide,
    ecat_facts,
    ecat_file,
    held,
    known,
    study,
    waiting,
)

NOON = 1_704_110_400  # 2024-01-01 12:00 UTC
IN_F = "F/scans/1/resources/ECAT/files/"


def test_files_of_one_folder_are_one_session():
    grouped = group_ecat([ecat_file(IN_F + "a.v", "F", 1), ecat_file(IN_F + "b.v", "f", 2)], [])
    (facts,) = grouped.studies
    assert (facts.study_uid, len(facts.ecat), facts.session_folder) == (None, 2, "F")
    assert set(grouped.keys.values()) == {facts.key}
    (made,) = decide(facts)
    assert (made.label, made.subject, made.study_uid, made.place) == ("F", "F", None, "archive")


def test_else_those_of_one_patient_and_day():
    files = [
        ecat_file("a.v", content=1, patient_id="P1", patient_name="Doe", start=NOON),
        ecat_file("x/b.v", content=2, patient_id="P1", patient_name="Doe", start=NOON + 3600),
        ecat_file("c.v", content=3, patient_id="P1", patient_name="Doe", start=NOON + 86400),
        ecat_file("d.v", content=4, patient_id="P2", start=NOON),
    ]
    made = decide(*group_ecat(files, []).studies)
    assert [(one.label, one.subject) for one in made] == [
        ("P1_20240101", "Doe"), ("P1_20240102", "Doe"), ("P2_20240101", "P2"),
    ]  # fmt: skip


def test_else_each_file_by_itself():
    files = [
        ecat_file("a.v", content=1),
        ecat_file("b.v", content=2, patient_id="anonymous"),
        ecat_file("c.v", content=1),
    ]
    grouped = group_ecat(files, [])
    assert grouped.keys["a.v"] == grouped.keys["c.v"] != grouped.keys["b.v"]
    made = decide(*grouped.studies)
    assert all(one.label.startswith("ecat_") and one.subject == one.label for one in made)
    assert [codes(one) for one in made] == [["label_from_hash"]] * 2


def test_the_same_file_twice_is_one():
    grouped = group_ecat([ecat_file(IN_F + "a.v", "F"), ecat_file(IN_F + "copy.v", "F")], [])
    assert len(grouped.studies[0].ecat) == 1
    assert len(grouped.keys) == 2


@pytest.mark.parametrize(("start", "zone", "date"), [
    (0, "UTC", ""), (-1, "UTC", ""), (NOON, "UTC", "20240101"), (NOON, "Pacific/Auckland", "20240102"),
    (2**32 - 1, "UTC", "21060207"), (2**62, "UTC", ""),
])  # fmt: skip
def test_the_scan_date_is_local(start, zone, date):
    assert scan_date(ecat_facts(start=start), ZoneInfo(zone)) == date


def test_without_a_date_the_patient_alone_is_the_label():
    (made,) = decide(*group_ecat([ecat_file("a.v", patient_id="P1")], []).studies)
    assert made.label == "P1"


@pytest.mark.parametrize("patient", ["\xe9t\xe9", "<script>", "..", "   ", "\u00ff" * 16, "a\x01b"])
def test_odd_patients_give_clean_labels(patient):
    (made,) = decide(*group_ecat([ecat_file("a.v", patient_id=patient)], []).studies)
    assert made.label
    assert made.label.isascii()
    assert made.subject


def test_dicom_and_ecat_under_one_folder_are_one_session():
    dicom = study("1.2", folder="F", PatientID="P1", PatientName="Doe^John")
    grouped = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1", patient_name="Doe")], [dicom])
    (facts,) = grouped.studies
    assert (facts.key, facts.study_uid, len(facts.ecat), grouped.keys[IN_F + "a.v"]) == ("1.2", "1.2", 1, "1.2")
    (made,) = decide(facts)
    assert (made.label, made.subject, held(made)) == ("F", "Doe_John", "")


def test_if_the_patients_differ_it_is_held():
    dicom = study("1.2", folder="F", PatientID="P1")
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P2")], [dicom]).studies
    (made,) = decide(facts)
    assert (held(made), made.label) == ("patient_mismatch", "F")


def test_an_id_that_ecat_cut_does_not_differ():
    dicom = study("1.2", folder="F", PatientID="0123456789ABCDEFGHI")
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="0123456789ABCDEF")], [dicom]).studies
    (made,) = decide(facts)
    assert held(made) == ""


def test_an_absent_patient_beside_one_is_a_warning():
    dicom = study("1.2", folder="F", PatientID="P1")
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F")], [dicom]).studies
    (made,) = decide(facts)
    assert (held(made), codes(made)) == ("", ["patient_absent"])


def test_two_patients_in_one_folder_are_held():
    files = [ecat_file(IN_F + "a.v", "F", 1, patient_id="P1"), ecat_file(IN_F + "b.v", "F", 2, patient_id="P2")]
    (facts,) = group_ecat(files, []).studies
    (made,) = decide(facts)
    assert (held(made), made.label) == ("patient_mismatch", "F")


def test_two_patients_in_folders_of_one_name_in_two_archives_are_two_sessions():
    files = [
        ecat_file("one.zip!" + IN_F + "a.v", "F", 1, patient_id="P1", start=NOON),
        ecat_file("two.zip!" + IN_F + "b.v", "F", 2, patient_id="P2"),
    ]
    made = decide(*group_ecat(files, []).studies)
    assert {one.label for one in made} == {"F_20240101", next(one.label for one in made if one.patient_id == "P2")}
    assert [held(one) for one in made] == ["", ""]


def test_each_finds_the_dicom_study_of_its_patient():
    dicom = [
        study("1.2", folder="F", PatientID="P1"),
        study("1.3", folder="F", PatientID="P2"),
    ]
    files = [
        ecat_file("one.zip!" + IN_F + "a.v", "F", 1, patient_id="P1"),
        ecat_file("two.zip!" + IN_F + "b.v", "F", 2, patient_id="P2"),
    ]
    grouped = group_ecat(files, dicom)
    assert list(grouped.keys.values()) == ["1.2", "1.3"]
    assert len(grouped.studies) == 2


def test_with_several_dicom_studies_of_its_patient_it_stays_apart_and_says_so():
    dicom = [study("1.2", folder="F", PatientID="P1"), study("1.3", folder="F", PatientID="P1")]
    grouped = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1")], dicom)
    assert len(grouped.studies) == 3
    assert [w.code for w in grouped.warnings[grouped.keys[IN_F + "a.v"]]] == ["ecat_apart"]


def test_an_ecat_session_is_known_by_project_and_label():
    catalog = FakeCatalog(known("F", ecat=True, patient_id="P1"))
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1")], []).studies
    (made,) = decide(facts, catalog=catalog)
    assert (made.existing, made.subject, held(made)) == ("uuid-F", "S", "")


def test_another_patients_ecat_session_of_that_label_is_not_the_one():
    catalog = FakeCatalog(known("F", ecat=True, patient_id="P9"))
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1", start=NOON)], []).studies
    (made,) = decide(facts, catalog=catalog)
    assert (made.existing, made.label) == (None, "F_20240101")
    (made,) = decide(facts, catalog=catalog, session="F")
    assert held(made) == "label_many_studies"


def test_it_joins_an_existing_dicom_session_from_one_folder_and_one_patient():
    catalog = FakeCatalog(known("F", "1.2", patient_id="P1"))
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1")], []).studies
    (made,) = decide(facts, catalog=catalog)
    assert (made.existing, held(made)) == ("uuid-F", "")


def test_and_not_without_the_folder():
    catalog = FakeCatalog(known("F", "1.2", patient_id="P1"))
    (facts,) = group_ecat([ecat_file("a.v", patient_id="P1")], []).studies
    (made,) = decide(facts, catalog=catalog, session="F")
    assert (made.existing, held(made)) == (None, "label_many_studies")


def test_dicom_joins_an_ecat_session_the_same_way():
    catalog = FakeCatalog(known("F", ecat=True, patient_id="P1"))
    (made,) = decide(study("1.2", folder="F", PatientID="P1"), catalog=catalog)
    assert made.existing == "uuid-F"
    (made,) = decide(study("1.2", PatientID="F", StudyDate="20240101"), catalog=catalog)
    assert (made.existing, made.label) == (None, "F_20240101")


def test_what_waits_in_the_prearchive_is_joined_by_label():
    catalog = FakeCatalog(waiting("F", ecat=True, patient_id="P1"))
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1")], []).studies
    (made,) = decide(facts, catalog=catalog, destination="prearchive")
    assert (made.existing, made.timestamp) == ("uuid-F", "20200101_000000000")
    (made,) = decide(facts, catalog=catalog)
    assert (made.existing, codes(made)) == (None, ["session_in_prearchive_left"])


def test_two_ecat_sessions_never_go_to_one():
    files = [ecat_file("a.v", content=1, patient_id="P1", start=NOON), ecat_file("b.v", content=2, patient_id="P1")]
    studies = group_ecat(files, []).studies
    made = decide(*studies, catalog=FakeCatalog(known("L", ecat=True, patient_id="P1")), session="L")
    assert [held(one) for one in made] == ["label_many_studies"] * 2
    assert [(one.existing, one.archived, one.subject) for one in made] == [(None, None, "P1")] * 2


def test_two_ecat_sessions_never_join_one_that_waits():
    files = [ecat_file("a.v", content=1, patient_id="P1", start=NOON), ecat_file("b.v", content=2, patient_id="P1")]
    studies = group_ecat(files, []).studies
    catalog = FakeCatalog(waiting("L", ecat=True, patient_id="P1", held="label_many_studies"))
    made = decide(*studies, catalog=catalog, session="L")
    assert sorted(one.existing or "" for one in made) == ["", "uuid-L"]


def test_a_patient_whom_ecat_alone_names_names_the_subject():
    dicom = study("1.2", folder="F")
    (facts,) = group_ecat([ecat_file(IN_F + "a.v", "F", patient_id="P1")], [dicom]).studies
    (made,) = decide(facts)
    assert (made.subject, made.patient_id) == ("P1", "P1")


@pytest.mark.parametrize(("level", "shown"), [("keep", "DOE"), ("hash", "f-"), ("drop", "(hidden)")])
def test_a_folder_that_several_studies_share_is_told_as_names_may_be(level, shown):
    names = ShownNames(level=level, key=b"k" * 32)
    studies = [study(uid, folder="DOE", PatientID="P1") for uid in ("1.2", "1.3")]
    file = ecat_file("DOE/scans/e/resources/ECAT/files/a.v", "DOE", patient_id="P1")
    (warning,) = group_ecat([file], studies, shown_folder=names.folder).warnings.values()
    (message,) = [notice.message for notice in warning]
    assert f"under folder {shown}" in message
    assert ("DOE" in message) == (level == "keep")
