"""`/data/services/import`: an archive in, the URIs of its sessions out (xnat-behaviour.md 1).

The bytes are kept as at every door, and the one pipeline takes them; the answer waits for its end. A client that is cut
off meanwhile loses nothing: the import goes on. Answers are text/plain or text/uri-list, `format=html` or not: clients
take HTML for an error (xnat-clients.md 1, rule 5).
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import unquote

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import AccessDenied, Principal
from scandock.model.verdicts import UNFINISHED
from scandock.rules.permissions import REQUIREMENTS, Action
from scandock.services import rights, upload_errors
from scandock.services.import_records import Import
from scandock.services.imports import read_import, read_import_request
from scandock.services.logs import bind_upload
from scandock.services.quotas import check_size
from scandock.services.receiving import UploadOffer
from scandock.web.bodies import receives_upload
from scandock.web.errors import ServerStopping
from scandock.web.receiving.multipart import receive_multipart
from scandock.web.receiving.raw import length_of, receive_raw
from scandock.web.receiving.upload_fields import offer_of
from scandock.web.request_context import RequestContext
from scandock.web.security import check_upload, info_of
from scandock.web.xnat import inbox
from scandock.web.xnat.bodies import MULTIPART, URLENCODED, form_or_file, has_body, media_type_of
from scandock.web.xnat.cache import IN_BODY
from scandock.web.xnat.import_parameters import Call, by_name, handler_of, listener_of, true
from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services import user_cache
from scandock.web.xnat.services.destinations import Named, by_labels
from scandock.web.xnat.services.outcomes import ended
from scandock.web.xnat.services.tracking import check_key, follow

routes = router()
LOOK_SECONDS: Final = (0.02, 0.5)
"""How soon the outcome is looked for, and how seldom in the end."""
_URI_LIST: Final = "text/uri-list"
_NO_FILE: Final = "Unable to identify upload format."
_MANY_FILES: Final = "Importer is limited to one uploaded resource at a time."
_SRC: Final = re.compile(r"(?:/data)?/user/cache/resources/(?P<resource>[^/]+)/files/(?P<name>.+)")


@routes.post("/data/services/import")
@routes.post("/data/services/import/{name:path}")
@receives_upload
async def import_archive(request: Request, work: Known, name: str = "") -> Response:
    """One archive: as the body, as the one file of a form, from the user's cache, or a folder of the server."""
    media_type = media_type_of(request)
    query = by_name(request.query_params.multi_items(), "query")
    if name:
        query.setdefault("filename", name)
    archives = work.context.principal.scope in REQUIREMENTS[Action.SESSION_ARCHIVE].scopes
    call = Call(query, media_type, lambda named: _labels(work, named), may_archive=archives)
    handler_of(query, media_type)
    check_key(listener_of(query))
    rights.check_scope(work.context.principal, Action.UPLOAD)
    check_size(length_of(request), work.site.receiving.limits.upload_bytes)
    if media_type == MULTIPART and true(query.get("inbody")):
        return said(406, IN_BODY)
    try:
        uuid = await _sent(request, work, call)
    except upload_errors.MultipartFiles:
        return said(400, _MANY_FILES)
    if uuid is None:
        return await _without_file(request, work, call)
    key = check_key(listener_of(call.said))
    if key:
        await work.site.run(follow, work.site.catalog, work.context.principal, key, uuid)
    return await answer(request, work, uuid)


async def _sent(request: Request, work: RequestContext, call: Call) -> str | None:
    """The upload of what the request brings; None where it brings no file, and `call` what its form says."""
    media_type, speech = media_type_of(request), call.speech()
    if not has_body(request):
        return None
    if media_type == MULTIPART:
        try:
            return await receive_multipart(work.site, request, work.context.principal, speech=speech)
        except upload_errors.MultipartNoFile:
            return None
    if media_type == URLENCODED:
        await work.site.read(_offer, work, work.context.principal, call)  # before the client is asked for a byte
        form, request = await form_or_file(request, work.site.receiving.limits.idle_seconds)
        if form is not None:
            call.form = form
            return None
    if call.query.get("src") or handler_of(call.query, media_type) == "inbox":
        return None
    return await receive_raw(work.site, request, work.context.principal, speech)


