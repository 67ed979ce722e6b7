"""Files of a session: listed, and their bytes, whole or by ranges (RFC 9110 14)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from scandock.model.json_records import PageOf
from scandock.services import session_contents
from scandock.services.damaged_files import Damaged
from scandock.services.downloads import open_file
from scandock.services.records import File
from scandock.web.description.schemas import Responses
from scandock.web.file_responses import file_head_response, file_response
from scandock.web.openapi import binary_response
from scandock.web.request_context import Maybe, SignedContext, Sorted, Text
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
    request: Request, context: SignedContext, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """Whole, or the range that Range asks for."""
    return file_response(
        request, await context.run(lambda: open_file(context.service_context, session, file, on_damage=damaged))
    )


@router.head(
    "/sessions/{session}/files/{file}/content",
    summary="What a file's bytes would come with",
    response_class=StreamingResponse,
    **etag_keywords(binary_response("*/*"), matches=True),
)
async def content_head(
    request: Request, context: SignedContext, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """The headers of the whole file."""
    download = await context.run(
        lambda: open_file(context.service_context, session, file, audited=False, on_damage=damaged)
    )
    return file_head_response(request, download)
