"""Connections to PostgreSQL that fail within seconds where the server can't be reached any more, or doesn't answer.

Nothing tells a host that it was cut off: what it has asked is never answered. libpq's own words let the kernel notice
most of it. Where something between goes on taking what is sent (a proxy, a balancer, a server that is stopped), only an
answer proves that somebody is there. So whoever waits for one for two seconds asks the server whether it lives, by a
connection of its own, and goes on waiting where it does: a statement may take as long as the catalog is large.

SQLAlchemy is loaded once an engine is there: a command asks for what its readers need before that.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from sqlalchemy import Engine

SILENT_SECONDS: Final = 2.0
"""For how long an answer is waited for before the server is asked whether it lives, each time."""
LIVES_SECONDS: Final = 3.0
"""For how long that is waited for."""
LOST_SECONDS: Final = 1.0
"""For which nobody tries to connect again where that has just failed so: a hundred that wait are told at once."""
WORDS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 4000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
"""Of libpq, in seconds (the second in milliseconds), where the URL has none of its own."""
SESSION: Final = {
    "idle_in_transaction_session_timeout": "300s",
    "lock_timeout": "60s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""Of the server's session, where nobody has set it: a host that is gone leaves no locks behind for long."""
_VARIABLES: Final = {"connect_timeout": "PGCONNECT_TIMEOUT"}
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""Asks whether the server speaks TLS (PostgreSQL's manual, message formats): answered by one byte, to anybody."""


class ServerLost(psycopg.OperationalError):
    """The server has not answered, and can't be reached by another connection either."""


class ServerProbe:
    """Asks a server whether it lives, for all connections of a process: once for those that wait at the same time."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, int], threading.Lock] = {}
        self._answers: dict[tuple[str, int], tuple[float, bool]] = {}
        self._lock = threading.Lock()

    def lives(self, host: str, port: int) -> bool:
        """Whether it answers within three seconds, or has within the last two."""
        with self._lock:
            lock = self._locks.setdefault((host, port), threading.Lock())
        with lock:
            at, lived = self._answers.get((host, port), (float("-inf"), False))
            if time.monotonic() - at >= SILENT_SECONDS:
                lived = _answers(host, port)
                self._answers[host, port] = time.monotonic(), lived
            return lived


def _answers(host: str, port: int) -> bool:
    try:
        with _connect(host, port) as connection:
            connection.settimeout(LIVES_SECONDS)
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1) != b""
    except OSError:
        return False


def _connect(host: str, port: int) -> socket.socket:
    """`host` is a folder of sockets where it begins with a slash, as for libpq; or an abstract one's (`@`)."""
    if not host.startswith(("/", "@")):
        return socket.create_connection((host, port), LIVES_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(LIVES_SECONDS)
    path = f"{host}/.s.PGSQL.{port}"
    try:
        connection.connect("\0" + path[1:] if host.startswith("@") else path)
    except BaseException:
        connection.close()
        raise
    return connection


_PROBE: Final = ServerProbe()


class WatchedConnection(psycopg.Connection[Any]):
    """A connection of psycopg's that waits for no server that is not there."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401  psycopg's
        return super().wait(self._watch(gen), *args, **options)

    def _watch(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what psycopg waits for; it comes back every tenth of a second with nothing where nothing came."""
        since: float | None = None
        try:
            waits_for = next(gen)
            while True:
                came = yield waits_for
                if came:
                    since = None
                elif since is None:
                    since = time.monotonic()
                elif time.monotonic() - since >= SILENT_SECONDS:
                    self._check_server()
                    since = time.monotonic()
                waits_for = gen.send(came)
        except StopIteration as end:
            return end.value

    def _check_server(self) -> None:
        host, port = self.info.hostaddr or self.info.host, self.info.port
        if not _PROBE.lives(host, port):
            self.pgconn.finish()
            raise ServerLost(f"the database server at {host} port {port} does not answer")


def watch_connections(engine: Engine) -> None:
    """Let an engine's connections be such."""
    from sqlalchemy import event

    event.listen(engine, "do_connect", _Connector().connect)
    event.listen(engine, "connect", _set_session)


def add_words(url: str) -> dict[str, int]:
    """The words of libpq that a URL and the environment leave open."""
    from sqlalchemy import make_url

    given = make_url(url).query
    return {
        word: value for word, value in WORDS.items() if word not in given and _VARIABLES.get(word, "") not in os.environ
    }


def conninfo(url: str, **words: str | int) -> str:
    """SQLAlchemy's URL in libpq's own words, with more of them. In its URLs hosts are named otherwise."""
    from sqlalchemy import make_url

    parsed = make_url(url).set(drivername="postgresql+psycopg")
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    return psycopg.conninfo.make_conninfo(**{**options, **words})


class _Connector:
    """Makes an engine's connections."""

    def __init__(self) -> None:
        self._lost_until = float("-inf")

    def connect(self, _dialect: object, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401
        if time.monotonic() < self._lost_until:
            raise ServerLost("the database server did not answer a moment ago")
        try:
            return WatchedConnection.connect(*args, **options)
        except psycopg.errors.ConnectionTimeout:
            self._lost_until = time.monotonic() + LOST_SECONDS
            raise


def _set_session(dbapi: Any, _record: object) -> None:  # noqa: ANN401  psycopg's, behind SQLAlchemy's adapter
    names = ", ".join(f"('{name}', '{value}')" for name, value in SESSION.items())
    cursor = dbapi.cursor()
    cursor.execute(
        f"SELECT set_config(wanted.name, wanted.value, false) FROM (VALUES {names}) AS wanted (name, value)"  # noqa: S608  our own
        " JOIN pg_settings ON pg_settings.name = wanted.name WHERE pg_settings.source = 'default'"
    )
    cursor.close()
    dbapi.commit()