async def _without_file(request: Request, work: RequestContext, call: Call) -> Response:
    """A call that names what it wants imported."""
    if handler_of(call.said) == "inbox":
        return await inbox.ask(request, work, call)
    src = call.said.get("src", "").strip()
    if not src:
        return said(400, _NO_FILE)
    found = await _cached(work, src)
    if isinstance(found, Response):
        return found
    key = check_key(listener_of(call.said))
    offer = await work.site.read(_offer, work, work.context.principal, call, found.name)
    if key:
        await work.site.run(follow, work.site.catalog, work.context.principal, key, found.uuid)
    bind_upload(found.uuid)
    taken = await work.site.run(
        user_cache.take, work.site.receiving, found, offer, work.context.principal, info_of(request)
    )
    if not taken:
        return said(404, "Unknown src file. It was removed, or is being imported, meanwhile.")
    if key:
        return said(200, f"Submitted for {'archival' if offer.request.destination == 'archive' else 'prearchival'}")
    return await answer(request, work, found.uuid)


async def _cached(work: RequestContext, src: str) -> user_cache.Cached | Response:
    """The file of the cache that `src` names, written as it is or as in an address."""
    named = _SRC.fullmatch(src)
    if named is None:
        return said(400, "src uri is invalid.")
    account = work.context.principal.account_id
    assert account is not None
    as_is = (named["resource"], named["name"])
    for resource, name in dict.fromkeys((as_is, (unquote(as_is[0]), unquote(as_is[1])))):
        found = await work.read(lambda c, r=resource, n=name: user_cache.find_file(c, account, r, n))  # type: ignore[misc]
        if found is not None:
            return found
    taken = await work.read(lambda c: user_cache.taken_by(c, account, *as_is))
    more = f" The import {taken} has taken it: send it again for another." if taken is not None else ""
    return said(404, f"Unknown src file.{more}")


def _offer(work: RequestContext, principal: Principal, call: Call, name: str = "") -> UploadOffer:
    """What is asked for, once it is certain that they may. Raises Denied and Usage."""
    fields, own = call.meant({**call.said, "src": "", "filename": name or call.said.get("filename", "")})
    with work.site.catalog.read() as connection:
        return offer_of(connection, principal, fields, own, door="raw")


def _labels(work: RequestContext, named: Named) -> Named:
    with work.site.catalog.read() as connection:
        principal = work.context.principal
        if named.project and named.project.casefold() != "unassigned":
            check_upload(principal, connection, named.project)
        return by_labels(connection, principal, named)


async def answer(request: Request, work: RequestContext, uuid: str) -> Response:
    """What a client hears of an import once it has ended."""
    found = await _ended(request, work, uuid)
    asked = await work.site.read(read_import_request, work.site.catalog, work.context.principal, uuid)
    end = ended(found, asked)
    if not end.good:
        return said(end.status, end.text)
    if media_type_of(request).startswith("application/x-mirc"):
        return said(200, "OK")
    return uri_list(request, list(end.uris))


async def _ended(request: Request, work: RequestContext, uuid: str) -> Import:
    """The import of an id, once it has ended. Fault `server_stopping` where the server ends first; ClientDisconnect.

    Denied (401) where the login or token that it was asked for by ends first: the import goes on, and is told no more.
    """
    seconds = LOOK_SECONDS[0]
    while True:
        await work.still()
        try:
            found: Import = await work.site.read(read_import, work.site.catalog, work.context.principal, uuid)
        except AccessDenied:
            raise upload_errors.DeletedMeanwhile(uuid) from None
        if found.state not in UNFINISHED:
            return found
        if await request.is_disconnected():
            raise ClientDisconnect
        try:
            await asyncio.wait_for(work.site.stopping.wait(), seconds)
        except TimeoutError:
            seconds = min(LOOK_SECONDS[1], seconds * 1.5)
            continue
        raise ServerStopping(
            f"The server is being stopped; what was sent is kept, and the import {uuid} goes on when it is back.",
            "Look there for its sessions, and do not send it again.",
        )


def uri_list(request: Request, uris: list[str]) -> Response:
    """URIs as the original lists them; a single one without its CRLF for who accepts plain text alone (1.7)."""
    accept = request.headers.get("accept", "")
    if len(uris) == 1 and "text/plain" in accept and _URI_LIST not in accept and "*/*" not in accept:
        return PlainTextResponse(uris[0])
    return Response("".join(f"{uri}\r\n" for uri in uris), media_type=_URI_LIST)
