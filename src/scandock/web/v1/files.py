"""Files of a session: listed, and their bytes, whole or by ranges (RFC 9110 14)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from scandock.services import session_contents
from scandock.services.damaged_files import Damaged
from scandock.services.downloads import FileDownload, FoundFile, find_file, open_found_file
from scandock.services.records import File
from scandock.web.description.schemas import Responses
from scandock.web.file_responses import file_head_response, file_response, is_whole_wanted
from scandock.web.json_lists import PageOf
from scandock.web.openapi import binary_response
from scandock.web.read_requests import Reading, ReadRequest
from scandock.web.request_context import Maybe, RequestContext, SignedContext, Sorted, Text
from scandock.web.v1.downloads import WantDamaged
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1", tags=["files"])

Number = Annotated[int, Path(ge=0, le=2**53)]
_BYTES: Final[Responses] = {
    **binary_response("*/*"),
    206: {"description": "The range that was asked for", **binary_response("*/*")[200]},
}


@router.get("/files", summary="The files of a session, a scan or a resource", response_model=PageOf[File])
async def list_all(
    context: SignedContext,
    page: Sorted,
    session: Annotated[str, Query(max_length=64)],
    scan: Maybe = None,
    resource: Maybe = None,
    search: Text = "",
) -> Response:
    """Sorted by n, name or bytes; `search` is a part of the name."""
    return await context.page_response(
        lambda c: session_contents.list_files(
            c, context.service_context.principal, session, page, scan_id=scan, resource_label=resource, search=search
        )
    )


@router.get(
    "/sessions/{session}/files/{file}", summary="What is known of a file", response_model=File, **etag_keywords()
)
async def read(context: SignedContext, session: str, file: Number) -> Response:
    """A file by its number within the session."""
    return await context.item_response(
        lambda c: session_contents.find_file(c, context.service_context.principal, session, file)
    )


@router.get(
    "/sessions/{session}/files/{file}/content",
    summary="A file's bytes",
    response_class=StreamingResponse,
    **etag_keywords(_BYTES, matches=True),
)
async def content(
    request: Request, reading: Reading, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """Whole, or the range that Range asks for."""
    download = await _open_file(reading, session, file, damaged, whole=is_whole_wanted(request))
    return file_response(request, download)


@router.head(
    "/sessions/{session}/files/{file}/content",
    summary="What a file's bytes would come with",
    response_class=StreamingResponse,
    **etag_keywords(binary_response("*/*"), matches=True),
)
async def content_head(
    request: Request, reading: Reading, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """The headers of the whole file."""
    return file_head_response(request, await _open_file(reading, session, file, damaged, audited=False))


async def _open_file(
    reading: ReadRequest[RequestContext],
    session: str,
    number: int,
    damaged: Damaged,
    *,
    audited: bool = True,
    whole: bool = False,
) -> FileDownload:
    def find(context: RequestContext, connection: Connection) -> FoundFile:
        return find_file(context.service_context, connection, session, number, damaged)

    def open_found(context: RequestContext, found: FoundFile) -> FileDownload:
        return open_found_file(context.service_context, found, audited=audited, whole=whole, on_damage=damaged)

    return await reading.run(find, open_found)
