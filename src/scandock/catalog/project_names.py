"""The names by which projects are told apart: ids, titles, secondary IDs and aliases, in any case.

A name that one project has is none that another may be given. Projects of earlier versions may share titles and
secondary IDs, so no constraint of the database forbids that: whoever gives a project a name holds a lock of the
database from before they look until they commit (`lock_project_names`).
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import BindParameter, Connection, Select, bindparam, select, union_all

from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.projects import is_deleted
from scandock.catalog.server_tables import project_alias
from scandock.catalog.tables import project
from scandock.rules.project_fields import name_key


def lock_project_names(catalog: Catalog, connection: Connection) -> None:
    """Let nobody else give a project a name until this transaction ends; called before any row of it is locked."""
    catalog.alone(connection, AdvisoryLock.GIVE_NAMES)


def is_taken(connection: Connection, name: str, *, project_id: int | None) -> bool:
    """Whether a name is one of a project's, other than of `project_id`. Deleted ones have none."""
    key, hashed = name.strip().casefold(), name_key(name)
    values = {"key": key, "hashed": hashed, "project_id": project_id or 0}
    return bool(hashed) and connection.execute(_select_named(), values).first() is not None


@cache
def _select_named() -> Select[tuple[int]]:
    """Another project than `project_id` (0: any) that has a name, by `key` or `hashed`."""
    key: BindParameter[str] = bindparam("key")
    hashed: BindParameter[str] = bindparam("hashed")
    called = union_all(
        select(project.c.id).where(project.c.key == key),
        select(project.c.id).where(project.c.title_key == hashed),
        select(project.c.id).where(project.c.secondary_key == hashed),
        select(project_alias.c.project_id).where(project_alias.c.key == key),
    )
    named = select(project.c.id).where(project.c.id.in_(called), ~is_deleted())
    return named.where(project.c.id != bindparam("project_id")).limit(1)
