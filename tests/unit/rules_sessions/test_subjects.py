"""Which session 1, 6 and 7: which subject, and whose images these are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from scandock.rules.catalog_view import KnownSubject
from scandock.rules.labels import hash_text, label_key
from scandock.rules.policy import SiteRules
from scandock.rules.routing_rules import parse_rules
from tests.unit.rules_sessions.builders import FakeCatalog, codes, decide, held, known, series, study, study_of, why


def of(uid: str, patient: str = "", name: str = "", **more: str):
    return study(uid, PatientID=patient, PatientName=name, **more)


def subjects(decisions) -> list[str]:
    return [made.subject for made in decisions]


def with_subject(label: str, *ids: str, names: tuple[str, ...] = ()) -> FakeCatalog:
    return FakeCatalog(subjects=[KnownSubject(label=label, patient_ids=frozenset(ids), patient_names=frozenset(names))])


def test_forty_anonymous_studies_are_forty_subjects():
    made = decide(*(of(f"1.{n}", "anonymous", "Anonymous") for n in range(40)))
    assert len({one.label for one in made}) == 40
    assert subjects(made) == [one.label for one in made]
    assert {tuple(codes(one)) for one in made} == {("label_from_hash",)}


def test_a_subject_without_a_name_is_called_as_its_session_is_in_the_end():
    made = decide(study("1.2", folder="f", StudyDate="20240101"), study("1.3", folder="f", StudyDate="20240102"))
    assert subjects(made) == [one.label for one in made] == ["f_20240101", "f_20240102"]


def test_studies_of_one_patient_are_one_subject():
    made = decide(of("1.2", "P1", "Doe^John"), of("1.3", "P1", "DOE^JOHN^^"))
    assert subjects(made) == ["DOE_JOHN", "DOE_JOHN"]
    assert [codes(one) for one in made] == [["label_suffixed"], ["label_suffixed"]]


def test_one_name_with_two_patient_ids_is_two_subjects_with_a_warning():
    made = decide(of("1.2", "P1", "Doe^John"), of("1.3", "P2", "Doe^John"))
    assert subjects(made) == [f"Doe_John_{hash_text(patient, 6)}" for patient in ("P1", "P2")]
    assert [codes(one) for one in made] == [["subjects_told_apart"]] * 2


def test_names_that_clean_alike_are_told_apart_by_their_ids():
    made = decide(of("1.2", "an na", "an na"), of("1.3", "an_na", "an_na"), of("1.4", "an.na", "AN.NA"))
    assert len({label.casefold() for label in subjects(made)}) == 3


def test_without_ids_by_their_names():
    made = decide(of("1.2", "", "A.1"), of("1.3", "", "A 1"), of("1.4", "", "a.1"))
    assert len(set(subjects(made))) == 2
    assert made[0].subject == made[2].subject


def test_who_bears_no_id_is_taken_for_the_one_patient_of_that_name():
    made = decide(of("1.2", "P1", "Doe^John"), of("1.3", "", "Doe^John"))
    assert subjects(made) == ["Doe_John", "Doe_John"]


def test_a_subject_of_the_form_of_the_servers_own_ids_gets_a_suffix():
    """As a subject's label it would be taken for another subject's id."""
    now = f"XNAT_S00012_{hash_text('XNAT_S00012', 6)}"
    made = decide(of("1.2", "XNAT_S00012", folder="a"), of("1.3", "XNAT_S00012", folder="b"))
    assert (subjects(made), codes(made[0])) == ([now, now], ["label_own_id"])
    catalog = with_subject(now, "XNAT_S00012")
    assert subjects(decide(of("1.4", "XNAT_S00012", folder="c"), catalog=catalog)) == [now]
    made = decide(of("1.2", "P1", "xnat_s00012"), of("1.3", "P2", "xnat_s00012"), of("1.4", "P2", "xnat_s00012"))
    assert subjects(made) == [f"xnat_s00012_{hash_text(one, 6)}" for one in ("P1", "P2", "P2")]
    made = decide(of("1.2", "P1", PatientComments="Subject:XNAT_S00012"))
    assert subjects(made) == [f"XNAT_S00012_{hash_text('P1', 6)}"]


def test_but_a_known_patient_of_such_a_label_stays_there():
    (made,) = decide(of("1.2", "XNAT_S00012", folder="a"), catalog=with_subject("XNAT_S00012", "XNAT_S00012"))
    assert (made.subject, codes(made)) == ("XNAT_S00012", [])


def test_by_the_catalog_too():
    (made,) = decide(of("1.2", "P2", "Doe^John"), catalog=with_subject("Doe_John", "P1"))
    assert (made.subject, codes(made)) == (f"Doe_John_{hash_text('P2', 6)}", ["subjects_told_apart"])


def test_a_known_patient_stays_where_it_is():
    catalog = with_subject("doe_john", "P1")
    made = decide(of("1.2", "P1", "Doe^John"), of("1.3", "P2", "Doe^John"), catalog=catalog)
    assert subjects(made) == ["doe_john", f"Doe_John_{hash_text('P2', 6)}"]


def test_a_subject_that_was_told_apart_is_found_again():
    catalog = FakeCatalog()
    catalog.take(decide(of("1.2", "P1", "Doe^John"), of("1.3", "P2", "Doe^John"), catalog=catalog))
    (made,) = decide(of("1.4", "P1", "Doe^John"), catalog=catalog)
    assert made.subject == f"Doe_John_{hash_text('P1', 6)}"


def test_a_subject_without_known_ids_takes_the_first_patient():
    (made,) = decide(of("1.2", "P1", "Doe^John"), catalog=with_subject("Doe_John"))
    assert (made.subject, codes(made)) == ("Doe_John", [])


def test_a_subject_of_another_name_that_cleans_alike_does_not():
    (made,) = decide(of("1.2", "", "A 1"), catalog=with_subject("A_1", names=("a.1",)))
    assert (made.subject, codes(made)) == (f"A_1_{hash_text('a 1', 6)}", ["label_from_hash", "subjects_told_apart"])


def test_a_subject_is_spelt_as_in_the_catalog():
    (made,) = decide(of("1.2", "P1", "Doe^John"), catalog=with_subject("DOE_john", "P1"))
    assert made.subject == "DOE_john"


def test_a_subject_named_by_a_comment_is_kept_with_a_warning():
    made = decide(of("1.2", "P1", PatientComments="Subject:S"), of("1.3", "P2", PatientComments="Subject:s"))
    assert subjects(made) == ["S", "S"]
    assert [codes(one) for one in made] == [["subject_other_patient"]] * 2


def test_a_subject_named_by_a_site_rule_is_kept_with_a_warning():
    site = SiteRules(subject=parse_rules("(0010,0020):(...).*"))
    made = decide(of("1.2", "ab.1"), of("1.3", "ab.2"), site=site)
    assert subjects(made) == ["ab_", "ab_"]
    assert codes(made[0]) == ["subject_other_patient"]


def test_a_requested_subject_takes_one_patient():
    made = decide(of("1.2", "P1"), of("1.3", "P2"), subject="S")
    assert [held(one) for one in made] == ["subject_many_patients"] * 2
    assert {(one.place, one.subject) for one in made} == {("prearchive", "S")}


def test_absent_ids_count_for_none():
    made = decide(of("1.2", "P1"), of("1.3", "anonymous"), of("1.4"), subject="S")
    assert [held(one) for one in made] == [""] * 3
    assert subjects(made) == ["S"] * 3


def test_what_bears_no_id_waits_with_the_others_of_a_contested_subject():
    made = decide(of("1.2", "P1"), of("1.3", "P2"), of("1.4"), subject="S")
    assert {held(one) for one in made} == {"subject_many_patients"}


def test_a_requested_subject_is_not_counted_with_the_catalog():
    (made,) = decide(of("1.2", "P2"), subject="S", catalog=with_subject("S", "P1"))
    assert (held(made), made.subject, codes(made)) == ("", "S", ["subject_other_patient"])


def test_a_mapping_gives_each_patient_its_subject():
    from scandock.rules.mapping import parse_mapping

    mapping = parse_mapping("patient_id,subject\nP1,S1\nP2,S2\n", "m.csv")
    made = decide(of("1.2", "P1"), of("1.3", "P2"), mapping=mapping, subject="S")
    assert [(one.subject, held(one)) for one in made] == [("S1", ""), ("S2", "")]


def test_two_patients_in_one_study_are_held():
    mixed = study_of(series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="P2"))
    (made,) = decide(mixed)
    assert (held(made), made.place, made.label) == ("patient_mismatch", "prearchive", "P1")
    assert "P1, P2" in why(made)


def test_ids_that_differ_in_padding_alone_do_not_differ_and_absent_ones_are_a_warning():
    facts = study_of(
        series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="anon"), series("1.2", 2, "3")
    )
    (made,) = decide(facts)
    assert (held(made), codes(made)) == ("", ["patient_absent"])
    assert "3 of 12" in made.warnings[0].message


def test_several_reasons_give_the_gravest_and_the_others_as_warnings():
    mixed = study_of(series("1.2", 9, "1", PatientID="P1"), series("1.2", 1, "2", PatientID="P2"))
    (made,) = decide(mixed, session="L", subject="S", catalog=FakeCatalog(known("L", "1.9")))
    assert held(made) == "patient_mismatch"
    assert codes(made) == ["label_many_studies", "subject_many_patients"]


def test_a_session_that_is_there_already_is_not_held_for_a_contested_subject():
    catalog = FakeCatalog(known("P1", "1.2", subject="S"))
    made = decide(of("1.2", "P1"), of("1.3", "P2"), subject="S", catalog=catalog)
    assert [held(one) for one in made] == ["", "subject_many_patients"]


# -- subjects that earlier versions named (rules.md, "Names") --------------------------------------------------------

ANNA = "M\xfcller^Anna"
OLD = f"M_ller_Anna_{hash_text('P1', 6)}"


def test_a_patient_stays_at_the_subject_that_an_earlier_version_named():
    [made] = decide(of("1.2", "P1", ANNA), catalog=with_subject("M_LLER_Anna", "P0", "P1"))
    assert (made.subject, codes(made)) == ("M_LLER_Anna", [])
    [apart] = decide(of("1.2", "P1", ANNA), catalog=with_subject(OLD, "P1"))
    assert (apart.subject, codes(apart)) == (OLD, [])


def test_another_patient_of_the_old_label_gets_the_new_one():
    [made] = decide(of("1.2", "P2", ANNA), catalog=with_subject("M_ller_Anna", "P1"))
    assert (made.subject, codes(made)) == ("Muller_Anna", [])
    [maria] = decide(
        of("1.2", "P2", "M\xf6ller^Anna"), catalog=with_subject("M_ller_Anna", "P1", names=("m\xf6ller^anna",))
    )
    assert maria.subject == "Moller_Anna"


def test_two_patients_of_one_name_are_told_apart_beside_the_one_that_is_known():
    catalog = with_subject("M_ller_Anna", "P1")
    made = decide(of("1.2", "P1", ANNA), of("1.3", "P2", ANNA), of("1.4", "P3", ANNA), catalog=catalog)
    new = [f"Muller_Anna_{hash_text(patient, 6)}" for patient in ("P2", "P3")]
    assert subjects(made) == ["M_ller_Anna", *new]


def test_without_ids_the_name_says_whether_it_is_the_patient():
    names = ("m\xfcller^anna",)
    catalog = with_subject("M_ller_Anna", names=names)
    assert subjects(decide(of("1.2", "", "M\xdcLLER^Anna^^"), catalog=catalog)) == ["M_ller_Anna"]
    assert subjects(decide(of("1.2", "", "M\xf6ller^Anna"), catalog=catalog)) == ["Moller_Anna"]
    assert subjects(decide(of("1.2", "", ANNA), catalog=with_subject("M_ller_Anna"))) == ["Muller_Anna"]
    several = with_subject("M_ller_Anna", names=(*names, "m\xf6ller^anna"))
    assert subjects(decide(of("1.2", "", ANNA), catalog=several)) == ["Muller_Anna"]
    assert subjects(decide(of("1.2", "", ANNA), catalog=with_subject("M_ller_Anna", "P1", names=names))) == [
        "M_ller_Anna"
    ]


def test_sessions_without_an_id_are_taken_for_the_one_patient_of_their_name():
    catalog = with_subject("M_ller_Anna", names=("m\xfcller^anna",))
    assert subjects(decide(of("1.2", "P1", ANNA), catalog=catalog)) == ["M_ller_Anna"]
    both = decide(of("1.2", "P1", ANNA), of("1.3", "P2", ANNA), catalog=catalog)
    assert subjects(both) == [f"Muller_Anna_{hash_text(patient, 6)}" for patient in ("P1", "P2")]


def test_an_id_named_the_subject_before_where_no_letter_of_the_name_was_ascii():
    name = "\u0418\u0432\u0430\u043d\u043e\u0432"
    assert subjects(decide(of("1.2", "P1", name))) == ["Ivanov"]
    assert subjects(decide(of("1.2", "P1", name), catalog=with_subject("P1", "P1"))) == ["P1"]


class WithoutNames(FakeCatalog):
    """As the catalog is: it tells the names of patients only where it is asked for them."""

    def subject(self, project: str, label: str) -> KnownSubject | None:
        known_subject = super().subject(project, label)
        return replace(known_subject, patient_names=frozenset()) if known_subject is not None else None

    def subjects_labelled(self, project: str, labels: Collection[str]) -> dict[str, KnownSubject]:
        keys = map(label_key, labels)
        return {key: self.subjects[project, key] for key in keys if (project, key) in self.subjects}


def test_a_kept_subject_stays_beside_another_patient_whose_name_cleans_to_it():
    subject = KnownSubject(label="M_ller_Anna", patient_names=frozenset({"m\xfcller^anna"}))
    catalog = WithoutNames(subjects=[subject])
    made = decide(of("1.2", "", ANNA), of("1.3", "P9", "M_ller^Anna"), catalog=catalog)
    assert subjects(made) == ["M_ller_Anna", f"M_ller_Anna_{hash_text('P9', 6)}"]


def test_the_dialect_names_subjects_as_the_original_does():
    made = decide(of("1.2", "P1", ANNA), catalog=with_subject("Muller_Anna", "P1"), dialect=True)
    assert subjects(made) == ["M_ller_Anna"]
    assert subjects(decide(of("1.2", "P2", ANNA), catalog=with_subject("M_ller_Anna", "P1"), dialect=True)) == [
        f"M_ller_Anna_{hash_text('P2', 6)}"
    ]


def test_what_a_person_names_is_no_matter_of_earlier_versions():
    catalog = with_subject("M_ller_Anna", "P1")
    assert subjects(decide(of("1.2", "P1", ANNA), catalog=catalog, subject="S1")) == ["S1"]


def test_a_session_made_by_hand_under_the_old_label_is_joined():
    by_hand = known("P1", None, subject="M_ller_Anna", by_hand=True)
    [made] = decide(of("1.2", "P1", ANNA), catalog=FakeCatalog(by_hand))
    assert (made.existing, made.subject) == (by_hand.uuid, "M_ller_Anna")
