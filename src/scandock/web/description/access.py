"""How one says who one is, as the description has it."""

from __future__ import annotations

from typing import Final

from scandock.web.description.responses import OPEN
from scandock.web.description.schemas import OpenApiObject

SCHEMES: Final[OpenApiObject] = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Name and password, or a token's alias and secret",
    },
    "token": {"type": "http", "scheme": "bearer", "description": "A token as `POST /api/v1/tokens` tells it"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "scandock_session",
        "description": "A login by `POST /api/v1/auth/login`; each change needs X-CSRF-Token too",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "Beside the cookie alone: `csrf` of the login's answer, or of `GET /api/v1/auth/me`",
    },
}
_STORED: Final = ("projects", "subjects", "sessions", "scans", "resources", "files", "tree")
"""What anybody reads where a project is public."""


def security_of(method: str, path: str) -> list[dict[str, list[str]]]:
    """What serves an operation, any of the list."""
    if (method, path) in OPEN:
        return []
    reads = method in ("GET", "HEAD", "OPTIONS")
    ways: list[dict[str, list[str]]] = [
        {"basic": []},
        {"token": []},
        {"cookie": []} if reads else {"cookie": [], "csrf": []},
    ]
    if reads and path.split("/")[3:4] and path.split("/")[3] in _STORED:
        ways.append({})
    return ways
