"""The application served for tests: in this process without a socket, or by uvicorn on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from scandock.access import accounts
from scandock.access.passwords import hash_password
from scandock.services.consistency_check import check_data
from scandock.services.logs import write_step
from scandock.services.settings import Settings, load_settings
from scandock.testing.data import make_data
from scandock.testing.server import InProcessServer, add_account, make_app
from scandock.web.deps import ServerState
from scandock.web.problems import MEDIA_TYPE
from scandock.web.process import server_config
from tests import builders
from tests.documented_codes import read_documented_codes
from tests.sinks import steps_logged_by

PASSWORD = "correct horse"


def check_documented(response: httpx.Response) -> None:
    """Whatever a test asks for: a problem has a code that its page has, with the status that it says there."""
    if response.headers.get("content-type") != MEDIA_TYPE:
        return
    response.read()
    if not response.content:  # of a HEAD
        return
    code = response.json()["code"]
    statuses = read_documented_codes().get(code)
    assert statuses is not None, f"{code} is not on the page of codes"
    assert not statuses or response.status_code in statuses, f"{code} is answered with {response.status_code}"


@dataclass(kw_only=True)
class Web:
    """A running server and its DATA."""

    app: FastAPI
    base: str
    site: ServerState
    logged: list[Any]
    """What the server logged, one entry a line."""
    transport: Callable[[], httpx.BaseTransport]
    hashed: str = field(default_factory=lambda: hash_password(PASSWORD))

    def client(self, name: str | None = "admin", **more: Any) -> httpx.Client:
        """A client that is logged in by basic authentication."""
        auth = None if name is None else (name, PASSWORD)
        return self.asking(auth=auth, event_hooks={"response": [check_documented]}, **more)

    def asking(self, **options: Any) -> httpx.Client:
        """A client that is logged in as `options` say, if at all."""
        return httpx.Client(base_url=self.base, transport=self.transport(), timeout=30, trust_env=False, **options)

    def account(self, name: str, *, admin: bool = False, **roles: str) -> int:
        """Make an account with roles by project."""
        return add_account(self.site.catalog, name, self.hashed, admin=admin, **roles)

    def spools(self) -> list[str]:
        return self.site.store.spools()

    def spool(self, uuid: str) -> bytes:
        return (Path(self.site.data) / "incoming" / uuid / "archive").read_bytes()


def settings_with_mail() -> Settings:
    """The settings of a site that says it sends mail; nothing listens where it would go."""
    return load_settings().model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": 9})


@contextmanager
def capture_steps() -> Iterator[list[Any]]:
    """What is logged, as the processes of a server do it: with the steps of uploads."""
    with capture_logs([merge_contextvars]) as logged, steps_logged_by(write_step):
        yield logged


@contextmanager
def serve_in_process(data: Path, settings: Settings | None = None) -> Iterator[Web]:
    """Serve DATA in this process without a socket, with an administrator `admin` and a project `P`."""
    settings = settings or load_settings()
    with capture_steps() as logged, InProcessServer(data, settings) as server:
        yield _prepare(
            Web(app=server.app, base=server.base, site=server.site, logged=logged, transport=server.transport)
        )


@contextmanager
def serve_by_socket(data: Path, settings: Settings | None = None) -> Iterator[Web]:
    """Serve DATA by uvicorn at a port of the loopback: for what is about streams, connections and the HTTP server."""
    settings = settings or load_settings()
    if settings.database_url is None:
        make_data(data)
    app = make_app(data, settings)
    config = server_config(app, settings)
    config.port = 0
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def tell(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        started.set()

    server.startup = tell  # type: ignore[method-assign]

    def run() -> None:
        try:
            server.run()
        finally:
            started.set()

    thread = threading.Thread(target=run, daemon=True)
    with capture_steps() as logged:
        thread.start()
        try:
            assert started.wait(30)
            assert server.started, f"the server did not start: {logged}"
            port = server.servers[0].sockets[0].getsockname()[1]
            base = f"http://127.0.0.1:{port}"
            transport = partial(httpx.HTTPTransport, verify=False)  # to load authorities takes longer than most tests
            yield _prepare(Web(app=app, base=base, site=app.state.server, logged=logged, transport=transport))
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def _prepare(web: Web) -> Web:
    with web.site.catalog.read() as connection:
        if accounts.find(connection, "admin") is not None:  # a DATA that was served before
            return web
    web.account("admin", admin=True)
    with web.client() as client:
        assert client.post("/api/v1/projects", json={"id": "P", "name": "First"}).status_code == 201
    return web


@contextmanager
def serve_data_folder(site: builders.DataFolder) -> Iterator[tuple[Web, httpx.Client]]:
    """A site's DATA behind HTTP, and its administrator's client; checked once it has ended."""
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        yield web, client
    assert check_data(str(site.data), site.settings) == []
    assert list((site.data / "work").iterdir()) == []
