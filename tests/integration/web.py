"""A real server for tests: the application under uvicorn, in a thread, on a free port of the loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from structlog.testing import capture_logs

from scandock.access import accounts, members
from scandock.access.passwords import hash_password
from scandock.http.app import create_app
from scandock.http.deps import Site
from scandock.http.problems import MEDIA_TYPE
from scandock.http.process import config_of
from scandock.rules.permissions import Role
from scandock.services.settings import Settings, load_settings
from tests.documented import documented_codes

PASSWORD = "correct horse"


def only_documented(response: httpx.Response) -> None:
    """Whatever a test asks for: a problem has a code that its page has, with the status that it says there."""
    if response.headers.get("content-type") != MEDIA_TYPE:
        return
    response.read()
    if not response.content:  # of a HEAD
        return
    code = response.json()["code"]
    statuses = documented_codes().get(code)
    assert statuses is not None, f"{code} is not on the page of codes"
    assert not statuses or response.status_code in statuses, f"{code} is answered with {response.status_code}"


@dataclass(kw_only=True)
class Web:
    """A running server and its DATA."""

    app: FastAPI
    base: str
    site: Site
    logged: list[Any]
    """What the server logged, one entry a line."""
    hashed: str = field(default_factory=lambda: hash_password(PASSWORD))

    def client(self, name: str | None = "admin", **more: Any) -> httpx.Client:
        """A client that is logged in by basic authentication."""
        auth = None if name is None else (name, PASSWORD)
        return httpx.Client(
            base_url=self.base,
            auth=auth,
            timeout=30,
            trust_env=False,
            event_hooks={"response": [only_documented]},
            **more,
        )

    def account(self, name: str, *, admin: bool = False, **roles: str) -> int:
        """Make an account with roles by project."""
        with self.site.catalog.write() as connection:
            one = accounts.create(connection, name, password=self.hashed, admin=admin)
            for project, role in roles.items():
                members.set_role(connection, project, one, Role(role))
        return one.id

    def spools(self) -> list[str]:
        return self.site.store.spools()

    def spool(self, uuid: str) -> bytes:
        return (Path(self.site.data) / "incoming" / uuid / "archive").read_bytes()


def with_mail() -> Settings:
    """The settings of a site that says it sends mail; nothing listens where it would go."""
    return load_settings().model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": 9})


@contextmanager
def serving(data: Path, settings: Settings | None = None) -> Iterator[Web]:
    """Serve DATA with an administrator `admin` and a project `P`."""
    with capture_logs() as logged:
        yield from _serving(data, settings, logged)


def _serving(data: Path, settings: Settings | None, logged: list[Any]) -> Iterator[Web]:
    settings = settings or load_settings()
    app = create_app(str(data), settings)
    config = config_of(app, settings)
    config.port = 0
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def tell(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        started.set()

    server.startup = tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert started.wait(30)
        port = server.servers[0].sockets[0].getsockname()[1]
        web = Web(app=app, base=f"http://127.0.0.1:{port}", site=app.state.site, logged=logged)
        web.account("admin", admin=True)
        with web.client() as client:
            assert client.post("/api/v1/projects", json={"id": "P", "name": "First"}).status_code == 201
        yield web
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
