"""`/data/user/cache/resources`: files that a user keeps here until an import takes them (xnat-behaviour.md 1.9)."""

from __future__ import annotations

from contextlib import aclosing
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
from scandock.services.logs import bind_upload
from scandock.services.receiving import UploadOffer
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.receiving.raw import length_of
from scandock.web.receiving.upload_fields import filename_of
from scandock.web.receiving.whole_bodies import Keeping
from scandock.web.request_context import RequestContext
from scandock.web.security import info_of
from scandock.web.xnat.answers import listing
from scandock.web.xnat.bodies import MULTIPART, file_of, has_body, media_type_of
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services import user_cache
from scandock.web.xnat.services.columns import Rows

routes = router()
IN_BODY: Final = (
    "In-body File posts must include the file directly as the body of the message"
    " (not as part of multi-part form data)."
)


@routes.put(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
@routes.post(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
@receives_upload
async def put(request: Request, work: Known, resource: str, name: str) -> Response:
    """A file, as the body or in a form; 200 once its bytes are kept for good. One of the same name goes then."""
    site, principal = work.site, work.context.principal
    rights.check_scope(principal, Action.UPLOAD)
    multipart = media_type_of(request) == MULTIPART
    if multipart and true(request.query_params.get("inbody")):
        return said(406, IN_BODY)
    if true(request.query_params.get("extract")):
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
        filename=filename_of(name),
        request=ImportRequest(),
        size=length_of(request),
    )
    incoming_upload = await site.run(user_cache.begin, site.receiving, offer, resource, name)
    bind_upload(incoming_upload.uuid)
    async with Keeping(site, request, principal, incoming_upload) as keeping:
        async with aclosing(file_of(site, request)) as bytes_:
            async for data in bytes_:
                await keeping.feed(data)
        if not multipart and offer.size is not None and keeping.spooling.received != offer.size:
            raise upload_errors.UploadCut
        await keeping.keep(partial(user_cache.keep, site.receiving, incoming_upload, principal, info_of(request)))
    return said(200, "")


@routes.get(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
async def get(work: Known, resource: str, name: str) -> Response:
    """Its bytes, whole or by ranges."""
    found = await work.read(lambda c: user_cache.find_file(c, _account(work), resource, name))
    path = None if found is None else work.site.store.spool(found.uuid).local_path()
    if path is None:
        raise_denied(AccessDecision.HIDDEN)
    return FileResponse(path, media_type="application/octet-stream")


@routes.delete(f"{urls.CACHE}/{{resource}}/files/{{name:whole}}")
async def delete_file(work: Known, resource: str, name: str) -> Response:
    """200 too where an import has taken it: it is in the cache no more."""
    rights.check_scope(work.context.principal, Action.UPLOAD)
    gone = await _removed(work, resource, name)
    if not gone and await work.read(lambda c: user_cache.taken_by(c, _account(work), resource, name)) is None:
        raise_denied(AccessDecision.HIDDEN)
    return said(200, "")


@routes.delete(f"{urls.CACHE}/{{resource}}")
async def delete_resource(work: Known, resource: str) -> Response:
    rights.check_scope(work.context.principal, Action.UPLOAD)
    await _removed(work, resource)
    return said(200, "")


@routes.get(urls.CACHE)
async def resources(request: Request, work: Known) -> Response:
    """The names under which files are kept."""
    files = await work.read(lambda c: user_cache.list_files(c, _account(work)))
    names = dict.fromkeys(one.resource for one in files)
    return listing(request, Rows(["Name", "URI"], [[name, urls.cached(name)] for name in names]), title="Resources")


@routes.get(f"{urls.CACHE}/{{resource}}")
@routes.get(f"{urls.CACHE}/{{resource}}/files")
async def files(request: Request, work: Known, resource: str) -> Response:
    """Its files, by name; 404 where there are none."""

    def ask(connection: Connection) -> list[user_cache.Cached]:
        return user_cache.list_files(connection, _account(work), resource)

    found = await work.read(ask)
    if not found:
        raise_denied(AccessDecision.HIDDEN)
    rows = [[one.name, str(one.size), urls.cached(resource, one.name)] for one in found]
    return listing(request, Rows(["Name", "Size", "URI"], rows), title="Files")


async def _removed(work: RequestContext, resource: str, name: str | None = None) -> int:
    who, where = work.context.principal, info_of(work.request)
    return await work.do(lambda: user_cache.remove(work.site.receiving, who, where, resource, name))


def _account(work: RequestContext) -> int:
    assert work.context.principal.account_id is not None
    return work.context.principal.account_id
