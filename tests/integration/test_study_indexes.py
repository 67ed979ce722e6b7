"""The index of the trigrams of names: where PostgreSQL lets its user have it, and a catalog without where not."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.rules.dicom_attributes import Level
from scandock.rules.dicom_query import parse_query
from scandock.services.dicom_search import search_studies
from scandock.services.dicomweb import find_scope
from tests import postgres
from tests.integration.many_rows import seed, seed_studies

INDEX = "ix_dicom_study_trigrams"


def count_studies(catalog: Catalog, name: str) -> int:
    with catalog.read() as connection:
        query = parse_query(Level.STUDY, [("PatientName", name)])
        return len(search_studies(connection, find_scope(connection, SYSTEM, None), query).results)


@pytest.mark.parametrize("may_extend", [True, False])
def test_parts_of_names_are_found_with_and_without_the_extension(
    postgres_cluster: postgres.Cluster, *, may_extend: bool
) -> None:
    role = f"limited_{may_extend}".lower()
    postgres_cluster.execute("CREATE ROLE {} LOGIN", role)
    with postgres_cluster.database() as url:
        catalog_name = url.partition("@/")[2].partition("?")[0]
        if may_extend:
            postgres_cluster.execute("GRANT CREATE ON DATABASE {} TO {}", catalog_name, role)
        with psycopg.connect(postgres_cluster.conninfo(catalog_name)) as connection:
            connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(role)))
        catalog = open_catalog(url.replace(f"//{postgres_cluster.user}@", f"//{role}@"))
        try:
            seed(catalog, 30)
            seed_studies(catalog)
            with catalog.read() as reading:
                there = reading.execute(text("SELECT count(*) FROM pg_class WHERE relname = :name"), {"name": INDEX})
                assert bool(there.scalar_one()) is may_extend
                if may_extend:
                    reading.execute(text("SET LOCAL enable_seqscan = off"))
                    sought = "SELECT id FROM dicom_study WHERE patient_alphabetic LIKE '%oe9^%'"
                    assert INDEX in str(reading.execute(text(f"EXPLAIN {sought}")).all())
            assert count_studies(catalog, "*oe9^*") == 3
            assert count_studies(catalog, "*nobody*") == 0
        finally:
            catalog.dispose()
