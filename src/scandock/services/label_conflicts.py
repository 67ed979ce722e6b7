"""Labels that archived sessions have: which of them another session may join, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, literal, or_, select

from scandock.catalog.assessors import assessors_labelled
from scandock.catalog.records import SessionRecord
from scandock.catalog.session_lookups import is_same_study, of_study
from scandock.catalog.tables import session
from scandock.rules.labels import label_key
from scandock.rules.notices import Notice
from scandock.rules.petmr import shares_side


def may_join(source: SessionRecord, study_uid: str | None, *, by_hand: bool, ecat: bool) -> bool:
    """Whether a session of the same label, but not of the same study, is the one meant (rules.md, "ECAT")."""
    return _may_join(source.study_uid, study_uid, by_hand or ecat or source.ecat)


def _may_join(study_uid: str | None, other_uid: str | None, without_study: bool) -> bool:
    """`without_study`: whether one of the two was made by hand or is of ECAT."""
    return without_study and (study_uid is None or other_uid is None)


def _is_of_side(one: ColumnElement[str], other: ColumnElement[str]) -> ColumnElement[bool]:
    """`rules.petmr.shares_side` as SQL."""
    return or_(one == "", other == "", one == other)


def find_taken_labels(connection: Connection, uuids: Sequence[str]) -> set[str]:
    """Those of the waiting sessions that can't be archived under their label: an archived session of another study has
    it, and none of their own study is archived.
    """
    archived = session.alias("archived")
    rows = connection.execute(
        select(
            session.c.uuid, session.c.study_uid, session.c.ecat, archived.c.study_uid.label("other_uid"),
            archived.c.by_hand, archived.c.ecat.label("other_ecat"),
            session.c.side, archived.c.side.label("other_side"),
            session.c.study_key, archived.c.study_key.label("other_key"),
        )
        .join(archived, (archived.c.project_id == session.c.project_id) & (archived.c.place == "archive"))
        .where(
            session.c.uuid.in_(uuids),
            session.c.place == "prearchive",
            (archived.c.key == session.c.key)
            | (
                (
                    (archived.c.study_uid == session.c.study_uid)
                    | ((archived.c.study_key == session.c.study_key) & (session.c.study_key != ""))
                )
                & _is_of_side(archived.c.side, session.c.side)
            ),
        )
    ).all()  # fmt: skip
    joins = {
        row.uuid
        for row in rows
        if (
            (row.study_uid is not None and row.study_uid == row.other_uid)
            or (row.study_key and row.study_key == row.other_key)
        )
        and shares_side(row.side, row.other_side)
    }
    return {
        row.uuid
        for row in rows
        if row.uuid not in joins
        and not _may_join(row.study_uid, row.other_uid, row.by_hand or row.other_ecat or row.ecat)
    }


def find_label_warnings(
    connection: Connection, project_id: int, project_name: str, label: str, source: SessionRecord
) -> tuple[Notice, ...]:
    """The warning that archiving under this label will be refused: another study's session, or an assessor, has it."""
    rows = connection.execute(
        select(
            session.c.study_uid, session.c.study_key, session.c.key, session.c.by_hand, session.c.ecat, session.c.side
        ).where(
            session.c.project_id == project_id,
            session.c.place == "archive",
            (session.c.key == label_key(label))
            | (of_study(source) & _is_of_side(session.c.side, literal(source.side))),
        )
    ).all()  # fmt: skip
    if any(is_same_study(source, row) and shares_side(row.side, source.side) for row in rows):
        return ()  # it will join that one, whatever it is called here
    remedy = "Archiving this one will be refused: choose another label."
    if assessors_labelled(connection, project_id, label):
        message = f"An assessor of an archived session of {project_name} is called {label} already."
        return (Notice(code="label_taken", message=message, remedy=remedy),)
    if all(may_join(source, row.study_uid, by_hand=row.by_hand, ecat=row.ecat) for row in rows):
        return ()
    message = f"An archived session of {project_name} is called {label} already, and is another study's."
    return (Notice(code="label_taken", message=message, remedy=remedy),)
