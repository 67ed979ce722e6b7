"""Bodies of requests: how large each may be, and how slowly it may come.

A body is bounded unless its route says otherwise: `@receives_upload` leaves an upload to the idle limit of its reader
(`receiving.stream`), `@limit_body(n)` lets a route take more bytes after a login. Whoever is not known gets no more
than `ANONYMOUS_BYTES`, whatever they send along: what needs more asks who they are before it is read.

Plain ASGI: nothing is gathered. It looks at the route when the body is asked for, which is after routing, so that no
second table of routes has to be kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scandock.model import request_limits
from scandock.model.errors import Usage
from scandock.web.deps import ServerState
from scandock.web.errors import BodyTooLarge, BodyTooSlow
from scandock.web.security import identify

ANONYMOUS_BYTES: Final = request_limits.ANONYMOUS_BODY_BYTES
"""Of a body without a login."""
FIRST_SECONDS: Final = request_limits.BODY_SECONDS
BYTES_A_SECOND: Final = 4 * 1024
"""A body has `FIRST_SECONDS` to come, and one second more for each so many bytes that came."""
_MARK: Final = "scandock_body"
_OVER: Final = "scandock_body_over"
_UPLOAD: Final = -1

E = TypeVar("E", bound=Callable[..., Any])


def receives_upload(endpoint: E) -> E:
    """Mark an endpoint whose body is an upload: its reader bounds it by the settings of uploads and the idle limit."""
    setattr(endpoint, _MARK, _UPLOAD)
    return endpoint


def limit_body(max_bytes: int, make_error: Callable[[], Usage] | None = None) -> Callable[[E], E]:
    """Mark an endpoint that takes a body of `max_bytes` bytes from who is logged in, in place of the setting's.

    `make_error` is what a larger one is told, where the body has a name of its own.
    """

    def mark(endpoint: E) -> E:
        setattr(endpoint, _MARK, max_bytes)
        setattr(endpoint, _OVER, make_error)
        return endpoint

    return mark


def is_upload(endpoint: object) -> bool:
    """Whether the body of an endpoint's requests is an upload."""
    return getattr(endpoint, _MARK, None) == _UPLOAD


def body_timeout(received: int, first_seconds: float = FIRST_SECONDS) -> float:
    """How long a body may take of which so many bytes came."""
    return first_seconds + received / BYTES_A_SECOND


class BodyLimits:
    """Bounds the bodies of requests by size and by time."""

    first_seconds = FIRST_SECONDS

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """`max_bytes` are the bytes of a body after login."""
        self._app = app
        self._most = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self._most, self.first_seconds)
        await self._app(scope, body.receive, body.send)


class _Body:
    """The body of one request on its way to the application."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_bytes: int, first_seconds: float) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._most = max_bytes
        self._first_seconds = first_seconds
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        self._length = int(length) if length.isdecimal() else 0
        self._sends_unasked = headers.get("expect", "").lower() != "100-continue"
        self._came = 0
        self._began: float | None = None
        self._ended = False
        self._refused: Usage | None = None
        self._answered = False

    # -- what the application sees ---------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next piece. Usage `body_too_large`, `body_too_slow`; AccessDenied where who asks proves nothing."""
        if self._ended:
            return await self._receive()
        if self._refused is not None and not self._answered:
            raise self._refused
        if self._is_upload():
            return self._noted(await self._receive())
        if self._came == 0 and not self._answered:
            await self._check_size(self._length)
        try:
            async with asyncio.timeout_at(self._deadline()):
                message = self._noted(await self._receive())
        except TimeoutError:
            if self._ended:  # what came was taken while the answer began
                return await self._receive()
            if self._answered:
                return {"type": "http.disconnect"}
            raise self._refuse("deadline", _body_too_slow(self._came, self._first_seconds)) from None
        if not self._answered:  # else somebody waits for the client to go, and throws away what comes
            await self._check_size(self._came)
        return message

    async def send(self, message: Message) -> None:
        """As the application says; what is left of the body is the protocol's (`scandock.web.protocol`).

        The connection is closed where that can't be told from the next request: the client was not told to send it and
        may or may not do so (RFC 9110, 10.1.1), or it has stopped.
        """
        if message["type"] == "http.response.start":
            self._answered = True
            was_too_slow = isinstance(self._refused, BodyTooSlow)
            if not self._ended and (was_too_slow or not (self._sends_unasked or self._came)):
                MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)

    # -- its parts -------------------------------------------------------------------------------------------------

    def _server(self) -> ServerState:
        server: ServerState = self._scope["app"].state.server
        return server

    def _mark(self) -> int | None:
        mark: int | None = getattr(self._scope.get("endpoint"), _MARK, None)
        return mark

    def _is_upload(self) -> bool:
        return is_upload(self._scope.get("endpoint"))

    def _noted(self, message: Message) -> Message:
        self._came += len(message.get("body", b""))
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    def _deadline(self) -> float:
        """When the body has to have ended, by the clock of the loop."""
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
        return self._began + body_timeout(self._came, self._first_seconds)

    async def _check_size(self, size: int) -> None:
        """Refuse a body that has, or says that it will have, more bytes than the one who asks may send."""
        anonymous_bytes = min(ANONYMOUS_BYTES, self._most)
        if size <= anonymous_bytes:
            return
        mark = self._mark()
        max_bytes = self._most if mark is None else mark
        principal = await identify(Request(self._scope))
        if not principal.signed_in:
            raise self._refuse(
                "size", _body_too_large(anonymous_bytes, "without a login", "Log in, or send less at once.")
            )
        if size > max_bytes:
            make_error: Callable[[], Usage] | None = getattr(self._scope.get("endpoint"), _OVER, None)
            raise self._refuse(
                "size", make_error() if make_error else _body_too_large(max_bytes, "here", "Send less at once.")
            )

    def _refuse(self, limit_kind: str, error: Usage) -> Usage:
        self._refused = error
        self._server().metrics.bodies_refused.labels(limit_kind).inc()
        return error


def _has_body(scope: Scope) -> bool:
    """Whether a body comes at all (RFC 9112, 6.3)."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )


def _body_too_large(max_bytes: int, where: str, remedy: str) -> Usage:
    return BodyTooLarge(f"The body has more than {max_bytes:,} bytes, the most that is taken {where}.", remedy)


def _body_too_slow(received: int, seconds: float) -> Usage:
    return BodyTooSlow(received, seconds, BYTES_A_SECOND)
