"""As much of the library httplib2 as the suite uses, which is no requirement of Scandock's tests."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Mapping
from urllib.parse import quote, urlsplit


class Response(dict[str, str]):
    """Headers by their names in lower case; `status` is among them, too."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        super().__init__({name.lower(): value for name, value in answer.getheaders()})
        self["status"] = str(answer.status)
        self.status = answer.status


class Http:
    """One request at a time, each on a connection of its own; no redirect is followed."""

    def __init__(self) -> None:
        self.follow_redirects = False
        self._headers: dict[str, str] = {}

    def add_credentials(self, name: str, password: str) -> None:
        words = base64.b64encode(f"{name}:{password}".encode()).decode()
        self._headers = {"authorization": f"Basic {words}"}

    def request(
        self, url: str, method: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Response, bytes]:
        parts = urlsplit(url)
        target = quote(parts.path, safe="/%:,") + (f"?{quote(parts.query, safe='%&=/*,+;')}" if parts.query else "")
        sent = {**self._headers, **{name.lower(): value for name, value in (headers or {}).items() if value}}
        connection = http.client.HTTPConnection(parts.netloc, timeout=120)
        try:
            connection.request(method, target, body.encode() if isinstance(body, str) else body, sent)
            answer = connection.getresponse()
            return Response(answer), answer.read()
        finally:
            connection.close()
