"""Which session 5: a study that the project already has, and where sessions go."""

from __future__ import annotations

import pytest

from scandock.rules.hidden_labels import hide_labels
from scandock.rules.import_request import ImportRequest
from scandock.rules.naming import name_study
from scandock.rules.policy import ProjectPolicy, SiteRules
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.rules.routing import route_studies
from tests.unit.rules_sessions.builders import NOW, STAMP, FakeCatalog, codes, decide, held, known, study, waiting, why

ONE = study("1.2", PatientID="pid", PatientName="Doe^John")


def test_a_new_study_is_archived_by_a_new_projects_policy():
    (made,) = decide(ONE)
    assert (made.place, made.label, made.subject, made.existing, made.timestamp) == (
        "archive", "pid", "Doe_John", None, None,
    )  # fmt: skip
    assert (held(made), codes(made)) == ("", [])


@pytest.mark.parametrize(
    ("code", "destination", "comment", "place"),
    [
        (4, None, "", "archive"),
        (5, None, "", "archive"),
        (0, None, "", "prearchive"),
        (0, None, "AA:true", "archive"),
        (4, None, "AA:false", "prearchive"),
        (0, "archive", "AA:false", "archive"),
        (4, "prearchive", "AA:true", "prearchive"),
    ],
)
def test_the_request_then_the_comment_then_the_project_say_where(code, destination, comment, place):
    policy = ProjectPolicy(id="P", prearchive_code=code)
    (made,) = decide(study("1.2", PatientComments=comment), policy=policy, destination=destination)
    assert made.place == place
    assert made.timestamp == (STAMP if place == "prearchive" else None)


def test_unassigned_is_never_archived():
    (made,) = decide(ONE, project=None, destination="archive")
    assert (made.project, made.place) == ("Unassigned", "prearchive")


def test_a_known_study_goes_to_its_session_whatever_that_is_called_now():
    catalog = FakeCatalog(known("renamed", "1.2", subject="moved"))
    (made,) = decide(ONE, catalog=catalog)
    assert (made.existing, made.label, made.subject) == ("uuid-renamed", "renamed", "moved")
    assert (held(made), codes(made)) == ("", ["label_kept"])
    assert "what came as pid belongs to it" in made.warnings[0].message


def test_unless_the_request_names_another_label():
    catalog = FakeCatalog(known("renamed", "1.2"))
    (made,) = decide(ONE, catalog=catalog, session="other")
    assert (held(made), made.place, made.label, made.existing) == ("study_elsewhere", "prearchive", "other", None)
    assert "renamed" in why(made)


def test_a_request_that_names_the_same_label_is_no_other():
    (made,) = decide(ONE, catalog=FakeCatalog(known("Renamed", "1.2")), session="rENAMED")
    assert (held(made), made.existing, made.subject) == ("", "uuid-Renamed", "S")


def test_a_mapping_names_a_label_too():
    from scandock.rules.mapping import parse_mapping

    mapping = parse_mapping("patient_id,session\npid,other\n", "m.csv")
    (made,) = decide(ONE, catalog=FakeCatalog(known("renamed", "1.2")), mapping=mapping)
    assert held(made) == "study_elsewhere"


def test_in_the_dialect_a_named_label_makes_a_session_of_its_own():
    (made,) = decide(ONE, catalog=FakeCatalog(known("renamed", "1.2")), session="other", dialect=True)
    assert (held(made), made.place, made.label, made.existing) == ("", "archive", "other", None)
    assert codes(made) == ["study_twice"]


def test_in_the_dialect_as_well_a_study_not_named_goes_to_its_session():
    (made,) = decide(ONE, catalog=FakeCatalog(known("renamed", "1.2")), dialect=True)
    assert made.existing == "uuid-renamed"


def test_a_session_made_by_hand_never_redirects_an_import():
    catalog = FakeCatalog(known("hand", "1.2", by_hand=True))
    (made,) = decide(ONE, catalog=catalog)
    assert (made.label, made.existing) == ("pid", None)
    (made,) = decide(ONE, catalog=catalog, session="other")
    assert (made.label, held(made)) == ("other", "")


def test_a_session_made_by_hand_takes_what_is_named_for_it():
    catalog = FakeCatalog(known("hand", by_hand=True))
    (made,) = decide(ONE, catalog=catalog, session="hand")
    assert (made.existing, made.subject, held(made)) == ("uuid-hand", "S", "")


def test_a_derived_label_joins_a_session_made_by_hand_only_for_the_same_subject():
    same = FakeCatalog(known("pid", by_hand=True, subject="doe_john"))
    (made,) = decide(ONE, catalog=same)
    assert (made.existing, made.subject) == ("uuid-pid", "doe_john")
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", by_hand=True, subject="somebody")))
    assert made.existing is None
    assert made.label.startswith("pid_")


def test_a_study_of_another_project_is_new_here():
    (made,) = decide(ONE, catalog=FakeCatalog(known("renamed", "1.2", project="Q")))
    assert (made.label, made.existing) == ("pid", None)


