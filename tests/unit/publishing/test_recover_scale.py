"""What looks for old folders of set-aside projects, after each import, does not look through all sessions."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from scandock.catalog.engine import open_catalog
from scandock.catalog.projects import DELETED_SEPARATOR
from scandock.publishing.recover import rename_deleted_projects
from scandock.store.local import LocalStore
from tests.integration.many_rows import seed


@pytest.fixture
def catalog(tmp_path):
    opened = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    yield opened
    opened.dispose()


def steps(catalog, store) -> int:
    """What SQLite's machine does for it, in tens of steps."""
    counted: list[int] = []

    def step() -> None:
        counted.append(1)

    def count(dbapi, *_):
        dbapi.set_progress_handler(step, 10)

    event.listen(catalog.engine, "checkout", count)
    try:
        rename_deleted_projects(catalog, store)
    finally:
        event.remove(catalog.engine, "checkout", count)
    catalog.dispose()
    return len(counted)


def test_it_costs_the_same_however_many_sessions_there_are(catalog, tmp_path):
    store = LocalStore(tmp_path / "data")
    store.prepare()
    seed(catalog, 3, name=f"Old{DELETED_SEPARATOR}1")
    few = steps(catalog, store)
    seed(catalog, 1_000, name="Many")
    assert steps(catalog, store) <= few + 10
