"""The application: what is behind which address, and what begins and ends with the process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

import scandock
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.queue.hosts import HostBeat
from scandock.services.cleaning.cleaner import TURN_SECONDS, Cleaner, HasServerState, Schedule
from scandock.services.cleaning.registry import SERVER_CLEANERS
from scandock.services.cleaning.uploads import ABANDONED_UPLOADS
from scandock.services.logs import error_cause, error_location, log
from scandock.web import health, openapi, problems, request_ids, urls
from scandock.web.base_path import BasePath
from scandock.web.bodies import BodyLimits
from scandock.web.connections import BodyCounter, Connections, connection_limits
from scandock.web.deps import ServerState, open_server_state
from scandock.web.dialect import Dialect, get_dialect
from scandock.web.dicomweb.routers import ROUTERS as DICOMWEB_ROUTERS
from scandock.web.errors import WorkerHost
from scandock.web.json_bodies import json_unreadable
from scandock.web.methods import HeadMethod, Methods
from scandock.web.pages.page_routers import CLIENT_PAGES, PAGES
from scandock.web.pages.rendering import warm_up
from scandock.web.pages.routing import handle_not_found, handle_page_error
from scandock.web.query_parameters import ParameterLimit, check_parameter_names
from scandock.web.receiving.stream import stop_bodies
from scandock.web.registration import find_dialect
from scandock.web.request_checks import check_request
from scandock.web.response_sending import SendingMiddleware
from scandock.web.router_index import index_routers
from scandock.web.tus import routes as tus
from scandock.web.v1 import auth, events, imports, live, oidc, projects_create, receipts, tokens
from scandock.web.v1.routers import ROUTERS

if TYPE_CHECKING:
    from scandock.services.settings import Settings

END_SECONDS = 5.0
RENEW_SECONDS = 2.0
"""How often the rows of writers say whether bytes have come: a writer is stale ten seconds after its last."""
RECEPTION_TURNS = 3
"""Every how many turns of that the leases of whole bodies are renewed."""
BODY_SECONDS = 8.0
"""For how long a stopping server goes on with bodies that come in one request: then each is told, before uvicorn ends
it without a word (`process.DRAIN_SECONDS`)."""


@dataclass(frozen=True)
class Routing:
    """The routes of an application, and what is known of their methods: the same for every DATA."""

    routes: tuple[BaseRoute, ...]
    methods: Methods


def create_app(
    data: str,
    settings: Settings,
    workers_ready: Callable[[], str] = lambda: "",
    state: ServerState | None = None,
    routing: Routing | None = None,
    *,
    only_health: bool = False,
) -> FastAPI:
    """The application of one DATA. `workers_ready` says why no worker takes imports, or nothing.

    `state`: DATA, where that was opened already; else it is when the application starts.
    `routing`: that of another application of this process; else its own is made.
    `only_health`: of a host that only works: it answers whether it lives and is ready, and gives its metrics.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = (
            state
            if state is not None
            else await loop.run_in_executor(None, open_server_state, data, settings, workers_ready)
        )
        app.state.server = server
        warming = loop.run_in_executor(None, warm_up)
        schedule = Schedule([] if only_health else _list_cleaners(app.state.dialect))
        janitor = asyncio.ensure_future(_run_cleaners(server, schedule))
        host = HostBeat(server.catalog, is_worker=False, on_failure=_tell_host_not_noted)
        await loop.run_in_executor(None, host.start)
        server.gradual.start()
        leases = asyncio.ensure_future(_renew_leases(server))
        ending = asyncio.ensure_future(_end_streams(server))
        bodies = asyncio.ensure_future(_end_bodies(server))
        answers = asyncio.ensure_future(server.answers.watch())
        with _forward_signals(server, loop):
            try:
                yield
            finally:
                server.stopping.set()
                janitor.cancel()
                bodies.cancel()
                answers.cancel()
                await asyncio.gather(warming, janitor, bodies, answers, ending, return_exceptions=True)
                if server.receptions:
                    await asyncio.wait(server.receptions.values(), timeout=END_SECONDS)
                await loop.run_in_executor(None, server.gradual.stop)
                leases.cancel()
                await asyncio.gather(leases, return_exceptions=True)
                await loop.run_in_executor(None, host.end)
                await loop.run_in_executor(None, server.close)

    app = FastAPI(
        title="Scandock",
        version=scandock.__version__,
        summary="Compressed imaging sessions in, archived sessions out",
        openapi_url=urls.OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        dependencies=[Depends(check_request)],
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    dialect = app.state.dialect = find_dialect()
    problems.install(app)
    app.add_exception_handler(HTTPException, _no_route_of_worker if only_health else _no_route)
    app.add_exception_handler(ScandockError, handle_page_error)
    openapi.install(app)
    if routing is None:
        routing = _make_health_routing(app) if only_health else _make_routing(app, dialect)
    app.router.routes = list(routing.routes)
    app.state.methods = routing.methods
    app.add_middleware(HeadMethod, methods=app.state.methods)
    if dialect is not None:
        app.add_middleware(dialect.middleware)
    app.state.connections = Connections(
        connection_limits(settings),
        settings.trusted_proxies,
        lambda why: app.state.server.metrics.connections.labels(why).inc(),
    )
    app.add_middleware(BodyCounter, connections=app.state.connections)
    app.add_middleware(ParameterLimit)
    app.add_middleware(SendingMiddleware, refuse=_no_room)
    app.add_middleware(request_ids.RequestMiddleware)
    app.add_middleware(BodyLimits, max_bytes=settings.max_body_bytes)
    if settings.root_path:
        app.add_middleware(BasePath, root_path=settings.root_path)
    return app


def _make_health_routing(app: FastAPI) -> Routing:
    """Give an application the routes of a host that only works."""
    app.include_router(health.router)
    methods = Methods(app.routes)
    index_routers(app.routes)
    return Routing(routes=tuple(app.router.routes), methods=methods)


def _make_routing(app: FastAPI, dialect: Dialect | None) -> Routing:
    """Give an application all routes."""
    for module in (health, tus, oidc):
        app.include_router(module.router)
    for dicomweb in DICOMWEB_ROUTERS:  # before what is asked for less often: each router takes its time to say no
        app.include_router(dicomweb)
    for router in (
        *(
            included_module.router
            for included_module in (imports, events, live, receipts, projects_create, auth, tokens)
        ),
        *ROUTERS,
    ):
        app.include_router(router, dependencies=[Depends(check_parameter_names)])
    for pages in PAGES:
        app.include_router(pages)
    if dialect is not None:
        for routes in (*CLIENT_PAGES, *dialect.routers):
            app.include_router(routes)
    methods = Methods(app.routes)
    index_routers(app.routes)
    return Routing(routes=tuple(app.router.routes), methods=methods)


async def _no_route_of_worker(request: Request, error: Exception) -> Response:
    """Of a host that only works: for people too a problem, as it has no pages, nor what they are made of."""
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        return problems.error_response(request, WorkerHost())
    return await _no_route(request, error)


async def _no_route(request: Request, error: Exception) -> Response:
    """What no route answers is told in the words of the door that was asked.

    FastAPI wraps what ends the reading of a body that a route declares: then the reason is told.
    """
    if isinstance(error.__cause__, ScandockError):
        return await handle_page_error(request, error.__cause__)
    if isinstance(error.__cause__, ValueError | RecursionError):  # a body that a route declares, and that is no JSON
        return await handle_page_error(request, json_unreadable())
    dialect = _find_path_dialect(request)
    return await (handle_not_found if dialect is None else dialect.no_route)(request, error)


async def _no_room(request: Request, error: ScandockError) -> Response:
    """An answer for which there is no room is told so in the same way."""
    dialect = _find_path_dialect(request)
    return await handle_page_error(request, error) if dialect is None else dialect.problem(error)


def _find_path_dialect(request: Request) -> Dialect | None:
    """The dialect, where a request is for an address of its own."""
    dialect = get_dialect(request)
    is_dialect_path = dialect is not None and dialect.is_own(urls.below_root(request.scope, request.url.path))
    return dialect if is_dialect_path else None


@contextlib.contextmanager
def _forward_signals(server: ServerState, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Hear SIGTERM and SIGINT beside uvicorn, which waits for streams that would never end before it says so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous_handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(server.stopping.set)
        previous_handler = previous_handlers[signal.Signals(number)]
        if callable(previous_handler):
            previous_handler(number, frame)

    for number in previous_handlers:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, previous_handler in previous_handlers.items():
            signal.signal(number, previous_handler)


async def _end_streams(server: ServerState) -> None:
    await server.stopping.wait()
    await server.locks.end_all(END_SECONDS)


async def _end_bodies(server: ServerState) -> None:
    await server.stopping.wait()
    await asyncio.sleep(BODY_SECONDS)
    stop_bodies(server)


def _tell_host_not_noted(error: ScandockError) -> None:
    log().warning("host not noted", code=error.code, cause=error_cause(error), where=error_location(error))


def run_cleaner(server: ServerState, cleaner: Cleaner[HasServerState]) -> int:
    """Give a cleaner its turn; how much it took away."""
    count = cleaner.run(server)
    if cleaner is ABANDONED_UPLOADS:
        server.metrics.broken.inc(count)
    return count


async def _renew_leases(server: ServerState) -> None:
    """Say of the requests that bring uploads that they live."""
    turn = 0
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        turn += 1
        try:
            await server.renew_writers()
            if turn % RECEPTION_TURNS == 0:
                await server.renew_receptions()
        except ScandockError as error:
            log().warning("leases", code=error.code, cause=error_cause(error), where=error_location(error))
        except Exception as error:  # noqa: BLE001  without this task every request here would count as dead
            log().error("unexpected", cause=error_cause(error), where=error_location(error))


def _list_cleaners(dialect: Dialect | None) -> list[Cleaner[HasServerState]]:
    return [*SERVER_CLEANERS, *([] if dialect is None else dialect.cleaners)]


async def _run_cleaners(server: ServerState, schedule: Schedule[HasServerState]) -> None:
    """Take away what has had its time: at the start what a killed server left, then whatever comes due."""
    while True:
        for cleaner in schedule.due():
            try:
                await server.run(run_cleaner, server, cleaner)
            except ScandockError as error:
                log().error("tidying", code=error.code, cause=error_cause(error), where=error_location(error))
        await asyncio.sleep(TURN_SECONDS)
