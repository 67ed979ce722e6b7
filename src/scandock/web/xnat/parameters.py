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
from scandock.web.json_bodies import check_values
from scandock.web.receiving.limits import MAX_FIELDS, too_many_fields
from scandock.web.xnat.bodies import pairs_of

MOST_BYTES: Final = 1_048_576
Parameters = ImmutableMultiDict[str, str]


async def parameters(request: Request) -> Parameters:
    """Every name with its values, those of the query first. Usage `request_invalid` for a body that can't be read.

    What a body holds goes nowhere but where its reader takes it: clients send passwords along (xnat-clients.md 5).
    """
    pairs = list(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pairs += await _fields(request)
    elif kind == "application/x-www-form-urlencoded":
        pairs += pairs_of(await _body(request))
    elif kind == "application/json":
        pairs += _members(await _body(request))
    return ImmutableMultiDict(pairs)


async def _fields(request: Request) -> list[tuple[str, str]]:
    try:
        async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=16_384) as form:
            return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    except HTTPException as error:  # Starlette's, of its MultiPartException
        raise (too_many_fields() if error.detail.startswith("Too many fields") else _off()) from None


def _members(body: bytes) -> list[tuple[str, str]]:
    """The texts of a JSON object; nothing where there is no body."""
    if not body.strip():
        return []
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise _off() from None
    if not isinstance(found, dict):
        raise _off()
    check_values(found)
    return [(name, str(value)) for name, value in found.items() if isinstance(value, str | int | float)]


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _off()
    return bytes(body)


def _off() -> Usage:
    return RequestInvalid("The body can't be read as parameters.", "Send a form, or name them in the query.")
