"""The catalog in a backup: copied as it is at one moment, beside a server that writes, and put back from there."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from scandock.catalog.engine import HEAD, AdvisoryLock, Catalog, sqlite_url
from scandock.catalog.errors import CatalogFailed
from scandock.catalog.server_connections import conninfo
from scandock.catalog.unfinished_restore import (
    MARK_TABLE,
    UnfinishedRestore,
    begin_restore,
    check_no_restore,
    end_restore,
    read_restore,
)
from scandock.model.private_files import PRIVATE_FILE
from scandock.queue.hosts import forget_hosts
from scandock.services.data_catalog import CATALOG_FILE
from scandock.services.data_errors import CatalogOtherVersion, ProgramMissing, RestoreNotEmpty, RestoreOtherCatalog
from scandock.services.data_folders import check_copied_catalog

DUMP = "catalog.dump"
"""A PostgreSQL catalog in a backup, in pg_dump's own format."""


@contextmanager
def copy_catalog(data: str, database_url: str | None, target: str) -> Iterator[Connection]:
    """Copy the catalog into the folder `target`; a connection that reads the very state that was copied.

    Usage `catalog_other_version`; Fault where it can't be read.
    """
    try:
        if database_url is None:
            with _copy_sqlite(data, target) as connection:
                yield connection
        else:
            with _copy_postgresql(data, database_url, target) as connection:
                yield connection
    except (sqlite3.Error, DBAPIError) as error:
        message = str(getattr(error, "orig", error))
        raise CatalogFailed(
            f"The catalog could not be copied: {message}.", "Look at the disk and the database."
        ) from error


@contextmanager
def _copy_sqlite(data: str, target: str) -> Iterator[Connection]:
    path = os.path.join(target, CATALOG_FILE)
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb"):
        pass
    with (
        closing(sqlite3.connect(os.path.join(data, CATALOG_FILE), timeout=60)) as live,
        closing(sqlite3.connect(path + ".new")) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE").close()  # one file, whole; the next opening turns WAL on again
    os.replace(path + ".new", path)
    engine = create_engine(sqlite_url(path))
    try:
        with engine.connect() as connection:
            _check_version(connection)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _copy_postgresql(data: str, database_url: str, target: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
            check_no_restore(connection)
            _check_version(connection)
            check_copied_catalog(connection, os.path.abspath(data))
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            path = os.path.join(target, DUMP)
            _run_program("pg_dump", database_url, "--format=custom", f"--snapshot={snapshot}", f"--file={path}.new")
            os.replace(path + ".new", path)
            yield connection
    finally:
        engine.dispose()


def _check_version(connection: Connection) -> None:
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if version != HEAD:
        raise CatalogOtherVersion(str(version), HEAD)


def restore_catalog(backup: str, data: str, database_url: str | None) -> None:
    """Put the catalog of a backup where DATA's is to be; see `check_restorable`."""
    if database_url is None:
        temporary = os.path.join(data, CATALOG_FILE + ".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with open(os.path.join(backup, CATALOG_FILE), "rb") as source, open(fd, "wb") as target:
            while part := source.read(1024 * 1024):
                target.write(part)
            target.flush()
            os.fsync(target.fileno())
        os.rename(temporary, os.path.join(data, CATALOG_FILE))
        return
    _restore_dump(backup, database_url)
    with _open_database(database_url) as database, database.write() as connection:
        forget_hosts(connection)


def _restore_dump(backup: str, database_url: str) -> None:
    dump = os.path.join(backup, DUMP)
    _run_program("pg_restore", database_url, "--no-owner", "--exit-on-error", "--single-transaction", dump)


def restore_marked_catalog(restore: UnfinishedRestore, database_url: str) -> None:
    """Put the catalog of a backup into a database that is marked before and stays so (`end_marked_restore`).

    The dump comes in one transaction: where it is there from a restore that was ended, it is whole. Usage
    `restore_not_empty` of a database that isn't marked with this restore.
    """
    with _open_database(database_url) as database:
        with database.write() as connection:
            database.alone(connection, AdvisoryLock.MAKE_TABLES)  # so that nobody makes a catalog meanwhile
            names = _check_fillable(connection, restore)
            if not names:
                begin_restore(connection, restore)
        if set(names) <= {MARK_TABLE}:
            _restore_dump(restore.backup, database_url)
        with database.write() as connection:
            forget_hosts(connection)


def end_marked_restore(database_url: str) -> None:
    """Let everybody open a catalog that was restored."""
    with _open_database(database_url) as database, database.write() as connection:
        end_restore(connection)


def _check_fillable(connection: Connection, restore: UnfinishedRestore | None) -> list[str]:
    """The tables of a database that is empty, or that a restore has begun to fill. Usage `restore_not_empty`."""
    names = inspect(connection).get_table_names()
    if names and (restore is None or not restore.is_same(read_restore(connection))):
        raise RestoreNotEmpty("The database that SCANDOCK_DATABASE_URL names holds tables.", "Name an empty one.")
    return names


@contextmanager
def _open_database(database_url: str) -> Iterator[Catalog]:
    """A database as it is, whatever it holds. Fault `catalog`."""
    database = Catalog(create_engine(database_url))
    try:
        yield database
    except DBAPIError as error:
        raise CatalogFailed(f"The database can't be used: {error.orig}.", "Look at SCANDOCK_DATABASE_URL.") from error
    finally:
        database.dispose()


def check_restorable(backup: str, database_url: str | None, restore: UnfinishedRestore | None = None) -> bool:
    """Usage `restore_other_catalog` where a backup has the other kind of catalog, `restore_not_empty` of a database.

    Whether `restore` has begun to fill the database, and was ended.
    """
    exists = os.path.exists(os.path.join(backup, CATALOG_FILE if database_url is None else DUMP))
    if not exists:
        why = (
            "SCANDOCK_DATABASE_URL is not set, and the backup holds a dump of PostgreSQL"
            if database_url is None
            else "SCANDOCK_DATABASE_URL is set, and the backup holds an SQLite catalog"
        )
        raise RestoreOtherCatalog(why)
    if database_url is None:
        return False
    with _open_database(database_url) as database, database.read() as connection:
        return bool(_check_fillable(connection, restore))


def check_empty_folder(data: str) -> None:
    """Usage `restore_not_empty` of a folder."""
    if os.path.isdir(data) and os.listdir(data):
        raise RestoreNotEmpty(f"{data} is not empty.", "Name a new or an empty folder.")


def _run_program(program: str, database_url: str, *words: str) -> None:
    """Run one of PostgreSQL's programs on a database; its password goes by the environment, which others can't read."""
    url = make_url(database_url)
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    plain = conninfo(url.set(password=None).render_as_string(hide_password=False))
    try:
        done = subprocess.run(
            [program, f"--dbname={plain}", *words],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise ProgramMissing(program) from None
    if done.returncode:
        raise CatalogFailed(f"{program} failed: {done.stderr.strip()}", "Look at the disk and the database.")
