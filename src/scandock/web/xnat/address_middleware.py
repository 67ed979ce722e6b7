"""`/REST/X`, `/data/archive/X` and `/data/X` are one tree (xnat-clients.md 1, rule 1): each address has one route."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scandock.web import urls


class CanonicalAddresses:
    """Asks for each address by the name that it has among the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            path: str = scope["path"]
            requested = path.removeprefix(root)
            canonical = urls.canonical(requested)
            if canonical != requested:
                scope["path"] = root + canonical
        await self._app(scope, receive, send)
