"""What SQLite keeps in a process: a catalog that grows is kept no more often than there is room for."""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scandock.catalog.engine import Catalog, open_catalog

MB = 1_000_000
CONNECTIONS = 5
BOUND = 2 * MB


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    with opened.write() as connection:
        connection.exec_driver_sql("CREATE TABLE pile (line TEXT)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO pile SELECT printf('%0200d', i) FROM n"
        )
    yield opened
    opened.dispose()


@pytest.fixture
def no_bound() -> Iterator[None]:
    """The bound is the process's, which other tests' workers have set."""
    with sqlite3.connect(":memory:") as other:
        before = other.execute("PRAGMA soft_heap_limit").fetchone()[0]
        other.execute("PRAGMA soft_heap_limit = 0")
        yield
        other.execute(f"PRAGMA soft_heap_limit = {before}")
    other.close()


def kept() -> int:
    """Bytes that SQLite holds in this process."""
    library = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_memory_used"):
        pytest.skip("this Python hides what its SQLite holds")
    library.sqlite3_memory_used.restype = ctypes.c_int64
    return int(library.sqlite3_memory_used())


def read_all(catalog: Catalog) -> int:
    """Have as many connections read all of it at once; how much more they keep once they are back in their pool."""
    catalog.dispose()
    before = kept()
    with ExitStack() as readers:
        for _ in range(CONNECTIONS):
            connection = readers.enter_context(catalog.read())
            connection.exec_driver_sql("SELECT max(line) FROM pile").one()
    return kept() - before


@pytest.mark.usefixtures("no_bound")
def test_connections_keep_no_more_than_the_bound_together(catalog: Catalog) -> None:
    assert read_all(catalog) > CONNECTIONS * 4 * MB  # each one keeps the whole pile
    catalog.dispose()
    catalog.limit_caches(kept() + BOUND)
    assert read_all(catalog) < BOUND + CONNECTIONS * MB // 4


@pytest.mark.usefixtures("no_bound")
def test_what_is_written_in_one_transaction_may_be_more(catalog: Catalog) -> None:
    catalog.limit_caches(1)
    with catalog.write() as connection:
        connection.exec_driver_sql("UPDATE pile SET line = line || 'x'")
    with catalog.read() as connection:
        changed = connection.exec_driver_sql("SELECT count(*) FROM pile WHERE line LIKE '%x'").scalar_one()
    assert changed == 20_000
