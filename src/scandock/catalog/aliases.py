"""The names that projects answer to besides their ids: found, given, taken back.

Ids go first: an alias that somebody could give to a project later is looked at where no project has that id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from scandock.catalog.server_tables import project_alias
from scandock.catalog.tables import project

ALIAS_BREAK: Final = ","
ALIASES: Final = (
    select(func.aggregate_strings(project_alias.c.alias, ALIAS_BREAK))
    .where(project_alias.c.project_id == project.c.id)
    .correlate(project)
    .scalar_subquery()
)
"""All aliases of a project, as a column of it; no alias has the comma that parts them. NULL where there are none."""


def find_by_alias(connection: Connection, name: str) -> str:
    """The id of the project that has this alias, in any case; empty where none has, or where `name` is an id."""
    key = name.casefold()
    project_name = connection.execute(
        select(project.c.name)
        .join(project_alias, project_alias.c.project_id == project.c.id)
        .where(project_alias.c.key == key, ~select(project.c.id).where(project.c.key == key).correlate(None).exists())
    ).scalar()
    return project_name or ""


def aliases_of(connection: Connection, name: str) -> list[str]:
    """The aliases of the project with this id, by their names."""
    rows = connection.execute(
        select(project_alias.c.alias)
        .join(project, project.c.id == project_alias.c.project_id)
        .where(project.c.key == name.casefold())
        .order_by(project_alias.c.key)
    )
    return list(rows.scalars())


def new_aliases(connection: Connection, project_id: int, names: Iterable[str]) -> list[str]:
    """Those of some names that a project does not answer to as aliases yet, each once."""
    known = set(
        connection.execute(select(project_alias.c.key).where(project_alias.c.project_id == project_id)).scalars()
    )
    return list({name.casefold(): name for name in names if name.casefold() not in known}.values())


def add_aliases(connection: Connection, project_id: int, names: Iterable[str]) -> None:
    """Let a project answer to more names, none of which is another's (`project_names.is_taken`)."""
    for name in new_aliases(connection, project_id, names):
        connection.execute(insert(project_alias).values(project_id=project_id, alias=name, key=name.casefold()))


def drop_aliases(connection: Connection, project_id: int) -> None:
    """Take all aliases of a project back."""
    connection.execute(delete(project_alias).where(project_alias.c.project_id == project_id))
