"""`/data/services/import`: an archive in, the URIs of its sessions out (xnat-behaviour.md 1).

The bytes are kept as at every door, and the one pipeline takes them; the answer waits for its end. A client that is cut
off meanwhile loses nothing: the import goes on. Answers are text/plain or text/uri-list, `format=html` or not: clients
take HTML for an error (xnat-clients.md 1, rule 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Final
from urllib.parse import unquote

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import Principal
from scandock.rules.permissions import REQUIREMENTS, Action
from scandock.services import rights, upload_errors
from scandock.services.imports import read_import_request
from scandock.services.logs import bind_upload
from scandock.services.quotas import check_size
from scandock.services.receiving import UploadOffer
from scandock.web.bodies import receives_upload
from scandock.web.import_waiting import wait_for_import
from scandock.web.receiving.gradual import (
    OBJECTS_NAME,
    GradualBody,
    KeptObject,
    find_form_file,
    one_piece,
    read_object_form,
)
from scandock.web.receiving.multipart import parse_boundary, receive_multipart
from scandock.web.receiving.raw import content_length, receive_raw
from scandock.web.receiving.stream import read_body
from scandock.web.receiving.upload_fields import make_offer
from scandock.web.request_context import RequestContext
from scandock.web.security import check_upload, request_info
from scandock.web.xnat import inbox
from scandock.web.xnat.bodies import MULTIPART, URLENCODED, has_body, read_form_or_file, read_media_type
from scandock.web.xnat.cache import IN_BODY
from scandock.web.xnat.import_parameters import (
    ONE_OBJECT,
    ImportCall,
    is_true,
    read_handler,
    read_listener,
    read_values,
)
from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services import user_cache
from scandock.web.xnat.services.destinations import Destination, resolve_labels
from scandock.web.xnat.services.outcomes import make_outcome
from scandock.web.xnat.services.tracking import check_key, track_import

routes = make_router()
_URI_LIST: Final = "text/uri-list"
_NO_FILE: Final = "Unable to identify upload format."
_MANY_FILES: Final = "Importer is limited to one uploaded resource at a time."
_SRC: Final = re.compile(r"(?:/data)?/user/cache/resources/(?P<resource>[^/]+)/files/(?P<name>.+)")


@routes.post("/data/services/import")
@routes.post("/data/services/import/{name:path}")
@receives_upload
async def import_archive(request: Request, context: SignedInContext, name: str = "") -> Response:
    """One archive: as the body, as the one file of a form, from the user's cache, or a folder of the server."""
    media_type = read_media_type(request)
    query = read_values(request.query_params.multi_items(), "query")
    if name:
        query.setdefault("filename", name)
    archives = context.service_context.principal.scope in REQUIREMENTS[Action.SESSION_ARCHIVE].scopes
    call = ImportCall(
        query, media_type, lambda destination: _resolve_labels(context, destination), may_archive=archives
    )
    read_handler(query, media_type)
    check_key(read_listener(query))
    rights.check_scope(context.service_context.principal, Action.UPLOAD)
    check_size(content_length(request), context.server.receiving.limits.upload_bytes)
    if media_type == MULTIPART and is_true(query.get("inbody")):
        return text_response(406, IN_BODY)
    try:
        received = await _receive_body(request, context, call)
    except upload_errors.MultipartFiles:
        return text_response(400, _MANY_FILES)
    if received is None:
        return await _import_source(request, context, call)
    if isinstance(received, KeptObject):
        return _sessions_response(request, [received.uri])
    uuid = received
    key = check_key(read_listener(call.values))
    if key:
        await context.server.run(track_import, context.server.catalog, context.service_context.principal, key, uuid)
    return await import_response(request, context, uuid)


async def _receive_body(request: Request, context: RequestContext, call: ImportCall) -> str | KeptObject | None:
    """The upload of what the request brings, or the object that is kept; None where it brings no file, and `call` what
    its form says.
    """
    media_type, speech = read_media_type(request), call.speech()
    if not has_body(request):
        return None
    if media_type == MULTIPART:
        try:
            if read_handler(call.query, media_type) == ONE_OBJECT and not _is_own_import(request, call):
                return await _receive_form(request, context, call)
            return await receive_multipart(context.server, request, context.service_context.principal, dialect=speech)
        except upload_errors.MultipartNoFile:
            return None
    if media_type == URLENCODED:
        await context.server.read(
            _make_offer, context, context.service_context.principal, call
        )  # before the client is asked for a byte
        form, request = await read_form_or_file(request, context.server.receiving.limits.idle_seconds)
        if form is not None:
            call.form = form
            return None
    if call.query.get("src") or read_handler(call.query, media_type) == "inbox":
        return None
    if read_handler(call.query, media_type) == ONE_OBJECT and not _is_own_import(request, call):
        return await _receive_object(request, context, call)
    return await receive_raw(context.server, request, context.service_context.principal, speech)


def _is_own_import(request: Request, call: ImportCall) -> bool:
    """Whether the object of a call is an import of its own: it is to be built now, or to be known by a key."""
    is_commit = call.values.get("action", "").strip().lower() == "commit"
    return is_commit or bool(read_listener(call.values)) or "idempotency-key" in request.headers


async def _receive_object(request: Request, context: RequestContext, call: ImportCall) -> str | KeptObject:
    """Keep the object that is the body, whose session is built later; else the upload that is imported at once."""
    server, principal = context.server, context.service_context.principal
    make = _make_object_offers(context, call)
    async with aclosing(read_body(server, request)) as pieces:
        body = GradualBody(server, request, principal, make, pieces, content_length(request))
        kept = await body.receive()
        if kept is not None:
            return kept
        return await receive_raw(server, request, principal, call.speech(), body.pieces())


