"""Labels that archived sessions have: which of them another session may join, and what is said of the others."""

from __future__ import annotations

from sqlalchemy import Connection, select

from scandock.catalog.assessors import assessors_labelled
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import session
from scandock.rules.labels import label_key
from scandock.rules.notices import Notice


def may_join(source: SessionRecord, study_uid: str | None, *, by_hand: bool, ecat: bool) -> bool:
    """Whether a session of the same label, but not of the same study, is the one meant (rules.md, "ECAT")."""
    if study_uid is not None and source.study_uid is not None:
        return False
    return by_hand or ecat or source.ecat


def find_label_warnings(
    connection: Connection, project_id: int, project_name: str, label: str, source: SessionRecord
) -> tuple[Notice, ...]:
    """The warning that archiving under this label will be refused: another study's session, or an assessor, has it."""
    rows = connection.execute(
        select(session.c.study_uid, session.c.key, session.c.by_hand, session.c.ecat).where(
            session.c.project_id == project_id,
            session.c.place == "archive",
            (session.c.key == label_key(label)) | (session.c.study_uid == source.study_uid),
        )
    ).all()
    if source.study_uid is not None and any(row.study_uid == source.study_uid for row in rows):
        return ()  # it will join that one, whatever it is called here
    remedy = "Archiving this one will be refused: choose another label."
    if assessors_labelled(connection, project_id, label):
        message = f"An assessor of an archived session of {project_name} is called {label} already."
        return (Notice(code="label_taken", message=message, remedy=remedy),)
    if all(may_join(source, row.study_uid, by_hand=row.by_hand, ecat=row.ecat) for row in rows):
        return ()
    message = f"An archived session of {project_name} is called {label} already, and is another study's."
    return (Notice(code="label_taken", message=message, remedy=remedy),)
