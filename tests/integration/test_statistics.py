"""Sums by project and month, on both engines: two statements whatever there is."""

from __future__ import annotations

import pytest
from sqlalchemy import event, insert, update

from scandock.access.principal import ANONYMOUS, SYSTEM, AccessDenied
from scandock.catalog.tables import session, upload
from scandock.queue.tokens import new_uuid
from scandock.services.data_catalog import open_data_catalog
from scandock.services.settings import load_settings
from scandock.services.statistics import read_statistics
from tests.integration.many_rows import seed

NOVEMBER = 1_762_300_800_000
"""2025-11-05, in unix milliseconds."""
DAY = 86_400_000


@pytest.fixture
def catalog(tmp_path, database_url):
    opened = open_data_catalog(str(tmp_path), load_settings().model_copy(update={"database_url": database_url}))
    yield opened
    opened.dispose()


@pytest.mark.postgresql
def test_sessions_are_summed_by_month_and_project_and_imports_by_outcome(catalog):
    seed(catalog, 40, name="Early")
    seed(catalog, 7, name="Waiting", place="prearchive")
    with catalog.write() as connection:
        connection.execute(update(session).values(created=NOVEMBER + 30 * DAY, bytes=3))
        connection.execute(update(session).where(session.c.label < "Sess_00010").values(created=NOVEMBER))
        row = {"archive": "a.zip", "source": "server", "request": "{}", "created": NOVEMBER}
        states = ["placed", "failed", "failed", "running"]
        connection.execute(insert(upload), [{"uuid": new_uuid(), "state": one, **row} for one in states])
    asked = []
    event.listen(catalog.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    with catalog.read() as connection:
        found = read_statistics(connection, SYSTEM)
        assert len([one for one in asked if "GROUP BY" in one]) == 2
        none = read_statistics(connection, SYSTEM, project_name="Waiting")
    assert {month: (one.sessions, one.bytes) for month, one in found.months.items()} == {
        "2025-11": (10, 30),
        "2025-12": (30, 90),
    }
    assert {name: one.sessions for name, one in found.projects.items()} == {"Early": 40}
    assert found.imports["2025-11"] == {"placed": 1, "failed": 2}
    assert not none.months


def test_nobody_but_administrators_is_told(catalog):
    with catalog.read() as connection, pytest.raises(AccessDenied):
        read_statistics(connection, ANONYMOUS)
