"""DATA folders for tests: the catalog is made once in a process, and copied from then on."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from scandock.catalog.engine import open_catalog, sqlite_url
from scandock.model.private_files import PRIVATE_FILE
from scandock.services.data_catalog import CATALOG_FILE
from scandock.store.opening import open_store


def make_data(data: str | os.PathLike[str]) -> Path:
    """Make a DATA folder with an empty catalog in SQLite, as `scandock` makes it at its first start; its path.

    A folder that has a catalog already is left as it is.
    """
    folder = Path(data).absolute()
    store = open_store(str(folder))
    store.prepare(stored=not (folder / CATALOG_FILE).exists())
    store.close()
    copy_catalog(folder / CATALOG_FILE)
    return folder


def copy_catalog(path: Path) -> None:
    """Put an empty catalog at a path where there is none."""
    if path.exists():
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with open(descriptor, "wb") as file:
        file.write(_empty_catalog())


@cache
def _empty_catalog() -> bytes:
    """The bytes of a catalog that was just made; nothing of it is in a log beside it once it is closed."""
    folder = tempfile.mkdtemp(prefix="scandock-testing-")
    try:
        path = Path(folder) / CATALOG_FILE
        open_catalog(sqlite_url(str(path))).dispose()
        if sorted(os.listdir(folder)) != [CATALOG_FILE]:
            raise RuntimeError(f"A closed catalog left {os.listdir(folder)}.")
        return path.read_bytes()
    finally:
        shutil.rmtree(folder)
