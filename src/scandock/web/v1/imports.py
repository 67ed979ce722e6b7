"""/api/v1/imports: an archive comes in by its body, and the import is read, cancelled, tried again and forgotten."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from scandock.services.import_outcomes import SessionOutcome, list_outcomes
from scandock.services.import_records import Import
from scandock.services.imports import (
    cancel_import,
    check_may_delete,
    delete_import,
    list_imports,
    read_import,
    retry_import,
)
from scandock.services.pagination import LIMIT, MAX_LIMIT, Sorting
from scandock.web import urls
from scandock.web.bodies import receives_upload
from scandock.web.deps import server_state
from scandock.web.description.schemas import OpenApiObject
from scandock.web.description.uploads import KEY, NAMES
from scandock.web.json_lists import PageOf
from scandock.web.receiving.multipart import receive_multipart
from scandock.web.receiving.raw import receive_raw
from scandock.web.request_context import record_response
from scandock.web.security import Caller, SignedIn, request_info
from scandock.web.v1.openapi_keywords import etag_keywords, location_keywords

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])

_QUERY: Final[OpenApiObject] = {
    "parameters": [{"name": name, "in": "query", "required": False, "schema": said} for name, said in NAMES.items()]
    + [KEY]
}


@router.post("", summary="Upload an archive", response_model=Import, openapi_extra=_QUERY, **location_keywords(202))
@receives_upload
async def create(request: Request, principal: SignedIn) -> Response:
    """The archive is the body itself, or one file part of a multipart body. 202 once its bytes are kept for good."""
    server = server_state(request)
    multipart = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"
    uuid = await (receive_multipart if multipart else receive_raw)(server, request, principal)
    import_record = await server.read(read_import, server.catalog, principal, uuid)
    location = urls.root_of(request.scope) + urls.api_import(uuid)
    return record_response(import_record, 202, {"Location": location})


@router.get("", summary="Imports that you may see, the newest first", response_model=PageOf[Import])
async def list_all(
    request: Request,
    principal: SignedIn,
    project: str | None = None,
    state: Annotated[list[str] | None, Query(description="Several too, with commas between or the name again")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = LIMIT,
    cursor: str | None = None,
) -> Response:
    """`{"items", "next"}`; `next` is the cursor of the following page, null behind the last."""
    server = server_state(request)
    sorting = Sorting(sort="-id", limit=limit, cursor=cursor)
    states = tuple(each_item for text in state or () for each_item in text.split(","))
    page = await server.read(list_imports, server.catalog, principal, sorting, project_name=project, states=states)
    return JSONResponse({"items": [each_item.to_json() for each_item in page.items], "next": page.next})


@router.get("/{id}", summary="An import", response_model=Import, **etag_keywords())
async def read(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002  the route's own name
    """What `scandock import --json` prints, with `id`, `state` as it is now, and `progress`."""
    server = server_state(request)
    return with_etag(request, await server.read(read_import, server.catalog, principal, id))


@router.get("/{id}/sessions", summary="What became of an import's sessions", response_model=PageOf[SessionOutcome])
async def list_sessions(
    request: Request,
    id: str,  # noqa: A002  the route's own name
    principal: Caller,
    cursor: str | None = None,
) -> Response:
    """In the order of the import's report, 200 a page: how the import left each, where it is now, and its changes."""
    server = server_state(request)
    page = await server.read(list_outcomes, server.catalog, principal, id, cursor)
    return JSONResponse({"items": [one.to_json() for one in page.items], "next": page.next})


@router.post("/{id}/cancel", status_code=202, summary="Cancel an import", response_model=Import)
async def cancel(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    """Nothing of it is stored; 409 once it is being placed, or has ended, and of a study that a DICOM receiver took."""
    server = server_state(request)
    await server.run(cancel_import, server.catalog, server.store, principal, id, request_info(request))
    return record_response(await server.read(read_import, server.catalog, principal, id), 202)


@router.post("/{id}/retry", status_code=202, summary="Try a failed import again", response_model=Import)
async def retry(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    server = server_state(request)
    await server.run(retry_import, server.catalog, server.store, principal, id, request_info(request))
    return record_response(await server.read(read_import, server.catalog, principal, id), 202)


@router.delete("/{id}", status_code=204, summary="Forget an import", response_class=Response)
async def forget(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    """Its receipt and kept bytes too; sessions that it stored stay."""
    server = server_state(request)
    await server.read(check_may_delete, server.catalog, principal, id)
    async with server.locks.write(id, stop=True):
        await server.run(delete_import, server.catalog, server.store, principal, id, request_info(request))
    return Response(status_code=204)


def with_etag(request: Request, item: Import) -> Response:
    """An object with its ETag, or 304 where the client has it already."""
    raw = json.dumps(item.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known_etags = {
        each_etag.strip().removeprefix("W/") for each_etag in request.headers.get("if-none-match", "").split(",")
    }
    if tag in known_etags:
        return Response(status_code=304, headers=headers)
    return Response(raw, 200, headers, "application/json")
