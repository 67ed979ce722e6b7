"""A DATA of the first version, which knew the command line alone, goes on with this one: nothing of it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from scandock.catalog import server_tables
from scandock.catalog.engine import HEAD
from scandock.catalog.tables import metadata
from tests.crash.archives import Step, Study, zipped
from tests.crash.processes import import_words, run, unsound

pytestmark = pytest.mark.processes


def set_back(database):
    """Make of a catalog what version 0001 left: the later tables are all that migration 0002 brought."""
    with closing(sqlite3.connect(database)) as connection:
        for table in reversed(metadata.sorted_tables):
            if hasattr(server_tables, table.name):
                connection.execute(f"DROP TABLE {table.name}")
        connection.execute("ALTER TABLE resource DROP COLUMN tags")  # of 0005
        connection.execute("ALTER TABLE subject DROP COLUMN attributes")  # of 0006
        connection.execute("DROP TABLE shelf")  # of 0007
        connection.execute("ALTER TABLE project DROP COLUMN quarantine")
        connection.execute("ALTER TABLE session DROP COLUMN quarantined")
        connection.execute("DROP INDEX ix_project_uuid")  # of 0008
        connection.execute("ALTER TABLE project DROP COLUMN uuid")
        connection.execute("DROP TABLE project_deletion")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()


def test_what_the_first_version_imported_is_known_to_this_one(tmp_path):
    data = tmp_path / "data"
    step = Step(zipped(tmp_path / "a.zip", Study(81, 1, count=4, side=8).entries("S")))
    before = run(import_words(step, data), threads=True).report
    set_back(data / "scandock.db")

    after = run(import_words(step, data), threads=True)

    assert after.code == 0, str(after)
    assert after.report["entries"]["stored"] == 0
    assert [one["uri"] for one in after.report["sessions"]] == [one["uri"] for one in before["sessions"]]
    assert unsound(data) == []
    with closing(sqlite3.connect(data / "scandock.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert connection.execute("SELECT COUNT(*) FROM account").fetchone() == (0,)
        assert connection.execute("SELECT attributes FROM subject").fetchall() == [("{}",)]
