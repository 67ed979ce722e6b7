"""A catalog that migrations brought up from nothing is the very one that is made at once, on both databases."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    create_engine,
    delete,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateTable

from scandock.catalog.engine import HEAD, Catalog, create_tables, open_catalog
from scandock.catalog.migrate import configuration, upgrade
from scandock.catalog.migrations import FOLDER
from scandock.catalog.project_names import is_taken
from scandock.catalog.server_tables import damage, verification
from scandock.catalog.sessions import note_listing
from scandock.catalog.store_tables import object_store
from scandock.catalog.tables import ecat_file, joined_session, metadata, project, scan, session, tree, upload
from scandock.model.errors import Fault
from tests import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def two_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases of one kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'one.db'}", f"sqlite:///{tmp_path / 'two.db'}"
        return
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    with cluster.database() as one, cluster.database() as two:
        yield one, two


def migrated(url: str) -> Engine:
    """A database that every migration has been run on, from nothing."""
    engine = create_engine(url)
    with engine.begin() as connection:
        upgrade(connection, None)
    return engine


def migrated_from_the_first(url: str, target: str = "head") -> Engine:
    """A database that the scripts from before the baseline have been run on, from nothing."""
    engine = create_engine(url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, target)
    return engine


def created(url: str) -> Engine:
    engine = create_engine(url)
    with engine.begin() as connection:
        create_tables(connection)
    return engine


def by_name(found: list[Any]) -> list[Any]:
    """Reflected constraints in one order; the dialect's own keys (as index methods) stay among the facts."""
    return sorted(({**one, **_said(one)} for one in found), key=lambda one: str(one["name"]))


def _said(one: Any) -> dict[str, dict[str, str]]:
    """What only one dialect has of it, as text: the condition of an index is else no other one's."""
    options = one.get("dialect_options")
    return {"dialect_options": {name: str(value) for name, value in options.items()}} if options else {}


def schema(connection: Connection) -> dict[str, dict[str, Any]]:
    """All that the database knows of its tables; types as the dialect writes them, columns in their order."""
    found = inspect(connection)
    tables = {}
    for name in found.get_table_names():
        if name == "alembic_version":
            continue
        columns = [{**column, "type": column["type"].compile(connection.dialect)} for column in found.get_columns(name)]
        tables[name] = {
            "columns": columns,
            "primary key": found.get_pk_constraint(name),
            "uniques": by_name(found.get_unique_constraints(name)),
            "checks": by_name(found.get_check_constraints(name)),
            "indexes": by_name(found.get_indexes(name)),
            "foreign keys": by_name(found.get_foreign_keys(name)),
            "options": found.get_table_options(name),
        }
    return tables


def test_migrations_make_the_very_tables(two_urls: tuple[str, str]) -> None:
    one, two = created(two_urls[0]), migrated(two_urls[1])
    try:
        with one.connect() as expected, two.connect() as made:
            before, after = schema(expected), schema(made)
    finally:
        one.dispose()
        two.dispose()

    assert set(before) == set(metadata.tables)
    assert after.keys() == before.keys()
    for table, facts in before.items():
        assert after[table] == facts, table


def test_the_reflection_sees_what_it_compares(two_urls: tuple[str, str]) -> None:
    """The test above would pass on a reflection that sees nothing."""
    engine = created(two_urls[0])
    with engine.connect() as connection:
        seen = schema(connection)
    engine.dispose()

    assert {one["name"] for one in seen["session"]["uniques"]} == {
        "uq_session_project_id_place_timestamp_key",
        "uq_session_uuid",
    }
    assert {one["name"] for one in seen["session"]["checks"]} == {"ck_session_place", "ck_session_state"}
    assert "ix_session_project_id_study_uid" in {one["name"] for one in seen["session"]["indexes"]}
    assert {one["referred_table"] for one in seen["session"]["foreign keys"]} == {
        "project",
        "subject",
        "tree",
        "upload",
    }
    cascades = {key["name"] for key in seen["intent"]["foreign keys"] if key["options"] == {"ondelete": "CASCADE"}}
    assert cascades == {"fk_intent_upload_id", "fk_intent_operation_id"}
    columns = {column["name"]: column for column in seen["session"]["columns"]}
    assert "false" in str(columns["by_hand"]["default"])
    assert columns["study_uid"]["nullable"] is True
    assert columns["subject"]["type"] == "VARCHAR(128)"


