"""The API's description (OpenAPI 3.1), completed with what FastAPI can't know: every error is a problem (RFC 9457)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from scandock.http.problems import MEDIA_TYPE

PROBLEM: Final[dict[str, Any]] = {
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
_OTHERS: Final = ("HTTPValidationError", "ValidationError")
"""What FastAPI says of requests that are not well formed, and this server does not answer."""


def binary(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What a route that answers with a body of these types says of it."""
    return {200: {"content": {one: {"schema": {"type": "string", "format": "binary"}} for one in media_types}}}


def install(app: FastAPI) -> None:
    """Let the application describe itself so."""
    generated = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        schema = generated()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = _ANSWER
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for name in _OTHERS:
            schemas.pop(name, None)
        schemas["Problem"] = PROBLEM
        return schema

    app.openapi = described  # type: ignore[method-assign]
