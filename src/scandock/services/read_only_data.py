"""DATA that nothing can be written to, as on a mount of a snapshot: read by a copy of its catalog, as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scandock.catalog.engine import Catalog, open_catalog, sqlite_url
from scandock.catalog.errors import CatalogFailed
from scandock.publishing.areas import check_areas
from scandock.services.data_catalog import CATALOG_FILE, check_catalog_not_lost
from scandock.services.store_opening import open_data_store
from scandock.store.port import Store

if TYPE_CHECKING:
    from scandock.services.settings import Settings


def can_only_be_read(data: str, settings: Settings) -> bool:
    """Whether DATA has its catalog in it, and nothing can be written to it."""
    is_there = settings.database_url is None and os.path.exists(os.path.join(data, CATALOG_FILE))
    return is_there and not os.access(data, os.W_OK | os.X_OK)


@contextmanager
def open_read_only(data: str, settings: Settings) -> Iterator[tuple[Catalog, Store]]:
    """Its catalog, copied to a folder for temporary files and brought up to this version there, and its store.

    Raises Fault where the catalog can't be copied, or a folder is gone that it names files in.
    """
    check_catalog_not_lost(data, settings)
    store = open_data_store(data, settings)
    with closing(store), tempfile.TemporaryDirectory(prefix="scandock-catalog-") as folder:
        copy = os.path.join(folder, CATALOG_FILE)
        try:
            _copy(os.path.join(os.path.abspath(data), CATALOG_FILE), copy)
        except (sqlite3.Error, OSError) as error:
            raise CatalogFailed(
                f"The catalog could not be copied to {folder}: {error}.",
                "Let TMPDIR name a folder with room for it, and run as a user that may read it.",
            ) from error
        catalog = open_catalog(sqlite_url(copy))
        try:
            with catalog.read() as connection:
                check_areas(connection, store)
            yield catalog, store
        finally:
            catalog.dispose()


def _copy(catalog: str, target: str) -> None:
    """Copy an SQLite file with what its log has, also beside a server that has it open from a mount of its own.

    Where there is no index of the log, SQLite can't open it for reading alone: then nobody has it open.
    """
    try:
        with (
            closing(sqlite3.connect(f"{Path(catalog).as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error:  # a damaged one is told of when it is examined
        shutil.copyfile(catalog, target)
        if os.path.exists(f"{catalog}-wal"):
            shutil.copyfile(f"{catalog}-wal", f"{target}-wal")
