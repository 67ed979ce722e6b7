"""One database has one data folder: another is refused, one that was moved is known, a restored one takes its place."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
import pytest
from sqlalchemy import create_engine, delete, select, text

from scandock.catalog.engine import HEAD, open_catalog
from scandock.catalog.migrate import configuration
from scandock.catalog.server_tables import data_folder
from scandock.catalog.tables import metadata
from scandock.model.errors import Fault, Usage
from scandock.rules.import_request import ImportRequest
from scandock.services.backup import back_up
from scandock.services.data_catalog import open_data, open_data_catalog
from scandock.services.settings import Settings, load_settings
from scandock.store.identity import IDENTITY, read_identity, write_identity
from scandock.store.local import LocalStore
from scandock.testing.data import make_data
from scandock.web.deps import open_server_state
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.local_import import run_import
from scandock.workers.worker import Worker
from tests.crash.processes import SCANDOCK, environment
from tests.integration.in_process import call_in_process


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return load_settings().model_copy(update={"database_url": postgres_url})


@pytest.fixture
def first(tmp_path: Path, settings: Settings) -> Path:
    """The database's own folder, which has been opened."""
    return folder(tmp_path / "first", settings)


def folder(path: Path, settings: Settings | None = None) -> Path:
    store = LocalStore(path)
    store.prepare()
    store.close()
    if settings is not None:
        open_data_catalog(str(path), settings).dispose()
    return path


def known(settings: Settings) -> list[tuple[str, str]]:
    assert settings.database_url is not None
    catalog = open_catalog(settings.database_url)
    with catalog.read() as connection:
        rows = [(row.uuid, row.path) for row in connection.execute(select(data_folder))]
    catalog.dispose()
    return rows


@contextmanager
def served(data: Path) -> Iterator[None]:
    """As while a server is at work on a folder."""
    fd = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


# -- two folders -------------------------------------------------------------------------------------------------------


def test_another_folder_is_refused_by_whatever_opens_it(first: Path, tmp_path: Path, settings: Settings) -> None:
    other = folder(tmp_path / "other")
    log: object = None
    doors: tuple[Callable[[], object], ...] = (
        lambda: open_data_catalog(str(other), settings, serves=True),
        lambda: open_data(str(other), settings).__enter__(),
        lambda: open_server_state(str(other), settings),
        lambda: Worker(str(other), 1, settings, 1, WorkerLiveness.make(), log),  # type: ignore[arg-type]
        lambda: back_up(str(other), settings, str(tmp_path / "backup")),
    )
    for door in doors:
        with pytest.raises(Usage) as caught:
            door()
        assert caught.value.code == "data_folder_other"
        assert str(first) in caught.value.message
        assert str(other) in caught.value.message
        assert f"scandock admin adopt --data {other}" in caught.value.remedy
    assert read_identity(str(other)) == ""
    assert known(settings) == [(read_identity(str(first)), str(first))]


def test_nothing_is_made_in_a_folder_that_is_refused(first: Path, tmp_path: Path, settings: Settings) -> None:
    """A slip in a path leaves nothing behind, be the folder there or not, or one of which something is gone."""
    there, half, absent = tmp_path / "there", folder(tmp_path / "half"), tmp_path / "absent"
    there.mkdir()
    (half / "work").rmdir()
    log: object = None
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"")
    for other, standing in ((there, set()), (half, {one.name for one in half.iterdir()}), (absent, None)):

        def bring(data: Path = other) -> object:
            request = ImportRequest(project="P", workers=1)
            return run_import(
                data=str(data), archive=str(archive), request=request, settings=settings, on_progress=None,
                cancelled=threading.Event(),
            )  # fmt: skip

        doors: tuple[Callable[[], object], ...] = (
            lambda other=other: open_data(str(other), settings).__enter__(),  # type: ignore[misc]
            lambda other=other: open_server_state(str(other), settings),  # type: ignore[misc]
            lambda other=other: Worker(str(other), 1, settings, 1, WorkerLiveness.make(), log),  # type: ignore[arg-type,misc]
            bring,
        )
        for door in doors:
            with pytest.raises(Usage) as caught:
                door()
            assert caught.value.code == "data_folder_other"
            assert ({one.name for one in other.iterdir()} if other.exists() else None) == standing
    (first / "work").rmdir()
    with open_data(str(first), settings):
        assert (first / "work").is_dir()