def test_destination_prearchive_always_yields_a_prearchive_session():
    (made,) = decide(ONE, catalog=FakeCatalog(known("renamed", "1.2")), destination="prearchive")
    assert (made.place, made.label, made.existing, made.timestamp) == ("prearchive", "renamed", None, STAMP)
    assert made.archived == "uuid-renamed"


def test_a_requested_subject_that_is_not_the_sessions_is_held():
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", "1.2")), subject="T")
    assert (held(made), made.place, made.subject, made.label) == ("subject_differs", "prearchive", "T", "pid")
    (made,) = decide(ONE, catalog=FakeCatalog(known("pid", "1.2")), subject="s")
    assert (held(made), made.existing) == ("", "uuid-pid")


def test_another_patient_than_the_sessions_is_held():
    catalog = FakeCatalog(known("pid", "1.2", patient_id="somebody else"))
    (made,) = decide(ONE, catalog=catalog)
    assert (held(made), made.place, made.existing, made.archived) == (
        "patient_mismatch",
        "prearchive",
        None,
        "uuid-pid",
    )
    assert "pid, somebody else" in why(made)


def test_a_study_twice_in_a_project_goes_to_the_session_of_its_label():
    catalog = FakeCatalog(known("a", "1.2"), known("pid", "1.2"))
    (made,) = decide(ONE, catalog=catalog)
    assert made.existing == "uuid-pid"


def test_what_waits_in_the_prearchive_does_not_redirect_what_is_bound_for_the_archive():
    (made,) = decide(ONE, catalog=FakeCatalog(waiting("renamed", "1.2")))
    assert (made.place, made.label, made.existing, codes(made)) == (
        "archive", "pid", None, ["session_in_prearchive_left"],
    )  # fmt: skip


def test_what_is_bound_for_the_prearchive_goes_to_the_session_that_waits_there():
    (made,) = decide(ONE, catalog=FakeCatalog(waiting("renamed", "1.2")), destination="prearchive")
    assert (made.existing, made.label, made.timestamp) == ("uuid-renamed", "renamed", "20200101_000000000")


def test_and_is_held_where_the_request_names_another_label():
    catalog = FakeCatalog(waiting("renamed", "1.2"))
    (made,) = decide(ONE, catalog=catalog, destination="prearchive", session="other")
    assert (held(made), made.label, made.existing) == ("study_elsewhere", "other", None)


def test_but_not_by_a_session_that_is_held_under_a_label_that_did_not_fit():
    catalog = FakeCatalog(waiting("L", "1.2", held="label_many_studies"))
    (made,) = decide(ONE, catalog=catalog, destination="prearchive", session="other")
    assert (held(made), made.label, made.existing) == ("", "other", None)
    (made,) = decide(ONE, catalog=catalog, destination="prearchive")
    assert (held(made), made.label, made.existing) == ("", "pid", None)


def test_a_requested_label_that_can_not_be_had_to_the_letter_is_warned_of():
    (made,) = decide(study("1.2", PatientID="pid"), session=" Visit 1 (MR)\t", subject="A.B")
    assert (made.label, made.subject) == ("Visit_1__MR_", "A_B")
    assert [warning.message for warning in made.warnings] == [
        "Session label Visit 1 (MR) became Visit_1__MR_, as a label has 1 to 64 letters, digits, _ and -.",
        "Subject label A.B became A_B, as a label has 1 to 64 letters, digits, _ and -.",
    ]
    (long,) = decide(study("1.2", PatientID="pid"), session="x" * 65)
    assert codes(long) == ["label_changed"]


@pytest.mark.parametrize("asked", [{"session": " visit-1\n", "subject": "A_B"}, {}])
def test_one_that_is_as_it_was_asked_for_is_not(asked):
    (made,) = decide(study("1.2", PatientID="p i d", PatientName="Doe^John"), **asked)
    assert codes(made) == []


def test_a_session_that_senders_were_told_of_stands_where_they_were_told():
    catalog = FakeCatalog()
    catalog.promised = [waiting("told", "1.2", timestamp="20200101_000000000"), waiting("pid", "1.3")]
    (own,) = decide(ONE, catalog=catalog, destination="prearchive")
    assert (own.place, own.label, own.timestamp, own.existing) == ("prearchive", "told", "20200101_000000000", None)
    (requested,) = decide(ONE, catalog=catalog, destination="prearchive", session="other")
    assert (requested.label, requested.timestamp) == ("other", STAMP)
    (archived,) = decide(ONE, catalog=catalog, destination="archive")
    assert (archived.place, archived.label) == ("archive", "pid_77ac31")  # another one has `pid`


@pytest.mark.parametrize("level", ["keep", "hash", "drop"])
def test_a_label_that_was_told_when_more_might_be_known_is_kept_no_more(level):
    rules = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid=level, patient=level))
    catalog = FakeCatalog()
    catalog.promised = [waiting("DOE_JOHN", ONE.study_uid, timestamp="20200101_000000000")]
    naming = hide_labels(name_study(ONE, ImportRequest(project="P"), SiteRules(), lambda _: True), ONE, rules)
    request = ImportRequest(project="P", destination="prearchive")
    (made,) = route_studies([naming], [ONE], request, {"P": ProjectPolicy(id="P")}, catalog, NOW)
    assert (made.label == "DOE_JOHN") == (level == "keep")
