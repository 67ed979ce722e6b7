"""What the rules ask of the catalog, answered from rows of both databases."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import session, subject, subject_patient
from scandock.catalog.view import SqlView
from scandock.rules.catalog_view import KnownSession, KnownSubject
from tests.unit.catalog.conftest import Rows

pytestmark = pytest.mark.postgresql


def test_sessions_of_a_study_are_those_of_the_project_in_both_places(catalog: Catalog, rows: Rows) -> None:
    one, other = rows.project("P"), rows.project("Q")
    archived = rows.session(one, study_uid="1.2", patient_id="PAT")
    waiting = rows.session(
        one, study_uid="1.2", place="prearchive", timestamp="20200101_101112131", state="conflict", held_code="x"
    )
    rows.session(one, study_uid="1.22")
    rows.session(one, study_uid=None)
    rows.session(other, study_uid="1.2")
    with catalog.read() as connection:
        found = SqlView(connection).sessions_of_study("P", "1.2")
        none = SqlView(connection).sessions_of_study("P", "9.9")

    assert [known.uuid for known in found] == [archived, waiting]
    assert found[0].place == "archive"
    assert (found[0].timestamp, found[0].patient_id, found[0].held) == (None, "PAT", "")
    assert (found[1].timestamp, found[1].held) == ("20200101_101112131", "x")
    assert none == []


def test_labels_are_compared_without_case(catalog: Catalog, rows: Rows) -> None:
    project_id = rows.project("P")
    uuid = rows.session(project_id, label="Visit_A", subject="S1", ecat=True, by_hand=True)
    rows.session(project_id, label="Visit_AB")
    with catalog.read() as connection:
        found = SqlView(connection).sessions_labelled("P", "vISIT_a")

    assert found == [
        KnownSession(
            uuid=uuid,
            project="P",
            subject="S1",
            label="Visit_A",
            study_uid=None,
            place="archive",
            by_hand=True,
            ecat=True,
            type_is_set=True,  # it has no scans
        )
    ]


def _subject(catalog: Catalog, project_id: int, label: str, *patients: str) -> None:
    with catalog.write() as connection:
        key = connection.execute(
            insert(subject).values(
                uuid=f"subject-{project_id}-{label}",
                project_id=project_id,
                label=label,
                key=label.casefold(),
                created=0,
            )
        ).inserted_primary_key
        assert key is not None
        for patient in patients:
            connection.execute(insert(subject_patient).values(subject_id=key[0], patient_id=patient))


def test_a_subject_knows_its_patients(catalog: Catalog, rows: Rows) -> None:
    one, other = rows.project("P"), rows.project("Q")
    _subject(catalog, one, "Doe_John", "A.1", "A 1")
    _subject(catalog, one, "Doe_Jane")
    _subject(catalog, other, "Doe_John", "Z")
    with catalog.read() as connection:
        view = SqlView(connection)
        found, bare, none = view.subject("P", "doe_JOHN"), view.subject("P", "Doe_Jane"), view.subject("P", "Nobody")

    assert found is not None
    assert (found.label, found.patient_ids) == ("Doe_John", frozenset({"A.1", "A 1"}))
    assert bare is not None
    assert bare.patient_ids == frozenset()
    assert none is None


def test_a_subject_may_be_known_by_what_waits_in_the_prearchive_alone(catalog: Catalog, rows: Rows) -> None:
    """Held sessions are not counted: whose images they are is what a person still decides."""
    project_id = rows.project("P")
    _subject(catalog, project_id, "S2", "A")
    rows.session(project_id, subject="S1", patient_id="B", place="prearchive")
    rows.session(project_id, subject="s2", patient_id="C", place="prearchive")
    rows.session(project_id, subject="S2", patient_id="D", place="prearchive", state="conflict")
    with catalog.read() as connection:
        view = SqlView(connection)
        waiting, both = view.subject("P", "s1"), view.subject("P", "S2")

    assert waiting is not None
    assert (waiting.label, waiting.patient_ids) == ("S1", frozenset({"B"}))
    assert both is not None
    assert (both.label, both.patient_ids) == ("S2", frozenset({"A", "C"}))


def _archived(catalog: Catalog, uuid: str, subject_uuid: str) -> None:
    """Give a session its subject's row."""
    of = select(subject.c.id).where(subject.c.uuid == subject_uuid).scalar_subquery()
    with catalog.write() as connection:
        connection.execute(update(session).where(session.c.uuid == uuid).values(subject_id=of))


def test_subjects_of_many_labels_are_told_with_their_patients_names(catalog: Catalog, rows: Rows) -> None:
    one, other = rows.project("P"), rows.project("Q")
    _subject(catalog, one, "M_ller", "A", "B")
    _subject(catalog, one, "Empty")
    _subject(catalog, other, "Doe", "Z")
    named = [json.dumps({"dcmPatientName": name}) for name in ("M\xfcller^Anna^^", "M\xdcLLER^ANNA ", "M\xf6ller")]
    for attributes in (named[0], named[1], "{}"):
        _archived(catalog, rows.session(one, subject="M_ller", attributes=attributes), f"subject-{one}-M_ller")
    rows.session(one, subject="m_LLER", place="prearchive", attributes=named[2], patient_id="C", state="conflict")
    rows.session(one, subject="Waits", place="prearchive", attributes=named[2], patient_id="C")
    with catalog.read() as connection:
        found = SqlView(connection).subjects_labelled("P", ["m_LLER", "EMPTY", "waits", "Doe", "Nobody"])

    assert found == {
        "m_ller": KnownSubject(
            label="M_ller", patient_ids=frozenset("AB"), patient_names=frozenset({"m\xfcller^anna"})
        ),
        "empty": KnownSubject(label="Empty"),
        "waits": KnownSubject(label="Waits", patient_ids=frozenset("C"), patient_names=frozenset({"m\xf6ller"})),
    }


def test_a_timestamp_is_taken_by_a_prearchive_session_of_the_project(catalog: Catalog, rows: Rows) -> None:
    one = rows.project("P")
    rows.project("Q")
    rows.session(one, place="prearchive", timestamp="20200101_101112131")
    with catalog.read() as connection:
        view = SqlView(connection)
        assert view.is_timestamp_taken("P", "20200101_101112131")
        assert not view.is_timestamp_taken("P", "20200101_101112132")
        assert not view.is_timestamp_taken("Q", "20200101_101112131")
