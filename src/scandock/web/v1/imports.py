"""/api/v1/imports: an archive comes in by its body, and the import is read, cancelled, tried again and forgotten."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from scandock.model.json_records import PageOf
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
from scandock.web.description.kinds import OpenApiObject
from scandock.web.description.uploads import KEY, NAMES
from scandock.web.receiving.multipart import receive_multipart
from scandock.web.receiving.raw import receive_raw
from scandock.web.request_context import answer
from scandock.web.security import Caller, SignedIn, info_of
from scandock.web.v1.describing import located, tagged

router = APIRouter(prefix="/api/v1/imports", tags=["imports"])

_QUERY: Final[OpenApiObject] = {
    "parameters": [{"name": name, "in": "query", "required": False, "schema": said} for name, said in NAMES.items()]
    + [KEY]
}


@router.post("", summary="Upload an archive", response_model=Import, openapi_extra=_QUERY, **located(202))
@receives_upload
async def create(request: Request, principal: SignedIn) -> Response:
    """The archive is the body itself, or one file part of a multipart body. 202 once its bytes are kept for good."""
    site = server_state(request)
    multipart = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"
    uuid = await (receive_multipart if multipart else receive_raw)(site, request, principal)
    made = await site.read(read_import, site.catalog, principal, uuid)
    where = urls.root_of(request.scope) + urls.api_import(uuid)
    return answer(made, 202, {"Location": where})


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
    site = server_state(request)
    sorting = Sorting(sort="-id", limit=limit, cursor=cursor)
    states = tuple(one for some in state or () for one in some.split(","))
    page = await site.read(list_imports, site.catalog, principal, sorting, project_name=project, states=states)
    return JSONResponse({"items": [one.to_json() for one in page.items], "next": page.next})


@router.get("/{id}", summary="An import", response_model=Import, **tagged())
async def read(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002  the route's own name
    """What `scandock import --json` prints, with `id`, `state` as it is now, and `progress`."""
    site = server_state(request)
    return with_etag(request, await site.read(read_import, site.catalog, principal, id))


@router.get("/{id}/sessions", summary="What became of an import's sessions", response_model=PageOf[SessionOutcome])
async def list_sessions(
    request: Request,
    id: str,  # noqa: A002  the route's own name
    principal: Caller,
    cursor: str | None = None,
) -> Response:
    """In the order of the import's report, 200 a page: how the import left each, where it is now, and its changes."""
    site = server_state(request)
    page = await site.read(list_outcomes, site.catalog, principal, id, cursor)
    return JSONResponse({"items": [one.to_json() for one in page.items], "next": page.next})


@router.post("/{id}/cancel", status_code=202, summary="Cancel an import", response_model=Import)
async def cancel(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    """Nothing of it is stored; 409 once it is being placed, or has ended."""
    site = server_state(request)
    await site.run(cancel_import, site.catalog, site.store, principal, id, info_of(request))
    return answer(await site.read(read_import, site.catalog, principal, id), 202)


@router.post("/{id}/retry", status_code=202, summary="Try a failed import again", response_model=Import)
async def retry(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    site = server_state(request)
    await site.run(retry_import, site.catalog, site.store, principal, id, info_of(request))
    return answer(await site.read(read_import, site.catalog, principal, id), 202)


@router.delete("/{id}", status_code=204, summary="Forget an import", response_class=Response)
async def forget(request: Request, id: str, principal: Caller) -> Response:  # noqa: A002
    """Its receipt and kept bytes too; sessions that it stored stay."""
    site = server_state(request)
    await site.read(check_may_delete, site.catalog, principal, id)
    async with site.locks.write(id, stop=True):
        await site.run(delete_import, site.catalog, site.store, principal, id, info_of(request))
    return Response(status_code=204)


def with_etag(request: Request, item: Import) -> Response:
    """An object with its ETag, or 304 where the client has it already."""
    raw = json.dumps(item.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known:
        return Response(status_code=304, headers=headers)
    return Response(raw, 200, headers, "application/json")
