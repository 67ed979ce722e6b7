"""What is asked of all sessions at once: whose patients and ECAT files they have (rules.md, "Patients", "ECAT")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, ColumnElement, Select, false, or_, select

from scandock.catalog.tables import ecat_file, project, session

VALUES_PER_STATEMENT = 400
"""Values in one statement: SQLite takes no more than 999 in old versions."""


_Value = TypeVar("_Value", str, bytes, int)


def split_values(values: Collection[_Value]) -> Iterator[Sequence[_Value]]:
    """Some values, sorted, in as many parts as statements need."""
    ordered = sorted(values)
    for at in range(0, len(ordered), VALUES_PER_STATEMENT):
        yield ordered[at : at + VALUES_PER_STATEMENT]


class StudyKeys(Protocol):
    """What the study of a session is known by: a row of `session`, or a record of one."""

    @property
    def study_uid(self) -> str | None: ...
    @property
    def study_key(self) -> str: ...


def of_study(one: StudyKeys) -> ColumnElement[bool]:
    """The sessions that are of the same study as one: by its UID, or by what that was before it was de-identified."""
    conditions: list[ColumnElement[bool]] = []
    if one.study_uid is not None:
        conditions.append(session.c.study_uid == one.study_uid)
    if one.study_key:
        conditions.append(session.c.study_key == one.study_key)
    return or_(false(), *conditions)


def is_same_study(one: StudyKeys, other: StudyKeys) -> bool:
    """Whether two sessions are of one study; `of_study` of rows."""
    return (one.study_uid is not None and one.study_uid == other.study_uid) or (
        one.study_key != "" and one.study_key == other.study_key
    )


def select_subjects_of_patients(patient_ids: Collection[str], where: ColumnElement[bool]) -> Select[Any]:
    """PatientID and subject of the sessions that have one of some PatientIDs; held ones do not say whose they are."""
    return _select_subjects(session.c.patient_id, patient_ids, where)


def select_subjects_of_tokens(tokens: Collection[str], where: ColumnElement[bool]) -> Select[Any]:
    """The same by the tokens of patients whose objects were de-identified."""
    return _select_subjects(session.c.patient_key, tokens, where)


def _select_subjects(column: Column[str], values: Collection[str], where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(column.label("patient_id"), session.c.subject)
        .join(project, project.c.id == session.c.project_id)
        .where(column.in_(values), session.c.state == "ready", where)
        .distinct()
    )


def select_holders_of_ecat(digests: Collection[bytes], where: ColumnElement[bool]) -> Select[Any]:
    """sha256, label and place of the sessions that hold one of some ECAT files."""
    return (
        select(ecat_file.c.sha256, session.c.label, session.c.place)
        .join(session, session.c.tree_id == ecat_file.c.tree_id)
        .join(project, project.c.id == session.c.project_id)
        .where(ecat_file.c.sha256.in_(digests), where)
        .distinct()
    )


def select_holders_of_origins(origins: Collection[bytes], where: ColumnElement[bool]) -> Select[Any]:
    """The same by what ECAT files were before they were de-identified; the column is still called sha256."""
    return (
        select(ecat_file.c.origin.label("sha256"), session.c.label, session.c.place)
        .join(session, session.c.tree_id == ecat_file.c.tree_id)
        .join(project, project.c.id == session.c.project_id)
        .where(ecat_file.c.origin.in_(origins), where)
        .distinct()
    )
