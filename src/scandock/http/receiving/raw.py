"""The archive as the body of the request."""

from __future__ import annotations

from contextlib import aclosing
from email.message import Message

from fastapi import Request

from scandock.access.principal import Principal
from scandock.http.deps import Site
from scandock.http.receiving.kept import Keeping
from scandock.http.receiving.stream import pieces
from scandock.http.receiving.wanted import check_names, offer_of
from scandock.model.errors import Usage
from scandock.services.receiving import Arriving


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


async def receive_raw(site: Site, request: Request, principal: Principal) -> str:
    """Receive an archive; its id, once its bytes are kept."""
    fields = dict(request.query_params)
    check_names(list(fields))
    fields.setdefault("filename", _filename(request))
    size = length_of(request)

    def begin() -> Arriving:
        with site.catalog.read() as connection:
            offer = offer_of(
                connection,
                principal,
                fields,
                door="raw",
                size=size,
                key=request.headers.get("idempotency-key"),
            )
        return site.receiving.begin(offer)

    arriving = await site.run(begin)
    request.state.upload = arriving.uuid
    if arriving.known:
        return arriving.uuid
    async with (
        Keeping(site, request, principal, arriving) as keeping,
        aclosing(pieces(request, site.receiving.limits.idle_seconds)) as body,
    ):
        async for data in body:
            await keeping.feed(data)
        if size is not None and keeping.spooling.received != size:
            raise Usage("upload_cut", "The upload ended before its stated length.", "Send it again.")
        await keeping.accept()
    return arriving.uuid
