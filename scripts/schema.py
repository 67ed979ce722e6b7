"""Write `sqlite_schema.sql` from the tables, after a migration: `python -m scripts.schema`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text

from scandock.catalog.engine import SCHEMA  # with every module of tables
from scandock.catalog.tables import metadata

_STATEMENTS = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, type, name"


def schema_text() -> str:
    """The statements that make all tables in SQLite, as it keeps them, with an empty line between."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        statements = [sql.splitlines() for (sql,) in connection.execute(text(_STATEMENTS))]
    engine.dispose()
    return "\n\n".join("\n".join(filter(None, map(str.rstrip, lines))) for lines in statements) + "\n"


if __name__ == "__main__":
    Path(SCHEMA).write_text(schema_text(), encoding="utf-8")
