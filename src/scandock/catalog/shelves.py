"""Shelves: the files that a project, or a subject, has of its own beside its sessions.

A shelf points at a tree as a session does, all of whose resources are of no scan. No query of sessions ever meets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, union_all

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import project, session, shelf, subject
from scandock.model import uris
from scandock.model.tree_parts import TreeParts

OF_PROJECT: Final = "project"
"""The key of a project's own shelf; a subject's is its UUID, so that a rename moves no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The shelf of a project, or of one of its subjects; where nobody has put anything yet, one that is not made."""

    project_id: int
    project: str
    subject_id: int | None
    label: str
    """The project's id, or the subject's label."""
    key: str
    id: int = 0
    uuid: str = ""
    """Empty of a shelf that is not made; it has no tree either (no row has the number 0)."""
    tree_id: int = 0
    files: int = 0
    bytes: int = 0
    created: int = 0
    modified: int = 0

    @property
    def parts(self) -> TreeParts:
        """Of what the path of its tree is made (`store.paths.tree_path`)."""
        return TreeParts("resources", self.project, "", self.key)

    @property
    def uri(self) -> str:
        """XNAT's URI of whose files these are."""
        return uris.resource_holder(self.project, None if self.subject_id is None else self.label)

    @property
    def scans(self) -> int:
        """As sessions have; here there are none."""
        return 0


Holder = SessionRecord | Shelf
"""Whatever has files: a session, or a shelf."""


def shelf_rows() -> Select[Any]:
    """Shelves with their project's id, and what they are called."""
    return (
        select(shelf, project.c.name.label("project"), func.coalesce(subject.c.label, project.c.name).label("label"))
        .join(project, project.c.id == shelf.c.project_id)
        .outerjoin(subject, subject.c.id == shelf.c.subject_id)
    )


def find_shelf(connection: Connection, uuid: str) -> Shelf | None:
    """The shelf of a UUID."""
    row = connection.execute(shelf_rows().where(shelf.c.uuid == uuid)).mappings().first()
    return Shelf(**row) if row is not None else None


def shelf_of_project(connection: Connection, project_id: int, name: str) -> Shelf:
    """A project's own shelf, made or not."""
    return _at(connection, Shelf(project_id=project_id, project=name, subject_id=None, label=name, key=OF_PROJECT))


def shelf_of_subject(connection: Connection, number: int) -> Shelf | None:
    """A subject's shelf, made or not; None where the subject is gone."""
    row = connection.execute(
        select(subject.c.uuid, subject.c.label, subject.c.project_id, project.c.name)
        .join(project, project.c.id == subject.c.project_id)
        .where(subject.c.id == number)
    ).first()
    if row is None:
        return None
    none = Shelf(project_id=row.project_id, project=row.name, subject_id=number, label=row.label, key=row.uuid)
    return _at(connection, none)


def made_shelf(connection: Connection, project_name: str, key: str) -> Shelf | None:
    """The shelf of a key in a project; None where nobody has made it."""
    row = connection.execute(shelf_rows().where(project.c.name == project_name, shelf.c.key == key)).mappings().first()
    return Shelf(**row) if row is not None else None


def shelves_of(connection: Connection, *, project_id: int, subject_id: int | None = None) -> list[Shelf]:
    """The shelves that are made of a project and its subjects, or of one subject."""
    query = shelf_rows().where(shelf.c.project_id == project_id).order_by(shelf.c.id)
    if subject_id is not None:
        query = query.where(shelf.c.subject_id == subject_id)
    return [Shelf(**row) for row in connection.execute(query).mappings()]


def _at(connection: Connection, none: Shelf) -> Shelf:
    where = (shelf.c.project_id == none.project_id, shelf.c.key == none.key)
    row = connection.execute(shelf_rows().where(*where)).mappings().first()
    return Shelf(**row) if row is not None else none


def find_holder(connection: Connection, uuid: str) -> Holder | None:
    """The session or the shelf of a UUID."""
    return find_session(connection, uuid) or find_shelf(connection, uuid)


def standing_tree(connection: Connection, uuid: str) -> int | None:
    """The tree that the session or the shelf of a UUID points at."""
    both = union_all(*(select(one.c.tree_id).where(one.c.uuid == uuid) for one in (session, shelf)))
    found: int | None = connection.execute(both).scalar_one_or_none()
    return found
