"""Projects that an older version set aside get the name that this one gives, and what stands in them follows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.command import upgrade
from sqlalchemy import Connection, insert, select, text, update

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import HEAD, Catalog
from scandock.catalog.migrate import configuration
from scandock.catalog.server_tables import member
from scandock.catalog.tables import project, session
from scandock.rules.labels import append_suffix
from scandock.services.audit import record
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data, open_data_catalog
from scandock.services.pagination import Sorting
from scandock.services.project_creation import create_project
from scandock.services.project_deletions import delete_project
from scandock.services.trash import list_trash, restore_session
from scandock.testing.server import add_account
from tests.builders import DataFolder, images, make_data_folder, uploader_layout


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def migrate_again(connection: Connection) -> None:
    """Make of a catalog what version 0007 left, what was set aside under names that people can give, and migrate it.

    What later versions have brought stays as it is.
    """
    for number, name in connection.execute(select(project.c.id, project.c.name)).all():
        old = append_suffix(name.removesuffix(f"~{number}"), f"_deleted_{number}") if "~" in name else name
        connection.execute(update(project).where(project.c.id == number).values(name=old, key=old.casefold()))
    for statement in (
        "DROP INDEX ix_project_uuid",
        "ALTER TABLE project DROP COLUMN uuid",
        "DROP TABLE project_deletion",
        "DROP INDEX ix_audit_project_uuid_id",
        "ALTER TABLE audit DROP COLUMN project_uuid",
        "UPDATE alembic_version SET version_num = '0007'",
    ):
        connection.execute(text(statement))
    config = configuration("before_baseline")
    config.attributes["connection"] = connection
    upgrade(config, "0008")
    connection.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))


def names(catalog: Catalog) -> dict[int, str]:
    with catalog.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
        rows = connection.execute(select(project.c.id, project.c.name, project.c.uuid).order_by(project.c.id)).all()
    assert len({row.uuid for row in rows} - {""}) == len(rows)
    return {row.id: row.name for row in rows}


@pytest.mark.postgresql
def test_what_was_set_aside_is_renamed_and_nothing_else(site: DataFolder) -> None:
    long = "L" * 60  # which was cut, to have its number behind it
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        for name in ("P", long):
            site.bring(uploader_layout("E", "1", images(1)), project=name)
            delete_project(context, name, with_files=False)
        # what people made, though it is called so: with and without the line of its making, with a member
        for name in ("Q", "Q_deleted_1", "P_deleted_77", "R_deleted_6", "S_deleted_7"):
            create_project(catalog, site.settings, SYSTEM, name, "", None)
        mia = add_account(catalog, "mia", "")
        before = names(catalog)
        with catalog.write() as connection:
            for number in (6, 7):
                assert before[number].endswith(f"_deleted_{number}")
                record(connection, SYSTEM, "delete", "project", before[number].split("_")[0])
            connection.execute(insert(member).values(project_id=7, account_id=mia, role="owner"))
        with catalog.write() as connection:
            migrate_again(connection)
    catalog = open_data_catalog(str(site.data), site.settings)
    assert names(catalog) == {**before, 2: f"{long[:54]}~2"}
    catalog.dispose()


def test_what_was_brought_back_follows(site: DataFolder) -> None:
    site.bring(uploader_layout("E", "1", images(1)))
    site.bring(uploader_layout("W", "1", images(1, study=2)), destination="prearchive")
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        delete_project(context, "P", with_files=False)
        with catalog.read() as connection:
            gone = [one.id for one in list_trash(connection, context, Sorting()).items]
        for uuid in gone:
            restore_session(context, uuid)
        with catalog.write() as connection:
            migrate_again(connection)
    for area in ("archive", "prearchive"):
        (site.data / area / "P~1").rename(site.data / area / "P_deleted_1")
    assert check_data(str(site.data), site.settings) == []
    assert sorted(one.name for one in (site.data / "archive").iterdir()) == ["P~1"]
    assert (site.data / "archive/P~1/E").is_dir()
    assert [one.name for one in (site.data / "prearchive/P~1").glob("*/*")] == ["W"]
    with open_data(str(site.data), site.settings) as (catalog, _), catalog.read() as connection:
        assert connection.execute(select(session.c.id)).all() != []


def test_the_folders_of_a_project_that_has_the_old_name_now_stay(site: DataFolder) -> None:
    site.bring(uploader_layout("E", "1", images(1)))
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        delete_project(context, "P", with_files=False)
    site.bring(uploader_layout("E", "1", images(1)), project="P_deleted_1")
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            (gone,) = [one.id for one in list_trash(connection, context, Sorting()).items]
        restore_session(context, gone)
    assert check_data(str(site.data), site.settings) == []
    assert sorted(one.name for one in (site.data / "archive").iterdir()) == ["P_deleted_1", "P~1"]
