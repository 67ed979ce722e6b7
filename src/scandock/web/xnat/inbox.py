"""`import-handler=inbox` and `/xapi/dicom/{id}`: a folder that lies on the server (xnat-behaviour.md 1.3).

Only where a setting allows folders. Administrators name any path in them; others one below the folder of a project that
they may upload to, as XNAT lays its inbox out: `{folder}/{project}/{session}`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from scandock.access.principal import raise_denied
from scandock.model.errors import ScandockError
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision
from scandock.services.logs import bind_upload, log
from scandock.services.receiving import IncomingUpload, UploadOffer
from scandock.web import urls
from scandock.web.problems import unexpected
from scandock.web.receiving.upload_fields import offer_of
from scandock.web.request_context import RequestContext
from scandock.web.security import info_of
from scandock.web.xnat.errors import InboxOff, InboxUnknown
from scandock.web.xnat.import_parameters import Call
from scandock.web.xnat.routing import Known, router, said
from scandock.web.xnat.services import inbox
from scandock.web.xnat.services.destinations import stands_there
from scandock.web.xnat.services.inbox_folders import Place, find_place, is_there

routes = router()
_OWN: Final = ("PROJECT_ID", "SUBJECT_ID", "EXPT_LABEL")
_EXISTS: Final = {
    "archive": "Experiment with that label already exists in that project.",
    "prearchive": "Session already exists in that project.",
}


async def ask(request: Request, work: RequestContext, call: Call) -> Response:
    """Let a folder be imported; the address at which that can be followed, as the original answers it."""
    site = work.site
    offer, place = await site.read(_wanted, work, call)
    path = "/".join((place.root, *place.parts))
    project, label = offer.request.project, offer.request.session
    if label and project:
        stands = await work.read(lambda c: stands_there(c, project, label))
        if stands:
            return said(409, _EXISTS[stands])
    names = ("project", "subject", "session")
    named = offer.request.named
    asked = {own: str(named[name]) for own, name in zip(_OWN, names, strict=True) if name in named}
    cleanup = call.said.get("cleanupAfterImport", "true").strip().lower() != "false"
    begin = partial(inbox.begin, site.receiving, offer, path, cleanup=cleanup, asked=asked)
    number, incoming_upload = await site.run(begin)
    bind_upload(incoming_upload.uuid)
    site.receives(incoming_upload.uuid, asyncio.ensure_future(_bring(request, work, incoming_upload, place)))
    return Response(f"{urls.inbox_import(number)}\r\n", media_type="text/uri-list")


async def _bring(request: Request, work: RequestContext, incoming_upload: IncomingUpload, place: Place) -> None:
    site = work.site
    bring = partial(
        inbox.bring,
        site.receiving,
        incoming_upload,
        place,
        work.context.principal,
        info_of(request),
        site.stopping.is_set,
    )
    try:
        await work.do(bring)
    except ScandockError as error:  # its row says why
        log().warning("inbox", code=error.code, upload=incoming_upload.uuid)
    except Exception as error:  # noqa: BLE001  nobody waits for it; its row says so too
        unexpected(request, error)


def _wanted(work: RequestContext, call: Call) -> tuple[UploadOffer, Place]:
    """What is asked for, and where it lies. Raises Denied and Usage, in the same words for all that is not there."""
    folders = work.site.settings.inbox_folders
    principal = work.context.principal
    if not folders:
        raise InboxOff
    fields, own = call.meant(call.said)
    path = call.said.get("path", "").strip()
    if not path and not (fields.get("project") and fields.get("session")):
        raise RequestInvalid("The folder is not named.", "Name path, or PROJECT_ID and EXPT_LABEL.")
    with work.site.catalog.read() as connection:
        offer = offer_of(connection, principal, {**fields, "filename": "inbox.tar"}, own, door="raw")
    project = offer.request.project or ""
    paths = [path] if path else [f"{folder.rstrip('/')}/{project}/{fields['session']}" for folder in folders]
    for one in paths:
        place = find_place(folders, one)
        if place is None or not (principal.admin or place.owner.casefold() == project.casefold()):
            continue
        if is_there(place):
            return offer, place
    raise InboxUnknown(
        "There is no such folder among those that you may import.",
        "It has to be in an inbox folder of the server, below a folder named as its project, and no link to one.",
    )


@routes.get("/xapi/dicom/{number}")
async def follow(work: Known, number: str) -> Response:
    """How the import of a folder goes. The key with the slip of the pen is what xnatpy reads."""
    known = number.isascii() and number.isdigit() and len(number) < 19
    found = await work.site.read(inbox.tell, work.site.catalog, work.context.principal, int(number)) if known else None
    if found is None:
        raise_denied(AccessDecision.HIDDEN)
    told = {
        "id": found.number,
        "enabled": True,
        "created": found.created,
        "timestamp": found.changed,
        "disabled": 0,
        "username": found.username,
        "sessionPath": found.path,
        "cleanupAfterImport": found.cleanup,
        "clenaupAfterImport": found.cleanup,
        "status": found.status,
        "resolution": found.resolution,
        "parameters": found.asked,
    }
    return JSONResponse(told)
