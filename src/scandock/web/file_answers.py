"""Answers that are a file or a zip: their headers, and bytes that are read while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from fastapi import Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from scandock.services.downloads import FileDownload, ZipDownload, content_disposition, parse_byte_range
from scandock.web.conditions import is_unchanged

DAMAGED: Final = "X-Scandock-Damaged"
"""The header that says of a download that it is known to be damaged: how, or of a zip how many files are."""


def flowing(chunks: Iterator[bytes], *, status: int, headers: dict[str, str], media_type: str) -> Response:
    """A body that is read in threads while it is sent; closed whether or not it is taken to its end."""

    async def body() -> Any:  # noqa: ANN401  an async generator
        try:
            async for chunk in iterate_in_threadpool(chunks):
                yield chunk
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    return StreamingResponse(body(), status, headers, media_type)


def zip_answer(made: ZipDownload) -> Response:
    """A zip as it is made."""
    headers = {
        "Content-Disposition": content_disposition(made.name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    if made.damaged:
        headers[DAMAGED] = str(made.damaged)
    if made.length is not None:
        headers["Content-Length"] = str(made.length)
    return flowing(made.chunks, status=200, headers=headers, media_type="application/zip")


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
        "Content-Disposition": content_disposition(found.name),
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
    part = parse_byte_range(wanted, found.size)
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
