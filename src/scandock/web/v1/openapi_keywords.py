"""What routes say of conditions and addresses, for FastAPI to describe: keywords of their decorators."""

from __future__ import annotations

from typing import Any, Final

from scandock.web.description.schemas import OpenApiObject, Responses

RouteOptions = dict[str, Any]
"""Keywords of a decorator of FastAPI's, each of a type of its own."""

_ETAG: Final = {"ETag": {"description": "Changes with what is shown", "schema": {"type": "string"}}}
_LOCATION: Final = {"Location": {"description": "Where it stands", "schema": {"type": "string"}}}
_IMPORTED: Final = {"Location": {"description": "The import that does it", "schema": {"type": "string"}}}
_KNOWN: Final = {"description": "You have it already", "headers": _ETAG}


def _header(name: str) -> OpenApiObject:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def etag_keywords(responses: Responses | None = None, *, reads: bool = True, matches: bool = False) -> RouteOptions:
    """Of a route whose answer has an ETag: one that `reads` answers 304 to who has it already (If-None-Match).

    `matches`: it heeds If-Match too. `responses`: what else it answers.
    """
    all_responses = {**(responses or {})}
    all_responses[200] = {**all_responses.get(200, {}), "headers": _ETAG}
    if reads:
        all_responses[304] = _KNOWN
    return {"responses": all_responses, **condition_keywords(reads=reads, matches=matches)}


def condition_keywords(*, reads: bool = False, matches: bool = False) -> RouteOptions:
    """Of a route that heeds the headers of conditions."""
    names = [name for name, is_heeded in (("If-None-Match", reads), ("If-Match", matches)) if is_heeded]
    return {"openapi_extra": {"parameters": [_header(name) for name in names]}}


def location_keywords(status: int = 201) -> RouteOptions:
    """Of a route that says where the thing stands that it made."""
    return {"status_code": status, "responses": {status: {"headers": _LOCATION}}}


def import_keywords() -> RouteOptions:
    """Of a route whose change an import may have to make: 202 then."""
    return {"responses": {202: {"description": "An import does it", "headers": _IMPORTED}}}
