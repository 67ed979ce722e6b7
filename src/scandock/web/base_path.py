"""The path under which a reverse proxy shows the site, whether or not the proxy takes it off before it asks here."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class BasePath:
    """Gives every request the site's `root_path`, with which all addresses are made that it is answered.

    ASGI's `path` holds the `root_path`: it is put before those paths from which the proxy has taken it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = self._root
            path: str = scope["path"]
            if path == root:
                path = f"{root}/"
            elif not path.startswith(f"{root}/"):
                path = root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)
