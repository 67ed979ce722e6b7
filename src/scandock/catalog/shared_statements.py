"""One cache of compiled SQL statements for all catalogs of a process, and of its forks.

An engine has a cache of its own, so that each process that opens a catalog compiles anew what it asks: a third of what
a small import costs. What a fork server has compiled, its forks have.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

COMPILED: LRUCache[Any, Any] = LRUCache(4_000)


class SharedDialect:
    """Dialects of one kind are equal: the keys of the cache have them in them."""

    supports_statement_cache = True

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=COMPILED)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class SharedSQLite(SharedDialect, SQLiteDialect_pysqlite):
    supports_statement_cache = True


def share_sqlite_statements() -> None:
    """Let every SQLite catalog that this process opens from now on find the statements that another has compiled.

    Not those of PostgreSQL: how its statements are compiled is known once it was asked about itself.
    """
    registry.register("sqlite", __name__, SharedSQLite.__name__)