def test_a_file_table_without_row_ids_stays_one(tmp_path: Path) -> None:
    """Half the catalog's size hangs on it (shared design, "Catalog"), and no reflection of columns would show it."""
    engine = migrated(f"sqlite:///{tmp_path / 'catalog.db'}")
    engine.dispose()
    connection = sqlite3.connect(tmp_path / "catalog.db")
    made = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
    connection.close()

    for name, table in metadata.tables.items():
        wanted = "WITHOUT ROWID" in str(CreateTable(table).compile(engine))
        assert ("WITHOUT ROWID" in made[name]) == wanted, name
    assert "WITHOUT ROWID" in made["file"]


def test_autogenerate_finds_nothing_to_do(bare_database_url: str) -> None:
    engine = migrated(bare_database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "target_metadata": metadata,
                "include_name": lambda name, *_: name != "ix_dicom_study_trigrams",  # made by hand, where it can be
            },
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_autogenerate_sees_a_change(bare_database_url: str) -> None:
    engine = migrated(bare_database_url)
    changed = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(changed)
    changed.tables["file"].c.md5.nullable = False
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), changed)
    engine.dispose()

    assert "md5" in str(differences)


@pytest.mark.parametrize(
    ("uuid", "generation", "marker"),
    [("u", 0, (None, None)), ("u", 1, ("1", "u")), ("new:u", 2, ("2", "u.1"))],
    ids=["the-first", "restored", "not-bound-yet"],
)
def test_a_catalog_keeps_the_marker_of_its_bucket(
    bare_database_url: str, uuid: str, generation: int, marker: tuple[str | None, str | None]
) -> None:
    engine = create_engine(bare_database_url)
    config = configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0064")
        row = {"uuid": uuid, "generation": generation}
        connection.execute(text("INSERT INTO object_store (uuid, generation) VALUES (:uuid, :generation)"), row)
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.read() as connection:
        assert connection.execute(select(object_store)).one() == (uuid, *marker)
    catalog.dispose()


def test_head_is_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [HEAD]


def test_what_opens_a_catalog_imports_neither_alembic_nor_another_databases_dialect(tmp_path: Path) -> None:
    """Alembic takes longer than all else that a command does before its work, PostgreSQL's dialect a tenth of it."""
    code = (
        "import sys, scandock.catalog.engine as e, scandock.catalog.server_tables;"
        "e.open_catalog('sqlite:///' + sys.argv[1]).dispose();"
        "print(e.HEAD, *(name in sys.modules for name in ('alembic', 'sqlalchemy.dialects.postgresql')))"
    )
    path = str(tmp_path / "catalog.db")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [HEAD, "False", "False"]


@pytest.mark.long
def test_the_baseline_makes_the_very_tables_that_the_scripts_before_it_made(two_urls: tuple[str, str]) -> None:
    one, two = migrated_from_the_first(two_urls[0]), create_engine(two_urls[1])
    baseline = ScriptDirectory.from_config(configuration()).get_base()
    assert ScriptDirectory.from_config(configuration("before_baseline")).get_heads() == [baseline]
    config = configuration()
    with two.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, str(baseline))
    try:
        with one.connect() as older, two.connect() as made:
            before, after = schema(older), schema(made)
            assert triggers(made) == triggers(older) != []
    finally:
        one.dispose()
        two.dispose()
    assert after.keys() == before.keys()
    for table, facts in before.items():
        assert after[table] == facts, table