async def _receive_form(request: Request, context: RequestContext, call: ImportCall) -> str | KeptObject:
    """The same of an object that is the file of a form, as far as it is small. Raises MultipartNoFile."""
    server, principal = context.server, context.service_context.principal
    make = _make_object_offers(context, call)
    await server.read(make, principal)  # what the query names is known before a byte is read
    async with aclosing(read_body(server, request)) as pieces:
        find_file = partial(find_form_file, parse_boundary(request), call.speech())
        form = await read_object_form(pieces, find_file)
        if form.file is not None and not _is_own_import(request, call):
            async with aclosing(one_piece(form.file)) as file:
                kept = await GradualBody(server, request, principal, make, file, len(form.file)).receive()
            if kept is not None:
                return kept
        return await receive_multipart(server, request, principal, dialect=call.speech(), pieces=form.pieces(pieces))


def _make_object_offers(context: RequestContext, call: ImportCall) -> Callable[[Principal], UploadOffer]:
    """What says what a call wants done with its object. AccessDenied and Usage."""

    def make(uploader: Principal) -> UploadOffer:
        fields, import_request = call.read_fields({**call.values, "filename": OBJECTS_NAME})
        with context.server.catalog.read() as connection:
            return make_offer(connection, uploader, fields, import_request, door="gradual")

    return make


async def _import_source(request: Request, context: RequestContext, call: ImportCall) -> Response:
    """A call that names what it wants imported."""
    if read_handler(call.values) == "inbox":
        return await inbox.begin_import(request, context, call)
    src = call.values.get("src", "").strip()
    if not src:
        return text_response(400, _NO_FILE)
    cached_file = await _find_cached_file(context, src)
    if isinstance(cached_file, Response):
        return cached_file
    key = check_key(read_listener(call.values))
    offer = await context.server.read(_make_offer, context, context.service_context.principal, call, cached_file.name)
    if key:
        await context.server.run(
            track_import, context.server.catalog, context.service_context.principal, key, cached_file.uuid
        )
    bind_upload(cached_file.uuid)
    accepted = await context.server.run(
        user_cache.import_file,
        context.server.receiving,
        cached_file,
        offer,
        context.service_context.principal,
        request_info(request),
    )
    if not accepted:
        return text_response(404, "Unknown src file. It was removed, or is being imported, meanwhile.")
    if key:
        return text_response(
            200, f"Submitted for {'archival' if offer.request.destination == 'archive' else 'prearchival'}"
        )
    return await import_response(request, context, cached_file.uuid)


async def _find_cached_file(context: RequestContext, src: str) -> user_cache.CachedFile | Response:
    """The file of the cache that `src` names, written as it is or as in an address."""
    match = _SRC.fullmatch(src)
    if match is None:
        return text_response(400, "src uri is invalid.")
    account = context.service_context.principal.account_id
    assert account is not None
    names = (match["resource"], match["name"])
    for resource, name in dict.fromkeys((names, (unquote(names[0]), unquote(names[1])))):
        cached_file = await context.read(lambda c, r=resource, n=name: user_cache.find_file(c, account, r, n))  # type: ignore[misc]
        if cached_file is not None:
            return cached_file
    importing_uuid = await context.read(lambda c: user_cache.find_importing_upload(c, account, *names))
    hint = (
        f" The import {importing_uuid} has taken it: send it again for another." if importing_uuid is not None else ""
    )
    return text_response(404, f"Unknown src file.{hint}")


def _make_offer(context: RequestContext, principal: Principal, call: ImportCall, name: str = "") -> UploadOffer:
    """What is asked for, once it is certain that they may. Raises AccessDenied and Usage."""
    fields, import_request = call.read_fields(
        {**call.values, "src": "", "filename": name or call.values.get("filename", "")}
    )
    with context.server.catalog.read() as connection:
        return make_offer(connection, principal, fields, import_request, door="raw")


def _resolve_labels(context: RequestContext, destination: Destination) -> Destination:
    with context.server.catalog.read() as connection:
        principal = context.service_context.principal
        if destination.project and destination.project.casefold() != "unassigned":
            check_upload(principal, connection, destination.project)
        return resolve_labels(connection, principal, destination)


async def import_response(request: Request, context: RequestContext, uuid: str) -> Response:
    """What a client hears of an import once it has ended."""
    finished_import = await wait_for_import(context, uuid)
    import_request = await context.server.read(
        read_import_request, context.server.catalog, context.service_context.principal, uuid
    )
    outcome = make_outcome(finished_import, import_request)
    if not outcome.good:
        return text_response(outcome.status, outcome.text)
    return _sessions_response(request, list(outcome.uris))


def _sessions_response(request: Request, uris: list[str]) -> Response:
    if read_media_type(request).startswith("application/x-mirc"):
        return text_response(200, "OK")
    return uri_list_response(request, uris)


def uri_list_response(request: Request, uris: list[str]) -> Response:
    """URIs as the original lists them; a single one without its CRLF for who accepts plain text alone (1.7)."""
    accept = request.headers.get("accept", "")
    if len(uris) == 1 and "text/plain" in accept and _URI_LIST not in accept and "*/*" not in accept:
        return PlainTextResponse(uris[0])
    return Response("".join(f"{uri}\r\n" for uri in uris), media_type=_URI_LIST)
