"""The hosts that serve a catalog in PostgreSQL: which there are, and which live, by the database's clock.

A host is known by the id in its host folder. It decides nothing about an import, whose lease alone does; it says
whether anybody imports at all, and whether a server of an older version is at work.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, and_, delete, exists, insert, inspect, or_, select, update
from sqlalchemy.sql import ColumnElement

from scandock.catalog.engine import Catalog, database_now
from scandock.catalog.server_tables import host
from scandock.model.durations import DAY_MS
from scandock.model.errors import ScandockError
from scandock.model.ticker import Ticker
from scandock.queue.owner import boot_id, has_ended, host_of, is_other_host

if TYPE_CHECKING:
    from collections.abc import Callable

Role = Literal["web", "worker", "all"]

BEAT_SECONDS: Final = 5.0
SILENT_MS: Final = 15_000
"""After which a host that was not heard of counts as away."""
KEPT_MS: Final = 7 * DAY_MS
"""For how long a host that is away is known."""


def register_host(catalog: Catalog, role: Role, folder: str) -> bool:
    """Say that this host serves from now on; False where another one does under its id, as a copy of it.

    `folder`: which folder on this machine has the id, as `folder_mark` gives it. A server holds the lock of its host
    folder, so that whoever said so of the same folder before has ended, however lately. Hosts that were away for a
    week are forgotten.
    """
    now = catalog.now()
    here = {"boot": boot_id(), "folder": folder}
    values = {**here, "name": platform.node(), "role": role, "started": now, "seen": now, "worker_seen": 0}
    with catalog.write() as connection:
        connection.execute(
            delete(host).where(*(said < now - KEPT_MS for said in (host.c.seen, host.c.worker_seen, host.c.started)))
        )
        row = connection.execute(
            select(host.c.boot, host.c.folder, _lives(now).label("lives")).where(host.c.uuid == catalog.host)
        ).first()
        if row is None:
            connection.execute(insert(host).values(uuid=catalog.host, **values))
            return True
        is_same = row.boot == boot_id() and row.folder in ("", folder)  # "": of a version that did not say it
        if row.lives and not is_same:
            return False
        connection.execute(update(host).where(host.c.uuid == catalog.host).values(**values, problem=""))
    return True


def folder_mark(folder: str) -> str:
    """Which folder of this machine a host folder is: a copy of it is another one. Raises OSError."""
    status = os.stat(folder)
    return f"{status.st_dev}:{status.st_ino}"


def _lives(now: ColumnElement[int]) -> ColumnElement[bool]:
    return or_(host.c.seen > now - SILENT_MS, host.c.worker_seen > now - SILENT_MS)


def has_left(catalog: Catalog, connection: Connection, owner: str) -> bool:
    """Whether a process has ended (`queue.owner`), or is of another host that is away."""
    if not is_other_host(owner, catalog.host):
        return has_ended(owner, catalog.host) is True
    lives = exists().where(host.c.uuid == host_of(owner), _lives(catalog.now()))
    return not connection.execute(select(lives)).scalar()


def has_worker(catalog: Catalog) -> bool:
    """Whether any host has a worker that takes imports."""
    with catalog.read() as connection:
        return bool(connection.execute(select(worker_lives(catalog))).scalar())


def worker_lives(catalog: Catalog) -> ColumnElement[bool]:
    """The same as a condition; for catalogs that several hosts can have (`Catalog.host`)."""
    return exists().where(host.c.worker_seen > catalog.now() - SILENT_MS)


def can_others_import(catalog: Catalog) -> bool:
    """Whether another host has a worker, and nothing that keeps it from importing; in PostgreSQL alone."""
    able = exists().where(
        host.c.uuid != catalog.host, host.c.worker_seen > catalog.now() - SILENT_MS, host.c.problem == ""
    )
    with catalog.read() as connection:
        return bool(connection.execute(select(able)).scalar())


def are_others_at_work(connection: Connection, own: str) -> bool:
    """Whether a host other than `own` (`Catalog.host`) serves this database; whatever version its tables have."""
    if not inspect(connection).has_table(host.name):
        return False
    lives = _lives(database_now(sqlite=False))
    return bool(connection.execute(select(exists().where(and_(host.c.uuid != own, lives)))).scalar())


def forget_hosts(connection: Connection) -> None:
    """Forget all hosts of a database, of whatever version: it is a copy, which none of them serves."""
    if inspect(connection).has_table(host.name):
        connection.execute(delete(host))


def has_other_hosts(catalog: Catalog) -> bool:
    """Whether a host beside the one at hand serves this catalog."""
    if not catalog.host:
        return False
    with catalog.read() as connection:
        return are_others_at_work(connection, catalog.host)


class HostBeat:
    """Says every few seconds that a process of this host lives, from `start` to `end`, each process in its own column.

    Nothing where a catalog has one host.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        is_worker: bool,
        on_failure: Callable[[ScandockError], None],
        problem: Callable[[], str] | None = None,
    ) -> None:
        """`is_worker`: it is the worker; else the web process. `on_failure` is told where the catalog is away.

        `problem`, of the worker: the code of what keeps it from importing, or nothing.
        """
        self._catalog = catalog
        self._problem = problem
        self._column = host.c.worker_seen if is_worker else host.c.seen
        self._on_failure = on_failure
        self._ticker = Ticker("host", BEAT_SECONDS, self._beat)

    def start(self) -> None:
        if self._catalog.host:
            self._beat()
            self._ticker.start()

    def end(self) -> None:
        """Say that the process ends, so that nobody counts on it; what the host's other process says stays."""
        if self._catalog.host:
            self._ticker.end()
            self._write(0)

    def _beat(self) -> None:
        self._write(self._catalog.now())

    def _write(self, seen: object) -> None:
        problem = {} if self._problem is None else {host.c.problem: self._problem()}
        try:
            with self._catalog.write() as connection:
                connection.execute(
                    update(host)
                    .where(host.c.uuid == self._catalog.host)
                    .values({self._column: seen, host.c.boot: boot_id(), **problem})
                )
        except ScandockError as error:
            self._on_failure(error)
