"""Whatever studies come, in any order: the same decisions, labels valid and apart, no two patients mixed."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scandock.rules.labels import label_key
from scandock.rules.mapping import MappingRow
from scandock.rules.routing import Decision
from scandock.rules.study import StudyFacts
from tests.unit.rules_sessions.builders import FakeCatalog, decide, held, study

pytestmark = pytest.mark.long

LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
PATIENTS = ["A.1", "A 1", "a_1", "A_1_20240101", "B", "b", "", "anon", "x" * 64, "x" * 70, "\u5c71"]
NAMES = ["Doe^J", "DOE J", "Doe.J", "", "Anonymous", "A.1", "B"]
DATES = ["20240101", "20240102", "", "bad"]
FOLDERS = ["", "", "", "A_1", "F"]
COMMENTS = ["", "", "", "Session:F", "Subject:S Session:B"]
UIDS = [f"1.2.{n}" for n in range(12)]

# One choice among all that may be said of a study, a mapping or a request: hypothesis takes its time for each choice.
SAID = st.sampled_from(list(product(FOLDERS, PATIENTS, NAMES, DATES, COMMENTS)))
MAPPED = st.sampled_from(list(product(UIDS, ["", "A_1", "L"], ["", "S"])))
REQUESTED = st.sampled_from(
    list(
        product(
            [None, None, None, "L", "a_1"],
            [None, None, None, "S", "doe_j"],
            [None, "archive", "prearchive"],
            [None, "none", "append", "delete"],
            [False, True],
        )
    )
)


def examples(least: int) -> settings:
    """So many examples, or more where the profile has more."""
    return settings(max_examples=max(least, settings.default.max_examples if settings.default else 0))


@st.composite
def studies(draw: st.DrawFn, most: int = 6) -> list[StudyFacts]:
    uids = draw(st.lists(st.sampled_from(UIDS), min_size=1, max_size=most, unique=True))
    facts = []
    for uid in uids:
        folder, patient, name, date, comments = draw(SAID)
        elements = {"PatientID": patient, "PatientName": name, "StudyDate": date, "PatientComments": comments}
        facts.append(study(uid, folder=folder, **elements))
    return facts


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    rows = [
        MappingRow(number=number, study_uid=uid, session=session, subject=subject)
        for number, (uid, session, subject) in enumerate(draw(st.lists(MAPPED, max_size=4)))
    ]
    session, subject, destination, overwrite, dialect = draw(REQUESTED)
    return {
        "session": session,
        "subject": subject,
        "destination": destination,
        "overwrite": overwrite,
        "dialect": dialect,
        "mapping": tuple(rows),
    }


UPLOADS = st.lists(st.tuples(studies(), requests()), max_size=3)


def catalog_after(uploads: list[tuple[list[StudyFacts], dict[str, Any]]]) -> FakeCatalog:
    catalog = FakeCatalog()
    for some, request in uploads:
        catalog.take(decide(*some, catalog=catalog, **request))
    return catalog


def by_study(decisions: list[Decision]) -> dict[str, Decision]:
    return {made.study_key: made for made in decisions}


@examples(200)
@given(before=UPLOADS, some=studies(), request=requests(), random=st.randoms(use_true_random=False))
def test_the_order_of_studies_does_not_matter(before, some, request, random):
    catalog = catalog_after(before)
    other = list(some)
    random.shuffle(other)
    assert by_study(decide(*some, catalog=catalog, **request)) == by_study(decide(*other, catalog=catalog, **request))


@examples(200)
@given(uploads=UPLOADS, some=studies(), request=requests())
def test_labels_are_valid_and_no_two_sessions_stand_in_one_place(uploads, some, request):
    catalog = catalog_after(uploads)
    decisions = decide(*some, catalog=catalog, **request)
    catalog.take(decisions)  # fails where two would stand in one place
    joined = [made.existing for made in decisions if made.existing]
    assert len(joined) == len(set(joined))
    for made in decisions:
        assert LABEL.fullmatch(made.label)
        assert LABEL.fullmatch(made.subject)
        assert (made.place == "prearchive") == (made.timestamp is not None)
        assert not made.held or made.place == "prearchive"
    archived = [label_key(s.label) for s in catalog.sessions if s.place == "archive"]
    assert len(archived) == len(set(archived))


@examples(200)
@given(uploads=st.lists(studies(), min_size=1, max_size=4))
def test_a_study_has_one_session_however_often_and_with_whatever_it_comes(uploads):
    catalog = FakeCatalog()
    for some in [*uploads, *uploads[::-1]]:
        catalog.take(decide(*some, catalog=catalog))
    for uid in {facts.key for some in uploads for facts in some}:
        homes = [s for s in catalog.sessions_of_study("P", uid) if s.place == "archive"]
        assert len(homes) <= 1
    again = decide(*uploads[0], catalog=catalog)
    assert all(made.existing for made in again)


@examples(200)
@given(uploads=st.lists(studies(), min_size=1, max_size=4))
def test_two_patient_ids_are_never_one_subject_unsaid(uploads):
    catalog = FakeCatalog()
    patients: dict[str, set[str]] = defaultdict(set)
    said: set[str] = set()
    for some in uploads:
        decisions = decide(*some, catalog=catalog)
        catalog.take(decisions)
        for made, facts in zip(decisions, some, strict=True):
            if held(made):
                continue
            patients[label_key(made.subject)].update(facts.patient_ids())
            if any(warning.code == "subject_other_patient" for warning in made.warnings):
                said.add(label_key(made.subject))
    mixed = {subject for subject, ids in patients.items() if len(ids) > 1}
    assert mixed <= said


@examples(100)
@given(some=studies(), label=st.sampled_from(["L", "a_1"]))
def test_a_requested_label_is_kept_or_held_never_changed(some, label):
    for made in decide(*some, session=label):
        assert made.label == label
        assert (held(made) == "label_many_studies") == (len(some) > 1)
