"""The database's clock as a number, for what is written and judged in one transaction."""

from __future__ import annotations

import time

from sqlalchemy import Connection, text

_SQLITE = text("SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
_POSTGRESQL = text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")


def now_ms(connection: Connection) -> int:
    """Unix milliseconds by the database's clock (on SQLite that is this host's)."""
    if connection.dialect.name == "sqlite":
        return int(connection.execute(_SQLITE).scalar_one())
    return int(connection.execute(_POSTGRESQL).scalar_one())


def monotonic() -> float:
    """Seconds of this process's clock, which nobody sets back; tests put another in its place."""
    return time.monotonic()
