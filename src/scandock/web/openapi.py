"""The API's description (OpenAPI 3.1), completed with what FastAPI can't know: every error is a problem (RFC 9457)."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from scandock.web import urls
from scandock.web.description import changes, pictures
from scandock.web.description.access import SCHEMES, security_of
from scandock.web.description.responses import ANSWERS
from scandock.web.description.schemas import OpenApiObject, Responses
from scandock.web.description.uploads import BODIES, SENT, TOLD
from scandock.web.problems import MEDIA_TYPE

PROBLEM: Final[OpenApiObject] = {
    "title": "Problem",
    "description": "An error: `code` is stable, `detail` and `remedy` are for people.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "remedy", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "remedy": {"type": "string"},
        "request_id": {"type": "string"},
    },
}
_REF: Final = {"$ref": "#/components/schemas/Problem"}
_ANSWER: Final = {"description": "What was wrong, and a remedy", "content": {MEDIA_TYPE: {"schema": _REF}}}
_LINK: Final = {
    "Link": {"description": "The next page's address, rel=next, where there is one", "schema": {"type": "string"}}
}
_UNLINKED: Final = frozenset({urls.API_IMPORTS, urls.API_ACCOUNTS})
_SCHEMAS: Final = {**pictures.SCHEMAS, **changes.SCHEMAS}
_OTHERS: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI says of requests that are not well formed, and this server does not answer."""


def binary_response(*media_types: str) -> Responses:
    """What a route that answers with a body of these types says of it."""
    return {
        200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}}
    }


def install(app: FastAPI) -> None:
    """Let the application describe itself so."""
    generated = app.openapi

    def described() -> OpenApiObject:
        if app.openapi_schema is not None:
            return app.openapi_schema
        schema = generated()
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _complete_operation(method.upper(), path, operation)
        components = schema.setdefault("components", {})
        components["securitySchemes"] = SCHEMES
        schemas = components.setdefault("schemas", {})
        for name in _OTHERS:
            schemas.pop(name, None)
        schemas |= {"Problem": PROBLEM, **_SCHEMAS}
        return schema

    app.openapi = described  # type: ignore[method-assign]


def _complete_operation(method: str, path: str, operation: OpenApiObject) -> None:
    """Say of an operation what it answers, what it reads for itself, and who may ask."""
    route_key = (method, path)
    answers = operation["responses"]
    answers.pop("422", None)
    success = answers[next(status for status in answers if status[:1] in "23")]
    if route_key in ANSWERS:
        success["content"] = {"application/json": {"schema": ANSWERS[route_key]}}
    headers = {
        **success.get("headers", {}),
        **(_LINK if _has_pages(route_key, operation) else {}),
        **TOLD.get(route_key, {}),
    }
    if headers:
        success["headers"] = headers
    if route_key in SENT:
        operation["parameters"] = [*operation.get("parameters", ()), *SENT[route_key]]
    if route_key in BODIES:
        operation["requestBody"] = BODIES[route_key]
    operation["security"] = security_of(method, path)
    answers["default"] = _ANSWER


def _has_pages(route_key: tuple[str, str], operation: OpenApiObject) -> bool:
    """Whether an operation lists by pages, and says in Link where the next one is."""
    takes_cursor = any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ()))
    return route_key[0] == "GET" and takes_cursor and route_key[1] not in _UNLINKED