def test_nothing_is_made_where_the_database_can_not_be_asked(tmp_path: Path, settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/nothing"})
    with pytest.raises(Fault) as caught, open_data(str(tmp_path / "data"), away):
        pass
    assert caught.value.code == "catalog"
    assert not (tmp_path / "data").exists()


@pytest.mark.processes
def test_serve_and_commands_say_which_folder_is_the_databases(first: Path, tmp_path: Path, settings: Settings) -> None:
    other = tmp_path / "other"
    other.mkdir()
    url = {"SCANDOCK_DATABASE_URL": str(settings.database_url)}
    words = [str(SCANDOCK), "serve", "--data", str(other), "--port", "0"]
    ended = subprocess.run(words, env=environment(**url), capture_output=True, text=True, timeout=120, check=False)
    listed = call_in_process("admin", "project", "list", "--data", other, **url)
    for done in (ended, listed):
        assert done.returncode == 2, done.stderr
        assert f"belongs to the data folder {first}" in " ".join(done.stderr.split())
        assert str(other) in done.stderr
    assert list(other.iterdir()) == []
    assert call_in_process("admin", "project", "list", "--data", first, **url).returncode == 0
    adopted = call_in_process("admin", "adopt", "--data", other, **url)
    assert adopted.stdout == f"The database belongs to {other} now.\n"
    assert call_in_process("admin", "project", "list", "--data", other, **url).returncode == 0
    assert call_in_process("admin", "project", "list", "--data", first, **url).returncode == 2


def test_a_folder_that_was_moved_is_known(first: Path, tmp_path: Path, settings: Settings) -> None:
    moved = tmp_path / "moved"
    first.rename(moved)
    open_data_catalog(str(moved), settings).dispose()
    assert known(settings) == [(read_identity(str(moved)), str(moved))]
    with pytest.raises(Usage):  # a new one in its place is another
        open_data_catalog(str(folder(first)), settings)


def test_a_folder_by_another_name_is_the_same(first: Path, tmp_path: Path, settings: Settings) -> None:
    link = tmp_path / "link"
    link.symlink_to(first)
    open_data_catalog(str(link), settings).dispose()
    open_data_catalog(str(first), settings).dispose()


def test_a_copy_is_another_folder_and_takes_the_place_where_it_is_told(
    first: Path, tmp_path: Path, settings: Settings
) -> None:
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    with pytest.raises(Usage, match="is a copy of it"):
        open_data_catalog(str(copy), settings)
    open_data_catalog(str(copy), settings, adopts=True).dispose()
    open_data_catalog(str(copy), settings).dispose()
    with pytest.raises(Usage, match="is another folder"):
        open_data_catalog(str(first), settings)
    assert read_identity(str(copy)) != read_identity(str(first))


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_the_id_of_a_folder_can_be_read_by_whoever_runs_scandock(tmp_path: Path, mask: int) -> None:
    """Root adopts and restores, and the server's user opens the folder afterwards."""
    before = os.umask(mask)
    try:
        write_identity(str(tmp_path), "one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / IDENTITY).stat().st_mode) == 0o644
    assert read_identity(str(tmp_path)) == "one"


def test_a_folder_is_adopted_though_the_one_before_can_not_be_read(
    first: Path, tmp_path: Path, settings: Settings
) -> None:
    """As on a file system that is broken, or not open to this user."""
    other = folder(tmp_path / "other")
    (first / IDENTITY).unlink()
    (first / IDENTITY).mkdir()
    with pytest.raises(Fault):
        read_identity(str(first))
    open_data_catalog(str(other), settings, adopts=True).dispose()
    assert known(settings) == [(read_identity(str(other)), str(other))]


@pytest.mark.parametrize("which", ["first", "copy"])
def test_nothing_is_adopted_while_a_server_is_at_work(
    first: Path, tmp_path: Path, settings: Settings, which: str
) -> None:
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    with served(tmp_path / which), pytest.raises(Fault, match="A server is at work on") as caught:
        open_data_catalog(str(copy), settings, adopts=True)
    assert caught.value.code == "data_served"
    assert known(settings) == [(read_identity(str(first)), str(first))]


def test_a_database_of_an_older_version_belongs_to_the_folder_that_opens_it_first(
    first: Path, tmp_path: Path, settings: Settings
) -> None:
    assert settings.database_url is not None
    catalog = open_catalog(settings.database_url)
    with catalog.write() as connection:
        connection.execute(delete(data_folder))
    catalog.dispose()
    identity = read_identity(str(first))
    open_data_catalog(str(first), settings).dispose()
    assert known(settings) == [(identity, str(first))]


def test_sqlite_lies_in_its_folder_and_knows_no_other(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    copy = Path(shutil.copytree(data, tmp_path / "copy"))
    for one in (data, copy):
        open_data_catalog(str(one), load_settings()).dispose()
        assert not (one / IDENTITY).exists()
    assert "nothing to adopt" in call_in_process("admin", "adopt", "--data", copy).stdout


# -- versions ----------------------------------------------------------------------------------------------------------


def set_back(url: str) -> None:
    """Make an empty catalog of a database, of the version that had no data folder in it yet."""
    engine, config = create_engine(url), configuration("before_baseline")
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            metadata.drop_all(connection)
            connection.execute(text("DROP TABLE alembic_version"))
        else:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0014")
    engine.dispose()


def version(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    engine.dispose()
    return found


@pytest.mark.long
@pytest.mark.postgresql
def test_no_command_upgrades_a_catalog_under_a_running_server(tmp_path: Path, database_url: str) -> None:
    data = folder(tmp_path / "data")
    if database_url.startswith("sqlite"):
        database_url = f"sqlite:///{make_data(data) / 'scandock.db'}"
    url = {} if database_url.startswith("sqlite") else {"SCANDOCK_DATABASE_URL": database_url}
    settings = load_settings().model_copy(update={"database_url": url.get("SCANDOCK_DATABASE_URL")})
    set_back(database_url)
    with served(data):
        for words in (
            ("check",),
            ("admin", "project", "list"),
            ("admin", "user", "list"),
            ("admin", "import", "list"),
            ("admin", "audit"),
            ("admin", "project", "add", "P"),
        ):
            done = call_in_process(*words, "--data", data, **url)
            assert done.returncode == 1, (words, done.stderr)
            said = " ".join(done.stderr.split())
            assert "A server of an older version is at work on this catalog (0014;" in said
            assert "stop the server and start this version's" in said
        with pytest.raises(Fault):  # a child that was restarted with newer code
            open_server_state(str(data), settings)
        assert version(database_url) == "0014"
        open_data_catalog(str(data), settings, serves=True).dispose()  # the server's own beginning
        assert version(database_url) == HEAD
        assert call_in_process("check", "--data", data, **url).returncode == 0
    set_back(database_url)
    assert call_in_process("check", "--data", data, **url).returncode == 0
    assert version(database_url) == HEAD
