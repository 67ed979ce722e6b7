"""Bodies of the dialect that are a form or a file, and say by their first bytes alone which of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from scandock.model.request_errors import RequestInvalid
from scandock.services import upload_errors
from scandock.web.deps import ServerState
from scandock.web.receiving.limits import MAX_FIELDS, too_many_fields
from scandock.web.receiving.multipart import FormReader, parse_boundary
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_fields import FieldDialect
from scandock.web.xnat.import_parameters import read_values

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
MAX_FORM: Final = 256 * 1024
"""Bytes of a form without a file; what is longer is none."""
_FIELDS_BYTES: Final = 65_536
"""Bytes of a form that says fields of a thing."""
_FORM_BYTES: Final = frozenset(range(0x21, 0x7F))


def read_media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """The names and values of an urlencoded form. Usage `request_invalid` for too many."""
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise too_many_fields() from None


async def read_form(request: Request) -> list[tuple[str, str]]:
    """What a form in the body says; nothing where there is none."""
    if read_media_type(request) == URLENCODED:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _FIELDS_BYTES:
                raise RequestInvalid(
                    f"The form has more than {_FIELDS_BYTES:,} bytes.",
                    "Say less at once, or send a document.",
                )
        return parse_form(body)
    return []


def has_body(request: Request) -> bool:
    """Whether a body comes at all (RFC 9112, 6.3)."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def read_form_or_file(request: Request, idle: float) -> tuple[dict[str, str] | None, Request]:
    """The names of an urlencoded form; or None, and the request as it was, where it is a file after all.

    curl says `application/x-www-form-urlencoded` of every `--data-binary` that is not told what it sends. Raises
    ClientDisconnect, and FormStalled after `idle` seconds without a byte.
    """
    messages: list[Message] = []
    body = b""
    while len(body) <= MAX_FORM:
        try:
            message = await asyncio.wait_for(request.receive(), idle)
        except TimeoutError:
            raise upload_errors.FormStalled(idle) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        messages.append(message)
        body += message.get("body", b"")
        ended = not message.get("more_body", False)
        if not ended and _can_be_form(body):
            continue
        if ended and _can_be_form(body):
            return read_values(parse_form(body), "form"), request
        break

    async def again() -> Message:
        return messages.pop(0) if messages else await request.receive()

    return None, Request(request.scope, again)


def _can_be_form(body: bytes) -> bool:
    """Whether bytes are names and values: printable ASCII, as a browser writes them."""
    return len(body) <= MAX_FORM and _FORM_BYTES.issuperset(body) and (not body or b"=" in body)


async def stream_file(server: ServerState, request: Request) -> AsyncGenerator[bytes, None]:
    """The bytes of the one file that a request brings, as its body or in a form; its fields are passed over.

    Usage for a form without a file, or with more than one.
    """
    async with aclosing(read_body(server, request)) as body:
        if read_media_type(request) != MULTIPART:
            async for data in body:
                yield data
            return
        reader, has_file = FormReader(parse_boundary(request), dialect=FieldDialect(parse=read_values)), False
        async for piece in body:
            for kind, value in reader.push(piece):
                has_file = has_file or kind == "archive"
                if kind == "bytes" and isinstance(value, bytes):
                    yield value
        if not reader.ended:
            raise upload_errors.FileFormCut
        if not has_file:
            raise upload_errors.FilePartMissing
