"""Opening the catalog: SQLite in DATA by default, PostgreSQL where SCANDOCK_DATABASE_URL names one."""

from __future__ import annotations

import contextlib
import os
import pwd
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, literal_column, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.sql import ColumnElement

from scandock.catalog import append_only  # noqa: F401  its tables and triggers are made with the others
from scandock.catalog.tables import metadata
from scandock.model.errors import Fault
from scandock.model.private import PRIVATE_FILE, keep_private

T = TypeVar("T")

HEAD = "0016"
"""The newest migration: a fresh catalog is made at it at once, an older one is brought up to it."""

VALUES_MOST = 500
"""Values that one statement names at most: SQLite takes no more than 999 in old versions."""

BUSY_SECONDS = 60
_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"})
_PG_DISK_FULL = "53100"
_PG_BUSY = frozenset({"55P03", "57014"})
"""lock_not_available, and query_canceled by a timeout (PostgreSQL's manual, appendix A)."""
_STEPS = 10_000
"""Of SQLite's machine, after which it asks whether to go on."""
DAMAGED_REMEDY = (
    "Stop the server, keep the file, and put the catalog back from a backup; docs/operating.md says how, and what to do"
    " without one."
)
_FULL_BYTES = 256 * 1024
MAKE_LOCK = 7_230_411
"""Advisory lock on PostgreSQL, so that two first starts do not both make the tables."""
SPACE_LOCK = 7_230_413
"""Of who reserves space (`services/reservations.py`)."""


