"""Which session 6: two studies on one label."""

from __future__ import annotations

import pytest

from scandock.rules.labels import hash_text
from scandock.rules.mapping import parse_mapping
from scandock.rules.notices import make_notice
from scandock.rules.reimports import hold_decision
from tests.unit.rules_sessions.builders import NOW, FakeCatalog, codes, decide, held, known, study, waiting


def of(uid: str, date: str = "", patient: str = "pid", **more: str):
    return study(uid, PatientID=patient, StudyDate=date, **more)


def labels(decisions) -> list[str]:
    return [made.label for made in decisions]


def test_studies_of_one_label_get_their_dates():
    made = decide(of("1.2", "20240101"), of("1.3", "20240102"))
    assert labels(made) == ["pid_20240101", "pid_20240102"]
    assert [codes(one) for one in made] == [["label_suffixed"], ["label_suffixed"]]
    assert [held(one) for one in made] == ["", ""]


@pytest.mark.parametrize("date", ["", "garbage", "20241301"])
def test_or_six_digits_of_the_study_uid_where_there_is_no_date(date):
    made = decide(of("1.2.3", date), of("1.3", "20240102"))
    assert labels(made) == ["pid_c47f5b", "pid_20240102"]


def test_or_where_the_date_is_taken():
    made = decide(of("1.2.3", "20240101"), of("1.3", "20240101"), of("1.4", "20240102"))
    assert labels(made)[0] == "pid_c47f5b"
    assert labels(made)[2] == "pid_20240102"
    assert len(set(labels(made))) == 3


def test_studies_of_one_day_get_their_times():
    made = decide(of("1.2.3", "20240101", StudyTime="093005.25"), of("1.3", "20240101", StudyTime="1400"))
    assert labels(made) == ["pid_20240101_093005", "pid_20240101_140000"]
    assert [codes(one) for one in made] == [["label_suffixed"], ["label_suffixed"]]


def test_or_six_digits_where_the_time_is_missing_or_taken():
    same = decide(of("1.2.3", "20240101", StudyTime="0930"), of("1.3", "20240101", StudyTime="093000"))
    assert labels(same) == ["pid_c47f5b", f"pid_{hash_text('1.3', 6)}"]
    one = decide(of("1.2.3", "20240101", StudyTime="25:00"), of("1.3", "20240101", StudyTime="0930"))
    assert labels(one) == ["pid_c47f5b", "pid_20240101_093000"]
    catalog = FakeCatalog(known("pid", "1.9"), known("pid_20240101", "1.8"), known("pid_20240101_093000", "1.7"))
    assert labels(decide(of("1.2.3", "20240101", StudyTime="0930"), catalog=catalog)) == ["pid_c47f5b"]


def test_a_time_without_a_date_says_nothing():
    assert labels(decide(of("1.2.3", StudyTime="0930"), of("1.3", "20240102")))[0] == "pid_c47f5b"


def test_what_an_older_version_has_called_by_a_hash_keeps_that_label():
    catalog = FakeCatalog(known("pid", "1.9"), known("pid_20240101", "1.8"), known("pid_c47f5b", "1.2.3"))
    (made,) = decide(of("1.2.3", "20240101", StudyTime="0930"), catalog=catalog)
    assert (made.label, made.existing, codes(made)) == ("pid_c47f5b", "uuid-pid_c47f5b", [])


def test_by_the_catalog_too():
    catalog = FakeCatalog(known("pid", "1.9"), known("pid_20240101", "1.8"))
    assert labels(decide(of("1.2.3", "20240101"), catalog=catalog)) == ["pid_c47f5b"]


def test_or_by_another_studys_own_label():
    made = decide(of("1.2.3", "20240101"), of("1.3", "20240102"), of("1.4", patient="PID_20240101"))
    assert labels(made) == ["pid_c47f5b", "pid_20240102", "PID_20240101"]


@pytest.mark.parametrize("form", ["XNAT_E00003", "XNAT_S00012", "xnat_e00003"])
def test_a_label_of_the_form_of_the_servers_own_ids_gets_a_suffix_too(form):
    """Its address would be that of another session."""
    (made,) = decide(of("1.2.3", "20240101", form, PatientName="Doe"))
    assert (made.label, codes(made)) == (f"{form}_20240101", ["label_own_id"])
    both = decide(of("1.2.3", "", form, PatientName="Doe"), of("1.3", "", form, PatientName="Doe"))
    assert labels(both) == [f"{form}_c47f5b", f"{form}_{hash_text('1.3', 6)}"]


