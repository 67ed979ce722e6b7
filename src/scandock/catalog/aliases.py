"""The names that projects answer to besides their ids: found, given, taken back.

Ids go first: an alias that somebody could give to a project later is looked at where no project has that id.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from scandock.catalog.server_tables import project_alias
from scandock.catalog.tables import project


def project_called(connection: Connection, name: str) -> str:
    """The id of the project that has this alias, in any case; empty where none has, or where `name` is an id."""
    key = name.casefold()
    found = connection.execute(
        select(project.c.name)
        .join(project_alias, project_alias.c.project_id == project.c.id)
        .where(project_alias.c.key == key, ~select(project.c.id).where(project.c.key == key).correlate(None).exists())
    ).scalar()
    return found or ""


def aliases_of(connection: Connection, name: str) -> list[str]:
    """The aliases of the project with this id, by their names."""
    rows = connection.execute(
        select(project_alias.c.alias)
        .join(project, project.c.id == project_alias.c.project_id)
        .where(project.c.key == name.casefold())
        .order_by(project_alias.c.key)
    )
    return list(rows.scalars())


def taken_alias(connection: Connection, project_id: int | None, names: Iterable[str]) -> str:
    """The first of some names that is the id or an alias of another project; empty where none is."""
    for name in names:
        key = name.casefold()
        by_id = connection.execute(select(project.c.id).where(project.c.key == key)).scalar()
        by_alias = connection.execute(select(project_alias.c.project_id).where(project_alias.c.key == key)).scalar()
        if any(found is not None and found != project_id for found in (by_id, by_alias)):
            return name
    return ""


def add_aliases(connection: Connection, project_id: int, names: Iterable[str]) -> None:
    """Let a project answer to more names, none of which is another's (`taken_alias`)."""
    known = set(
        connection.execute(select(project_alias.c.key).where(project_alias.c.project_id == project_id)).scalars()
    )
    for name in names:
        if name.casefold() not in known:
            known.add(name.casefold())
            connection.execute(insert(project_alias).values(project_id=project_id, alias=name, key=name.casefold()))


def drop_aliases(connection: Connection, project_id: int) -> None:
    """Take all aliases of a project back."""
    connection.execute(delete(project_alias).where(project_alias.c.project_id == project_id))
