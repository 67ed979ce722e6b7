"""Opening the catalog: SQLite in DATA by default, PostgreSQL where SCANDOCK_DATABASE_URL names one."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    PoolProxiedConnection,
    create_engine,
    event,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.sql import ColumnElement

from scandock.catalog import append_only, store_tables  # noqa: F401  their tables are made with the others
from scandock.catalog.errors import CatalogDamaged, CatalogFailed, CatalogOlder
from scandock.catalog.migrations import newest
from scandock.catalog.tables import metadata
from scandock.catalog.unfinished_restore import check_no_restore
from scandock.model import request_limits
from scandock.model.errors import Fault
from scandock.model.machine_errors import DiskFull
from scandock.model.private_files import PRIVATE_FILE, keep_private
from scandock.model.request_errors import RequestInvalid

T = TypeVar("T")
_LOG = logging.getLogger("scandock")

HEAD: Final = newest()
"""The newest migration: a fresh catalog is made at it at once, an older one is brought up to it."""

VALUES_PER_STATEMENT = 500
"""Values that one statement names at most: SQLite takes no more than 999 in old versions."""

BUSY_SECONDS = 60
WRITERS = request_limits.CATALOG_WRITERS
"""Transactions of a process that write, or wait for a lock to do so, at once: others wait without a connection."""
READERS = request_limits.CATALOG_CONNECTIONS - WRITERS
"""Connections of a process beside those: who reads has one, however many wait to write."""
CONNECTION_SECONDS = 10
"""For which a transaction waits for a connection of its process to come free."""
_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"})
_NUL: Final = "cannot contain NUL"
_PG_DISK_FULL = "53100"
_PG_BUSY = frozenset({"55P03", "57014"})
"""lock_not_available, and query_canceled by a timeout (PostgreSQL's manual, appendix A)."""
_STEPS = 10_000
"""Of SQLite's machine, after which it asks whether to go on."""
DAMAGED_REMEDY = (
    "Stop the server, keep the file and those beside it (-wal, -shm), and put the catalog back from a backup;"
    " docs/operating.md says how, and what to do without one."
)
_LOST_REMEDY = (
    "Put it back from a backup; docs/operating.md says how, and what to do without one. Where PostgreSQL has the"
    " catalog, set SCANDOCK_DATABASE_URL."
)
_MIN_FREE_BYTES = 256 * 1024
_AFTER = "after_commit"


class AdvisoryLock(Enum):
    """Numbers of PostgreSQL's advisory locks, which all programs of one database share. SQLite needs none."""

    MAKE_TABLES = 7_230_411
    """Two first starts do not both make the tables; nobody else says meanwhile whose data folder this is."""
    MAKE_QUEUE = 7_230_412
    """They do not both make Procrastinate's tables either."""
    RESERVE_SPACE = 7_230_413
    """Of who reserves space (`services/reservations.py`)."""
    GIVE_NAMES = 7_230_414
    """Of who gives a project an id, a title, a secondary ID or an alias (`catalog/project_names.py`)."""
    ADD_PRIVACY_TEXT = 7_230_415
    """Of who adds a version of an import filter, a script or a lookup table (`catalog/privacy_texts.py`)."""
    ADD_LOGIN_KEY = 7_230_416
    """Of who adds a key for logins under way (`access/login_keys.py`)."""


def split_values(values: Iterable[T]) -> Iterator[list[T]]:
    """Values as many at a time as one statement names."""
    left = iter(values)
    while part := list(islice(left, VALUES_PER_STATEMENT)):
        yield part


_THIS_THREAD = threading.local()


def forbid_writes() -> None:
    """Let this thread never write to a catalog: what it does then never waits for a lock."""
    _THIS_THREAD.only_reads = True


def _is_read_only() -> bool:
    return bool(getattr(_THIS_THREAD, "only_reads", False))


@cache
def database_now(*, sqlite: bool) -> ColumnElement[int]:
    """See Catalog.now."""
    if sqlite:
        return literal_column("CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
    return literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")


@cache
def transaction_number(*, sqlite: bool) -> ColumnElement[int]:
    """The number of the transaction at hand, which grows over all of PostgreSQL's; 0 on SQLite, where one writes."""
    return literal_column("0" if sqlite else "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)", BigInteger)


class Catalog:
    """One database: `read()` and `write()` give a connection inside a transaction.

    SQLite: WAL, synchronous=FULL (but for `write(synced=False)`), foreign keys on; `write()` begins IMMEDIATE, so that
    a writer waits at its beginning and never fails half-way for a lock.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self.host = ""
        """The id of the host at hand, where several may work on this catalog (PostgreSQL); empty where none can."""
        self.damaged = ""
        """What the database has said of its own damage, if it did."""
        self._turns = threading.BoundedSemaphore(WRITERS)
        self._notes: dict[Hashable, Callable[[Connection], object]] = {}
        self._noting: threading.Thread | None = None
        self._lock = threading.Lock()
        self.waiting = 0
        """Transactions of this process that wait for their turn to write."""
        self.writes = 0
        """Grows with each transaction of this process that may have written, once it is over."""
        self.on_damage: Callable[[], None] = lambda: None
        """Called whenever it says so."""

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Connection]:
        """A transaction that may write; commits at its end, rolls back on any exception.

        Not `synced`: for rows that nothing points at before a later transaction, which is synced and they with it.
        Until then a power cut may undo it.
        """
        if _is_read_only():
            raise RuntimeError("A thread that only reads is to write to the catalog.")
        with self._turn(), self._connect() as connection, nullcontext() if synced else self._unsynced(connection):
            self._begin(connection, "BEGIN IMMEDIATE")
            connection.info.pop(_AFTER, None)  # of a transaction that was rolled back
            try:
                with connection.begin():
                    yield connection
            finally:
                with self._lock:
                    self.writes += 1
            for call in connection.info.pop(_AFTER, ()):
                call()

    def after_commit(self, connection: Connection, call: Callable[[], None]) -> None:
        """Call this once the transaction of `write` is committed; never where it is rolled back."""
        connection.info.setdefault(_AFTER, []).append(call)

    @contextmanager
    def _unsynced(self, connection: Connection) -> Iterator[None]:
        """Let SQLite commit without waiting for the disk, which may have much to write of what an import has staged.

        The next commit that waits has its log synced, and in it this. PostgreSQL always waits: a process may go on with
        its standby, which has only what was waited for.
        """
        if not self.sqlite:
            yield
            return
        raw: Any = connection.connection.dbapi_connection
        try:
            raw.execute("PRAGMA synchronous = NORMAL").close()
            yield
        finally:
            try:
                raw.execute("PRAGMA synchronous = FULL").close()
            except sqlite3.Error:  # it is in a transaction that could not be ended
                connection.invalidate()
                raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be one of those of this process that write."""
        if not (self._turns.acquire(blocking=False) or self._wait_for_turn()):
            raise CatalogFailed(
                f"The catalog could not be written: {WRITERS} others of this process have waited for its lock.",
                "Try again in a moment. Where that lasts, find what works on the catalog for so long.",
            )
        try:
            yield
        finally:
            self._turns.release()

    def _wait_for_turn(self) -> bool:
        with self._lock:
            self.waiting += 1
        try:
            return self._turns.acquire(timeout=BUSY_SECONDS)
        finally:
            with self._lock:
                self.waiting -= 1

    def note(self, key: Hashable, write: Callable[[Connection], object], *, later: bool = False) -> None:
        """Write something small that is no loss where the catalog can't be written to.

        At once; or `later`, and always where this thread only reads, in another, what has the same key only once.
        """
        if not (later or _is_read_only()):
            self._write_notes([write])
            return
        with self._lock:
            self._notes[key] = write
            if self._noting is None:
                noting = threading.Thread(target=self._keep_notes, name="notes", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has no thread now: the next note tries again
                    noting.start()
                    self._noting = noting

    def _keep_notes(self) -> None:
        while True:
            with self._lock:
                notes = list(self._notes.values())
                self._notes.clear()
                if not notes:
                    self._noting = None
                    return
            try:
                self._write_notes(notes)
            except Exception:  # noqa: BLE001  a mistake in one note must not keep all later ones from being written
                _LOG.exception("notes not written")

    def _write_notes(self, notes: list[Callable[[Connection], object]]) -> None:
        with contextlib.suppress(Fault), self.write() as connection:
            for write in notes:
                write(connection)

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
    def overwrite(self) -> Iterator[Connection]:
        """As `write`, and nothing of what rows said before stays in SQLite's files, in freed parts of pages or the WAL.

        PostgreSQL keeps former rows until it vacuums, and its own log and backups keep them for longer.
        """
        with self.write() as connection:
            raw: Any = connection.connection.dbapi_connection
            if self.sqlite:
                raw.execute("PRAGMA secure_delete = ON").close()
            try:
                yield connection
            finally:
                if self.sqlite:
                    raw.execute("PRAGMA secure_delete = OFF").close()
        if self.sqlite:
            with self._connect() as connection:
                raw = connection.connection.dbapi_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error) as error:  # sqlite3's own, while a connection is being tuned
            if _NUL in str(getattr(error, "orig", error)):  # of PostgreSQL; in SQLite such a name is only not found
                raise RequestInvalid("A name has a NUL character, which no name has.", "Leave it out.") from None
            raise self.fault(error, "could not be read or written") from error
        except NoConnectionError as error:
            raise CatalogFailed(
                f"The catalog could not be read or written: all {WRITERS + READERS} connections of this process to it"
                " are in use.",
                "Try again in a moment. Where that lasts, find what works on the catalog for so long.",
            ) from error

    def fault(self, error: Exception, action: str) -> Fault:
        """The Fault for an error of the database: `disk_full` where that is why, else `catalog`."""
        reason = str(getattr(error, "orig", error))
        if (
            "disk is full" in reason
            or getattr(getattr(error, "orig", error), "sqlstate", "") == _PG_DISK_FULL
            or self._is_full(reason)
        ):
            return DiskFull(f"The catalog {action}: {reason}.", "Free some space, then run it again.", quotes=True)
        if _is_damaged(error, reason):
            return self._damage(f"The catalog{self._named()} {action}: it is damaged ({reason}).")
        if _is_busy(error):
            return CatalogFailed(
                f"The catalog {action}: another process holds its lock.", "Find what works on it for so long."
            )
        closed = self._closed_file() if "readonly" in reason or "unable to open" in reason else ""
        if closed:
            who = f"{closed} is not open to this user for reading and writing ({_permissions(closed)})"
            return CatalogFailed(f"The catalog {action}: {who}.", _permission_remedy(closed), quotes=True)
        remedy = "Look at the disk and the database, then run the same command again."
        return CatalogFailed(f"The catalog {action}: {reason}.", remedy, quotes=True)

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

    def limit_caches(self, size: int) -> None:
        """Let SQLite keep `size` bytes in this process, all connections of it together; for processes that last.

        Each connection keeps the pages that its last transaction read, up to 8 MB, and the more a catalog holds the
        more there are. The bound is a soft one: beyond it a connection gives up its own pages before it takes more.
        """
        if self.sqlite:
            with self.read() as connection:
                connection.exec_driver_sql(f"PRAGMA soft_heap_limit = {size}")

    def quick_check(self, seconds: float) -> None:
        """Let SQLite look for damage, for so long at most; Fault `catalog_damaged` where it finds some."""
        if not self.sqlite:
            return
        deadline = time.monotonic() + seconds
        with self.read() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one_or_none()
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                    raise
                return
            finally:
                raw.set_progress_handler(None, 0)
        if result != "ok":
            raise self._damage(f"The catalog{self._named()} is damaged ({_first_line(result)}).")

    def examine(self) -> None:
        """Let SQLite compare all of its file, indexes with their tables too; Fault `catalog_damaged`.

        It reads all of the catalog, and nobody else waits for that.
        """
        if not self.sqlite:
            return
        with self.read() as connection:
            result = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one_or_none()
        if result != "ok":
            raise self._damage(f"The catalog{self._named()} is damaged ({_first_line(result)}).")

    def count_orphan_rows(self) -> Counter[tuple[str, str]]:
        """How many rows of a table name rows of another that are not there: (table, other) -> count.

        None are in a catalog that is whole. SQLite's `.recover` of a damaged one may leave some out.
        """
        if not self.sqlite:
            return Counter()
        with self.read() as connection:
            rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
            return Counter((row[0], row[2]) for row in rows)

    def _damage(self, message: str) -> Fault:
        self.damaged = message
        self.on_damage()
        return CatalogDamaged(message, DAMAGED_REMEDY)

    @property
    def place(self) -> str:
        """What tells SQLite's file from a copy of it on this machine; empty for PostgreSQL, or where none is there."""
        database = self.engine.url.database
        if not self.sqlite or not database:
            return ""
        try:
            status = os.stat(database)
        except OSError:
            return ""
        return f"{status.st_dev}:{status.st_ino}"

    def _named(self) -> str:
        """The file of SQLite's catalog, to be told behind "The catalog"."""
        database = self.engine.url.database
        return f" {database}" if self.sqlite and database else ""

    def _closed_file(self) -> str:
        """The file of an SQLite catalog, or its folder, that this user may not write; empty where there is none.

        SQLite leaves `-wal` and `-shm` behind where whoever closes last can't remove them, and says of neither.
        """
        database = self.engine.url.database
        if not self.sqlite or not database:
            return ""
        every = [database + end for end in ("", "-wal", "-shm", "-journal")]
        existing = [file for file in every if os.path.exists(file)]
        mode = os.R_OK | os.W_OK
        return next((path for path in [*existing, os.path.dirname(database) or "."] if not os.access(path, mode)), "")

    def _is_full(self, reason: str) -> bool:
        """Whether SQLite's input and output errors come from a full disk, which it does not say of every file."""
        database = self.engine.url.database
        if not self.sqlite or not database or ("disk I/O error" not in reason and "unable to open" not in reason):
            return False
        try:
            disk = os.statvfs(os.path.dirname(database) or ".")
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < _MIN_FREE_BYTES or (disk.f_files > 0 and disk.f_favail == 0)

    def _begin(self, connection: Connection, statement: str) -> None:
        connection.info["begin"] = statement

    def alone(self, connection: Connection, lock: AdvisoryLock) -> None:
        """Let no other transaction that asks for this lock run beside this one, which writes.

        On SQLite none that writes does anyway.
        """
        if not self.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": lock.value})

    def now(self) -> ColumnElement[int]:
        """The database's own clock, in unix milliseconds: leases are judged by it alone."""
        return database_now(sqlite=self.sqlite)

    def read_now(self, connection: Connection | None = None) -> int:
        """What that clock says; on SQLite, where it is this host's, without a statement.

        What decides goes by it, as the clocks of hosts differ.
        """
        if self.sqlite:
            return time.time_ns() // 1_000_000
        if connection is not None:
            return int(connection.execute(select(self.now())).scalar_one())
        with self.read() as reading:
            return self.read_now(reading)

    def dispose(self) -> None:
        """Close every connection, once what was noted is written."""
        noting = self._noting
        if noting is not None:
            noting.join()
        self.engine.dispose()


def _is_damaged(error: Exception, reason: str) -> bool:
    name = getattr(getattr(error, "orig", error), "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "malformed" in reason


def _is_busy(error: Exception) -> bool:
    orig = getattr(error, "orig", error)
    return getattr(orig, "sqlite_errorname", "") in _BUSY or getattr(orig, "sqlstate", "") in _PG_BUSY


def _first_line(message: object) -> str:
    """What SQLite says of damage, without the line that says which of its databases it is."""
    lines = [line for line in str(message).splitlines() if not line.startswith("***")]
    return lines[0] if lines else "nothing can be read"


def _permissions(path: str) -> str:
    status = os.stat(path)
    return f"it belongs to {_user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):o}"


def _permission_remedy(path: str) -> str:
    """What makes a file writable that is not."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "Its file system is mounted read-only: mount it for writing."
    mine = os.stat(path).st_uid == os.geteuid()
    how = "chmod u+rw" if mine else f"chown {_user_name(os.geteuid())}"
    return f"Open it to the user that runs Scandock: {how} {path}, and the catalog's files beside it likewise."


def _user_name(uid: int) -> str:
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


def _begin_sqlite(dbapi_connection: PoolProxiedConnection) -> None:
    raw: Any = dbapi_connection.dbapi_connection
    raw.execute(dbapi_connection.info.get("begin", "BEGIN")).close()


def _always_upgrade() -> AbstractContextManager[bool]:
    return nullcontext(enter_result=True)


def sqlite_url(path: str) -> str:
    """The URL of a file, whatever its name: SQLAlchemy takes what follows a `?` for options, and `%20` for a space."""
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def open_catalog(url: str, *, may_upgrade: Callable[[], AbstractContextManager[bool]] = _always_upgrade) -> Catalog:
    """Connect, and make the tables; those of an older version are brought up to date, where that may be done.

    `may_upgrade` is asked then, and what it gives is held until the end of that. `url` is SQLAlchemy's
    (`sqlite_url`, `postgresql+psycopg://...`). Raises `Fault` where it can't be opened.
    """
    sqlite = url.startswith("sqlite")
    if sqlite:
        engine = create_engine(url, max_overflow=WRITERS + READERS - 5, pool_timeout=CONNECTION_SECONDS)
        event.listen(engine, "connect", _tune_sqlite)
        # Not by an event: an engine that has one asks at each step of each statement whether somebody listens.
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[method-assign]
    else:
        engine = connect_server(url)
    catalog = Catalog(engine)
    try:
        keep_catalog_private(catalog)
        _create_or_upgrade(catalog, may_upgrade)
    except BaseException as error:
        engine.dispose()
        if not isinstance(error, OperationalError):
            raise
        raise catalog.fault(error, "could not be opened") from error
    return catalog


def connect_server(url: str) -> Engine:
    """Connections of a process to PostgreSQL, made as they are needed."""
    from scandock.catalog.server_connections import add_words, watch_connections

    engine = create_engine(
        url,
        connect_args=add_words(url),
        use_native_hstore=False,  # else each process asks for a type that no table has
        pool_pre_ping=True,
        max_overflow=WRITERS + READERS - 5,
        pool_timeout=CONNECTION_SECONDS,
    )
    watch_connections(engine)
    return engine


def check_not_lost(database: str, folders: Iterable[str]) -> None:
    """Fault `catalog_damaged` where SQLite's file is gone or has no byte though something stands in one of the folders.

    SQLite would make a new catalog, and hide by it that all rows are lost. It throws away the log that it finds beside
    an empty file, so that is no catalog either.
    """
    with contextlib.suppress(OSError):
        size = os.path.getsize(database) if os.path.exists(database) else None
        if not size and any(os.path.isdir(folder) and os.listdir(folder) for folder in folders):
            state = "missing" if size is None else "empty"
            raise CatalogDamaged(f"The catalog {database} is {state}, though files are stored.", _LOST_REMEDY)


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


_NAMES: Final = (
    "patient_alphabetic", "patient_ideographic", "patient_phonetic",
    "physician_alphabetic", "physician_ideographic", "physician_phonetic",
)  # fmt: skip
"""Columns of `dicom_study` of which parts are sought."""


SCHEMA: Final = os.path.join(os.path.dirname(__file__), "sqlite_schema.sql")
"""All tables as SQLite's statements with an empty line between: SQLAlchemy takes three times as long to write them as
SQLite to run them. `python -m scripts.schema` writes it."""


def create_tables(connection: Connection) -> None:
    """Make all tables in an empty database."""
    if connection.dialect.name == "sqlite":
        _run_schema(connection)
        return
    # What is partial on SQLite is so on PostgreSQL: the tables don't name its option, which would import its dialect at
    # each start.
    for index in [index for table in metadata.tables.values() for index in table.indexes]:
        if (where := index.dialect_options["sqlite"]["where"]) is not None:
            index.dialect_options["postgresql"]["where"] = where
    metadata.create_all(connection)
    add_trigrams(connection)
    for table in ("manifest", "file_md5", "object_block"):  # what is packed already is not packed again
        connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL"))


def _run_schema(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    with open(SCHEMA, encoding="utf-8") as file:
        for statement in file.read().split("\n\n"):
            raw.execute(statement).close()


def add_trigrams(connection: Connection) -> None:
    """Let parts of names be found by an index of PostgreSQL, where its extension pg_trgm can be had; else without."""
    with contextlib.suppress(DBAPIError), connection.begin_nested():
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        columns = ", ".join(f"{name} gin_trgm_ops" for name in _NAMES)
        connection.execute(text(f"CREATE INDEX ix_dicom_study_trigrams ON dicom_study USING gin ({columns})"))


def _is_newest(catalog: Catalog) -> bool:
    """Whether SQLite has the tables in this version; False where that can't be told either.

    Nearly always it has, and to ask takes a tenth of what asking within a transaction that may write takes.
    """
    if not catalog.sqlite:  # which would be waited for twice where it does not answer
        return False
    with contextlib.suppress(DBAPIError, sqlite3.Error), catalog.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection  # SQLAlchemy loads asyncio to tell what an error is
        return bool(raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)])
    return False


def _create_or_upgrade(catalog: Catalog, may_upgrade: Callable[[], AbstractContextManager[bool]]) -> None:
    if _is_newest(catalog):
        return
    with catalog.write() as connection:
        if not catalog.sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another host may bring it up to date, for long
        catalog.alone(connection, AdvisoryLock.MAKE_TABLES)
        if not inspect(connection).has_table("alembic_version"):
            if not catalog.sqlite:
                check_no_restore(connection)
            create_tables(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
            return
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        if version == HEAD:
            return
        from scandock.catalog.migrate import check_known, upgrade

        check_known(version)
        with may_upgrade() as may:
            if not may:
                raise CatalogOlder(str(version), HEAD)
            upgrade(connection, version)
