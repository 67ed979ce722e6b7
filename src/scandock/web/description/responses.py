"""Which route answers with what, when all is well: by method and path, as the route table has them."""

from __future__ import annotations

from typing import Final

from scandock.web import urls
from scandock.web.description.schemas import Schema, items, ref

_V1: Final = urls.API
_SCAN: Final = f"{_V1}/sessions/{{session}}/scans/{{scan}}"
_FILE: Final = f"{_V1}/sessions/{{session}}/files/{{file}}"
_WAITING: Final = f"{_V1}/prearchive/{{session}}"


ANSWERS: Final[dict[tuple[str, str], Schema]] = {
    ("PATCH", f"{_V1}/sessions/{{session}}"): ref("Outcome"),
    ("DELETE", f"{_V1}/sessions/{{session}}"): ref("Outcome"),
    ("POST", f"{_V1}/sessions/{{session}}/rebuild"): ref("Outcome"),
    ("GET", f"{_SCAN}/stack"): ref("Stack"),
    ("GET", f"{_FILE}/header"): ref("Header"),
    ("DELETE", _WAITING): ref("Outcome"),
    **{("POST", f"{_WAITING}/{verb}"): ref("Outcome") for verb in ("move", "archive", "rebuild", "resolve")},
    **{
        ("POST", f"{_V1}/prearchive/{verb}"): items(ref("Outcome"))
        for verb in ("move", "archive", "rebuild", "resolve", "delete")
    },
    ("POST", f"{_V1}/trash/{{session}}/restore"): ref("Outcome"),
}
"""Those that answer with JSON; each is the answer of the route's own status."""

OPEN: Final = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("POST", f"{_V1}/auth/login"),
        ("GET", f"{_V1}/auth/oidc/login"),
        ("GET", f"{_V1}/auth/oidc/callback"),
        ("OPTIONS", f"{_V1}/uploads"),
    }
)
"""Those that ask nobody who they are."""
