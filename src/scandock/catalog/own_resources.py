"""Own resources: the files that a project, or a subject, has of its own beside its sessions.

They point at a tree as a session does, all of whose resources are of no scan. No query of sessions ever meets one.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, select, union_all

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import project, session, shelf, subject
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.tree_parts import TreeParts

PROJECT_KEY: Final = "project"
"""The key of a project's own resources; a subject's is its UUID, so that a rename moves no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResources:
    """The own resources of a project or of one of its subjects; not made where nobody has added anything yet."""

    project_id: int
    project: str
    subject_id: int | None
    label: str
    """The project's id, or the subject's label."""
    key: str
    id: int = 0
    uuid: str = ""
    """Empty where they are not made; they have no tree either (no row has the number 0)."""
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


Holder = SessionRecord | OwnResources
"""Whatever has files: a session, or own resources."""


def own_resources_rows() -> Select[Any]:
    """Own resources with their project's id, and what they are called."""
    return (
        select(shelf, project.c.name.label("project"), func.coalesce(subject.c.label, project.c.name).label("label"))
        .join(project, project.c.id == shelf.c.project_id)
        .outerjoin(subject, subject.c.id == shelf.c.subject_id)
    )


@cache
def _own_resources_by_uuid() -> Select[Any]:
    return own_resources_rows().where(shelf.c.uuid == bindparam("uuid"))


def find_own_resources(connection: Connection, uuid: str) -> OwnResources | None:
    """The own resources of a UUID."""
    row = connection.execute(_own_resources_by_uuid(), {"uuid": uuid}).mappings().first()
    return OwnResources(**row) if row is not None else None


def project_resources(connection: Connection, project_id: int, name: str) -> OwnResources:
    """A project's own resources, made or not."""
    return _read_stored(
        connection, OwnResources(project_id=project_id, project=name, subject_id=None, label=name, key=PROJECT_KEY)
    )


def subject_resources(connection: Connection, number: int) -> OwnResources | None:
    """A subject's own resources, made or not; None where the subject is gone."""
    row = connection.execute(
        select(subject.c.uuid, subject.c.label, subject.c.project_id, project.c.name)
        .join(project, project.c.id == subject.c.project_id)
        .where(subject.c.id == number)
    ).first()
    if row is None:
        return None
    none = OwnResources(project_id=row.project_id, project=row.name, subject_id=number, label=row.label, key=row.uuid)
    return _read_stored(connection, none)


def stored_own_resources(connection: Connection, project_name: str, key: str) -> OwnResources | None:
    """The own resources of a key in a project; None where nobody has made it."""
    row = (
        connection.execute(own_resources_rows().where(project.c.name == project_name, shelf.c.key == key))
        .mappings()
        .first()
    )
    return OwnResources(**row) if row is not None else None


def list_own_resources(connection: Connection, *, project_id: int, subject_id: int | None = None) -> list[OwnResources]:
    """The own resources that are made of a project and its subjects, or of one subject."""
    query = own_resources_rows().where(shelf.c.project_id == project_id).order_by(shelf.c.id)
    if subject_id is not None:
        query = query.where(shelf.c.subject_id == subject_id)
    return [OwnResources(**row) for row in connection.execute(query).mappings()]


def _read_stored(connection: Connection, none: OwnResources) -> OwnResources:
    where = (shelf.c.project_id == none.project_id, shelf.c.key == none.key)
    row = connection.execute(own_resources_rows().where(*where)).mappings().first()
    return OwnResources(**row) if row is not None else none


def find_holder(connection: Connection, uuid: str) -> Holder | None:
    """The session or the own resources of a UUID."""
    return find_session(connection, uuid) or find_own_resources(connection, uuid)


def current_tree_id(connection: Connection, uuid: str) -> int | None:
    """The tree that the session or the own resources of a UUID points at."""
    both = union_all(*(select(table.c.tree_id).where(table.c.uuid == uuid) for table in (session, shelf)))
    tree_id: int | None = connection.execute(both).scalar_one_or_none()
    return tree_id
