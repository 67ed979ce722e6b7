"""Rules as a value, the keyed hashes that follow from them, and the catalog as they let the rules of routing see it."""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import pytest

from scandock.rules.catalog_view import KnownSession, KnownSubject
from scandock.rules.keyed_view import KeyedView
from scandock.rules.petmr import Side
from scandock.rules.privacy import PrivacyRules, SafePrivateElement, SitePrivacy, is_token
from scandock.rules.privacy_policy import Policy

RULES = PrivacyRules(
    key=b"k" * 32,
    scripts=('version "6.1"\n', "(0010,0010) := subject"),
    lookups="a/b = Anna",
    profile="basic,safe-private",
    safe_private=(SafePrivateElement("SIEMENS", 0x19, 0x0C),),
    residue="refuse",
    resources="keep",
)
OTHERS: list[dict[str, Any]] = [
    {"key": b"j" * 32},
    {"scripts": RULES.scripts[:1]},
    {"scripts": RULES.scripts[::-1]},
    {"lookups": ""},
    {"profile": "basic"},
    {"safe_private": ()},
    {"residue": "warn"},
    {"policy": Policy(study_uid="hash")},
    {"policy": Policy(patient="drop")},
]


def test_rules_cross_the_wire_whole():
    plain: Any = RULES.to_plain()
    there = PrivacyRules.from_plain(marshal.loads(marshal.dumps(plain)))
    assert there == RULES
    assert len(plain) == len(fields(PrivacyRules))
    assert there.fingerprint == RULES.fingerprint


@pytest.mark.parametrize("change", OTHERS, ids=lambda change: next(iter(change)))
def test_a_fingerprint_stands_for_all_that_changes_objects(change: dict[str, Any]):
    assert replace(RULES, **change).fingerprint != RULES.fingerprint
    assert len(RULES.fingerprint) == 8


def test_neither_key_nor_table_is_shown():
    assert "kkk" not in repr(RULES)
    assert "Anna" not in repr(RULES)


def test_hashes_are_of_the_key_and_of_their_kind():
    text = "1.2.3"
    hashes = {RULES.study_key(text), RULES.patient_token(text)[4:], RULES.origin(text.encode(), "").hex()}
    assert len(hashes) == 3
    assert {len(one) for one in hashes} == {32}
    assert replace(RULES, key=b"j").study_key(text) not in hashes
    assert replace(RULES, profile="").study_key(text) in hashes  # no rule changes what an object was
    assert RULES.origin(b"a", "1.2") != RULES.origin(b"a", "1.3")


def test_a_token_stands_for_itself_and_nobody_for_nobody():
    token = RULES.patient_token("PAT1")
    assert is_token(token)
    assert not is_token("PAT1")
    assert RULES.patient_token(token) == token
    assert RULES.patient_token("") == ""


@pytest.mark.parametrize(
    ("values", "keeps"),
    [({}, True), ({"profile": "basic"}, False), ({"profile": "basic", "resources": "keep"}, True),
     ({"resources": "drop"}, False)],
)  # fmt: skip
def test_files_that_are_no_images_stay_out_with_a_profile(values: dict[str, Any], keeps: bool):
    assert PrivacyRules(key=b"k", **values).keeps_resources is keeps


def known(uuid: str, **values: Any) -> KnownSession:
    common = {"project": "P", "subject": "S", "label": "L", "study_uid": None, "place": "archive"}
    return KnownSession(**{"uuid": uuid, **common, **values})


class Catalog:
    """Sessions, and one subject, as a catalog has them."""

    def __init__(self, *sessions: KnownSession, subject: KnownSubject | None = None) -> None:
        self.sessions = sessions
        self._subject = subject

    def sessions_of_study(self, project: str, study_uid: str) -> list[KnownSession]:
        return [one for one in self.sessions if one.study_uid == study_uid]

    def sessions_of_key(self, project: str, study_key: str) -> list[KnownSession]:
        return [one for one in self.sessions if one.study_key == study_key]

    def series_of_study(self, project: str, study_uid: str) -> dict[str, Side]:
        return {f"{study_uid}.1": one.side for one in self.sessions_of_study(project, study_uid) if one.side}

    def origins_of_sides(self, project: str, study_keys: Any, study_uids: Any) -> list[tuple[bytes, Side]]:
        keyed = [one for key in study_keys for one in self.sessions_of_key(project, key)]
        sessions = [*keyed, *(one for uid in study_uids for one in self.sessions_of_study(project, uid))]
        return [(one.label.encode(), one.side) for one in sessions if one.side]

    def sessions_labelled(self, project: str, label: str) -> list[KnownSession]:
        return [one for one in self.sessions if one.label == label]

    def subject(self, project: str, label: str) -> KnownSubject | None:
        return self._subject

    def subjects_labelled(self, project: str, labels: Any) -> dict[str, KnownSubject]:
        return {"s": self._subject} if self._subject is not None else {}

    def series_keys_of_sides(self, project: str, study_key: str) -> list[tuple[str, Side]]:
        return [(RULES.series_key("1.2.3.9"), one.side) for one in self.sessions_of_key(project, study_key)]

    def subjects_of_patients(self, project: str, patient_ids: Any) -> dict[str, set[str]]:
        known_by = [(one, (one.patient_key, one.patient_id)) for one in self.sessions]
        return {id_: {one.subject for one, ids in known_by if id_ in ids} for id_ in patient_ids}

    def is_timestamp_taken(self, project: str, timestamp: str) -> bool:
        return timestamp == "t"

    def promised_sessions(self, project: str, *, label: str = "", study_uid: str = "") -> list[KnownSession]:
        return [known("", label=label, study_uid=study_uid)]


