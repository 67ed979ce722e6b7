"""Routes of DICOMweb, each at two bases: of one project and of all that may be read; the context of a request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.services.dicomweb import DicomwebScope, find_scope
from scandock.web import read_requests, urls
from scandock.web.methods import is_head_request
from scandock.web.request_checks import check_request
from scandock.web.request_context import RequestContext
from scandock.web.security import identify, is_from_other_site, refuse_other_site

E = TypeVar("E", bound=Callable[..., Any])

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
                return await handler(ReadRequest(request, DicomwebContext), **values)

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


ReadRequest = read_requests.ReadRequest[DicomwebContext]


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
