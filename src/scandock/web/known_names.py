"""Names in the query: so many and no more, and none that means nothing, which would list, or change, something else."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from starlette.types import ASGIApp, Receive, Scope, Send

from scandock.model import request_limits
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.model.request_errors import RequestInvalid

MAX_PARAMETERS: Final = request_limits.QUERY_PARAMETERS
_OVER: Final = "too_many_parameters"


class FewParameters:
    """Takes a query of too many parameters away, for `few_parameters` to tell: to read it alone holds up the others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"].count(b"&") >= MAX_PARAMETERS:
            scope["query_string"] = b""
            scope.setdefault("state", {})[_OVER] = True
        await self._app(scope, receive, send)


async def few_parameters(request: Request) -> None:
    """A dependency of every route: so many names in the query and no more. Raises Usage `request_invalid`."""
    if getattr(request.state, _OVER, False):
        many = f"The query has more than {MAX_PARAMETERS:,} parameters."
        raise count_exceeded(RequestLimit.PARAMETERS, RequestInvalid(many, "Ask for less at once."))


async def no_nul(request: Request) -> None:
    """A dependency of every route: neither its address nor its query asks for a name with a NUL.

    No text of the catalog has one: SQLite would compare it, and PostgreSQL refuse it. What changes something says by
    itself which of its values it refuses. Raises Usage `request_invalid`.
    """
    if request.method not in ("GET", "HEAD"):
        return
    query = request.scope["query_string"]
    if b"%00" in query or b"\0" in query or any("\0" in str(one) for one in request.path_params.values()):
        raise RequestInvalid("A name has a NUL character, which no name has.", "Leave it out.")


def only_known_names(request: Request) -> None:
    """A dependency: every name of the query is one that the route takes, and once where it takes one value.

    Routes that describe their query by hand read it by themselves. Raises Usage `request_invalid`.
    """
    asked = request.query_params
    if not asked:
        return
    route: Any = request.scope["route"]
    if any(one["in"] == "query" for one in (route.openapi_extra or {}).get("parameters", ())):
        return
    takes = dict(_names(route.dependant))
    for name in asked:
        if name not in takes:
            near = get_close_matches(name, takes, 1)
            remedy = (
                f"Do you mean {near[0]}?" if near else f"Known are {', '.join(takes)}." if takes else "Leave it out."
            )
            raise RequestInvalid(f"The query names {name[:40]!r}, which means nothing here.", remedy)
        if not takes[name] and len(asked.getlist(name)) > 1:
            raise RequestInvalid(f"The query names {name} more than once.", "Name it once.")


def _names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The names that a route takes, and whether several times."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        yield field.alias, any(one is list or get_origin(one) is list for one in (kind, *get_args(kind)))
    for below in dependant.dependencies:
        yield from _names(below)
