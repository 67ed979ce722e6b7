"""Answers that are a file or a zip: their headers, and bytes that are read while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from fastapi import Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from scandock.services.downloads import (
    FileDescription,
    FileDownload,
    ZipDownload,
    content_disposition,
    parse_byte_range,
)
from scandock.web.conditions import is_not_modified
from scandock.web.response_sending import DownloadResponse

DAMAGED: Final = "X-Scandock-Damaged"
"""The header that says of a download that it is known to be damaged: how, or of a zip how many files are."""


def streaming_response(chunks: Iterator[bytes], *, status: int, headers: dict[str, str], media_type: str) -> Response:
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


def zip_response(download: ZipDownload) -> Response:
    """A zip as it is made."""
    headers = {
        "Content-Disposition": content_disposition(download.name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    if download.damaged:
        headers[DAMAGED] = str(download.damaged)
    if download.length is not None:
        headers["Content-Length"] = str(download.length)
    return DownloadResponse(download.chunks, 200, headers, "application/zip", download.close)


def file_head_response(request: Request, download: FileDownload) -> Response:
    """The headers of a file that was opened; it is closed."""
    download.close()
    return file_description_response(request, download)


def file_description_response(request: Request, download: FileDescription) -> Response:
    """The headers of a file that need not be opened."""
    headers = _headers(download)
    if not download.damaged and is_not_modified(request.headers, download.etag, download.modified // 1000):
        return Response(status_code=304, headers=headers)
    return Response(status_code=200, headers={**headers, "Content-Length": str(download.size)})


def _headers(download: FileDescription) -> dict[str, str]:
    if download.damaged:  # no tag is right: it is not the file that was stored, and may be another tomorrow
        names = {DAMAGED: download.damaged, "Cache-Control": "private, no-store"}
    else:
        modified = format_datetime(datetime.fromtimestamp(download.modified // 1000, UTC), usegmt=True)
        names = {"ETag": download.etag, "Last-Modified": modified, "Cache-Control": "private, no-cache"}
    return {
        **names,
        "Accept-Ranges": "bytes",
        "Content-Type": download.media_type,
        **({"Content-Disposition": content_disposition(download.name)} if download.name else {}),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def file_response(request: Request, download: FileDownload) -> Response:
    """The bytes of a file that was opened, whole or the range that is asked for; it is closed at the end."""
    try:
        return _make_file_response(request, download)
    except BaseException:
        download.close()
        raise


def _make_file_response(request: Request, download: FileDownload) -> Response:
    headers = _headers(download)
    if not download.damaged and is_not_modified(request.headers, download.etag, download.modified // 1000):
        download.close()
        return Response(status_code=304, headers=headers)
    range_header = request.headers.get("range")
    if range_header is not None and _has_changed(request, download):
        range_header = None
    part = parse_byte_range(range_header, download.size)
    if part is None:
        chunks, status, length = download.chunks(), 200, download.size
    else:
        offset, length = part
        chunks, status = download.chunks(offset, length), 206
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{download.size}"
    headers["Content-Length"] = str(length)
    return DownloadResponse(chunks, status, headers, download.media_type, download.close)


def is_whole_wanted(request: Request) -> bool:
    """Whether a request for a file is likely to read all of it."""
    return "range" not in request.headers and "if-none-match" not in request.headers


def _has_changed(request: Request, download: FileDownload) -> bool:
    """Whether a range would be of other bytes than those that a client has the beginning of."""
    if_range = request.headers.get("if-range")
    return if_range is not None and (bool(download.damaged) or if_range.strip() != download.etag)
