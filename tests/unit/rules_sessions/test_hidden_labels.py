"""Labels where a policy hides what would have named them, and what they are told apart by."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from scandock.rules.hidden_labels import hide_labels
from scandock.rules.import_request import ImportRequest
from scandock.rules.keyed_values import id_pseudonym
from scandock.rules.labels import clean_label
from scandock.rules.mapping import MappingRow
from scandock.rules.naming import StudyNaming, name_study
from scandock.rules.policy import SiteRules
from scandock.rules.privacy import PrivacyRules, hide_patients
from scandock.rules.privacy_policy import LEVELS, Policy
from scandock.rules.routing_rules import parse_rules
from scandock.rules.study import StudyFacts
from scandock.rules.suffixes import suffixed_labels
from tests.unit.rules_sessions.builders import ecat_facts, study

KEY = b"k" * 32
UID = "1.2.840.4711.5.6.7"
HEADERS = {"PatientID": "ZEBRA-4711", "PatientName": "QUAGGA^OKAPI", "StudyDate": "20240131"}


def rules(**levels: Any) -> PrivacyRules:
    return PrivacyRules(key=KEY, policy=Policy(**levels))


def named(facts: StudyFacts, given: PrivacyRules, *, site: SiteRules | None = None, **request: Any) -> StudyNaming:
    naming = name_study(facts, ImportRequest(**request), site or SiteRules(), lambda _: True)
    return hide_labels(naming, facts, given)


def labels(*arguments: Any, **values: Any) -> tuple[str, str]:
    naming = named(*arguments, **values)
    return naming.subject.label, naming.session.label


def test_what_is_kept_is_called_as_ever():
    facts = study(UID, **HEADERS)
    plain = name_study(facts, ImportRequest(), SiteRules(), lambda _: True)
    assert hide_labels(plain, facts, rules()) == plain
    assert labels(facts, rules(study_uid="drop")) == ("QUAGGA_OKAPI", "ZEBRA-4711")
    assert labels(facts, rules(names="drop")) == ("QUAGGA_OKAPI", "ZEBRA-4711")


@pytest.mark.parametrize("level", LEVELS[1:])
def test_what_was_asked_for_stays(level: str):
    facts = study(UID, **HEADERS)
    hidden = rules(names=level, study_uid=level, patient=level)
    assert labels(facts, hidden, subject="ANNA", session="ZEBRA-4711") == ("ANNA", "ZEBRA-4711")
    row = MappingRow(number=1, study_uid=UID, subject="B", session="B1")
    assert labels(facts, hidden, mapping=(row,)) == ("B", "B1")


def test_hashed_labels_stand_for_what_they_would_have_been():
    given = rules(patient="hash")
    subject, session = labels(study(UID, **HEADERS), given)
    assert session == id_pseudonym(KEY, "ZEBRA-4711")  # as the object has it
    assert labels(study("1.2.3", **HEADERS), given) == (subject, session)
    other = labels(study(UID, **{**HEADERS, "PatientName": "Quagga^Okapi"}), given)
    assert other == (subject, session)  # labels are compared without case
    assert labels(study(UID, **HEADERS), replace(given, key=b"z")) != (subject, session)
    site = SiteRules(subject=parse_rules(r"(0010,0020):([A-Z]+)-\d+"), session=parse_rules(r"(0010,0020):(.*)"))
    by_rule = labels(study(UID, **HEADERS), given, site=site)
    assert by_rule == labels(study(UID, **{**HEADERS, "PatientName": "X"}), given, site=site)
    assert re.fullmatch(r"S-[A-Z2-7]{8}", by_rule[0])
    assert re.fullmatch(r"E-[A-Z2-7]{8}", by_rule[1])


def test_dropped_labels_tell_that_it_is_one_patient_and_no_more():
    given = rules(patient="drop")
    subject, session = labels(study(UID, **HEADERS), given)
    assert re.fullmatch(r"S-[A-Z2-7]{8}", subject)
    assert re.fullmatch(r"study_[0-9a-f]{8}", session)
    again = labels(study("1.2.3", **{**HEADERS, "PatientName": "OTHER^NAME"}), given)
    assert again[0] == subject
    assert again[1] != session
    assert (
        labels(study(UID, PatientName="Quagga^Okapi"), given)[0]
        == labels(study(UID, PatientName="QUAGGA^OKAPI"), given)[0]
    )
    assert labels(study(UID), given) == ("", session)  # its subject is called as it
    site = SiteRules(subject=parse_rules(r"(0010,0020):(.*)"), session=parse_rules(r"(0010,0020):(.*)"))
    assert labels(study(UID, **HEADERS), given, site=site) == (subject, session)


@pytest.mark.parametrize(
    ("levels", "is_hidden"),
    [({"patient": "hash"}, True), ({"patient": "drop"}, True), ({"study_uid": "drop"}, False)],
)
def test_a_folder_may_be_called_by_a_patient(levels: dict[str, Any], is_hidden: bool):
    facts = study(UID, folder="ZEBRA", **HEADERS)
    assert (labels(facts, rules(**levels))[1] == "ZEBRA") is not is_hidden


def test_a_uid_is_hidden_wherever_it_stood():
    site = SiteRules(session=parse_rules(r"(0020,000D):(.*)"))
    facts = study(UID, StudyInstanceUID=UID, **HEADERS)
    assert labels(facts, rules(patient="keep"), site=site)[1] == clean_label(UID)
    for given in (rules(study_uid="hash"), rules(study_uid="drop")):
        assert clean_label(UID) not in labels(facts, given, site=site)[1]
        assert clean_label(UID) not in labels(study(UID, folder=UID), given)[1]
        assert labels(study(UID), given)[1] not in {labels(study(UID), rules())[1], "ZEBRA-4711"}


def test_ecat_alone_is_known_by_a_label_that_stays_the_same():
    def facts(**values: Any) -> StudyFacts:
        return StudyFacts(key="ecat:x", study_uid=None, ecat=(ecat_facts(**values),), ecat_date="20240131")

    for level in LEVELS[1:]:
        given = rules(patient=level)
        first = labels(facts(patient_id="ZEBRA-4711"), given)
        assert re.fullmatch(r"ecat_[0-9a-f]{8}", first[1])
        assert labels(facts(patient_id="ZEBRA-4711"), given) == first
        assert labels(facts(patient_id="ZEBRA-2"), given)[1] != first[1]


def test_suffixes_tell_neither_dates_nor_uids():
    facts = study(UID, StudyTime="101500", **HEADERS)
    plain = suffixed_labels("L", facts)
    assert plain[:2] == ["L_20240131", "L_20240131_101500"]
    naming = named(facts, rules(patient="hash"))
    hidden = suffixed_labels("L", facts, naming.suffix_digits)
    assert [len(label) for label in hidden] == [8, 14, 26, 50]
    assert not set(plain) & set(hidden)
    assert named(facts, rules(names="drop")).suffix_digits == ""
    digits = {named(study(uid, **HEADERS), rules(study_uid="hash")).suffix_digits for uid in ("1.2", "1.3")}
    assert len(digits) == 2


def test_dropped_patients_are_numbers_within_one_upload():
    numbers: dict[str, str] = {}

    def ids(given: PrivacyRules, *patients: str) -> tuple[str, ...]:
        naming = name_study(study(UID, PatientID=patients[0]), ImportRequest(), SiteRules(), lambda _: True)
        naming = replace(naming, patients=replace(naming.patients, ids=patients))
        return hide_patients(naming, given, numbers).patients.ids

    dropped, hashed = rules(patient="drop"), rules(patient="hash")
    assert ids(dropped, "A", "B") == ("patient:1", "patient:2")
    assert ids(dropped, "B") == ("patient:2",)
    assert ids(dropped, "C", "A") == ("patient:1", "patient:3")
    assert ids(hashed, "A") == (hashed.patient_token("A"),)
