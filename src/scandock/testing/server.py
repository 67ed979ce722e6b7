"""The application in the process of whoever asks: real but for its sockets."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import httpx
import uvloop
from fastapi import FastAPI

from scandock.access import accounts, members
from scandock.access.passwords import hash_password
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Role
from scandock.services.settings import Settings, load_settings
from scandock.testing.data import make_data
from scandock.web.app import Routing, create_app
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


_ROUTINGS: list[Routing] = []


def make_app(data: str | os.PathLike[str], settings: Settings, **options: Any) -> FastAPI:  # noqa: ANN401  create_app's
    """Make the application of a DATA with the routes of the first that this process made.

    FastAPI works out what each route takes when it is first asked: 0.4 s for all of Scandock's, the same in each.
    To give an application its routes takes as long as all else of its start. One of a host that only works has few.
    """
    if options.get("only_health"):
        return create_app(os.fspath(data), settings, **options)
    routing = _ROUTINGS[0] if _ROUTINGS else None
    app = create_app(os.fspath(data), settings, routing=routing, **options)
    if routing is None:
        _ROUTINGS.append(Routing(routes=tuple(app.router.routes), methods=app.state.methods))
    return app


def add_account(catalog: Catalog, name: str, hashed: str, *, admin: bool = False, **roles: str) -> int:
    """Make an account whose password is hashed already, with roles by project, and give its number."""
    with catalog.write() as connection:
        account = accounts.create(connection, name, password=hashed, admin=admin)
        for project, role in roles.items():
            members.set_role(connection, project, account, Role(role))
    return account.id


class AppTransport(httpx.BaseTransport):
    """Hands the requests of a client to an application that runs in the loop of another thread.

    httpx.ASGITransport is for asynchronous clients: each request would be made a second time for it, and it looks
    through all folders of modules for a library that is not there.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], loop: asyncio.AbstractEventLoop, address: str = "127.0.0.1"
    ) -> None:
        self._app = app
        self._loop = loop
        self._client = (address, 50_000)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        future = asyncio.run_coroutine_threadsafe(self._ask(request, body), self._loop)
        try:
            answer = future.result(ANSWER_SECONDS)
        except TimeoutError:
            future.cancel()
            raise httpx.ReadTimeout(f"No whole answer in {ANSWER_SECONDS:.0f} seconds.", request=request) from None
        # As every HTTP server does (RFC 9110, 9.3.2); a stream, as `content` would add a length.
        stream = httpx.ByteStream(b"" if request.method == "HEAD" else b"".join(answer.parts))
        return httpx.Response(answer.status, headers=answer.headers, stream=stream)

    async def _ask(self, request: httpx.Request, body: bytes) -> _Answer:
        answer = _Answer(body)
        try:
            await self._app(self._scope(request), answer.receive, answer.send)
        except Exception:  # noqa: BLE001  a server ends the answer where it is
            answer.complete.set()
        if not answer.complete.is_set():
            raise RuntimeError(f"The application has not answered {request.method} {request.url}.")
        return answer

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        """The request as ASGI says it."""
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": self._client,
            "root_path": "",
        }


class _Answer:
    """What the application is given, and what it answers."""

    def __init__(self, body: bytes) -> None:
        self._unread = [
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.request", "body": body, "more_body": True},
        ]
        self.complete = asyncio.Event()
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        if self._unread:
            return self._unread.pop()
        await self.complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self.complete.set()
