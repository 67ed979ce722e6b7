"""Which methods an address takes: HEAD wherever GET is, and `Allow` in full where another one is asked for.

FastAPI makes neither by itself: a route of GET takes no HEAD, and a 405 names the methods of one route of the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scandock.web import urls

_NO_HEAD: Final = re.compile(r"/(events|download|export|login|callback)$")
"""What never ends or is made while it is sent, leaves its line in the trail, or takes a step of a login."""


_IS_HEAD: Final = "is_head"
"""In the scope's state: the request is a HEAD, whatever its method says meanwhile."""


class Methods:
    """The methods of each address of an application."""

    def __init__(self, routes: Iterable[Any]) -> None:
        self._known: list[tuple[re.Pattern[str], set[str]]] = []
        self._own_head: list[re.Pattern[str]] = []
        for entry in routes:
            included = getattr(entry, "original_router", None)
            for route in [entry] if included is None else included.routes:
                methods = set(route.methods or ())
                if "HEAD" in methods:
                    self._own_head.append(route.path_regex)
                elif "GET" in methods and not _NO_HEAD.search(route.path):
                    methods.add("HEAD")
                self._known.append((route.path_regex, methods))

    def allowed(self, scope: Scope) -> list[str]:
        """All that the address of a request takes."""
        path = _route_path(scope)
        return sorted({method for pattern, methods in self._known if pattern.match(path) for method in methods})

    def is_head_of_get(self, scope: Scope) -> bool:
        """Whether a request is a HEAD that no route answers by itself, but one of GET can."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return False
        path = _route_path(scope)
        return not any(pattern.match(path) for pattern in self._own_head) and "HEAD" in self.allowed(scope)


def is_head_request(scope: Scope) -> bool:
    """Whether a request that a route of GET answers is a HEAD."""
    return bool(scope.get("state", {}).get(_IS_HEAD))


def _route_path(scope: Scope) -> str:
    return urls.below_root(scope, scope["path"]) or urls.HOME


class HeadMethod:
    """Answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp, methods: Methods) -> None:
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._methods.is_head_of_get(scope):
            await self._app(scope, receive, send)
            return
        has_ended = False

        async def hear() -> Message:
            return {"type": "http.disconnect"} if has_ended else await receive()

        async def answer(message: Message) -> None:
            nonlocal has_ended
            scope["method"] = "HEAD"  # the server below goes by it, and sends no body
            if message["type"] == "http.response.start":
                await send(message)
            elif not has_ended:
                has_ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        scope["method"] = "GET"
        scope.setdefault("state", {})[_IS_HEAD] = True
        try:
            await self._app(scope, hear, answer)
        finally:
            scope["method"] = "HEAD"
