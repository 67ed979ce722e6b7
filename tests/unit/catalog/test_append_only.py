"""The audit trail is append only, by whatever statement a row is changed, replaced or taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, insert, text

from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.migrate import configuration
from scandock.catalog.server_tables import audit
from scandock.model.errors import Fault

LINE = {
    "at": 1, "actor": "ann", "action": "edit", "kind": "session", "target": "u", "project": "P", "address": "",
    "request_id": "", "outcome": "done", "details": "",
}  # fmt: skip
COLUMNS = ", ".join(("id", *LINE))
VALUES = "7, 2, 'eve', 'edit', 'session', 'u', 'P', '', '', 'done', ''"
ON_CONFLICT = f"INSERT INTO audit ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (id) DO UPDATE SET actor = 'eve'"
BOTH = ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit", ON_CONFLICT]
SQLITE = [
    f"INSERT OR REPLACE INTO audit ({COLUMNS}) VALUES ({VALUES})",
    f"REPLACE INTO audit ({COLUMNS}) VALUES ({VALUES})",
    f"INSERT OR REPLACE INTO audit ({COLUMNS.replace('id', 'rowid', 1)}) VALUES ({VALUES})",
    f"INSERT OR REPLACE INTO audit ({COLUMNS}) SELECT {VALUES}",
    "UPDATE OR REPLACE audit SET id = 8 WHERE id = 7",
]
POSTGRESQL = [
    "TRUNCATE audit",
    "MERGE INTO audit USING (SELECT 7 AS n) AS other ON audit.id = other.n WHEN MATCHED THEN UPDATE SET actor = 'eve'",
    "MERGE INTO audit USING (SELECT 7 AS n) AS other ON audit.id = other.n WHEN MATCHED THEN DELETE",
]


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    opened = open_catalog(database_url)
    yield opened
    opened.dispose()


def lines(connection: Connection) -> list[tuple[int, str]]:
    return [(row.id, row.actor) for row in connection.execute(audit.select().order_by(audit.c.id))]


@pytest.mark.postgresql
def test_no_statement_changes_a_line_and_new_ones_are_added(catalog: Catalog) -> None:
    with catalog.write() as connection:
        connection.execute(insert(audit).values(id=7, **LINE))
        connection.execute(insert(audit).values(id=8, **LINE))
    for statement in BOTH + (SQLITE if catalog.sqlite else POSTGRESQL):
        with pytest.raises(Fault, match="append only"), catalog.write() as connection:
            connection.execute(text(statement))
        with catalog.read() as connection:
            assert lines(connection) == [(7, "ann"), (8, "ann")], statement
    with catalog.write() as connection:
        if not catalog.sqlite:
            connection.execute(text("SELECT setval(pg_get_serial_sequence('audit', 'id'), 8)"))
        connection.execute(insert(audit).values(**LINE))
        connection.execute(insert(audit), [LINE, LINE])
    with catalog.read() as connection:
        assert [number for number, _ in lines(connection)] == [7, 8, 9, 10, 11]


def test_a_catalog_of_before_is_given_what_refuses_a_replacement(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'scandock.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        made = configuration("before_baseline")
        made.attributes["connection"] = connection
        command.upgrade(made, "0007")
        connection.execute(text(f"INSERT INTO audit ({COLUMNS}) VALUES ({VALUES})"))
    engine.dispose()
    opened = open_catalog(url)
    try:
        with pytest.raises(Fault, match="append only"), opened.write() as connection:
            connection.execute(text(SQLITE[0]))
    finally:
        opened.dispose()
