"""DATA and its catalog, as every service opens them: made where missing, dead imports dealt with first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from scandock.catalog.engine import Catalog, check_not_lost, open_catalog, sqlite_url
from scandock.catalog.projects import has_unfinished_deletions
from scandock.catalog.unfinished_restore import check_no_restore
from scandock.publishing.recover import recover
from scandock.queue.hosts import are_others_at_work
from scandock.queue.tokens import new_uuid
from scandock.services.data_folders import adopt_folder, check_data_folder, check_kind_of_store
from scandock.services.data_preparation import prepare_data
from scandock.services.privacy_source import place_privacy
from scandock.services.store_opening import open_data_store
from scandock.store.durability import disk_fault
from scandock.store.identity import host_identity
from scandock.store.paths import AREAS, RECEIPTS
from scandock.store.port import Store
from scandock.store.server_lock import unserved
from scandock.store.space import refuse_network

if TYPE_CHECKING:
    from scandock.services.settings import Settings

CATALOG_FILE = "scandock.db"
_STORED_FOLDERS = (*AREAS, RECEIPTS)
"""Folders of DATA in which nothing stands but what the catalog knows."""


def open_data_catalog(
    data: str, settings: Settings, *, serves: bool = False, adopts: bool = False, restores: bool = False
) -> Catalog:
    """The catalog of a DATA folder: its SQLite file, or the database that the settings name.

    One of an older version is brought up to this one, unless a server is at work on DATA, or on its database from
    another host: Fault `catalog_older`. `serves`: this is the beginning of DATA's server on this host. A database that
    belongs to another folder is Usage `data_folder_other`; `adopts`: it is to belong to this one. One that a restore
    has begun to fill is Usage `restore_unfinished`; `restores`: this is that restore.
    """
    if settings.database_url is None:
        refuse_network(data)
    check_catalog_not_lost(data, settings)
    url = settings.database_url or sqlite_url(f"{data}/{CATALOG_FILE}")
    host = find_host(data, settings)
    catalog = open_catalog(url, may_upgrade=partial(_upgradable, data, settings, host, serves=serves))
    catalog.host = host
    place_privacy(catalog, data, settings)
    if settings.database_url is not None:
        try:
            if not restores:
                with catalog.read() as connection:
                    check_no_restore(connection)
            check_kind_of_store(catalog, settings)
            if settings.store is None:  # else each host has a folder of its own, and the bucket has a marker
                (adopt_folder if adopts else check_data_folder)(catalog, os.path.abspath(data))
        except BaseException:
            catalog.dispose()
            raise
    return catalog


def find_host(data: str, settings: Settings) -> str:
    """The id of the host at hand; empty where a catalog has one host (SQLite). Fault where it can't be kept.

    Without a folder to keep it in, it is another one each time: then leases alone tell who lives.
    """
    return "" if settings.database_url is None else host_identity(host_folder(data, settings)) or new_uuid()


def host_folder(data: str, settings: Settings) -> str:
    """The folder of this host alone: that of the settings, made where missing, else DATA."""
    if settings.host_folder is None or settings.database_url is None:
        return data
    try:
        os.makedirs(settings.host_folder, exist_ok=True)
    except OSError as error:
        raise disk_fault(error, f"making {settings.host_folder}") from error
    return settings.host_folder


@contextmanager
def _upgradable(data: str, settings: Settings, host: str, *, serves: bool) -> Iterator[bool]:
    """Whether no server works on the catalog but, where `serves`, the one that begins; held for as long as may be."""
    with contextlib.nullcontext(enter_result=True) if serves else unserved(host_folder(data, settings)) as free:
        yield free and not (settings.database_url is not None and _is_served_elsewhere(settings.database_url, host))


def _is_served_elsewhere(database_url: str, host: str) -> bool:
    """Whether hosts other than the one at hand serve a database, which is read as it is, of whatever version."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return are_others_at_work(connection, host)
    except OperationalError as error:
        raise Catalog(engine).fault(error, "could not be opened") from error
    finally:
        engine.dispose()


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
    store = open_data_store(data, settings)
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
