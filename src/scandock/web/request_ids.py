"""Around every request: its id, the headers that keep browsers careful, one line in the log, and the metrics.

Plain ASGI, since it stands between the client and the spool: nothing is gathered, nothing waits.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from scandock.access.principal import REQUEST_REFUSALS, AccessDenied
from scandock.services.logs import bind_upload, log
from scandock.web import urls
from scandock.web.problems import internal_error_response
from scandock.web.refusal_audit import audit_refusals
from scandock.web.tus.protocol import VERSION as TUS_VERSION

_VALID_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_UPLOAD: Final = re.compile(r"/(?:imports|uploads)/\{(\w+)")
_QUIET: Final = (urls.HEALTHZ, urls.READYZ, urls.METRICS)

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
}
"""Where an answer has none of its own; pages and downloads say better."""

SECURE_HEADERS: Final = {"Cross-Origin-Opener-Policy": "same-origin"}
"""Over https alone: under plain http browsers heed it not, and say so on the console of every page."""


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


_RAW_HEADERS: Final = _encode(HEADERS)
_RAW_SECURE_HEADERS: Final = _encode(SECURE_HEADERS)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if _VALID_ID.fullmatch(text):
                return text
            break
    return secrets.token_hex(8)


def route_path(scope: Scope) -> str:
    """The route's pattern, as the address itself may hold labels; empty where there is none."""
    return str(getattr(scope.get("route"), "path", ""))


def bind_upload_of_path(request: Request) -> None:
    """Before every route: what is logged of a request to an upload, or to its import, carries its id."""
    match = _UPLOAD.search(route_path(request.scope))
    if match is not None:
        bind_upload(request.path_params[match[1]])


def _is_tus(scope: Scope) -> bool:
    """Whether tus's own header has to be in the answer, whatever that is."""
    return urls.is_upload(urls.below_root(scope, scope["path"]))


class RequestMiddleware:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        began_at = time.perf_counter()
        answered_at: float | None = None
        status = 0
        refusals: list[AccessDenied] = []
        REQUEST_REFUSALS.set(refusals)

        async def answer(message: Message) -> None:
            nonlocal answered_at, status
            if message["type"] == "http.response.start":
                status, answered_at = message["status"], time.perf_counter()
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                if _is_tus(scope):
                    headers.setdefault("Tus-Resumable", TUS_VERSION)
                names = {name for name, _ in headers.raw}
                headers.raw.extend(header for header in _RAW_HEADERS if header[0] not in names)
                if scope["scheme"] == "https":
                    headers.raw.extend(header for header in _RAW_SECURE_HEADERS if header[0] not in names)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            log().info("disconnected")
        except Exception as error:
            if status:  # it has begun: only a broken connection tells the client that there is no more to come
                raise
            await internal_error_response(Request(scope), error)(scope, receive, answer)
        finally:
            now = time.perf_counter()
            self._count(scope, status, (answered_at or now) - began_at)
            self._log(scope, status, now - began_at)
            if refusals:
                audit_refusals(Request(scope), refusals)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """`seconds`: until the answer began, as streams and downloads last for as long as their clients like."""
        server = getattr(scope["app"].state, "server", None)
        if server is not None:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = route_path(scope) or "none"
            server.metrics.requests.labels(method, route, str(status or "none")).inc()
            server.metrics.request_seconds.labels(method, route).observe(seconds)

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = route_path(scope) or "none", scope["method"]
        if route in _QUIET and (status < 400 or route == urls.READYZ):  # which tells of changes by itself
            return
        log().info(
            "request",
            method=method,
            route=route,
            status=status or None,
            ms=round(seconds * 1000, 1),
            account=scope["state"].get("account_id"),
        )
