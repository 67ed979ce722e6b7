"""The folders of what was placed: one that is gone is made anew only where the catalog knows nothing in it.

One that is gone with sessions in it is a disk that is not mounted. An empty folder in its place would look as if all
were well, and take what comes next.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select

from scandock.catalog.tables import session, shelf

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.store.port import Store


def make_stored(catalog: Catalog, store: Store) -> list[str]:
    """Make those that are missing, in which nothing is known to be; their names. Fault `store_missing` else.

    The catalog is asked only where one is missing.
    """
    return store.make_stored(partial(_holds, catalog))


def _holds(catalog: Catalog, folder: str) -> bool:
    """Whether the catalog knows a session, or a shelf, that stands in a folder."""
    known = select(shelf.c.id) if folder == "resources" else select(session.c.id).where(session.c.place == folder)
    with catalog.read() as connection:
        return connection.execute(known.limit(1)).first() is not None
