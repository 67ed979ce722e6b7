"""PostgreSQL killed, or without a connection to give, beneath a server and its worker: imports wait and go on by
themselves, nothing is lost or there twice, no attempt counts, and whoever asks meanwhile hears 503 and why.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scandock.queue.retry import MAX_ATTEMPTS
from scandock.services import consistency_check
from scandock.services.settings import load_settings
from tests import postgres
from tests.crash.archives import Study
from tests.crash.case_share import RUN_ALL, choose_cases
from tests.crash.checker import check_acknowledged
from tests.crash.processes import is_stopped, members, until
from tests.crash.served import ServerProcess
from tests.crash.server_rounds import RECEIVING, WITHIN, wait_until_clear
from tests.crash.uploaders import Archive, Log, Uploader
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]

HOW = ("postmaster", "backend", "immediate")
"""Killed altogether, a single one of its processes killed, stopped without a word to anybody."""
EVERY = [(point, HOW[number % len(HOW)]) for number, point in enumerate((*RECEIVING, *WITHIN))]
SHARE = choose_cases(EVERY[1::9], EVERY)
"""Of the points, in `make test`; `make crash` goes over all of them."""
ROLE = "site"
TAKEN_SECONDS = 30.0
"""Longer than any lease, and than an attempt's wait for its next."""


@pytest.fixture(scope="module")
def frail() -> Iterator[postgres.KillableCluster]:
    with postgres.killable_cluster() as running:
        with running.connect() as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN")
        yield running


@dataclass
class Site:
    """A server whose catalog is in a cluster that dies, and a client that sends one archive until it is taken."""

    frail: postgres.KillableCluster
    database: str
    url: str
    log: Log
    served: ServerProcess
    archive: Archive
    sending: threading.Thread | None = None
    uploads: list[str] = field(default_factory=list)

    def send(self) -> None:
        """Begin to send."""
        uploader = Uploader(self.served.port, "raw", self.log)
        self.sending = threading.Thread(target=lambda: self.uploads.append(uploader.send(self.archive)), daemon=True)
        self.sending.start()

    def acknowledged(self) -> str:
        assert self.sending is not None
        self.sending.join(60)
        assert self.uploads, "it was never acknowledged"
        return self.uploads[0]

    def stopped(self) -> int:
        """Wait until a process of the server is stopped at its point."""
        found: list[int] = []

        def some() -> bool:
            found[:] = [pid for pid in members(self.served.group) if is_stopped(pid)]
            return bool(found)

        until(some, "the point was not reached")
        return found[0]

    def refuses(self) -> None:
        """Everybody is told that the catalog is away, and what to look at."""
        until(lambda: self.served.ask("GET", "/readyz")[0] == 503, "it says that it is ready")
        said = self.served.ask("GET", "/readyz")[1]["checks"]
        assert said["store"] == "ok"
        assert said["catalog"] == "catalog"
        for method, path, body in (
            ("GET", "/api/v1/imports", None),
            ("POST", "/api/v1/imports?project=P&filename=a.zip", b"PK"),
        ):
            status, problem = self.served.ask(method, path, body)
            assert (status, problem["code"]) == (503, "catalog"), (path, problem)
            assert "The catalog could not be" in problem["detail"]
            assert "Look at the disk and the database" in problem["remedy"]
        status, text = self.served.ask("POST", "/data/services/import?dest=/archive/projects/P", b"PK")
        assert (status, b"catalog could not be" in text) == (503, True), text

    def placed(self, uuid: str) -> None:
        """It is stored, by its first attempt, once."""
        self.served.ready()
        self.served.placed(uuid)
        assert self.served.ask("GET", f"/api/v1/imports/{uuid}")[1]["attempt"] == 1
        wait_until_clear(self.served)
        self.served.end()
        assert not check_acknowledged(self.served.data, self.log.path)
        settings = load_settings().model_copy(update={"database_url": self.url})
        assert consistency_check.check_data(str(self.served.data), settings) == []


