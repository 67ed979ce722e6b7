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
from scandock.web.description.kinds import Responses
from scandock.web.file_answers import file_answer, file_head
from scandock.web.openapi import binary
from scandock.web.request_context import Maybe, SignedContext, Sorted, Text
from scandock.web.v1.describing import tagged
from scandock.web.v1.downloads import WantDamaged

router = APIRouter(prefix="/api/v1", tags=["files"])

Number = Annotated[int, Path(ge=0, le=2**53)]
_BYTES: Final[Responses] = {
    **binary("*/*"),
    206: {"description": "The range that was asked for", **binary("*/*")[200]},
}


@router.get("/files", summary="The files of a session, a scan or a resource", response_model=PageOf[File])
async def list_all(
    work: SignedContext,
    page: Sorted,
    session: Annotated[str, Query(max_length=64)],
    scan: Maybe = None,
    resource: Maybe = None,
    search: Text = "",
) -> Response:
    """Sorted by n, name or bytes; `search` is a part of the name."""
    return await work.page(
        lambda c: session_contents.list_files(
            c, work.context.principal, session, page, scan_id=scan, resource_label=resource, search=search
        )
    )


@router.get("/sessions/{session}/files/{file}", summary="What is known of a file", response_model=File, **tagged())
async def read(work: SignedContext, session: str, file: Number) -> Response:
    """A file by its number within the session."""
    return await work.item(lambda c: session_contents.find_file(c, work.context.principal, session, file))


@router.get(
    "/sessions/{session}/files/{file}/content",
    summary="A file's bytes",
    response_class=StreamingResponse,
    **tagged(_BYTES, matches=True),
)
async def content(
    request: Request, work: SignedContext, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """Whole, or the range that Range asks for."""
    return file_answer(request, await work.do(lambda: open_file(work.context, session, file, on_damage=damaged)))


@router.head(
    "/sessions/{session}/files/{file}/content",
    summary="What a file's bytes would come with",
    response_class=StreamingResponse,
    **tagged(binary("*/*"), matches=True),
)
async def content_head(
    request: Request, work: SignedContext, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """The headers of the whole file."""
    found = await work.do(lambda: open_file(work.context, session, file, audited=False, on_damage=damaged))
    return file_head(request, found)
