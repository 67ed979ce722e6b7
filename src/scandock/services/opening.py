"""DATA and its catalog, as every service opens them: made where missing, dead imports dealt with first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scandock.catalog.engine import Catalog, open_catalog, refuse_emptied
from scandock.catalog.projects import are_begun
from scandock.placing.recover import recover
from scandock.store.local import LocalStore
from scandock.store.space import refuse_network

if TYPE_CHECKING:
    from scandock.services.settings import Settings

CATALOG = "scandock.db"
_STORED = ("archive", "prearchive", "resources", "receipts")
"""Folders of DATA in which nothing stands but what the catalog knows."""


def open_data_catalog(data: str, settings: Settings) -> Catalog:
    """The catalog of a DATA folder: its SQLite file, or the database that the settings name."""
    if settings.database_url is not None:
        return open_catalog(settings.database_url)
    refuse_network(data)
    refuse_emptied(os.path.join(data, CATALOG), [os.path.join(data, folder) for folder in _STORED])
    return open_catalog(f"sqlite:///{data}/{CATALOG}")


def is_there(data: str, settings: Settings) -> bool:
    """Whether DATA has a catalog already; opening it would make it."""
    return settings.database_url is not None or os.path.exists(os.path.join(data, CATALOG))


@contextmanager
def opened(data: str, settings: Settings) -> Iterator[tuple[Catalog, LocalStore]]:
    """The catalog and the store of DATA, recovered."""
    store = LocalStore(os.path.abspath(data))
    store.prepare()
    catalog = open_data_catalog(store.path, settings)
    try:
        recover(catalog, store)
        if are_begun(catalog):
            from scandock.services.project_deleting import finish_deletions

            finish_deletions(catalog, store, settings)
        yield catalog, store
    finally:
        catalog.dispose()
        store.close()
