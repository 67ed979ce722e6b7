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

from scandock.access.principal import Denied
from scandock.model.errors import BadInput, CodedUsage, Fault, ScandockError, Usage
from scandock.rules.permissions import Answer
from scandock.services.logs import cause, log, where

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final = {
    "account_exists": 409,
    "answers_full": 503,
    "busy": 503,
    "account_unknown": 404,
    "identity_taken": 409,
    "last_admin": 409,
    "last_owner": 409,
    "mail_off": 409,
    "login_unknown": 404,
    "password_own": 409,
    "rules_kind": 404,
    "too_many_projects": 409,
    "too_many_searches": 409,
    "too_many_tokens": 409,
    "body_too_large": 413,
    "body_too_slow": 408,
    "changed_meanwhile": 412,
    "clocks_differ": 409,
    "file_damaged": 409,
    "file_exists": 409,
    "file_missing": 409,
    "file_unknown": 404,
    "held_undecided": 409,
    "label_taken": 409,
    "not_held": 409,
    "nothing_there": 404,
    "project_unassigned": 409,
    "range_unsatisfiable": 416,
    "scan_unknown": 404,
    "session_busy": 409,
    "session_exists": 409,
    "sop_clash": 409,
    "study_elsewhere": 409,
    "patient_mismatch": 409,
    "type_differs": 409,
    "trash_gone": 410,
    "disk_full": 507,
    "handler_unknown": 404,
    "inbox_changed": 409,
    "inbox_off": 403,
    "inbox_unknown": 404,
    "image_unknown": 404,
    "import_unknown": 404,
    "mapping_too_long": 413,
    "not_found": 404,
    "project_busy": 409,
    "project_deleting": 409,
    "has_own_files": 409,
    "project_exists": 409,
    "alias_taken": 409,
    "title_taken": 409,
    "search_taken": 409,
    "type_other": 409,
    "project_other": 409,
    "project_unknown": 404,
    "resource_unknown": 404,
    "too_many_connections": 429,
    "too_many_logins": 429,
    "token_unknown": 404,
}
"""Where a code's status is not that of its kind (400 for what is off, 503 for the machine's faults)."""

_ANSWERS: Final = {Answer.SIGN_IN: 401, Answer.FORBIDDEN: 403, Answer.HIDDEN: 404}
_TITLES: Final = {460: "Checksum Mismatch"}
RETRY_SECONDS: Final = 10
MAX_ERRORS: Final = 20
"""Errors of one request that are named."""
MAX_WORDS: Final = 200
"""Characters of a name in a request, or of what is off with it, that are said again."""


def request_id_of(scope: Scope) -> str:
    """The id of a request, as it was brought along or made."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    remedy: str = "",
    *,
    headers: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401  what a code has to say besides
) -> Response:
    """The answer of an error."""
    body = written(status, code, detail, remedy, request_id_of(request.scope), **more)
    return Response(body, status, headers, MEDIA_TYPE)


def written(status: int, code: str, detail: str, remedy: str, request_id: str, **more: Any) -> str:  # noqa: ANN401
    """Its body, JSON."""
    body = {
        "type": f"urn:scandock:problem:{code}",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy,
        "request_id": request_id,
        **more,
    }
    return json.dumps(body)


def status_of(error: ScandockError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Denied):
        return _ANSWERS[error.answer]
    if isinstance(error, CodedUsage):
        return error.STATUS
    if error.code in STATUS:
        return STATUS[error.code]
    if isinstance(error, BadInput | Usage):
        return 400
    return 503 if isinstance(error, Fault) else 400


def retry_after(error: ScandockError) -> dict[str, str]:
    """The header that says when to try again, where that helps."""
    again = hasattr(error, "retry_after") or status_of(error) in (429, 503)
    return {"Retry-After": str(getattr(error, "retry_after", RETRY_SECONDS))} if again else {}


def told(request: Request, error: ScandockError) -> Response:
    """The answer of one of the project's own errors."""
    status = status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED and request.headers.get("x-requested-with", "").lower() != "xmlhttprequest":
        headers["WWW-Authenticate"] = 'Basic realm="Scandock", charset="UTF-8"'
    headers.update(retry_after(error))
    if error.code == "tus_version":
        headers["Tus-Version"] = "1.0.0"
    note(error)
    return problem(request, status, error.code, error.message, error.remedy, headers=headers)


def note(error: ScandockError) -> None:
    """Log an error that is answered, where it is the machine's and not the client's.

    Space that was refused before anything was written is a plain answer of a door, however often somebody asks: a
    warning. Where the disk itself said that it is full, there is that error as its cause.
    """
    if error.code == "server_stopping":
        log().info("stopping", code=error.code)
    elif isinstance(error, Fault) and error.code == "disk_full" and error.__cause__ is None:
        log().warning("refused", code=error.code)
    elif isinstance(error, Fault):
        log().error("fault", code=error.code, cause=cause(error), where=where(error))


async def own_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScandockError)
    return told(request, error)


async def http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    codes = {404: "not_found", 405: "method_not_allowed"}
    detail = {
        404: "There is nothing of that name, or you may not know of it.",
        405: f"{request.method} is not possible here.",
    }.get(status, str(error.detail))
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(request.app.state.methods.of(request.scope))
    remedy = f"Possible are {headers['Allow']}." if headers.get("Allow") else "Check the address."
    return problem(request, status, codes.get(status, "request_invalid"), detail, remedy, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()[:MAX_ERRORS]
    errors = [
        {"where": ".".join(_short(str(part)) for part in one["loc"]), "what": _short(str(one["msg"]))} for one in found
    ]
    detail = _broken_json(error) or "; ".join(f"{one['where']}: {one['what']}" for one in errors[:5]) + "."
    return problem(request, 422, "request_invalid", detail, "See the description of the API.", errors=errors)


def _short(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _broken_json(error: RequestValidationError) -> str:
    """Where a body stops being JSON; empty where it is some."""
    for one in error.errors()[:1]:
        if one["type"] == "json_invalid":
            why = str(one.get("ctx", {}).get("error", "it can't be read")).rstrip(".")
            return f"The body is no JSON: {why}, at character {one['loc'][-1]}."
    return ""


def unexpected(request: Request, error: Exception) -> Response:
    """The answer where nobody foresaw the error; what it says stays in the log."""
    log().error("unexpected", error=type(error).__name__, where=where(error))
    return problem(
        request, 500, "internal", "A fault in the program ended the request.", "Report it with the request's id."
    )


def install(app: FastAPI) -> None:
    """Let every error that is foreseen be answered as a problem; `request_ids.Around` sees to the others."""
    app.add_exception_handler(ScandockError, own_problem)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)
