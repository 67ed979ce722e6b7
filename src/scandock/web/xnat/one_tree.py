"""`/REST/X`, `/data/archive/X` and `/data/X` are one tree (xnat-clients.md 1, rule 1): each address has one route."""

from __future__ import annotations

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIXES: Final = ("/data", "/xapi", "/REST")
_REST: Final = re.compile(r"^/REST(?=/|$)")
_ARCHIVE: Final = re.compile(r"^/data/archive(?=/(projects|subjects|experiments|search|scanners|scan_types)(/|$))")


def is_xnat(path: str) -> bool:
    """Whether an address is of the dialect."""
    return path.startswith(tuple(f"{prefix}/" for prefix in PREFIXES)) or path in PREFIXES


def canonical(path: str) -> str:
    """An address of the dialect as the routes have it; any other as it is."""
    if not is_xnat(path):
        return path
    path = _ARCHIVE.sub("/data", _REST.sub("/data", path))
    return path.rstrip("/")


class OneTree:
    """Asks for each address by the name that it has among the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            path: str = scope["path"]
            asked = path.removeprefix(root)
            known = canonical(asked)
            if known != asked:
                scope["path"] = root + known
        await self._app(scope, receive, send)
