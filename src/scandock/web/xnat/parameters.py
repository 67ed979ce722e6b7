"""Parameters of a request, wherever clients put them: the query, a form, fields of a multipart body, or JSON
(xnat-clients.md 1, rule 12).
"""

from __future__ import annotations

import json
from typing import Final

from fastapi import Request
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException

from scandock.model.errors import Usage
from scandock.model.request_errors import RequestInvalid
from scandock.web.json_bodies import check_json_values
from scandock.web.receiving.limits import MAX_FIELDS, too_many_fields
from scandock.web.xnat.bodies import parse_form

MAX_BYTES: Final = 1_048_576
Parameters = ImmutableMultiDict[str, str]


async def read_parameters(request: Request) -> Parameters:
    """Every name with its values, those of the query first. Usage `request_invalid` for a body that can't be read.

    What a body holds goes nowhere but where its reader takes it: clients send passwords along (xnat-clients.md 5).
    """
    pairs = list(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pairs += await _read_multipart(request)
    elif kind == "application/x-www-form-urlencoded":
        pairs += parse_form(await _read_body(request))
    elif kind == "application/json":
        pairs += _parse_json(await _read_body(request))
    return ImmutableMultiDict(pairs)


async def _read_multipart(request: Request) -> list[tuple[str, str]]:
    try:
        async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=16_384) as form:
            return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    except HTTPException as error:  # Starlette's, of its MultiPartException
        raise (too_many_fields() if error.detail.startswith("Too many fields") else _body_invalid_error()) from None


def _parse_json(body: bytes) -> list[tuple[str, str]]:
    """The texts of a JSON object; nothing where there is no body."""
    if not body.strip():
        return []
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        raise _body_invalid_error() from None
    if not isinstance(members, dict):
        raise _body_invalid_error()
    check_json_values(members)
    return [(name, str(value)) for name, value in members.items() if isinstance(value, str | int | float)]


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _body_invalid_error()
    return bytes(body)


def _body_invalid_error() -> Usage:
    return RequestInvalid("The body can't be read as parameters.", "Send a form, or name them in the query.")
