"""The archive as the body of the request."""

from __future__ import annotations

from contextlib import aclosing
from email.message import Message
from typing import Final

from fastapi import Request

from scandock.access.principal import Principal
from scandock.services import upload_errors
from scandock.services.logs import bind_upload
from scandock.services.receiving import UploadOffer
from scandock.web.deps import ServerState
from scandock.web.receiving.repeated import Repeated
from scandock.web.receiving.stream import whole_body
from scandock.web.receiving.upload_fields import FieldWords, offer_of
from scandock.web.receiving.whole_bodies import Keeping

PLAIN: Final = FieldWords()


def length_of(request: Request) -> int | None:
    """The body's bytes as the client states them; None where it sends chunks."""
    stated = request.headers.get("content-length", "")
    return int(stated) if stated.isdigit() else None


def _filename(request: Request) -> str:
    """The name in a Content-Disposition header, where there is one."""
    stated = request.headers.get("content-disposition")
    if not stated:
        return ""
    message = Message()
    message["Content-Disposition"] = stated
    return message.get_filename("") or ""


async def receive_raw(site: ServerState, request: Request, principal: Principal, speech: FieldWords = PLAIN) -> str:
    """Receive an archive; its id, once its bytes are kept."""
    said = speech.named(request.query_params.multi_items(), "query")
    said.setdefault("filename", _filename(request))
    size = length_of(request)

    key = request.headers.get("idempotency-key")

    def ask(who: Principal) -> UploadOffer:
        fields, own = speech.meant(said)
        with site.catalog.read() as connection:
            return offer_of(connection, who, fields, own, door="raw", size=size, key=key)

    incoming_upload = await site.run(lambda: site.receiving.begin(ask(principal)))
    bind_upload(incoming_upload.uuid)
    if incoming_upload.known:
        repeated = Repeated(site, incoming_upload)
        await _receive(site, request, repeated, size)
        await repeated.end(await site.read(ask, principal))
        return incoming_upload.uuid
    async with Keeping(site, request, principal, incoming_upload, keyed=bool(key)) as keeping:
        await _receive(site, request, keeping, size)
        await keeping.accept(ask)
    return incoming_upload.uuid


async def _receive(site: ServerState, request: Request, to: Keeping | Repeated, size: int | None) -> None:
    async with aclosing(whole_body(site, request)) as body:
        async for data in body:
            await to.feed(data)
    if size is not None and to.spooling.received != size:
        raise upload_errors.UploadCut
