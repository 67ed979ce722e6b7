"""DATA and its catalog, as every service opens them: made where missing, dead imports dealt with first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from scandock.catalog.engine import Catalog, check_not_lost, open_catalog
from scandock.catalog.projects import has_unfinished_deletions
from scandock.publishing.recover import recover
from scandock.services.data_folders import adopt_folder, check_data_folder
from scandock.services.data_preparation import prepare_data
from scandock.services.privacy_source import place_privacy
from scandock.store.opening import open_store
from scandock.store.paths import AREAS, RECEIPTS
from scandock.store.port import Store
from scandock.store.server_lock import unserved
from scandock.store.space import refuse_network

if TYPE_CHECKING:
    from scandock.services.settings import Settings

CATALOG_FILE = "scandock.db"
_STORED_FOLDERS = (*AREAS, RECEIPTS)
"""Folders of DATA in which nothing stands but what the catalog knows."""


def open_data_catalog(data: str, settings: Settings, *, serves: bool = False, adopts: bool = False) -> Catalog:
    """The catalog of a DATA folder: its SQLite file, or the database that the settings name.

    One of an older version is brought up to this one, unless a server is at work on DATA: Fault `catalog_older`.
    `serves`: this is that server's beginning. A database that belongs to another folder is Usage `data_folder_other`;
    `adopts`: it is to belong to this one.
    """
    if settings.database_url is None:
        refuse_network(data)
    check_catalog_not_lost(data, settings)
    url = settings.database_url or f"sqlite:///{data}/{CATALOG_FILE}"
    catalog = open_catalog(url) if serves else open_catalog(url, may_upgrade=partial(unserved, data))
    place_privacy(catalog, data, settings)
    if settings.database_url is not None:
        try:
            (adopt_folder if adopts else check_data_folder)(catalog, os.path.abspath(data))
        except BaseException:
            catalog.dispose()
            raise
    return catalog


def check_catalog_not_lost(data: str, settings: Settings) -> None:
    """Fault `catalog_damaged` where DATA has files and no catalog, though it is to have one of its own."""
    if settings.database_url is None:
        check_not_lost(os.path.join(data, CATALOG_FILE), [os.path.join(data, folder) for folder in _STORED_FOLDERS])


def has_catalog(data: str, settings: Settings) -> bool:
    """Whether DATA has a catalog already; opening it would make it."""
    return settings.database_url is not None or os.path.exists(os.path.join(data, CATALOG_FILE))


@contextmanager
def open_data(data: str, settings: Settings) -> Iterator[tuple[Catalog, Store]]:
    """The catalog and the store of DATA, recovered."""
    store = open_store(os.path.abspath(data))
    prepare_data(store, settings)
    catalog = open_data_catalog(store.path, settings)
    try:
        recover(catalog, store)
        if has_unfinished_deletions(catalog):
            from scandock.services.project_deletions import finish_deletions

            finish_deletions(catalog, store, settings)
        yield catalog, store
    finally:
        catalog.dispose()
        store.close()