def triggers(connection: Connection) -> list[str]:
    """Names and texts of what guards the audit."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    )
    return [f"{name}: {said}" for name, said in connection.execute(text(query))]


def test_a_fresh_catalog_is_at_head_and_opens_again(bare_database_url: str) -> None:
    open_catalog(bare_database_url).dispose()
    catalog = open_catalog(bare_database_url)
    versions = _versions(catalog)
    catalog.dispose()

    assert versions == [HEAD]


def test_a_catalog_from_before_the_first_migration_is_brought_up(bare_database_url: str) -> None:
    """What an older catalog meets: its version is known but not HEAD, so migrations run inside `open_catalog`."""
    engine = create_engine(bare_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    versions = _versions(catalog)
    with catalog.read() as connection:
        tables = set(inspect(connection).get_table_names())
    catalog.dispose()

    assert versions == [HEAD]
    assert tables == {*metadata.tables, "alembic_version"}


def test_damage_that_an_older_catalog_names_is_listed_and_read_again(bare_database_url: str) -> None:
    engine = create_engine(bare_database_url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0011")
        connection.execute(
            text(
                "INSERT INTO upload (id, uuid, archive, source, state, request, created)"
                " VALUES (1, 'u', 'a.zip', 'server', 'placed', '{}', 0)"
            )
        )
        for number in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO tree (id, upload_id, state, files, bytes, created) VALUES (:n, 1, 'current', 0, 0, 0)"
                ),
                {"n": number},
            )
        details = '[{"file": 7, "kind": "changed", "bytes": 3}, {"file": 8, "kind": "unreadable", "error": "OSError"}]'
        for number, problems, said in ((1, 2, details), (2, 0, "")):
            connection.execute(
                text(
                    "INSERT INTO verification (tree_id, done_n, finished, problems, details) VALUES (:n, 9, 5, :p, :d)"
                ),
                {"n": number, "p": problems, "d": said},
            )
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.read() as connection:
        kept = connection.execute(select(damage).order_by(damage.c.file_n)).all()
        rounds = connection.execute(select(verification.c.tree_id, verification.c.oldest)).all()
    catalog.dispose()
    assert [(one.tree_id, one.file_n, one.kind, one.bytes, one.error, one.found) for one in kept] == [
        (1, 7, "changed", 3, "", 5),
        (1, 8, "unreadable", None, "OSError", 5),
    ]
    assert [tuple(one) for one in rounds] == [(2, 5)]


def test_what_people_set_of_sessions_is_known_of_an_older_catalog(bare_database_url: str) -> None:
    engine = create_engine(bare_database_url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0016")
        for table, values in (
            ("project (id, name, key, created, uuid)", "1, 'P', 'p', 0, 'p'"),
            ("upload (id, uuid, archive, source, state, request, created)", "1, 'u', '', 'cli', 'placed', '', 0"),
            ("tree (id, upload_id, state, files, bytes, created)", "1, 1, 'current', 0, 0, 0"),
        ):
            connection.execute(text(f"INSERT INTO {table} VALUES ({values})"))
        for label, by_hand, study in (("HAND", True, None), ("PULLED", True, "1.2"), ("CAME", False, "1.3")):
            connection.execute(
                text(
                    "INSERT INTO session (uuid, project_id, subject, label, key, place, state, study_uid, by_hand,"
                    " xsi_type, attributes, warnings, tree_id, scans, files, bytes, created, modified)"
                    " VALUES (:label, 1, 'S', :label, :label, 'archive', 'ready', :study, :by_hand,"
                    " 'xnat:mrSessionData', :said, '[]', 1, 0, 0, 0, 0, 0)"
                ),
                {"label": label, "study": study, "by_hand": by_hand, "said": '{"note": "x", "date": "2000-01-01"}'},
            )
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.read() as connection:
        found = connection.execute(
            select(session.c.label, session.c.type_by_hand, session.c.fields_by_hand, session.c.folder)
        ).all()
    catalog.dispose()
    assert {one.label: (one.type_by_hand, one.fields_by_hand, one.folder) for one in found} == {
        "HAND": (True, '["date", "note"]', ""),
        "PULLED": (True, "[]", ""),
        "CAME": (False, "[]", ""),
    }


OLD_SESSION = """
INSERT INTO project (id, name, key, prearchive_code, identified, petmr, created)
 VALUES (1, 'P', 'p', 4, 'accept', 'petmr', 0);
INSERT INTO upload (id, uuid, archive, source, state, request, created)
 VALUES (1, 'u', 'a.zip', 'cli', 'placed', '{}', 0);
