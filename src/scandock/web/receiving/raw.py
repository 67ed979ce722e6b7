"""The archive as the body of the request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.message import Message
from typing import Final

from fastapi import Request

from scandock.access.principal import Principal
from scandock.services import upload_errors
from scandock.services.logs import bind_upload
from scandock.services.receiving import UploadOffer
from scandock.web.deps import ServerState
from scandock.web.receiving.repeated_upload import RepeatedUpload
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_body import UploadBody
from scandock.web.receiving.upload_fields import FieldDialect, make_offer

API_FIELDS: Final = FieldDialect()


def content_length(request: Request) -> int | None:
    """The body's bytes as the client states them; None where it sends chunks."""
    header = request.headers.get("content-length", "")
    return int(header) if header.isdigit() else None


def _disposition_filename(request: Request) -> str:
    """The name in a Content-Disposition header, where there is one."""
    header = request.headers.get("content-disposition")
    if not header:
        return ""
    message = Message()
    message["Content-Disposition"] = header
    return message.get_filename("") or ""


async def receive_raw(
    server: ServerState,
    request: Request,
    principal: Principal,
    dialect: FieldDialect = API_FIELDS,
    pieces: AsyncGenerator[bytes, None] | None = None,
) -> str:
    """Receive an archive; its id, once its bytes are kept. `pieces`: its body, where that was begun to be read."""
    named_fields = dialect.parse(request.query_params.multi_items(), "query")
    named_fields.setdefault("filename", _disposition_filename(request))
    size = content_length(request)

    key = request.headers.get("idempotency-key")

    def ask(uploader: Principal) -> UploadOffer:
        fields, import_request = dialect.translate(named_fields)
        with server.catalog.read() as connection:
            return make_offer(connection, uploader, fields, import_request, door="raw", size=size, key=key)

    incoming_upload = await server.run(lambda: server.receiving.begin(ask(principal)))
    bind_upload(incoming_upload.uuid)
    if incoming_upload.known:
        repeated_upload = RepeatedUpload(server, incoming_upload)
        await _receive(pieces or read_body(server, request), repeated_upload, size)
        await repeated_upload.end(await server.read(ask, principal))
        return incoming_upload.uuid
    async with UploadBody(server, request, principal, incoming_upload, keyed=bool(key)) as upload_body:
        await _receive(pieces or read_body(server, request), upload_body, size)
        await upload_body.accept(ask)
    return incoming_upload.uuid


async def _receive(
    pieces: AsyncGenerator[bytes, None], receiver: UploadBody | RepeatedUpload, size: int | None
) -> None:
    async with aclosing(pieces) as body:
        async for data in body:
            await receiver.feed(data)
    if size is not None and receiver.spooling.received != size:
        raise upload_errors.UploadCut
