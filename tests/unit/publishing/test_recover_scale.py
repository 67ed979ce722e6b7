"""What looks for old folders of set-aside projects, after each import, does not look through all sessions."""

from __future__ import annotations

import pytest
from sqlalchemy import event, insert, select, text

from scandock.catalog.engine import open_catalog
from scandock.catalog.projects import DELETED_SEPARATOR
from scandock.catalog.tables import session, tree
from scandock.publishing.recover import is_left_over, rename_deleted_projects
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


def plan_of(connection, statement) -> str:
    """By what a database would answer it; of PostgreSQL as if the tables were long."""
    text_of_it = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "sqlite":
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text_of_it}").all())
    connection.execute(text("ANALYZE"))
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return str(connection.exec_driver_sql(f"EXPLAIN {text_of_it}").all())


@pytest.mark.postgresql
def test_rows_of_nobody_and_pages_of_all_sessions_are_read_by_indexes(database_url, subtests):
    """Janitors ask for the first again and again; the second is what administrators see."""
    opened = open_catalog(database_url)
    seed(opened, 1_000, name="Many")
    with opened.write() as connection:
        connection.execute(insert(tree).values(id=10**6, state="retired", created=1))
        plans = {"ix_tree_not_current": plan_of(connection, select(tree.c.id).where(is_left_over()))}
        for column in ("key", "modified", "bytes", "created"):
            page = select(session.c.id).where(session.c.place == "archive").limit(51)
            page = page.order_by(session.c[column].desc(), session.c.id.desc())
            plans[f"ix_session_place_{column}_id"] = plan_of(connection, page)
    opened.dispose()
    for name, plan in plans.items():
        with subtests.test(name):
            assert name in plan
