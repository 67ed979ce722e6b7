"""`/data/user/cache/resources`: files that a user keeps here until an import takes them (xnat-behaviour.md 1.9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import FileResponse, Response

from scandock.access.principal import raise_denied
from scandock.model.request_errors import RequestInvalid
from scandock.rules.import_request import ImportRequest
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights, upload_errors
from scandock.services.downloads import parse_byte_range
from scandock.services.logs import bind_upload
from scandock.services.receiving import UploadOffer
from scandock.store.port import Spool
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.file_responses import streaming_response
from scandock.web.receiving.raw import content_length
from scandock.web.receiving.upload_body import UploadBody
from scandock.web.receiving.upload_fields import clean_filename
from scandock.web.request_context import RequestContext
from scandock.web.security import request_info
from scandock.web.xnat.bodies import MULTIPART, has_body, read_media_type, stream_file
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services import user_cache
from scandock.web.xnat.services.columns import Rows

routes = make_router()
_BYTES: Final = "application/octet-stream"
_CHUNK: Final = 1024 * 1024
IN_BODY: Final = (
    "In-body File posts must include the file directly as the body of the message"
    " (not as part of multi-part form data)."
)


@routes.put(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
@routes.post(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
@receives_upload
async def put(request: Request, context: SignedInContext, resource: str, name: str) -> Response:
    """A file, as the body or in a form; 200 once its bytes are kept for good. One of the same name goes then."""
    server, principal = context.server, context.service_context.principal
    rights.check_scope(principal, Action.UPLOAD)
    multipart = read_media_type(request) == MULTIPART
    if multipart and is_true(request.query_params.get("inbody")):
        return text_response(406, IN_BODY)
    if is_true(request.query_params.get("extract")):
        raise RequestInvalid(
            "extract=true is not possible in the cache: nothing is unpacked before its import.",
            "Send it without; an import takes archives, also those within archives.",
        )
    if not has_body(request):
        raise RequestInvalid("There is no file in the request.", "Send it as the body.")
    assert principal.account_id is not None
    offer = UploadOffer(
        account_id=principal.account_id,
        door="multipart" if multipart else "raw",
        filename=clean_filename(name),
        request=ImportRequest(),
        size=content_length(request),
    )
    incoming_upload = await server.run(user_cache.begin_file, server.receiving, offer, resource, name)
    bind_upload(incoming_upload.uuid)
    async with UploadBody(server, request, principal, incoming_upload) as keeping:
        async with aclosing(stream_file(server, request)) as bytes_:
            async for data in bytes_:
                await keeping.feed(data)
        if not multipart and offer.size is not None and keeping.spooling.received != offer.size:
            raise upload_errors.UploadCut
        await keeping.keep(
            partial(user_cache.publish_file, server.receiving, incoming_upload, principal, request_info(request))
        )
    return text_response(200, "")


@routes.get(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
async def get(request: Request, context: SignedInContext, resource: str, name: str) -> Response:
    """Its bytes, whole or by ranges."""
    cached_file = await context.read(lambda c: user_cache.find_file(c, _account_id(context), resource, name))
    if cached_file is None:
        raise_denied(AccessDecision.HIDDEN)
    spool = context.server.store.spool(cached_file.uuid)
    path = spool.local_path()
    if path is not None:
        return FileResponse(path, media_type=_BYTES)
    size = await context.server.spool(spool.size)
    part = parse_byte_range(request.headers.get("range"), size)
    offset, length = part or (0, size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(length)}
    if part is not None:
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{size}"
    chunks = _read(spool, offset, offset + length)
    return streaming_response(chunks, status=200 if part is None else 206, headers=headers, media_type=_BYTES)


def _read(spool: Spool, start: int, end: int) -> Iterator[bytes]:
    with closing(spool):
        for at in range(start, end, _CHUNK):
            yield spool.read_at(at, min(_CHUNK, end - at))


@routes.delete(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
async def delete_file(context: SignedInContext, resource: str, name: str) -> Response:
    """200 too where an import has taken it: it is in the cache no more."""
    rights.check_scope(context.service_context.principal, Action.UPLOAD)
    removed_count = await _remove(context, resource, name)
    if (
        not removed_count
        and await context.read(lambda c: user_cache.find_importing_upload(c, _account_id(context), resource, name))
        is None
    ):
        raise_denied(AccessDecision.HIDDEN)
    return text_response(200, "")


@routes.delete(f"{urls.CACHE}/{{resource}}")
async def delete_resource(context: SignedInContext, resource: str) -> Response:
    rights.check_scope(context.service_context.principal, Action.UPLOAD)
    await _remove(context, resource)
    return text_response(200, "")


@routes.get(urls.CACHE)
async def resources(request: Request, context: SignedInContext) -> Response:
    """The names under which files are kept."""
    files = await context.read(lambda c: user_cache.list_files(c, _account_id(context)))
    names = dict.fromkeys(file.resource for file in files)
    return list_response(
        request, Rows(["Name", "URI"], [[name, urls.cached(name)] for name in names]), title="Resources"
    )


@routes.get(f"{urls.CACHE}/{{resource}}")
@routes.get(f"{urls.CACHE}/{{resource}}/files")
async def files(request: Request, context: SignedInContext, resource: str) -> Response:
    """Its files, by name; 404 where there are none."""

    def ask(connection: Connection) -> list[user_cache.CachedFile]:
        return user_cache.list_files(connection, _account_id(context), resource)

    files_found = await context.read(ask)
    if not files_found:
        raise_denied(AccessDecision.HIDDEN)
    rows = [[file.name, str(file.size), urls.cached(resource, file.name)] for file in files_found]
    return list_response(request, Rows(["Name", "Size", "URI"], rows), title="Files")


async def _remove(context: RequestContext, resource: str, name: str | None = None) -> int:
    principal, origin = context.service_context.principal, request_info(context.request)
    return await context.run(
        lambda: user_cache.remove_files(context.server.receiving, principal, origin, resource, name)
    )


def _account_id(context: RequestContext) -> int:
    assert context.service_context.principal.account_id is not None
    return context.service_context.principal.account_id