INSERT INTO tree (id, upload_id, state, created) VALUES (2500, 1, 'current', 0), (2501, 1, 'retired', 0);
INSERT INTO session (id, uuid, project_id, subject, label, key, place, state, xsi_type, attributes, warnings,
 tree_id, scans, files, bytes, created, modified)
 VALUES (1, 's', 1, 'S', 'L', 'l', 'archive', 'ready', '', '{"modality": "PET"}', '[]', 2500, 3, 3, 3, 0, 0);
UPDATE session SET ecat = true
"""
OLD_SCAN = """
INSERT INTO scan (tree_id, n, scan_id, modality, xsi_type, type, attributes, facts, frames, files, bytes)
 VALUES (:tree, :n, :scan, '', 'xnat:petScanData', '', :attributes, :bytes, 1, 1, 1);
INSERT INTO resource (tree_id, n, scan_n, label, content, format, files, bytes)
 VALUES (:tree, :n, :n, :label, '', '', 1, 1);
INSERT INTO file (tree_id, n, resource_n, name, bytes, sha256) VALUES (:tree, :n, :n, 'f', 1, :bytes)
"""


def test_what_an_older_catalog_holds_is_found_and_sorted_as_what_is_new(bare_database_url: str) -> None:
    """Version 0020: ECAT files of scans by their content, with their frames, and scans as people count them."""
    engine = create_engine(bare_database_url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0016")
        for statement in OLD_SESSION.split(";"):
            connection.execute(text(statement))
        for tree in (2500, 2501):
            for n, scan_id in enumerate(("10", "2", "4-MR1")):
                label = "NOTES" if n == 2 else "ECAT"
                attributes = {"modality": "PET", "frames": "4", "parameters/fileType": ("7", "11", "7")[n]}
                values = {"tree": tree, "n": n, "scan": scan_id, "label": label, "bytes": bytes([n]) * 32}
                values["attributes"] = json.dumps(attributes)
                for statement in OLD_SCAN.split(";"):
                    connection.execute(text(statement), values)
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.read() as connection:
        query = select(scan.c.scan_id).where(scan.c.tree_id == 2501).order_by(scan.c.sort_key)
        ids = connection.execute(query).scalars().all()
        files = connection.execute(select(ecat_file).order_by(ecat_file.c.n)).all()
        told = connection.execute(select(scan.c.frames, scan.c.attributes).where(scan.c.tree_id == 2500)).all()
        attributes = connection.execute(select(session.c.attributes)).scalar_one()
    catalog.dispose()
    assert json.loads(attributes) == {"modality": "PT"}
    counted = [(row.frames, json.loads(row.attributes)["frames"]) for row in told]
    assert sorted(counted) == [(0, "0"), (4, "4"), (4, "4")]
    assert {json.loads(row.attributes)["modality"] for row in told} == {"PT"}
    assert ids == ["2", "4-MR1", "10"]
    assert [tuple(row) for row in files] == [(2500, 0, b"\0" * 32, None), (2500, 1, b"\1" * 32, None)]


def test_projects_that_share_a_name_keep_it_and_it_is_found_for_others(bare_database_url: str) -> None:
    """Version 0021."""
    engine = create_engine(bare_database_url)
    config = configuration("before_baseline")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0020")
        for number, attributes in ((1, {"secondary_ID": "Größe"}), (2, {})):
            connection.execute(
                text(
                    "INSERT INTO project (id, name, key, title, created, uuid, attributes)"
                    " VALUES (:n, :name, :name, 'Shared', 0, :name, :attributes)"
                ),
                {"n": number, "name": f"p{number}", "attributes": json.dumps(attributes)},
            )
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    with catalog.read() as connection:
        titles = connection.execute(select(project.c.title).order_by(project.c.id)).scalars().all()
        taken = [
            is_taken(connection, name, project_id=of)
            for name, of in (("SHARED", None), ("shared", 1), ("shared", 2), ("GRÖSSE", 2), ("grösse", 1), ("", None))
        ]
    catalog.dispose()
    assert titles == ["Shared", "Shared"]
    assert taken == [True, True, True, True, False, False]


RECEIVED_BEFORE = """
INSERT INTO project (id, name, key, created, uuid) VALUES (1, 'P', 'p', 0, 'p');
INSERT INTO upload (id, uuid, archive, source, state, request, created, deleted) VALUES
 (1, 'first', 'a.zip', 'server', 'placed', '{}', 100, false),
 (2, 'second', 'b.zip', 'server', 'placed', '{}', 200, false),
 (3, 'deleted', '', 'server', 'placed', '{}', 50, true);
