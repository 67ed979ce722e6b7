"""Sessions in the catalog: found as they are before services move, merge, delete or show one."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from scandock.catalog.records import DeletedSession, SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import project, session, subject


def archived_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The archived session of a label, both in any case; None where there is none."""
    uuid: str | None = connection.execute(
        select(session.c.uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(
            project.c.key == project_name.casefold(),
            session.c.key == label.casefold(),
            session.c.place == "archive",
        )
    ).scalar()
    return uuid


def subject_uuid(connection: Connection, project_name: str, label: str) -> str | None:
    """The subject of a label, both in any case; None where there is none."""
    uuid: str | None = connection.execute(
        select(subject.c.uuid)
        .join(project, project.c.id == subject.c.project_id)
        .where(project.c.key == project_name.casefold(), subject.c.key == label.casefold())
    ).scalar()
    return uuid


def read_for_trash(connection: Connection, source: SessionRecord) -> DeletedSession:
    """All that the catalog says of a session, with what people said of its scans, for the trash to keep."""
    edits = connection.execute(
        select(
            scan_edit.c.scan_id, scan_edit.c.type, scan_edit.c.quality, scan_edit.c.note, scan_edit.c.modified,
            scan_edit.c.parameters,
        ).where(scan_edit.c.session_id == source.id)
    ).mappings()  # fmt: skip
    return DeletedSession(**source.facts(), project=source.project, edits=[dict(edit) for edit in edits])


def session_rows() -> Select[Any]:
    """Sessions with their project's id."""
    return select(session, project.c.name.label("project")).join(project, project.c.id == session.c.project_id)


@cache
def _session_by_uuid() -> Select[Any]:
    return session_rows().where(session.c.uuid == bindparam("uuid"))


def find_session(connection: Connection, uuid: str) -> SessionRecord | None:
    """The session of a UUID."""
    row = connection.execute(_session_by_uuid(), {"uuid": uuid}).mappings().first()
    return SessionRecord.from_row(row) if row is not None else None


def existing_session(connection: Connection, uuid: str) -> SessionRecord:
    """The session of a UUID that a session has."""
    return SessionRecord.from_row(connection.execute(_session_by_uuid(), {"uuid": uuid}).mappings().one())