def match_series(study_uid: str, stored: Iterable[tuple[bytes, Side]]) -> dict[str, Side]:
    """An upload with a series for each file that is there."""
    return {f"{study_uid}.{origin.decode()}": side for origin, side in stored}


SCRUBBED = known("scrubbed", study_uid="2.25.9", study_key=RULES.study_key("1.2.3"), patient_id="L",
                 patient_key=RULES.patient_token("PAT1"))  # fmt: skip
BEFORE = known("before", study_uid="1.2.3", patient_id="PAT1")


def test_a_study_is_known_by_its_key_and_has_its_own_uid_then():
    view = KeyedView(Catalog(SCRUBBED, BEFORE), lambda _: RULES, ["1.2.3"], match_series)
    for found in (view.sessions_of_study("P", "1.2.3"), view.sessions_labelled("P", "L")):
        assert {(one.uuid, one.study_uid, one.patient_id) for one in found} == {
            ("scrubbed", "1.2.3", RULES.patient_token("PAT1")),
            ("before", "1.2.3", RULES.patient_token("PAT1")),
        }


def test_an_exported_study_is_known_by_the_uid_and_patient_that_it_was_given():
    view = KeyedView(Catalog(SCRUBBED), lambda _: RULES, ["2.25.9"], match_series)
    (found,) = view.sessions_of_study("P", "2.25.9")
    assert (found.study_uid, found.patient_id) == ("2.25.9", RULES.patient_token("L"))


def test_another_study_keeps_its_uid_and_has_the_token_of_its_patient():
    view = KeyedView(Catalog(SCRUBBED), lambda _: RULES, ["7.7"], match_series)
    (found,) = view.sessions_labelled("P", "L")
    assert (found.study_uid, found.patient_id) == ("2.25.9", RULES.patient_token("PAT1"))


def test_sides_of_series_are_known_by_uid_and_by_origin():
    sides = Catalog(replace(SCRUBBED, side="PET"), replace(BEFORE, side="MR"))
    view = KeyedView(sides, lambda _: RULES, ["1.2.3"], match_series)
    assert view.series_of_study("P", "1.2.3") == {"1.2.3.1": "MR", "1.2.3.L": "PET"}
    referring = KeyedView(sides, lambda _: RULES, ["1.2.3"], match_series, series_uids=["1.2.3.9", "1.2.3.8"])
    assert referring.series_of_study("P", "1.2.3") == {"1.2.3.1": "MR", "1.2.3.L": "PET", "1.2.3.9": "PET"}
    assert KeyedView(sides, lambda _: None, ["1.2.3"], match_series).series_of_study("P", "1.2.3") == {"1.2.3.1": "MR"}


def test_patients_of_subjects_are_tokens_and_names_tell_nobody_apart():
    subject = KnownSubject(
        label="S", patient_ids=frozenset({"PAT1", RULES.patient_token("PAT2")}), patient_names=frozenset({"doe"})
    )
    view = KeyedView(Catalog(subject=subject), lambda _: RULES, [], match_series)
    found = view.subject("P", "S")
    assert found is not None
    assert found.patient_ids == {RULES.patient_token("PAT1"), RULES.patient_token("PAT2")}
    assert found.patient_names == frozenset()
    assert view.subjects_labelled("P", ["S"]) == {"s": found}


NEWER = replace(RULES, key=b"n" * 32, older_keys=(RULES.key, b"o" * 32))
"""The same rules once the site has a newer key."""


def test_what_was_hashed_by_an_older_key_is_looked_up():
    assert NEWER.study_keys("1.2.3") == [
        NEWER.study_key("1.2.3"), RULES.study_key("1.2.3"), replace(RULES, key=b"o" * 32).study_key("1.2.3"),
    ]  # fmt: skip
    assert NEWER.older_origins(b"a", "1.2")[0] == RULES.origin(b"a", "1.2")
    assert RULES.patient_token("PAT1") in NEWER.older_tokens("PAT1")
    assert NEWER.older_tokens(RULES.patient_token("PAT1")) == []
    assert {NEWER.fingerprint, RULES.fingerprint} < NEWER.fingerprints
    dropping = replace(NEWER, policy=Policy(study_uid="drop"))
    assert dropping.study_keys("1.2.3") == NEWER.study_keys("1.2.3")
    assert dropping.new_uids("1.2.3") == [
        rules.new_uid("1.2.3") for rules in (NEWER, RULES, replace(RULES, key=b"o" * 32))
    ]
    assert (dropping.stored_study_key("1.2.3"), dropping.stored_series_key("1.2.3.1")) == ("", "")


