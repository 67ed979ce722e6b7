"""A private PostgreSQL cluster for one run of the tests, apart from any that the machine has."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from scandock.catalog.engine import open_catalog
from tests import shared_folders

START_SECONDS = 60
# Nothing of a test needs to outlive a power cut: half a second a database becomes 30 ms.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


@dataclass(frozen=True)
class Cluster:
    """A running cluster, reached by its socket alone; `user` is its superuser, without a password."""

    socket_folder: Path
    user: str
    _emptied: list[str] = field(default_factory=list, compare=False)
    """Databases with an empty catalog that nobody uses now."""

    def conninfo(self, database: str) -> str:
        return f"host={self.socket_folder} user={self.user} dbname={database}"

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.socket_folder}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a fresh database without any table; dropped at the end, whoever is still connected."""
        name = f"t{uuid.uuid4().hex}"
        self.execute("CREATE DATABASE {}", name)
        try:
            yield self.url(name)
        finally:
            self.execute("DROP DATABASE {} WITH (FORCE)", name)

    @contextlib.contextmanager
    def catalog(self) -> Iterator[str]:
        """The URL of a database with an empty catalog in it.

        One that was used before is emptied and used again where only its rows were changed, and few: to copy and to
        drop one takes ten times as long.
        """
        if self._emptied:
            name = self._emptied.pop()
        else:
            name = f"t{uuid.uuid4().hex}"
            self.execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _template(self))
        good = False
        try:
            yield self.url(name)
            with contextlib.suppress(psycopg.Error):  # it takes no connections any more, or is not there
                good = self._empty(name)
        finally:
            if good:
                self._emptied.append(name)
            else:
                self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _empty(self, name: str) -> bool:
        """End who is connected still and delete all rows; False where it is not as it was made even then."""
        with psycopg.connect(self.conninfo(name), autocommit=True) as connection:
            connection.execute(_ALONE)
            connection.execute(_EMPTY)
            return _shape(connection) == _shape_of_template(self) and _bytes(connection) < _MOST_BYTES

    def execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


_ALONE: LiteralString = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY: LiteralString = """
SET session_replication_role = replica; -- without triggers: the trail can't be deleted otherwise
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', one.tablename);
  END LOOP;
  FOR one IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
    PERFORM setval(format('%I', one.sequencename)::regclass, 1, false);
  END LOOP;
END $$;
RESET session_replication_role
"""
_SHAPE: LiteralString = """
SELECT (SELECT version_num FROM alembic_version),
  (SELECT ROW(datconnlimit, datallowconn, datacl IS NULL) FROM pg_database WHERE datname = current_database())::text,
  (SELECT count(*) FROM pg_db_role_setting),
  (SELECT ROW(count(*), max(oid), count(relacl), sum(relnatts), sum(relchecks)) FROM pg_class)::text,
  (SELECT ROW(count(*), max(oid)) FROM pg_constraint)::text,
  (SELECT ROW(count(*), max(oid), min(tgenabled), max(tgenabled)) FROM pg_trigger)::text,
  (SELECT ROW(count(*), max(oid)) FROM pg_proc)::text
"""
"""What is the same in each copy of a database, whatever rows it has: also the numbers of all that was made in it."""
_MOST_BYTES = 16 << 20
"""An empty one has 10 MB. Deleted rows are still in it."""


def _shape(connection: psycopg.Connection[Any]) -> tuple[Any, ...]:
    (shape,) = connection.execute(_SHAPE)
    return tuple(shape)


def _bytes(connection: psycopg.Connection[Any]) -> int:
    ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
    return int(size)


@cache
def _template(cluster: Cluster) -> str:
    """The name of a database with an empty catalog in it, to be copied; made when first asked for."""
    cluster.execute("CREATE DATABASE {}", "catalog")
    open_catalog(cluster.url("catalog")).dispose()
    return "catalog"


@cache
def _shape_of_template(cluster: Cluster) -> tuple[Any, ...]:
    with psycopg.connect(cluster.conninfo(_template(cluster))) as connection:
        return _shape(connection)


def find_programs() -> Path:
    """The folder of initdb and postgres: Debian keeps them off the path, one folder a version; the newest is taken."""
    installed = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
    if installed:
        return max(installed, key=lambda p: float(p.parent.name))
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    raise FileNotFoundError(
        "PostgreSQL's initdb is neither under /usr/lib/postgresql nor on the path: run `make setup`"
    )