def test_from_a_folder_or_a_comment_as_well():
    (made,) = decide(study("1.2", folder="XNAT_E00003", StudyDate="20240101"))
    assert (made.label, made.subject) == ("XNAT_E00003_20240101", "XNAT_E00003_20240101")
    (made,) = decide(of("1.2", "20240101", PatientComments="Session:XNAT_E00003"))
    assert made.label == "XNAT_E00003_20240101"


def test_such_a_study_is_found_again_and_keeps_what_it_is_called():
    catalog = FakeCatalog()
    first = decide(of("1.2", "20240101", "XNAT_E00003"), catalog=catalog)
    catalog.take(first)
    assert labels(decide(of("1.2", "20240101", "XNAT_E00003"), catalog=catalog)) == labels(first)
    catalog = FakeCatalog(known("XNAT_E00003", "1.2"))  # as an older version has called it
    assert labels(decide(of("1.2", "20240101", "XNAT_E00003"), catalog=catalog)) == ["XNAT_E00003"]


def test_only_the_new_ones_are_renamed():
    catalog = FakeCatalog(known("pid", "1.2"))
    made = decide(of("1.2", "20240101"), of("1.3", "20240102"), catalog=catalog)
    assert labels(made) == ["pid", "pid_20240102"]
    assert [one.existing for one in made] == ["uuid-pid", None]


def test_they_are_found_again_under_their_suffix():
    catalog = FakeCatalog()
    first = decide(of("1.2", "20240101"), of("1.3", "20240102"), catalog=catalog)
    catalog.take(first)
    again = decide(of("1.3", "20240102"), of("1.2", "20240101"), catalog=catalog)
    assert labels(again) == labels(first)[::-1]
    assert all(one.existing and not codes(one) for one in again)


@pytest.mark.parametrize("destination", ["archive", "prearchive"])
def test_a_waiting_session_takes_its_label_as_well(destination):
    catalog = FakeCatalog(waiting("pid", "1.9"))
    assert labels(decide(of("1.2", "20240101"), catalog=catalog, destination=destination)) == ["pid_20240101"]


def test_the_one_that_waits_keeps_its_suffix_once_the_other_is_archived_under_its_own():
    """The label that both were called by is nobody's; one who took it now would stand beside their own session."""
    label = f"pid_{hash_text('1.3', 6)}"
    catalog = FakeCatalog(known(f"pid_{hash_text('1.2', 6)}", "1.2"), waiting(label, "1.3", held="sop_clash"))
    for studies in ([of("1.2"), of("1.3")], [of("1.3")]):
        made = decide(*studies, catalog=catalog)[-1]
        assert (made.label, made.place, codes(made)) == (label, "archive", ["session_in_prearchive_left"])
        late = hold_decision(made, make_notice("sop_clash", label=made.label, count=2), catalog, NOW)
        assert (late.label, late.place, late.existing) == (label, "prearchive", f"uuid-{label}")
        assert codes(late) == []


def test_it_keeps_a_suffix_of_its_own_alone():
    """A label that a person gave to what waits is not given to what is bound for the archive."""
    catalog = FakeCatalog(waiting("another", "1.3", held="sop_clash"))
    assert labels(decide(of("1.3"), catalog=catalog)) == ["pid"]


def test_labels_are_compared_without_case():
    made = decide(of("1.2", "20240101", "PID"), of("1.3", "20240102", "pid"))
    assert labels(made) == ["PID_20240101", "pid_20240102"]
    assert labels(decide(of("1.2", "20240101"), catalog=FakeCatalog(known("PID", "1.9")))) == ["pid_20240101"]


def test_two_patients_of_one_label_by_cleaning_are_two_sessions():
    made = decide(of("1.2", "20240101", "A.1"), of("1.3", "20240102", "A 1"))
    assert labels(made) == ["A_1_20240101", "A_1_20240102"]


def test_suffixed_labels_are_cut_to_64_and_stay_apart():
    long = "x" * 64
    made = decide(of("1.2", "20240101", long), of("1.3", "20240101", long), of("1.4", "20240103", long))
    assert all(len(label) <= 64 for label in labels(made))
    assert len(set(labels(made))) == 3