def in_parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Values as many at a time as one statement names."""
    left = iter(values)
    while part := list(islice(left, VALUES_MOST)):
        yield part


class Catalog:
    """One database: `read()` and `write()` give a connection inside a transaction.

    SQLite: WAL, synchronous=FULL, foreign keys on; `write()` begins IMMEDIATE, so that a writer waits at its
    beginning and never fails half-way for a lock.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self.damaged = ""
        """What the database has said of its own damage, if it did."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; commits at its end, rolls back on any exception."""
        with self._connect() as connection:
            self._begin(connection, "BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state, whatever is written meanwhile."""
        with self._connect() as connection:
            if not self.sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            self._begin(connection, "BEGIN")
            with connection.begin():
                yield connection

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error) as error:  # sqlite3's own, while a connection is being tuned
            raise self.fault(error, "could not be read or written") from error

    def fault(self, error: Exception, what: str) -> Fault:
        """The Fault for an error of the database: `disk_full` where that is why, else `catalog`."""
        said = str(getattr(error, "orig", error))
        if (
            "disk is full" in said
            or getattr(getattr(error, "orig", error), "sqlstate", "") == _PG_DISK_FULL
            or self._is_full(said)
        ):
            return Fault("disk_full", f"The catalog {what}: {said}.", "Free some space, then run it again.")
        if _is_damaged(error, said):
            self.damaged = f"The catalog {what}: it is damaged ({said})."
            return Fault("catalog_damaged", self.damaged, DAMAGED_REMEDY)
        if _is_busy(error):
            return Fault(
                "catalog", f"The catalog {what}: another process holds its lock.", "Find what works on it for so long."
            )
        closed = self._closed_file() if "readonly" in said or "unable to open" in said else ""
        if closed:
            who = f"{closed} is not open to this user for reading and writing ({_rights(closed)})"
            return Fault("catalog", f"The catalog {what}: {who}.", _opened_by(closed))
        remedy = "Look at the disk and the database, then run the same command again."
        return Fault("catalog", f"The catalog {what}: {said}.", remedy)

    def try_writing(self, seconds: int) -> None:
        """Write a row as it is and commit; Fault where that can't be, or a lock has not come free for `seconds`."""
        with self._connect() as connection, self._impatient(connection, seconds):
            self._begin(connection, "BEGIN IMMEDIATE")
            with connection.begin():
                if not self.sqlite:
                    connection.execute(text(f"SET LOCAL lock_timeout = {seconds * 1000}"))
                    connection.execute(text(f"SET LOCAL statement_timeout = {seconds * 1000}"))
                connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    @contextmanager
    def _impatient(self, connection: Connection, seconds: int) -> Iterator[None]:
        """Let SQLite's connection wait for a lock for no longer than that."""
        raw: Any = connection.connection.dbapi_connection
        if not self.sqlite:
            yield
            return
        raw.execute(f"PRAGMA busy_timeout = {seconds * 1000}").close()
        try:
            yield
        finally:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}").close()

    def look_over(self, seconds: float) -> None:
        """Let SQLite look for damage, for so long at most; Fault `catalog_damaged` where it finds some."""
        if not self.sqlite:
            return
        deadline = time.monotonic() + seconds
        with self.read() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one_or_none()
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                    raise
                return
            finally:
                raw.set_progress_handler(None, 0)
        if said != "ok":
            self.damaged = f"The catalog is damaged ({said})."
            raise Fault("catalog_damaged", self.damaged, DAMAGED_REMEDY)

    def _closed_file(self) -> str:
        """The file of an SQLite catalog, or its folder, that this user may not write; empty where there is none.

        SQLite leaves `-wal` and `-shm` behind where whoever closes last can't remove them, and says of neither.
        """
        database = self.engine.url.database
        if not self.sqlite or not database:
            return ""
        every = [database + end for end in ("", "-wal", "-shm", "-journal")]
        there = [file for file in every if os.path.exists(file)]
        wanted = os.R_OK | os.W_OK
        return next((path for path in [*there, os.path.dirname(database) or "."] if not os.access(path, wanted)), "")

    def _is_full(self, said: str) -> bool:
        """Whether SQLite's input and output errors come from a full disk, which it does not say of every file."""
        database = self.engine.url.database
        if not self.sqlite or not database or ("disk I/O error" not in said and "unable to open" not in said):
            return False
        try:
            disk = os.statvfs(os.path.dirname(database) or ".")
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < _FULL_BYTES or (disk.f_files > 0 and disk.f_favail == 0)

    def _begin(self, connection: Connection, statement: str) -> None:
        connection.info["begin"] = statement

    def alone(self, connection: Connection, lock: int) -> None:
        """Let no other transaction that asks for this lock run beside this one, which writes.

        On SQLite none that writes does anyway.
        """
        if not self.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": lock})

    def now(self) -> ColumnElement[int]:
        """The database's own clock, in unix milliseconds: leases are judged by it alone."""
        if self.sqlite:
            return literal_column("CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
        return literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")

    def dispose(self) -> None:
        self.engine.dispose()


def _is_damaged(error: Exception, said: str) -> bool:
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "malformed" in said


def _is_busy(error: Exception) -> bool:
    orig = getattr(error, "orig", error)
    return getattr(orig, "sqlite_errorname", "") in _BUSY or getattr(orig, "sqlstate", "") in _PG_BUSY


def _rights(path: str) -> str:
    status = os.stat(path)
    return f"it belongs to {_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):o}"


def _opened_by(path: str) -> str:
    """What makes a file writable that is not."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "Its file system is mounted read-only: mount it for writing."
    mine = os.stat(path).st_uid == os.geteuid()
    how = "chmod u+rw" if mine else f"chown {_name(os.geteuid())}"
    return f"Open it to the user that runs Scandock: {how} {path}, and the catalog's files beside it likewise."


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _tune_sqlite(dbapi: Any, _record: object) -> None:  # noqa: ANN401  sqlite3's, behind SQLAlchemy's adapter
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:  # turning WAL on needs the lock once and does not honour the busy timeout
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -8192")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))


def open_catalog(url: str) -> Catalog:
    """Connect, and make or bring up to date the tables.

    `url` is SQLAlchemy's (`sqlite:///path`, `postgresql+psycopg://...`). Raises `Fault` where it can't be opened.
    """
    sqlite = url.startswith("sqlite")
    engine = create_engine(url, pool_pre_ping=not sqlite)
    if sqlite:
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    catalog = Catalog(engine)
    try:
        keep_catalog_private(catalog)
        _bring_up(catalog)
    except BaseException as error:
        engine.dispose()
        if not isinstance(error, OperationalError):
            raise
        raise catalog.fault(error, "could not be opened") from error
    return catalog


def keep_catalog_private(catalog: Catalog) -> None:
    """Make SQLite's file, or what stands of it, closed to others; SQLite gives the files beside it the same mode."""
    database = catalog.engine.url.database
    if not catalog.sqlite or not database:
        return
    with contextlib.suppress(OSError):  # it stands; or it can't be made, and the opening says why
        os.mknod(database, PRIVATE_FILE | stat.S_IFREG)  # closing a descriptor of it would drop SQLite's own locks
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            keep_private(database + end)


def _bring_up(catalog: Catalog) -> None:
    with catalog.write() as connection:
        catalog.alone(connection, MAKE_LOCK)
        if not inspect(connection).has_table("alembic_version"):
            metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
            return
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        if version == HEAD:
            return
        from scandock.catalog.migrate import upgrade

        upgrade(connection, version)
