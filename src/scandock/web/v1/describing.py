"""What routes say of conditions and addresses, for FastAPI to describe: keywords of their decorators."""

from __future__ import annotations

from typing import Any, Final

from scandock.web.description.kinds import OpenApiObject, Responses

RouteOptions = dict[str, Any]
"""Keywords of a decorator of FastAPI's, each of a type of its own."""

_ETAG: Final = {"ETag": {"description": "Changes with what is shown", "schema": {"type": "string"}}}
_LOCATION: Final = {"Location": {"description": "Where it stands", "schema": {"type": "string"}}}
_KNOWN: Final = {"description": "You have it already", "headers": _ETAG}


def _header(name: str) -> OpenApiObject:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def tagged(responses: Responses | None = None, *, reads: bool = True, matches: bool = False) -> RouteOptions:
    """Of a route whose answer has an ETag: one that `reads` answers 304 to who has it already (If-None-Match).

    `matches`: it heeds If-Match too. `responses`: what else it answers.
    """
    every = {**(responses or {})}
    every[200] = {**every.get(200, {}), "headers": _ETAG}
    if reads:
        every[304] = _KNOWN
    return {"responses": every, **conditions(reads=reads, matches=matches)}


def conditions(*, reads: bool = False, matches: bool = False) -> RouteOptions:
    """Of a route that heeds the headers of conditions."""
    names = [name for name, heeded in (("If-None-Match", reads), ("If-Match", matches)) if heeded]
    return {"openapi_extra": {"parameters": [_header(name) for name in names]}}


def located(status: int = 201) -> RouteOptions:
    """Of a route that says where the thing stands that it made."""
    return {"status_code": status, "responses": {status: {"headers": _LOCATION}}}
