"""Databases of PostgreSQL that tests use one after another: each finds an empty catalog, whatever was done before."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from scandock.catalog.engine import open_catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.tables import metadata, project
from tests.postgres import Cluster


def test_rows_are_gone_and_numbers_begin_anew(postgres_cluster: Cluster) -> None:
    for _ in range(2):
        with postgres_cluster.catalog() as url:
            catalog = open_catalog(url)
            with catalog.read() as connection:
                assert not [
                    t for t in metadata.tables.values() if connection.scalar(select(func.count()).select_from(t))
                ]
            add_project(catalog, ProjectRow(name="P"))
            with catalog.read() as connection:
                assert connection.scalars(select(project.c.id)).all() == [1]
        catalog.dispose()  # whose connections were ended meanwhile
    assert used(postgres_cluster) == make_url(url).database


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE project ADD COLUMN another text",
        "CREATE TABLE another (id int)",
        "DROP INDEX ix_project_uuid",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_what_was_changed_otherwise_is_dropped(postgres_cluster: Cluster, change: str) -> None:
    with postgres_cluster.catalog() as url, closing(psycopg.connect(url.replace("+psycopg", ""))) as connection:
        connection.execute(change)
        connection.commit()
    assert used(postgres_cluster) != make_url(url).database


def used(cluster: Cluster) -> str | None:
    """The name of the database that is used next."""
    with cluster.catalog() as url:
        return make_url(url).database
