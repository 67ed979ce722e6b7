"""Errors as problem details (RFC 9457): every one has a stable code, a sentence, a remedy and the request's id."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from scandock.model.errors import Fault, ScandockError
from scandock.model.machine_errors import InternalFault
from scandock.model.request_errors import FieldsInvalid, RequestInvalid
from scandock.services.file_errors import RangeUnsatisfiable
from scandock.services.logs import error_cause, error_location, log
from scandock.services.stow_errors import ContentCodingUnsupported
from scandock.web.errors import MethodNotAllowed, NotFound, ServerStopping

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {460: "Checksum Mismatch"}
RETRY_SECONDS: Final = 10
MAX_ERRORS: Final = 20
"""Errors of one request that are named."""
MAX_WORDS: Final = 200
"""Characters of a name in a request, or of what is off with it, that are said again."""


def request_id_of(scope: Scope) -> str:
    """The id of a request, as it was brought along or made."""
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id


def problem_response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    remedy: str = "",
    *,
    headers: dict[str, str] | None = None,
    **members: Any,  # noqa: ANN401  what a code has to say besides
) -> Response:
    """The answer of an error."""
    body = problem_json(status, code, detail, remedy, request_id_of(request.scope), **members)
    return Response(body, status, headers, MEDIA_TYPE)


def problem_json(status: int, code: str, detail: str, remedy: str, request_id: str, **members: Any) -> str:  # noqa: ANN401
    """Its body, JSON."""
    body = {
        "type": f"urn:scandock:problem:{code}",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy,
        "request_id": request_id,
        **members,
    }
    return json.dumps(body)


def retry_after(error: ScandockError) -> dict[str, str]:
    """The header that says when to try again, where that helps."""
    is_worth_retrying = hasattr(error, "retry_after") or error.STATUS in (429, 503)
    return {"Retry-After": str(getattr(error, "retry_after", RETRY_SECONDS))} if is_worth_retrying else {}


def error_response(request: Request, error: ScandockError) -> Response:
    """The answer of one of the project's own errors."""
    status = error.STATUS
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED and request.headers.get("x-requested-with", "").lower() != "xmlhttprequest":
        headers["WWW-Authenticate"] = 'Basic realm="Scandock", charset="UTF-8"'
    headers.update(retry_after(error))
    if isinstance(error, ContentCodingUnsupported):
        headers["Accept-Encoding"] = error.accept_encoding  # RFC 9110 15.5.16
    if error.code == "tus_version":
        headers["Tus-Version"] = "1.0.0"
    if isinstance(error, RangeUnsatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    log_error(error)
    return problem_response(request, status, error.code, *error.public, headers=headers)


def log_error(error: ScandockError) -> None:
    """Log an error that is answered, where it is the machine's and not the client's.

    Space that was refused before anything was written is a plain answer of a door, however often somebody asks: a
    warning. Where the disk itself said that it is full, there is that error as its cause.
    """
    if isinstance(error, ServerStopping):
        log().info("stopping", code=error.code)
    elif isinstance(error, Fault) and error.code == "disk_full" and error.__cause__ is None:
        log().warning("refused", code=error.code)
    elif isinstance(error, Fault):
        log().error("fault", code=error.code, cause=error_cause(error), where=error_location(error))


async def handle_scandock_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScandockError)
    return error_response(request, error)


async def handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    codes = {error_class.STATUS: error_class.CODE for error_class in (NotFound, MethodNotAllowed)}
    detail = {
        404: "There is nothing of that name, or you may not know of it.",
        405: f"{request.method} is not possible here.",
    }.get(status, str(error.detail))
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(request.app.state.methods.allowed(request.scope))
    remedy = f"Possible are {headers['Allow']}." if headers.get("Allow") else "Check the address."
    return problem_response(request, status, codes.get(status, RequestInvalid.CODE), detail, remedy, headers=headers)


async def _handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    raw_errors = error.errors()[:MAX_ERRORS]
    errors = [
        {"where": ".".join(_shorten(str(part)) for part in each_error["loc"]), "what": _shorten(str(each_error["msg"]))}
        for each_error in raw_errors
    ]
    detail = (
        _json_error_detail(error)
        or "; ".join(f"{each_error['where']}: {each_error['what']}" for each_error in errors[:5]) + "."
    )
    return problem_response(
        request, FieldsInvalid.STATUS, FieldsInvalid.CODE, detail, "See the description of the API.", errors=errors
    )


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _json_error_detail(error: RequestValidationError) -> str:
    """Where a body stops being JSON; empty where it is some."""
    for each_error in error.errors()[:1]:
        if each_error["type"] == "json_invalid":
            reason = str(each_error.get("ctx", {}).get("error", "it can't be read")).rstrip(".")
            return f"The body is no JSON: {reason}, at character {each_error['loc'][-1]}."
    return ""


def internal_error_response(request: Request, error: Exception) -> Response:
    """The answer where nobody foresaw the error; what it says stays in the log."""
    log().error("unexpected", error=type(error).__name__, where=error_location(error))
    return problem_response(
        request,
        500,
        InternalFault.CODE,
        "A fault in the program ended the request.",
        "Report it with the request's id.",
    )


def install(app: FastAPI) -> None:
    """Let every error that is foreseen be answered as a problem; `request_ids.RequestMiddleware` sees to the others."""
    app.add_exception_handler(ScandockError, handle_scandock_error)
    app.add_exception_handler(HTTPException, handle_http_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
