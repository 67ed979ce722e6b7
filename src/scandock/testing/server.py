"""The application in the process of whoever asks: real but for its sockets."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import httpx
import uvloop
from fastapi import FastAPI
from starlette.routing import BaseRoute

from scandock.access import accounts, members
from scandock.access.passwords import hash_password
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Role
from scandock.services.settings import Settings, load_settings
from scandock.testing.data import make_data
from scandock.web.app import create_app
from scandock.web.deps import ServerState

BASE_URL = "http://127.0.0.1"
START_SECONDS = 30.0
ANSWER_SECONDS = 60.0


class InProcessServer:
    """The web process of one DATA, without its sockets: `with InProcessServer(data) as server`.

    It runs in a thread with an event loop of its own; clients may ask from any thread. What belongs to the HTTP server
    in front of the application is not there: limits of heads, chunks as they come, answers as they are streamed,
    connections that break. Uploads, tus, event streams and downloads that are cut need a real one. No worker runs.
    """

    base = BASE_URL

    def __init__(self, data: str | os.PathLike[str], settings: Settings | None = None) -> None:
        settings = settings or load_settings()
        if settings.database_url is None:
            make_data(data)
        self.app: FastAPI = make_app(data, settings)
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._serve, name="in-process server", daemon=True)

    @property
    def site(self) -> ServerState:
        """What the routes work on: settings, catalog and store of DATA."""
        self._loop()
        site: ServerState = self.app.state.server
        return site

    def client(self, auth: tuple[str, str] | None = None, **options: Any) -> httpx.Client:  # noqa: ANN401  httpx's own
        """A client of this server; `auth` is name and password, `options` are httpx.Client's."""
        return httpx.Client(base_url=self.base, auth=auth, transport=self.transport(), trust_env=False, **options)

    def add_account(self, name: str, password: str, *, admin: bool = False, **roles: str) -> int:
        """Make an account with roles by project (`P="member"`), and give its number."""
        return add_account(self.site.catalog, name, hash_password(password), admin=admin, **roles)

    def transport(self, address: str = "127.0.0.1") -> AppTransport:
        """What hands the requests of a client at `address` to this server."""
        return AppTransport(self.app, self._loop(), address)

    def _loop(self) -> asyncio.AbstractEventLoop:
        if not self._thread.is_alive() or not self._started.done():
            raise RuntimeError("This server does not run: use it as `with InProcessServer(data) as server`.")
        return self._started.result()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._started.result(START_SECONDS)
        except BaseException:
            self._thread.join(START_SECONDS)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._started.result().call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("The application did not end.")

    def _serve(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        async with self.app.router.lifespan_context(self.app):
            self._started.set_result(asyncio.get_running_loop())
            await self._stop.wait()


_ROUTES: list[BaseRoute] = []


def make_app(data: str | os.PathLike[str], settings: Settings, **options: Any) -> FastAPI:  # noqa: ANN401  create_app's
    """Make the application of a DATA with the routes of the first that this process made.

    FastAPI works out what each route takes when it is first asked: 0.4 s for all of Scandock's, the same in each.
    """
    app = create_app(os.fspath(data), settings, **options)
    if not _ROUTES:
        _ROUTES.extend(app.router.routes)
    app.router.routes = list(_ROUTES)
    return app


def add_account(catalog: Catalog, name: str, hashed: str, *, admin: bool = False, **roles: str) -> int:
    """Make an account whose password is hashed already, with roles by project, and give its number."""
    with catalog.write() as connection:
        account = accounts.create(connection, name, password=hashed, admin=admin)
        for project, role in roles.items():
            members.set_role(connection, project, account, Role(role))
    return account.id


class AppTransport(httpx.BaseTransport):
    """Hands the requests of a client to an application that runs in the loop of another thread."""

    def __init__(
        self, app: Callable[..., Awaitable[None]], loop: asyncio.AbstractEventLoop, address: str = "127.0.0.1"
    ) -> None:
        self._loop = loop
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 50_000))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        future = asyncio.run_coroutine_threadsafe(self._ask(request, body), self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError:
            future.cancel()
            raise httpx.ReadTimeout(f"No whole answer in {ANSWER_SECONDS:.0f} seconds.", request=request) from None

    async def _ask(self, request: httpx.Request, body: bytes) -> httpx.Response:
        # A stream, as `content` would add a length to what is sent in chunks.
        stream = httpx.ByteStream(body)
        outgoing = httpx.Request(
            request.method, request.url, headers=request.headers, stream=stream, extensions=request.extensions
        )
        answer = await self._transport.handle_async_request(outgoing)
        if not isinstance(answer.stream, httpx.AsyncByteStream):
            raise TypeError("The application's answer is no stream.")
        content = b"".join([part async for part in answer.stream])
        if request.method == "HEAD":  # as every HTTP server does (RFC 9110, 9.3.2)
            content = b""
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(content))
