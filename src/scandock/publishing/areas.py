"""The folders of what was placed: one that is gone is made anew only where the catalog knows nothing in it.

One that is gone with sessions in it is a disk that is not mounted, and so is one that stands empty: a mount point. An
empty folder in its place would look as if all were well, and take what comes next.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, exists, select

from scandock.catalog.tables import intent, project, session, shelf

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.store.port import Store


def make_areas(catalog: Catalog, store: Store) -> list[str]:
    """Make those that are missing, in which nothing is known to be; their names. Fault `store_missing` else.

    The catalog is asked only where one is missing or empty.
    """

    def asked(folder: str, stands: bool) -> bool:
        with catalog.read() as connection:
            return _has_content(connection, folder, stands)

    return store.make_areas(asked)


def check_areas(connection: Connection, store: Store) -> None:
    """Fault `store_missing` where one is gone, or empty, in which a catalog knows something. Nothing is made."""
    store.check_areas(partial(_has_content, connection))


def _has_content(connection: Connection, folder: str, stands: bool) -> bool:
    """Whether the catalog knows a session, or own resources, that stands in a folder.

    Of a folder that stands, what just leaves it does not count: the last session may be gone from it already, and still
    be in the catalog.
    """
    return connection.execute(_content_of(folder, stands)).first() is not None


@cache
def _content_of(folder: str, stands: bool) -> Select[Any]:
    """Project by project: there is an index of their sessions' places, and none of places."""
    table = shelf if folder == "resources" else session
    query = select(table.c.id).where(table.c.project_id == project.c.id)
    if table is session:
        query = query.where(session.c.place == folder)
    if stands:
        leaving = select(intent.c.id).where(
            (intent.c.tree_id == table.c.tree_id) | (intent.c.base_tree_id == table.c.tree_id)
        )
        query = query.where(~exists(leaving))
    return select(project.c.id).where(exists(query)).limit(1)
