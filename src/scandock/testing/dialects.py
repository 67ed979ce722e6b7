"""SQLAlchemy's dialects with one cache of compiled statements for all catalogs of a process.

An engine has a cache of its own, so that each catalog that a test opens compiles some 200 statements anew: a quarter of
the time of many tests. A served DATA has one engine for as long as it runs.
"""

from __future__ import annotations

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from scandock.catalog.shared_statements import SharedDialect, share_sqlite_statements


class SharedPostgreSQL(SharedDialect, PGDialect_psycopg):
    supports_statement_cache = True


def share_compiled_statements() -> None:
    """Let every catalog that this process opens from now on compile a statement once for all."""
    share_sqlite_statements()
    registry.register("postgresql.psycopg", __name__, SharedPostgreSQL.__name__)
