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


class ParameterLimit:
    """Takes a query of too many parameters away, for `check_parameter_count` to tell: reading it holds up others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"].count(b"&") >= MAX_PARAMETERS:
            scope["query_string"] = b""
            scope.setdefault("state", {})[_OVER] = True
        await self._app(scope, receive, send)


def check_parameter_count(request: Request) -> None:
    """Before every route: so many names in the query and no more. Raises Usage `request_invalid`."""
    if getattr(request.state, _OVER, False):
        message = f"The query has more than {MAX_PARAMETERS:,} parameters."
        raise count_exceeded(RequestLimit.PARAMETERS, RequestInvalid(message, "Ask for less at once."))


def check_no_nul(request: Request) -> None:
    """Before every route: neither its address nor its query asks for a name with a NUL.

    No text of the catalog has one: SQLite would compare it, and PostgreSQL refuse it. What changes something says by
    itself which of its values it refuses. Raises Usage `request_invalid`.
    """
    if request.method not in ("GET", "HEAD"):
        return
    query = request.scope["query_string"]
    if b"%00" in query or b"\0" in query or any("\0" in str(value) for value in request.path_params.values()):
        raise RequestInvalid("A name has a NUL character, which no name has.", "Leave it out.")


async def check_parameter_names(request: Request) -> None:
    """A dependency: every name of the query is one that the route takes, and once where it takes one value.

    Routes that describe their query by hand read it by themselves. Raises Usage `request_invalid`.
    """
    query = request.query_params
    if not query:
        return
    route: Any = request.scope["route"]
    if any(parameter["in"] == "query" for parameter in (route.openapi_extra or {}).get("parameters", ())):
        return
    known_names = dict(_parameter_names(route.dependant))
    for name in query:
        if name not in known_names:
            close_matches = get_close_matches(name, known_names, 1)
            remedy = (
                f"Do you mean {close_matches[0]}?"
                if close_matches
                else f"Known are {', '.join(known_names)}."
                if known_names
                else "Leave it out."
            )
            raise RequestInvalid(f"The query names {name[:40]!r}, which means nothing here.", remedy)
        if not known_names[name] and len(query.getlist(name)) > 1:
            raise RequestInvalid(f"The query names {name} more than once.", "Name it once.")


def _parameter_names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The names that a route takes, and whether several times."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        yield (
            field.alias,
            any(annotation is list or get_origin(annotation) is list for annotation in (kind, *get_args(kind))),
        )
    for dependency in dependant.dependencies:
        yield from _parameter_names(dependency)