def test_older_keys_make_the_same_study_patient_and_subject():
    subject = KnownSubject(label="S", patient_ids=frozenset({RULES.patient_token("PAT1")}))
    catalog = Catalog(replace(SCRUBBED, subject="S2"), replace(BEFORE, subject="S1"), subject=subject)
    view = KeyedView(catalog, lambda _: NEWER, ["1.2.3"], match_series, ["PAT1"])
    token = NEWER.patient_token("PAT1")
    assert {(one.uuid, one.study_uid, one.patient_id) for one in view.sessions_of_study("P", "1.2.3")} == {
        ("scrubbed", "1.2.3", token),
        ("before", "1.2.3", token),
    }
    found = view.subject("P", "S")
    assert found is not None
    assert found.patient_ids == {token}
    assert view.subjects_of_patients("P", {token}) == {token: {"S1", "S2"}}
    plain = KeyedView(catalog, lambda _: None, [], match_series)
    assert plain.subjects_of_patients("P", {"PAT1"}) == {"PAT1": {"S1"}}


def test_a_session_from_before_the_rules_that_has_its_key_is_its_patients():
    filled = replace(BEFORE, study_key=RULES.study_key("1.2.3"))
    (found,) = KeyedView(Catalog(filled), lambda _: RULES, ["1.2.3"], match_series).sessions_of_study("P", "1.2.3")
    assert (found.study_uid, found.patient_id) == ("1.2.3", RULES.patient_token("PAT1"))


def test_a_project_without_rules_is_as_the_catalog_has_it():
    subject = KnownSubject(label="S", patient_ids=frozenset({"PAT1"}))
    catalog = Catalog(SCRUBBED, BEFORE, subject=subject)
    view = KeyedView(catalog, lambda _: None, ["1.2.3"], match_series)
    assert view.sessions_of_study("P", "1.2.3") == [BEFORE]
    assert view.sessions_labelled("P", "L") == [SCRUBBED, BEFORE]
    assert view.subject("P", "S") == subject
    assert view.subjects_labelled("P", ["S"]) == {"s": subject}
    assert view.is_timestamp_taken("P", "t")
    assert [one.study_uid for one in view.promised_sessions("P", study_uid="1.2")] == ["1.2"]


DROPPED = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid="drop", patient="drop"))
RENAMED = known("renamed", study_uid=DROPPED.new_uid("1.2.3"), patient_id="L")


def test_a_study_without_a_key_is_known_by_the_uid_that_took_the_place_of_its_own():
    for rules in (DROPPED, replace(DROPPED, key=b"n" * 32, older_keys=(DROPPED.key,))):
        view = KeyedView(Catalog(RENAMED, SCRUBBED), lambda _: rules, ["1.2.3"], match_series)  # noqa: B023
        found = view.sessions_of_study("P", "1.2.3")
        assert {(one.uuid, one.study_uid, one.patient_id) for one in found} == {
            ("renamed", "1.2.3", ""),
            ("scrubbed", "1.2.3", ""),
        }
    (exported,) = KeyedView(
        Catalog(RENAMED), lambda _: DROPPED, [RENAMED.study_uid or ""], match_series
    ).sessions_of_study("P", RENAMED.study_uid or "")
    assert (exported.study_uid, exported.patient_id) == (RENAMED.study_uid, "")
    assert DROPPED.stored_study_key("1.2.3") == ""
    assert RULES.stored_study_key("1.2.3") == RULES.study_key("1.2.3")


def test_sides_of_series_are_known_by_the_uids_that_took_the_place_of_theirs():
    class Series(Catalog):
        def series_of_study(self, project: str, study_uid: str) -> dict[str, Side]:
            return {DROPPED.new_uid("1.2.3.7"): "PET"} if study_uid == RENAMED.study_uid else {}

    known_series = KeyedView(Series(RENAMED), lambda _: DROPPED, ["1.2.3"], match_series).series_of_study("P", "1.2.3")
    assert known_series.get("1.2.3.7") == "PET"
    assert "1.2.3.8" not in known_series


def test_dropped_patients_of_subjects_are_nobody():
    subject = KnownSubject(label="S", patient_ids=frozenset({"L"}), patient_names=frozenset({"doe"}))
    view = KeyedView(Catalog(subject=subject), lambda _: DROPPED, [], match_series)
    assert view.subject("P", "S") == KnownSubject(label="S")
    assert view.subjects_labelled("P", ["S"]) == {"s": KnownSubject(label="S")}


def test_an_upload_is_told_of_as_the_strictest_of_its_projects_wants():
    open_rules = PrivacyRules(key=b"k" * 32)
    site = SitePrivacy(site=open_rules, projects={"p": DROPPED, "q": RULES})
    assert site.of_upload(["Q"]).study_uid("1.2.3") == "1.2.3"
    for projects in (["P"], ["Q", "p"], []):
        upload = site.of_upload(projects)
        assert upload.policy.patient == "drop"
        assert upload.study_uid("1.2.3") == DROPPED.new_uid("1.2.3")
