"""Searches: what may be searched, and bundles of criteria, which pyxnat and xnatpy send (xnat-clients.md 3)."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

from fastapi import Request
from starlette.responses import Response

from scandock.access.principal import deny
from scandock.http.bodies import ANONYMOUS_BYTES, takes_body
from scandock.http.receiving.stream import whole_body
from scandock.http.xnat.answers import listing
from scandock.http.xnat.routing import Asking, router
from scandock.rules.permissions import Answer
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.search_bundle import MAX_BYTES, read_bundle
from scandock.services.xnat.searching import elements, fields, search
from scandock.services.xnat.xml_reading import off

routes = router()
MAX_OF_STRANGERS: Final = 64 * 1024
"""Bytes of a search by who is not signed in: they may read what is public, and not fill the memory."""


@routes.get("/data/search/elements")
async def searched(request: Request, work: Asking) -> Response:
    """The types that may be searched, sessions' where there are any."""
    return listing(request, await work.read(lambda c: elements(c, work.desk.principal)))


@routes.get("/data/search/elements/{kind}")
async def searched_by(request: Request, _work: Asking, kind: str) -> Response:
    """The fields of a type."""
    found = fields(kind)
    if found is None:
        deny(Answer.HIDDEN)
    return listing(request, found)


@routes.get("/data/search/saved")
async def saved(request: Request, _work: Asking) -> Response:
    """There are no stored searches."""
    return listing(request, Rows(["id", "brief_description", "description", "root_element_name"], []))


@routes.post("/data/search")
@takes_body(MAX_BYTES)
async def searching(request: Request, work: Asking) -> Response:
    """What a bundle finds. It changes nothing, so that it is asked like a listing."""
    body = await _body(request, work)
    bundle = await work.do(lambda: read_bundle(body))
    found = await work.read(lambda c: search(c, work.desk.principal, bundle))
    return listing(request, found, title=bundle.root)


async def _body(request: Request, work: Asking) -> bytes:
    body, most = bytearray(), MAX_BYTES if work.desk.principal.signed_in else MAX_OF_STRANGERS
    async with aclosing(whole_body(work.site, request)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most:
                raise off(f"The search has more than {most} bytes.", "Search in parts.")
    return bytes(body)
