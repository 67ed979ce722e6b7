"""Files of a session: listed, and their bytes, whole or by ranges (RFC 9110 14)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from scandock.model.json_records import PageOf
from scandock.services import contents
from scandock.services.damaged_files import Damaged
from scandock.services.downloads import FileDownload, byte_range, disposition, open_file
from scandock.services.records import File
from scandock.web.conditions import is_unchanged
from scandock.web.described import binary
from scandock.web.v1.describing import tagged
from scandock.web.v1.desks import DAMAGED, Desked, Maybe, Sorted, Text, flowing
from scandock.web.v1.downloads import WantDamaged

router = APIRouter(prefix="/api/v1", tags=["files"])

Number = Annotated[int, Path(ge=0, le=2**53)]
_BYTES: Final[dict[int | str, dict[str, Any]]] = {
    **binary("*/*"),
    206: {"description": "The range that was asked for", **binary("*/*")[200]},
}


@router.get("/files", summary="The files of a session, a scan or a resource", response_model=PageOf[File])
async def list_all(
    work: Desked,
    page: Sorted,
    session: Annotated[str, Query(max_length=64)],
    scan: Maybe = None,
    resource: Maybe = None,
    search: Text = "",
) -> Response:
    """Sorted by n, name or bytes; `search` is a part of the name."""
    return await work.page(
        lambda c: contents.list_files(
            c, work.desk.principal, session, page, scan_id=scan, resource_label=resource, search=search
        )
    )


@router.get("/sessions/{session}/files/{file}", summary="What is known of a file", response_model=File, **tagged())
async def read(work: Desked, session: str, file: Number) -> Response:
    """A file by its number within the session."""
    return await work.item(lambda c: contents.find_file(c, work.desk.principal, session, file))


@router.get(
    "/sessions/{session}/files/{file}/content",
    summary="A file's bytes",
    response_class=StreamingResponse,
    **tagged(_BYTES, matches=True),
)
async def content(
    request: Request, work: Desked, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """Whole, or the range that Range asks for."""
    return file_answer(request, await work.do(lambda: open_file(work.desk, session, file, damaged=damaged)))


@router.head(
    "/sessions/{session}/files/{file}/content",
    summary="What a file's bytes would come with",
    response_class=StreamingResponse,
    **tagged(binary("*/*"), matches=True),
)
async def content_head(
    request: Request, work: Desked, session: str, file: Number, damaged: WantDamaged = Damaged.REFUSE
) -> Response:
    """The headers of the whole file."""
    found = await work.do(lambda: open_file(work.desk, session, file, noted=False, damaged=damaged))
    return file_head(request, found)


def file_head(request: Request, found: FileDownload) -> Response:
    """The headers of a file that was opened; it is closed."""
    found.close()
    headers = _headers(found)
    if not found.damaged and is_unchanged(request.headers, found.etag, found.modified // 1000):
        return Response(status_code=304, headers=headers)
    return Response(status_code=200, headers={**headers, "Content-Length": str(found.size)})


def _headers(found: FileDownload) -> dict[str, str]:
    if found.damaged:  # no tag is right: it is not the file that was stored, and may be another tomorrow
        names = {DAMAGED: found.damaged, "Cache-Control": "private, no-store"}
    else:
        modified = format_datetime(datetime.fromtimestamp(found.modified // 1000, UTC), usegmt=True)
        names = {"ETag": found.etag, "Last-Modified": modified, "Cache-Control": "private, no-cache"}
    return {
        **names,
        "Accept-Ranges": "bytes",
        "Content-Type": found.media_type,
        "Content-Disposition": disposition(found.name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def file_answer(request: Request, found: FileDownload) -> Response:
    """The bytes of a file that was opened, whole or the range that is asked for; it is closed at the end."""
    try:
        return _answer(request, found)
    except BaseException:
        found.close()
        raise


def _answer(request: Request, found: FileDownload) -> Response:
    headers = _headers(found)
    if not found.damaged and is_unchanged(request.headers, found.etag, found.modified // 1000):
        found.close()
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if wanted is not None and _has_changed(request, found):
        wanted = None
    part = byte_range(wanted, found.size)
    if part is None:
        chunks, status, length = found.chunks(), 200, found.size
    else:
        offset, length = part
        chunks, status = found.chunks(offset, length), 206
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{found.size}"
    headers["Content-Length"] = str(length)
    return flowing(_closing(found, chunks), status=status, headers=headers, media_type=found.media_type)


def _has_changed(request: Request, found: FileDownload) -> bool:
    """Whether a range would be of other bytes than those that a client has the beginning of."""
    named = request.headers.get("if-range")
    return named is not None and (bool(found.damaged) or named.strip() != found.etag)


def _closing(found: FileDownload, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Close the file also where nobody takes a single byte."""
    try:
        yield from chunks
    finally:
        found.close()