def find_server_user() -> tuple[str, list[str]]:
    """The user that the cluster runs as, and the prefix that makes a command theirs: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, ["setpriv", "--pdeathsig", "INT", "--"]
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in known else "nobody"
    group = str(pwd.getpwnam(user).pw_gid)
    return user, ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--pdeathsig", "INT", "--"]


@dataclass
class KillableCluster:
    """A cluster of a test's own that dies and is started again: what it has committed it keeps."""

    cluster: Cluster
    server: subprocess.Popen[bytes]
    start_server: Callable[[], subprocess.Popen[bytes]]

    def stop(self, number: signal.Signals) -> None:
        """Let it be gone with all of its processes, by SIGKILL or by SIGQUIT, which is `pg_ctl stop -m immediate`."""
        processes = self.children()
        self.server.send_signal(number)
        self.server.wait(START_SECONDS)
        _wait_for_end_of(processes)  # which see it by themselves

    def start(self) -> None:
        self.server = self.start_server()

    def kill_backend(self, database: str) -> None:
        """Kill one that serves `database`; the cluster ends all others then, and recovers by itself, as it has."""
        with self.connect() as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = %s LIMIT 1"
            row = connection.execute(query, [database]).fetchone()
        assert row is not None, "nobody is connected"
        before = self.children()
        os.kill(row[0], signal.SIGKILL)
        _wait_for_end_of(before)
        _wait_until_up(self.server, self.cluster, self.cluster.socket_folder / "log")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """As its superuser, who has connections of its own."""
        return psycopg.connect(self.cluster.conninfo("postgres"), autocommit=True)

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextlib.contextmanager
def killable_cluster() -> Iterator[KillableCluster]:
    """A fresh cluster to be killed. The machine goes on, so what a commit has written need not be synced."""
    with _cluster({**SETTINGS, "synchronous_commit": "on", "full_page_writes": "on"}) as frail:
        yield frail


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh cluster, stopped and removed at the end; it goes down with this process too, should that be killed."""
    with _cluster(SETTINGS) as running:
        yield running.cluster


@contextlib.contextmanager
def _cluster(settings: Mapping[str, str]) -> Iterator[KillableCluster]:
    folder = Path(tempfile.mkdtemp(prefix="scandock-pg-"))  # not under pytest's own, which only its owner may enter
    try:
        user, prefix = find_server_user()
        if os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
        _initialize(folder / "data", user, prefix, environment)
        start = partial(_run, folder, folder / "data", user, prefix, environment, settings)
        running = KillableCluster(Cluster(folder, user), start(), start)
        try:
            yield running
        finally:
            running.server.send_signal(signal.SIGINT)  # "fast": disconnects whoever is left
            running.server.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialize(data: Path, user: str, prefix: list[str], environment: dict[str, str]) -> None:
    """Fill the folder of a cluster: by initdb, or with what it made for another one of this run."""

    def make(kept: Path) -> None:
        _initdb(data, user, prefix, environment)
        _copy(data, kept / "data")

    if not shared_folders.is_set():
        _initdb(data, user, prefix, environment)
        return
    kept = shared_folders.make_once("postgresql", make) / "data"
    if not (data / "PG_VERSION").exists():
        _copy(kept, data)


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, which PostgreSQL looks at; `target` may be there, and empty."""
    subprocess.run(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target], check=True)


def _initdb(data: Path, user: str, prefix: list[str], environment: dict[str, str]) -> None:
    result = subprocess.run(
        [*prefix, find_programs() / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--no-sync"],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"initdb failed: {result.stderr or result.stdout}")


def _run(
    folder: Path,
    data: Path,
    user: str,
    prefix: list[str],
    environment: dict[str, str],
    settings: Mapping[str, str],
    first: Callable[[], object] | None = None,
) -> subprocess.Popen[bytes]:
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*prefix, find_programs() / "postgres", "-D", data, "-k", folder, *options],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=first,
        )
    _wait_until_up(server, Cluster(folder, user), log)
    return server


class DurableCluster:
    """A cluster as hospitals run one, which syncs what it commits: its data in `data`, socket and log in `folder`.

    It makes both, or goes on with those of one that was stopped, and is killed and started again as often as wanted.
    The folders above must be open to everyone.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        settings: Mapping[str, str] = MappingProxyType({}),
        copied: DurableCluster | None = None,
    ) -> None:
        """`copied`: the cluster, not started yet, whose standby it is to be."""
        self.user, self._prefix = find_server_user()
        self._cluster = Cluster(folder, self.user)
        self.data = data
        self._settings = {"listen_addresses": "", "shared_buffers": "32MB", "max_connections": "60", **settings}
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
        self._server: subprocess.Popen[bytes] | None = None
        for new_folder in (folder, data):
            new_folder.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                entry = pwd.getpwnam(self.user)
                os.chown(new_folder, entry.pw_uid, entry.pw_gid)
        if copied is not None:
            _copy(copied.data, data)
            (data / "standby.signal").touch()
        elif not (data / "PG_VERSION").exists():
            _initialize(data, self.user, self._prefix, self._environment)
        os.sync()  # initdb was told not to

    def allow_network(self, addresses: str) -> None:
        """Let anybody of these addresses be anybody, and follow it as a standby."""
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write(f"host all,replication all {addresses} trust\n")

    def start(self, first: Callable[[], object] | None = None) -> None:
        """Start it; `first` is called in its process before it begins."""
        folder = self._cluster.socket_folder
        self._server = _run(folder, self.data, self.user, self._prefix, self._environment, self._settings, first)

    def stop(self) -> None:
        """Let it end as it likes to, with all that it knows on disk."""
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        self._server.wait(START_SECONDS)
        self._server = None

    def kill(self) -> None:
        """Kill all of its processes, and wait until none has a file open."""
        if self._server is None:
            return
        deadline = time.monotonic() + START_SECONDS
        while self._processes():
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL could not be killed")
            self._server.poll()
            time.sleep(0.02)
        self._server.wait(START_SECONDS)
        self._server = None

    def _processes(self) -> list[int]:
        """Each has a session of its own; all work in the folder of the data."""
        pids = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == str(self.data):
                    pids.append(int(name))
        return pids

    def make_database(self, name: str) -> None:
        with psycopg.connect(self._cluster.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def url(self, database: str) -> str:
        return self._cluster.url(database)

    def conninfo(self, database: str) -> str:
        return self._cluster.conninfo(database)


def _wait_for_end_of(processes: list[int]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while any(os.path.exists(f"/proc/{pid}") for pid in processes):
        if time.monotonic() > deadline:
            raise RuntimeError("Processes of PostgreSQL outlived it.")
        time.sleep(0.01)


def _wait_until_up(server: subprocess.Popen[bytes], started: Cluster, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(started.conninfo("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}") from error
            time.sleep(0.02)
        else:
            return