@pytest.fixture
def begin(tmp_path: Path, frail: postgres.KillableCluster) -> Iterator[Callable[..., Site]]:
    """Serve a catalog of the test's own as a user of the database whose connections can be counted."""
    sites: list[Site] = []

    def start(number: int, stop: str = "") -> Site:
        """`stop`: the point at which the first process stops that passes it."""
        once = str(tmp_path / "once")
        changes = {"SCANDOCK_CRASH_AT": stop, "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
        name = f"site{number}"
        with frail.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        url = f"postgresql+psycopg://{ROLE}@/{name}?host={frail.cluster.socket_folder}"
        served = ServerProcess(tmp_path, free_port(), "--workers", "2", SCANDOCK_DATABASE_URL=url, **changes)
        archive = Archive(f"a{number}", Study(61, number, series=1, count=6, side=8))
        sites.append(Site(frail, name, url, Log(tmp_path / "promised.jsonl"), served, archive))
        served.ready().project()
        return sites[-1]

    yield start
    for site in sites:
        site.served.kill()
        site.served.wait()
    if frail.server.poll() is not None:
        frail.start()


@pytest.mark.parametrize(("point", "how"), SHARE)
def test_an_import_outlives_the_death_of_postgresql(begin, frail, point, how):
    site = begin(EVERY.index((point, how)), stop=point)
    site.send()
    pid = site.stopped()
    if how == "backend":
        frail.kill_backend(site.database)
        os.kill(pid, signal.SIGCONT)
    else:
        frail.stop(signal.SIGKILL if how == "postmaster" else signal.SIGQUIT)
        os.kill(pid, signal.SIGCONT)
        site.refuses()
        frail.start()
    site.placed(site.acknowledged())


def limited(site: Site) -> Callable[[], Any]:
    """Let the server's user have no more connections; the function that lifts that."""
    with site.frail.connect() as connection:
        connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")

    def lift() -> None:
        with site.frail.connect() as connection:
            connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")

    return lift


def taken(site: Site) -> Callable[[], Any]:
    """Take all connections that the cluster has for its users; the function that gives them back."""
    held: list[psycopg.Connection[Any]] = []
    with site.frail.connect() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
    words = f"host={site.frail.cluster.socket_folder} user={ROLE} dbname={site.database}"
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            held.append(psycopg.connect(words))
    assert held

    def give_back() -> None:
        for one in held:
            one.close()

    return give_back


def test_attempts_that_get_no_connection_wait_for_longer_than_there_are_tries(begin):
    """Server and worker keep those that they have; what begins an import finds none, time and again."""
    site = begin(100)
    give_back = limited(site)
    try:
        site.send()
        uuid = site.acknowledged()
        for times in range(1, MAX_ATTEMPTS + 2):
            until(partial(waited, site, uuid, times), "it was not tried")
            told = waiting(site, uuid)
            assert (told["attempt"], told["waiting"]["code"], told["waiting"]["counted"]) == (1, "catalog", False)
            assert "catalog" in told["waiting"]["message"]
            if times <= MAX_ATTEMPTS:
                until(partial(hurried, site, uuid), "nobody may hurry it")
    finally:
        give_back()
    until(partial(hurried, site, uuid), "nobody may hurry it")
    site.placed(uuid)


def waited(site: Site, uuid: str, times: int) -> bool:
    """Whether it was given up so often until there are connections."""
    with psycopg.connect(site.frail.cluster.conninfo(site.database)) as connection:
        found = "SELECT count(*) FROM event JOIN upload ON upload.id = upload_id WHERE kind = 'retry' AND uuid = %s"
        row = connection.execute(found, [uuid]).fetchone()
    assert row is not None
    return int(row[0]) == times


def waiting(site: Site, uuid: str) -> dict[str, Any]:
    """The import as it waits; for a moment somebody clears up behind it."""
    told: dict[str, Any] = {}

    def waits() -> bool:
        told.update(site.served.ask("GET", f"/api/v1/imports/{uuid}")[1])
        return told["waiting"] is not None

    until(waits, "it does not wait")
    return told


def hurried(site: Site, uuid: str) -> bool:
    return site.served.ask("POST", f"/api/v1/imports/{uuid}/retry", b"")[0] == 202


@pytest.mark.skipif(not RUN_ALL, reason="make crash plays it")
def test_a_cluster_whose_connections_others_have_taken_is_waited_for(begin):
    site = begin(101, stop="read")
    site.send()
    pid = site.stopped()
    uuid = site.acknowledged()
    give_back = taken(site)
    try:
        os.kill(pid, signal.SIGCONT)
        site.refuses()
        until(lambda: b"end not written yet" in site.served.err.read_bytes(), "its worker did not say that it waits")
        threading.Event().wait(TAKEN_SECONDS)
        site.refuses()
        assert site.served.process.poll() is None
    finally:
        give_back()
    site.placed(uuid)
