"""Which session 1 to 4 and 8: what a study is called, from the request and its own facts."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.rules.import_request import ImportRequest
from scandock.rules.mapping import MappingRow, parse_mapping
from scandock.rules.naming import list_destinations, list_named_projects
from scandock.rules.policy import SiteRules
from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.rules.privacy_policy import Policy
from scandock.rules.routing_rules import parse_rules
from scandock.services.door_names import names_at_door
from tests.unit.rules_sessions.builders import name, series, study, study_of

FULL = study(
    "1.2",
    folder="folder1",
    PatientID="pid",
    PatientName="Doe^John",
    PatientComments="Project:C Subject:cs Session:cl",
    StudyDescription="D",
    AccessionNumber="A",
)
PLAIN = study("1.2", PatientID="pid", PatientName="Doe^John")
SITE = SiteRules(
    project=parse_rules("(0008,1030):(D).*\n"),
    subject=parse_rules("(0010,0020):x(.*)\n(0010,0020):(p.).*\n"),
    session=parse_rules("(0008,0050):(.*) t:A r:acc\n"),
)
MAPPING = parse_mapping("study_uid,project,subject,session\n1.2,M,ms,ml\n", "m.csv")


def said(found):
    return found.label, found.source, found.requested


def test_the_label_comes_from_the_mapping_first():
    found = name(FULL, ImportRequest(project="P", session="rl", mapping=MAPPING), SITE, "M P")
    assert said(found.session) == ("ml", "mapping row 2", True)
    assert said(found.subject) == ("ms", "mapping row 2", True)
    assert said(found.project) == ("M", "mapping row 2", True)
    assert found.mapping_row == 2


def test_then_from_the_request():
    found = name(FULL, ImportRequest(project="P", subject="r s", session="rl"), SITE)
    assert said(found.session) == ("rl", "request", True)
    assert said(found.subject) == ("r_s", "request", True)
    assert said(found.project) == ("P", "request", True)


def test_then_from_the_sites_rules():
    found = name(FULL, ImportRequest(), SITE, "D C")
    assert said(found.session) == ("acc", "site rule 1", False)
    assert said(found.subject) == ("pi", "site rule 2", False)
    assert said(found.project) == ("D", "site rule 1", False)


def test_then_from_the_comments():
    found = name(FULL, ImportRequest(), projects="C D A")
    assert said(found.session) == ("cl", "PatientComments", False)
    assert said(found.subject) == ("cs", "PatientComments", False)
    assert said(found.project) == ("C", "PatientComments", False)


def test_then_the_label_from_the_session_folder():
    found = name(study("1.2", folder="fold er", PatientID="pid"))
    assert said(found.session) == ("fold_er", "folder", False)


def test_names_are_spelled_in_ascii_but_in_the_dialect():
    facts = study("1.2", PatientID="pid", PatientName="M\xfcller^Anna")
    assert said(name(facts).subject) == ("Muller_Anna", "PatientName", False)
    assert said(name(facts, ImportRequest(project="P", dialect=True)).subject) == ("M_ller_Anna", "PatientName", False)


def test_a_name_in_letters_that_have_no_spelling_leaves_the_patient_id():
    facts = study("1.2", PatientID="pid", PatientName="\u5c71\u7530^Taro")
    assert said(name(facts).subject) == ("pid", "PatientID", False)
    assert said(name(study("1.2", PatientName="\u5c71\u7530^Taro")).subject) == ("", "session", False)


def test_texts_that_a_person_or_a_site_names_are_not_spelled_anew():
    facts = study("1.2", PatientName="M\xfcller")
    assert name(facts, ImportRequest(project="P", subject="J\xf6rg")).subject.label == "J_rg"
    assert name(study("1.2", PatientID="\xe9A", PatientName="")).subject.label == "_A"


def test_the_dialect_does_not_ask_the_folder():
    assert (
        name(study("1.2", folder="f", PatientID="pid"), ImportRequest(project="P", dialect=True)).session.label == "pid"
    )


def test_a_study_in_several_folders_takes_the_one_with_most_objects():
    facts = study("1.2", PatientID="pid")
    object.__setattr__(facts, "session_folders", {"b": 5, "a": 5, "c": 4})
    assert name(facts).session.label == "a"


def test_then_the_label_is_the_patient_id_and_the_subject_the_patient_name():
    found = name(PLAIN)
    assert said(found.session) == ("pid", "PatientID", False)
    assert said(found.subject) == ("Doe_John", "PatientName", False)


def test_without_a_name_the_subject_is_the_patient_id():
    assert said(name(study("1.2", PatientID="pid", PatientName="Anonymous")).subject) == ("pid", "PatientID", False)


@pytest.mark.parametrize("absent", ["", "ANONYMOUS", "***", "unknown"])
def test_without_both_the_label_is_a_hash_and_the_subject_the_sessions_own_label(absent):
    found = name(study("1.2.3", PatientID=absent, PatientName=absent))
    assert said(found.session) == ("study_c47f5b18", "hash", False)
    assert said(found.subject) == ("", "session", False)


def test_a_patient_id_of_which_nothing_is_left_counts_as_absent_for_labels():
    found = name(study("1.2.3", PatientID="\u5c71\u7530", PatientName="^^"))
    assert (found.session.source, found.subject.source) == ("hash", "session")


def test_one_decision_for_a_study_by_its_most_common_value():
    facts = study_of(series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="A0", Modality="SR"))
    assert name(facts).session.label == "P1"


def test_of_equally_common_values_the_first_in_code_point_order():
    facts = study_of(series("1.2", 5, "1", PatientName="b"), series("1.2", 5, "2", PatientName="B"))
    assert name(facts).subject.label == "B"


def test_placeholders_have_no_vote():
    facts = study_of(series("1.2", 9, "1", PatientID="anonymous"), series("1.2", 1, "2", PatientID="P1"))
    assert name(facts).session.label == "P1"


def test_project_candidates_are_tried_until_one_may_be_used():
    assert said(name(FULL, ImportRequest(), projects="D A").project) == ("D", "StudyDescription", False)
    assert said(name(FULL, ImportRequest(), projects="A").project) == ("A", "AccessionNumber", False)


def test_a_project_taken_from_a_whole_element_is_said():
    assert [w.code for w in name(FULL, ImportRequest(), projects="A").warnings] == ["project_from_header"]
    assert name(FULL, ImportRequest(), projects="C").warnings == ()


def test_no_project_is_unassigned():
    found = name(FULL, ImportRequest(), projects="other")
    assert found.project.label == "Unassigned"
    assert [w.code for w in found.warnings] == ["project_unassigned"]


@pytest.mark.parametrize("project", ["nowhere", "a b", "../P"])
def test_a_requested_project_that_cannot_be_used_is_an_error(project):
    with pytest.raises(Usage) as raised:
        name(PLAIN, ImportRequest(project=project))
    assert raised.value.code == "project_unknown"


def test_a_project_that_the_mapping_names_is_an_error_too():
    with pytest.raises(Usage, match="mapping row 2"):
        name(PLAIN, ImportRequest(mapping=MAPPING), projects="P")


def test_doors_can_ask_for_all_projects_named():
    assert list_named_projects(ImportRequest(project="P", mapping=MAPPING)) == ("P", "M")


@pytest.mark.parametrize(
    "request_", [ImportRequest(project="P", subject="../.."), ImportRequest(project="P", session="../..")]
)
def test_a_requested_label_of_which_nothing_is_left_is_an_error(request_):
    with pytest.raises(Usage, match=r"label '\.\./\.\.' \(request\)") as raised:
        name(PLAIN, request_)
    assert raised.value.code == "label_unusable"


def test_a_requested_label_may_be_a_placeholder():
    assert name(PLAIN, ImportRequest(project="P", subject="anonymous")).subject.label == "anonymous"


def test_auto_archive_is_read():
    assert name(study("1.2", PatientComments="AA:false")).auto_archive is False


@pytest.mark.parametrize(
    ("request_", "level"),
    [
        (ImportRequest(), "drop"),
        (ImportRequest(mapping=(MappingRow(number=1, study_uid="1.2", project="A"),)), "drop"),
        (ImportRequest(project="A"), "keep"),
        (ImportRequest(project="A", mapping=(MappingRow(number=1, study_uid="1.2", project="Q"),)), "drop"),
    ],
)
def test_names_are_hidden_as_any_project_has_it_that_an_upload_may_go_to(request_, level):
    """A mapping names projects of some studies; where the others go their headers say."""
    key = b"k" * 32
    private = PrivacyRules(key=key, policy=Policy(names="drop"))
    site = SitePrivacy(site=PrivacyRules(key=key), projects={"q": private})
    assert site.at_door(list_destinations(request_)).names == level
    assert names_at_door(site, request_).level == level
