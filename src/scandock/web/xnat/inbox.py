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
from scandock.model.incoming_upload import IncomingUpload
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import AccessDecision
from scandock.services.logs import bind_upload, log
from scandock.services.receiving import UploadOffer
from scandock.web import urls
from scandock.web.problems import internal_error_response
from scandock.web.receiving.upload_fields import make_offer
from scandock.web.request_context import RequestContext
from scandock.web.security import request_info
from scandock.web.xnat.errors import InboxOff, InboxUnknown
from scandock.web.xnat.import_parameters import ImportCall
from scandock.web.xnat.routing import SignedInContext, make_router, text_response
from scandock.web.xnat.services import inbox
from scandock.web.xnat.services.destinations import find_session_place
from scandock.web.xnat.services.inbox_folders import InboxPath, find_inbox_path, is_readable

routes = make_router()
_SHOWN_PARAMETERS: Final = ("PROJECT_ID", "SUBJECT_ID", "EXPT_LABEL")
_EXISTS: Final = {
    "archive": "Experiment with that label already exists in that project.",
    "prearchive": "Session already exists in that project.",
}


async def begin_import(request: Request, context: RequestContext, call: ImportCall) -> Response:
    """Let a folder be imported; the address at which that can be followed, as the original answers it."""
    server = context.server
    offer, inbox_path = await server.read(_make_offer, context, call)
    project, label = offer.request.project, offer.request.session
    if label and project:
        existing_place = await context.read(lambda c: find_session_place(c, project, label))
        if existing_place:
            return text_response(409, _EXISTS[existing_place])
    names = ("project", "subject", "session")
    named_fields = offer.request.named
    shown_parameters = {
        parameter: str(named_fields[name])
        for parameter, name in zip(_SHOWN_PARAMETERS, names, strict=True)
        if name in named_fields
    }
    cleanup = call.values.get("cleanupAfterImport", "true").strip().lower() != "false"
    begin = partial(
        inbox.begin_import, server.receiving, offer, inbox_path, cleanup=cleanup, parameters=shown_parameters
    )
    number, incoming_upload = await server.run(begin)
    bind_upload(incoming_upload.uuid)
    server.track_reception(
        incoming_upload, asyncio.ensure_future(_pack_folder(request, context, incoming_upload, inbox_path))
    )
    return Response(f"{urls.inbox_import(number)}\r\n", media_type="text/uri-list")


async def _pack_folder(
    request: Request, context: RequestContext, incoming_upload: IncomingUpload, inbox_path: InboxPath
) -> None:
    server = context.server
    bring = partial(
        inbox.pack_folder,
        server.receiving,
        incoming_upload,
        inbox_path,
        context.service_context.principal,
        request_info(request),
        server.stopping.is_set,
    )
    try:
        await context.run(bring)
    except ScandockError as error:  # its row says why
        log().warning("inbox", code=error.code, upload=incoming_upload.uuid)
    except Exception as error:  # noqa: BLE001  nobody waits for it; its row says so too
        internal_error_response(request, error)


def _make_offer(context: RequestContext, call: ImportCall) -> tuple[UploadOffer, InboxPath]:
    """What is asked for, and where it lies.

    Raises AccessDenied and Usage, in the same words for all that is not there.
    """
    folders = context.server.settings.inbox_folders
    principal = context.service_context.principal
    if not folders:
        raise InboxOff
    fields, import_request = call.read_fields(call.values)
    path = call.values.get("path", "").strip()
    if not path and not (fields.get("project") and fields.get("session")):
        raise RequestInvalid("The folder is not named.", "Name path, or PROJECT_ID and EXPT_LABEL.")
    with context.server.catalog.read() as connection:
        offer = make_offer(connection, principal, {**fields, "filename": "inbox.tar"}, import_request, door="raw")
    project = offer.request.project or ""
    paths = [path] if path else [f"{folder.rstrip('/')}/{project}/{fields['session']}" for folder in folders]
    for candidate in paths:
        inbox_path = find_inbox_path(folders, candidate)
        if inbox_path is None or not (principal.admin or inbox_path.owner.casefold() == project.casefold()):
            continue
        if is_readable(inbox_path):
            return offer, inbox_path
    raise InboxUnknown(
        "There is no such folder among those that you may import.",
        "It has to be in an inbox folder of the server, below a folder named as its project, and no link to one.",
    )


@routes.get("/xapi/dicom/{number}")
async def inbox_status(context: SignedInContext, number: str) -> Response:
    """How the import of a folder goes. The key with the slip of the pen is what xnatpy reads."""
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    status_record = (
        await context.server.read(
            inbox.read_status, context.server.catalog, context.service_context.principal, int(number)
        )
        if is_number
        else None
    )
    if status_record is None:
        raise_denied(AccessDecision.HIDDEN)
    body = {
        "id": status_record.number,
        "enabled": True,
        "created": status_record.created,
        "timestamp": status_record.changed,
        "disabled": 0,
        "username": status_record.username,
        "sessionPath": status_record.path,
        "cleanupAfterImport": status_record.cleanup,
        "clenaupAfterImport": status_record.cleanup,
        "status": status_record.status,
        "resolution": status_record.resolution,
        "parameters": status_record.asked,
    }
    return JSONResponse(body)