INSERT INTO tree (id, upload_id, state, created) VALUES (1, 2, 'current', 0), (2, 2, 'current', 0),
 (3, 2, 'current', 0), (4, 2, 'current', 0), (5, NULL, 'current', 0), (6, 3, 'current', 0)
"""
SESSIONS_BEFORE = {
    # uuid: (number and tree, created, attributes, modalities of scans, received by, date, modalities)
    "joined": (1, 150, '{"date": "2026-11-29"}', ["PT", "CT", "CT", ""], 1, "2026-11-29", "CT\\PT"),
    "own": (2, 250, '{"date": "today"}', ["MR"], 2, "", "MR"),
    "older": (3, 90, "{}", [], None, "", ""),
    "gone": (4, 120, "{}", [f"M{n:03}" for n in range(40)], None, "", "\\".join(f"M{n:03}" for n in range(24))),
    "by hand": (5, 300, '{"date": "1999-12-31"}', [], None, "1999-12-31", ""),
    "of a deleted one": (6, 60, "{}", [], 3, "", ""),
}
LINES_BEFORE = (
    # of imports' ends, the oldest first: whose, and which sessions it names
    ("deleted", '{"sessions": ["of a deleted one"]}'),
    ("no longer there", '{"sessions": ["gone"]}'),
    ("first", '{"sessions": ["joined"], "brought": 1}'),
    ("second", '{"sessions": ["joined", "own", "older", "gone"]}'),
    ("second", '{"state": "failed"}'),
    ("second", ""),
)


def insert_sessions_before(connection: Connection) -> None:
    """What a catalog of version 0024 has of sessions, and what its audit says of them."""
    for statement in RECEIVED_BEFORE.split(";"):
        connection.execute(text(statement))
    for uuid, (number, created, attributes, modalities, *_) in SESSIONS_BEFORE.items():
        connection.execute(
            text(
                "INSERT INTO session (id, uuid, project_id, subject, label, key, place, state, xsi_type, attributes,"
                " warnings, tree_id, scans, files, bytes, created, modified) VALUES (:n, :uuid, 1, 'S', :uuid, :uuid,"
                " 'archive', 'ready', '', :attributes, '[]', :n, 0, 0, 0, :created, 0)"
            ),
            {"n": number, "uuid": uuid, "attributes": attributes, "created": created},
        )
        for n, modality in enumerate(modalities):
            connection.execute(
                text(
                    "INSERT INTO scan (tree_id, n, scan_id, modality, xsi_type, type, attributes, facts, frames, files,"
                    " bytes) VALUES (:tree, :n, :id, :modality, '', '', '{}', :facts, 0, 0, 0)"
                ),
                {"tree": number, "n": n, "id": str(n), "modality": modality, "facts": b""},
            )
    for target, details in LINES_BEFORE:
        connection.execute(
            text(
                "INSERT INTO audit (at, actor, action, kind, target, details)"
                " VALUES (0, 'system', 'import_end', 'import', :target, :details)"
            ),
            {"target": target, "details": details},
        )


def test_what_an_older_catalog_knows_of_reception_and_lists_is_filled_in(bare_database_url: str) -> None:
    """Version 0025: by some at a time, and as a rebuild would write it."""
    engine, config = create_engine(bare_database_url), configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0024")
        insert_sessions_before(connection)
    engine.dispose()

    catalog = open_catalog(bare_database_url)
    columns = (session.c.received, session.c.received_by, session.c.date, session.c.modalities)
    with catalog.write() as connection:
        found = {row[0]: tuple(row[1:]) for row in connection.execute(select(session.c.uuid, *columns))}
        for number in connection.execute(select(session.c.id)).scalars().all():
            note_listing(connection, number)
        rebuilt = {row[0]: tuple(row[1:]) for row in connection.execute(select(session.c.uuid, *columns))}
        assert connection.execute(select(joined_session)).all() == []
    with catalog.write() as connection:
        connection.execute(update(tree).values(upload_id=None))
        connection.execute(delete(upload).where(upload.c.uuid == "first"))
        told = connection.execute(select(session.c.received_by).where(session.c.uuid == "joined")).scalar_one()
        catalog.examine()
    catalog.dispose()
    assert found == {uuid: (one[1], *one[4:]) for uuid, one in SESSIONS_BEFORE.items()}
    assert rebuilt == found
    assert told is None


def test_sessions_are_filled_in_some_at_a_time(bare_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ScriptDirectory.from_config(configuration()).get_revision("0025")
    assert script is not None
    engine, config = create_engine(bare_database_url), configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0024")
        insert_sessions_before(connection)
        monkeypatch.setattr(script.module, "BATCH", 2)
        with Operations.context(MigrationContext.configure(connection)):
            script.module.upgrade()
        found = connection.execute(select(session.c.uuid, session.c.received_by, session.c.modalities)).all()
    engine.dispose()
    assert {row.uuid: (row.received_by, row.modalities) for row in found} == {
        uuid: (one[4], one[6]) for uuid, one in SESSIONS_BEFORE.items()
    }


def test_no_version_depends_on_code_that_may_change() -> None:
    """What a version wrote stays what it wrote, so it bears what it needs itself."""
    versions = [*Path(FOLDER).glob("versions/v*.py"), *Path(FOLDER).glob("before_baseline/v*.py")]
    assert len(versions) > 10
    living = [
        path.name for path in versions if re.search(r"^\s*(from|import) scandock", path.read_text(), re.MULTILINE)
    ]
    assert living == []


def test_a_newer_catalog_is_refused(bare_database_url: str) -> None:
    catalog = open_catalog(bare_database_url)
    with catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    catalog.dispose()

    with pytest.raises(Fault, match=r"written by a newer Scandock \(its version is 9999\)") as refused:
        open_catalog(bare_database_url)

    assert refused.value.code == "catalog_newer"
    assert "restore a backup" in refused.value.remedy


def test_a_migration_that_fails_leaves_nothing(bare_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed or failed upgrade must not leave half of the tables."""
    made = Operations.create_table
    calls = []

    def fail_third(self: Operations, *args: Any, **kwargs: Any) -> Any:
        calls.append(args[0])
        if len(calls) == 3:
            raise RuntimeError("no more")
        return made(self, *args, **kwargs)

    engine = create_engine(bare_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    engine.dispose()
    monkeypatch.setattr(Operations, "create_table", fail_third)
    with pytest.raises(RuntimeError, match="no more"):
        open_catalog(bare_database_url)
    engine = create_engine(bare_database_url)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
    engine.dispose()

    assert tables == ["alembic_version"]


def test_a_catalog_whose_upgrade_fails_at_its_end_is_as_it_was(
    bare_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where SQLite's own schema was written to; and the next one goes through."""
    engine, config = create_engine(bare_database_url), configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0022")
        for statement in OLD_SESSION.split(";"):
            connection.execute(text(statement))
    with engine.connect() as connection:
        before = schema(connection)
    indexed = Operations.create_index

    def fail(self: Operations, name: str, *args: Any, **kwargs: Any) -> Any:
        if "reservation" in str(name):
            raise RuntimeError("no more")
        return indexed(self, name, *args, **kwargs)

    with monkeypatch.context() as failing:
        failing.setattr(Operations, "create_index", fail)
        with pytest.raises(RuntimeError, match="no more"):
            open_catalog(bare_database_url)
    with engine.connect() as connection:
        assert schema(connection) == before
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["0022"]
    engine.dispose()
    catalog = open_catalog(bare_database_url)
    with catalog.write() as connection:
        assert connection.execute(select(tree.c.upload_id)).scalars().all() == [1, 1]
        connection.execute(update(tree).values(upload_id=None))
        catalog.examine()
    assert (_versions(catalog), catalog.count_orphan_rows()) == ([HEAD], {})
    catalog.dispose()


def _versions(catalog: Catalog) -> list[str]:
    with catalog.read() as connection:
        return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
