"""Sixty requests wait for the catalog's lock: whoever only reads is served meanwhile, and nobody gets a 500."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import select, update

from scandock.access import logins
from scandock.catalog import engine
from scandock.catalog.server_connections import conninfo
from scandock.catalog.server_tables import api_token, login
from tests.builders import make_data_folder
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_in_process

MANY = 60
TUS = {"Tus-Resumable": "1.0.0"}
LOCK = "LOCK TABLE upload, reception, account, project, login, api_token IN EXCLUSIVE MODE"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Web]:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings.model_copy(update={"max_uploads_per_user": 2 * MANY})) as running:
        yield running


@contextmanager
def locked(web: Web) -> Iterator[None]:
    """Let nobody write: somebody else holds the lock."""
    catalog = web.site.catalog
    if catalog.sqlite:
        with closing(sqlite3.connect(str(catalog.engine.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    url = catalog.engine.url.render_as_string(hide_password=False)
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute(LOCK.encode())
        yield


def write(client: httpx.Client, n: int) -> int:
    """One of those that wait: uploads that begin, and more changes by hand than the disk has threads."""
    if n % 3 == 0:
        return client.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "10"}).status_code
    return client.patch("/api/v1/projects/P", json={"name": f"Name {n}"}).status_code


@pytest.mark.long
@pytest.mark.postgresql
def test_reads_are_served_while_sixty_wait_to_write(web: Web) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(MANY) as many, ExitStack() as lock:
        admin, browser, program = (stack.enter_context(web.client(name)) for name in ("admin", None, None))
        made = admin.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "10"}).headers["location"]
        issued = admin.post("/api/v1/tokens", json={"scope": "read"}).json()
        signed = browser.post("/api/v1/auth/login", json={"name": "admin", "password": PASSWORD})
        assert signed.status_code == 200, signed.text
        with web.site.catalog.write() as connection:  # their use is to be noted again
            long_ago = connection.execute(select(login.c.seen)).scalar_one() - logins.SEEN_MS
            connection.execute(update(login).values(seen=long_ago))
            connection.execute(update(api_token).values(seen=0))
        lock.enter_context(locked(web))
        waiting = [many.submit(write, admin, n) for n in range(MANY)]
        until(lambda: web.site.catalog.waiting, "they do not wait")
        bearer = {"Authorization": f"Bearer {issued['token']}"}
        uuid = made.rpartition("/")[2]
        for client, path, headers in (
            (admin, "/api/v1/projects", {}),
            (browser, "/api/v1/projects/P", {}),
            (browser, "/projects", {}),
            (browser, "/activity", {}),
            (program, f"/api/v1/imports/{uuid}", bearer),
            (admin, "/api/v1/uploads", {}),
            (admin, "/api/v1/accounts", {}),
            (admin, "/api/v1/clock", {}),
            (admin, "/admin", {}),
            (admin, "/api/v1/projects/P/members", {}),
            (admin, "/data/projects?format=json", {}),
            (admin, "/metrics", {}),
            (admin, "/healthz", {}),
        ):
            answer = asked(client, path, headers)
            assert answer.status_code == 200, (path, answer.text)
        figures = admin.get("/metrics").text.splitlines()
        assert float(next(line for line in figures if line.startswith("scandock_catalog_waiting ")).split()[1]) > 0
        assert admin.head(made, headers=TUS).headers["upload-offset"] == "0"
        assert [one.result() for one in waiting if one.done()] == []
        lock.close()
        assert {one.result(60) for one in waiting} == {200, 201}
    until(lambda: noted(web, long_ago), "their use was not noted")


def asked(client: httpx.Client, path: str, headers: dict[str, str]) -> httpx.Response:
    """The answer, unless it waits as well."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(client.get, path, headers=headers).result(20)


def noted(web: Web, before: int) -> bool:
    with web.site.catalog.read() as connection:
        seen = connection.execute(select(login.c.seen)).scalar_one()
        return bool(seen > before and connection.execute(select(api_token.c.seen)).scalar_one())


@pytest.mark.postgresql
def test_a_server_without_a_connection_left_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(engine, "CONNECTION_SECONDS", 0)
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    with serve_in_process(site.data, site.settings) as web, web.client() as client, ExitStack() as held:
        assert client.get("/api/v1/projects").status_code == 200
        for _ in range(engine.READERS + engine.WRITERS):
            held.enter_context(web.site.catalog.read())
        for refused in (
            client.get("/api/v1/projects"),
            client.get("/data/projects"),
            client.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "10"}),
        ):
            assert refused.status_code == 503, refused.text
            assert "connections of this process" in refused.text
            assert int(refused.headers["retry-after"]) > 0
        held.close()
        assert client.get("/api/v1/projects").status_code == 200
