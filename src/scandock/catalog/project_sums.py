"""What a project holds, written whenever one of its sessions or own resources changes, so that no listing counts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from scandock.catalog.server_tables import project_sums
from scandock.catalog.tables import project, session, shelf, subject

_SESSIONS: Final = select(
    func.coalesce(func.sum(case((session.c.place == "archive", 1), else_=0)), 0),
    func.count(),
    func.coalesce(func.sum(session.c.files), 0),
    func.coalesce(func.sum(session.c.bytes), 0),
).where(session.c.project_id == bindparam("project"))
_OWN: Final = select(func.coalesce(func.sum(shelf.c.files), 0), func.coalesce(func.sum(shelf.c.bytes), 0)).where(
    shelf.c.project_id == bindparam("project")
)
_SUBJECTS: Final = select(func.count()).where(subject.c.project_id == bindparam("project"))


def mark_project_changed(connection: Connection, project_id: int) -> None:
    """Note that a project's sessions changed: its revision grows, its sums are written anew."""
    connection.execute(update(project).where(project.c.id == project_id).values(revision=project.c.revision + 1))
    write_sums(connection, project_id)


def write_sums(connection: Connection, project_id: int) -> None:
    """Add a project's sessions up: one pass over an index, whatever happened before."""
    connection.execute(delete(project_sums).where(project_sums.c.project_id == project_id))
    connection.execute(insert(project_sums).values(project_id=project_id, **count_contents(connection, project_id)))


def count_contents(connection: Connection, project_id: int) -> dict[str, int]:
    """Subjects, archived sessions, waiting ones, and the files and bytes of both, and of what lies beside them."""
    of = {"project": project_id}
    row = connection.execute(_SESSIONS, of).one()
    own = connection.execute(_OWN, of).one()
    subjects = connection.execute(_SUBJECTS, of).scalar_one()
    return {
        "subjects": int(subjects),
        "sessions": int(row[0]),
        "waiting": int(row[1]) - int(row[0]),
        "files": int(row[2]) + int(own[0]),
        "bytes": int(row[3]) + int(own[1]),
    }
