"""Rows of image assessors: found by their session, their number, their label."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, select

from scandock.catalog.server_tables import accession, assessor
from scandock.catalog.tables import project, session
from scandock.rules.labels import label_key


def assessor_rows() -> Select[Any]:
    """Assessors with their numbers."""
    return select(assessor, accession.c.number).join(accession, accession.c.uuid == assessor.c.uuid)


def assessors_labelled(connection: Connection, project_id: int, label: str) -> list[str]:
    """UUIDs of the assessors of a label in a project's archived sessions."""
    query = (
        select(assessor.c.uuid)
        .join(session, session.c.uuid == assessor.c.session_uuid)
        .where(assessor.c.key == label_key(label), session.c.project_id == project_id, session.c.place == "archive")
    )
    return list(connection.execute(query).scalars())


_LABELLED: Final = (
    select(assessor.c.uuid, assessor.c.label, session.c.subject)
    .join(session, session.c.uuid == assessor.c.session_uuid)
    .join(project, project.c.id == session.c.project_id)
    .where(
        assessor.c.key == bindparam("label_key"),
        project.c.name == bindparam("project_name"),
        session.c.place == "archive",
    )
)


def archived_assessors_labelled(connection: Connection, project_name: str, label: str) -> Sequence[Row[Any, Any, Any]]:
    """UUID, label and subject of the assessors of a label in a project's archived sessions."""
    return connection.execute(_LABELLED, {"label_key": label_key(label), "project_name": project_name}).all()


def select_labels_with_sessions(keys: Collection[str], where: ColumnElement[bool]) -> Select[Any]:
    """Label of the assessors of some labels, with subject, state and project of their archived sessions.

    `where`: a condition on `session` and `project`.
    """
    return (
        select(assessor.c.key, assessor.c.label, session.c.subject, session.c.state, project.c.name.label("project"))
        .join(session, session.c.uuid == assessor.c.session_uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(assessor.c.key.in_(keys), session.c.place == "archive", where)
    )


def labels_of_assessors(connection: Connection, session_uuid: str) -> list[str]:
    """The labels of a session's assessors, also of one in the trash."""
    query = select(assessor.c.label).where(assessor.c.session_uuid == session_uuid).order_by(assessor.c.id)
    return list(connection.execute(query).scalars())


def forget_assessors(connection: Connection, session_uuids: Iterable[str]) -> None:
    """Let the assessors of sessions that never come back go."""
    connection.execute(delete(assessor).where(assessor.c.session_uuid.in_(list(session_uuids))))