def test_a_requested_label_takes_one_study():
    made = decide(of("1.3"), of("1.2"), session="L")
    assert [held(one) for one in made] == ["label_many_studies"] * 2
    assert labels(made) == ["L", "L"]
    assert {one.place for one in made} == {"prearchive"}


def test_each_stands_in_a_timestamp_of_its_own_milliseconds_counted_up():
    made = decide(of("1.3"), of("1.2"), session="L", catalog=FakeCatalog(waiting("x", timestamp="20240506_070809124")))
    assert [one.timestamp for one in made] == ["20240506_070809125", "20240506_070809123"]


def test_counted_with_the_catalog():
    (made,) = decide(of("1.2"), session="l", catalog=FakeCatalog(known("L", "1.9")))
    assert (held(made), made.existing, made.archived) == ("label_many_studies", None, None)


def test_with_what_waits_in_the_prearchive_too():
    catalog = FakeCatalog(waiting("L", "1.9"))
    (made,) = decide(of("1.2"), session="L", catalog=catalog, destination="prearchive")
    assert (held(made), made.existing, made.timestamp != "20200101_000000000") == ("label_many_studies", None, True)


def test_but_not_with_what_is_held_there():
    (made,) = decide(of("1.2"), session="L", catalog=FakeCatalog(waiting("L", "1.9", held="label_many_studies")))
    assert (held(made), made.place) == ("", "archive")


def test_the_study_that_has_the_label_already_keeps_its_session():
    made = decide(of("1.2"), of("1.3"), session="L", catalog=FakeCatalog(known("L", "1.2")))
    assert [held(one) for one in made] == ["", "label_many_studies"]
    assert made[0].existing == "uuid-L"


def test_uploaded_again_each_joins_its_own_held_session():
    catalog = FakeCatalog()
    first = decide(of("1.2"), of("1.3"), session="L", catalog=catalog)
    catalog.take(first)
    again = decide(of("1.3"), of("1.2"), session="L", catalog=catalog)
    assert [one.timestamp for one in again] == [first[1].timestamp, first[0].timestamp]
    assert [one.existing for one in again] == ["u1", "u0"]


def test_a_label_that_was_not_requested_gives_way_to_one_that_was():
    mapping = parse_mapping("study_uid,session\n1.2,pid\n", "m.csv")
    made = decide(of("1.2"), of("1.3", "20240101"), mapping=mapping)
    assert labels(made) == ["pid", "pid_20240101"]
    assert [held(one) for one in made] == ["", ""]


def test_a_mapping_row_for_each_study_fits():
    mapping = parse_mapping("study_uid,session\n1.2,a\n1.3,b\n", "m.csv")
    made = decide(of("1.2"), of("1.3"), mapping=mapping)
    assert [(one.label, held(one), one.place) for one in made] == [("a", "", "archive"), ("b", "", "archive")]


def test_a_rule_of_the_site_is_not_a_request():
    made = decide(
        of("1.2", "20240101", PatientComments="Session:L"), of("1.3", "20240102", PatientComments="Session:L")
    )
    assert labels(made) == ["L_20240101", "L_20240102"]


def test_different_projects_do_not_collide():
    mapping = parse_mapping("study_uid,project\n1.3,Q\n", "m.csv")
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.routing import route_studies
    from tests.unit.rules_sessions.builders import NOW, name

    request = ImportRequest(project="P", mapping=mapping)
    studies = [of("1.2"), of("1.3")]
    made = route_studies([name(s, request, projects="P Q") for s in studies], studies, request, {}, FakeCatalog(), NOW)
    assert [(one.project, one.label) for one in made] == [("P", "pid"), ("Q", "pid")]


def test_one_study_in_two_folders_is_one_session_and_said():
    facts = study("1.2", PatientID="pid")
    object.__setattr__(facts, "session_folders", {"a": 7, "b": 3})
    (made,) = decide(facts)
    assert (made.label, codes(made)) == ("a", ["folders_disagree"])


def test_two_studies_in_one_folder_are_two_sessions():
    made = decide(of("1.2", "20240101", folder="f"), of("1.3", "20240102", folder="f"))
    assert labels(made) == ["f_20240101", "f_20240102"]
