"""Routes of DICOMweb, each at two bases: of one project and of all that may be read; the context of a request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.services.dicomweb import DicomwebScope, find_scope
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.methods import is_head_request
from scandock.web.request_checks import check_request
from scandock.web.request_context import RequestContext, run_in_pictures
from scandock.web.security import identify, identify_within, is_from_other_site, refuse_other_site

E = TypeVar("E", bound=Callable[..., Any])
R = TypeVar("R")
T = TypeVar("T")

ReadHandler = Callable[..., Awaitable[Response]]

_SAFE: Final = frozenset({"GET", "HEAD"})
_HOST: Final = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")
_PORTS: Final = {"http": 80, "https": 443}


class _ReadRoute(APIRoute):
    """A route whose endpoint takes the request and nothing else: FastAPI would look for its body and parameters.

    Of dependencies there are those that the application has of every route alone.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            await check_request(request)
            response: Response = await endpoint(request)
            return response

        return handle


class DicomwebRoutes:
    """A router whose routes are below `/dicomweb` and below `/dicomweb/projects/{project}` alike."""

    def __init__(self) -> None:
        self.router = APIRouter(prefix=urls.DICOMWEB, include_in_schema=False)

    def get(self, path: str) -> Callable[[ReadHandler], ReadHandler]:
        """Register a handler of GET, whose parameters are those of the path, which begins below the base."""

        def register(handler: ReadHandler) -> ReadHandler:
            async def handle(request: Request) -> Response:
                values = {name: value for name, value in request.path_params.items() if name != "project"}
                return await handler(ReadRequest(request), **values)

            handle.__doc__ = handler.__doc__
            self._register("GET", path, _ReadRoute)(handle)
            return handler

        return register

    def post(self, path: str) -> Callable[[E], E]:
        """Register a handler of POST."""
        return self._register("POST", path, APIRoute)

    def _register(self, method: str, path: str, route_class: type[APIRoute]) -> Callable[[E], E]:
        def register(endpoint: E) -> E:
            for base in ("", "/projects/{project}"):
                self.router.add_api_route(
                    f"{base}{path}", endpoint, methods=[method], response_model=None, route_class_override=route_class
                )
            return endpoint

        return register


class DicomwebContext(RequestContext):
    """The context of one request: at which base it asks, and what that base answers for."""

    @property
    def project(self) -> str | None:
        """The project of the base, as it was asked for; None: the base of all that may be read."""
        return self.request.path_params.get("project")

    @property
    def is_head(self) -> bool:
        """Whether only the headers of the answer are sent."""
        return is_head_request(self.request.scope)

    @property
    def base(self) -> str:
        """The absolute address of the base, without a slash at its end: what answers name their objects by."""
        return site_address(self.request) + urls.dicomweb(self.project)

    def scope(self, connection: Connection) -> DicomwebScope:
        """The sessions that the base answers for. AccessDenied where its project may not be read."""
        return find_scope(connection, self.service_context.principal, self.project)


class ReadRequest:
    """A request that reads, of which nobody has asked yet who sends it.

    That is found out by the transaction and in the thread that find what it is for: viewers ask for a hundred frames
    at once, and each turn of a thread takes as long as a question.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.server = server_state(request)

    async def read(self, query: Callable[[DicomwebContext, Connection], T]) -> tuple[DicomwebContext, T]:
        """Ask the catalog for who sends it; their context, and what it answered. AccessDenied."""
        return await self._run(self.server.read, lambda: self._find(query))

    async def run_decoder(
        self, query: Callable[[DicomwebContext, Connection], T], work: Callable[[DicomwebContext, T], R]
    ) -> R:
        """As `read`, then do what waits for a decoder, in the same turn of a thread (`RequestContext.run_decoder`)."""
        pictures = self.server.pictures

        def find_and_work() -> R | None:
            context_and_answer = pictures.find(lambda: self._find(query))
            return None if context_and_answer is None else pictures.work(lambda: work(*context_and_answer))

        return await self._run(partial(run_in_pictures, self.server), find_and_work)

    def _find(self, query: Callable[[DicomwebContext, Connection], T]) -> tuple[DicomwebContext, T] | None:
        """None where a password has to be checked first."""
        with self.server.catalog.read() as connection:
            principal = identify_within(self.request, connection)
            if principal is None:
                return None
            context = DicomwebContext(self.request, principal)
            return context, query(context, connection)

    async def _run(
        self, run: Callable[[Callable[[], R | None]], Awaitable[R | None]], call: Callable[[], R | None]
    ) -> R:
        """Call it in a thread; once more where a password has to be checked first."""
        answer = await run(call)
        if answer is None:
            await identify(self.request)
            answer = await run(call)
        assert answer is not None
        return answer


async def _make_context(request: Request) -> DicomwebContext:
    """AccessDenied where another site's page sends a change.

    A viewer can't send a login's CSRF header, so that a change is taken from the site's own pages without one.
    """
    principal = await identify(request)
    if request.method not in _SAFE and is_from_other_site(request):
        await refuse_other_site(request)
    return DicomwebContext(request, principal)


Context = Annotated[DicomwebContext, Depends(_make_context)]


def site_address(request: Request) -> str:
    """Scheme, host and root of this site as whoever asks reaches it, without a slash at its end.

    The public URL where the site has one. Else the host that was asked; some clients leave its port out (Python's
    dicomweb-client), which then is that of the connection unless a proxy is in front.
    """
    public = request.app.state.server.settings.public_url
    if public:
        return str(public).rstrip("/")
    scheme = request.url.scheme
    server = request.scope.get("server") or ("localhost", None)
    match = _HOST.fullmatch(request.headers.get("host", ""))
    name, port = (match[1], match[2]) if match is not None else (_bracketed(str(server[0])), None)
    if port is None and server[1] not in (None, _PORTS.get(scheme)) and not _came_by_proxy(request, name):
        port = str(server[1])
    return f"{scheme}://{name}{f':{port}' if port else ''}{urls.root_of(request.scope)}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _came_by_proxy(request: Request, host: str) -> bool:
    """Whether a proxy passed a request on: it says so, or it is on this machine, and another one was asked."""
    if any(name in request.headers for name in ("x-forwarded-proto", "x-forwarded-for", "forwarded")):
        return True
    return request.client is not None and _is_loopback(request.client.host) and not _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
