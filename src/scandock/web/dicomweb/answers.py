"""Answers of DICOMweb as the narrowest of its clients read them: multipart, JSON, warnings.

A multipart body begins with its boundary, has CRLF throughout, and its parts have one content type, spelled
`Content-Type` and without quotes round a transfer syntax. JSON is `application/dicom+json` without a charset: Python's
dicomweb-client takes an answer with one for empty.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol
from uuid import uuid4

from fastapi import Request
from starlette.responses import Response

from scandock.services.downloads import parse_byte_range
from scandock.web.deps import server_state
from scandock.web.dicomweb.accept import JSON, parse_accept, takes_json
from scandock.web.dicomweb.errors import NotAcceptable
from scandock.web.response_sending import ThreadedResponse

PIECE: Final = 256 * 1024
"""Bytes that are gathered before they are sent: each piece costs a turn of a thread."""
_LEVEL: Final = 1
_VARY: Final = "Accept, Accept-Encoding, Authorization, Cookie"
"""What an answer depends on besides its address."""
_GUARD: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
FRAMED: Final = {
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of a PDF, which viewers of this site show within their page: browsers show none in a sandbox."""
KEPT: Final = {**_GUARD, "Cache-Control": "private, no-cache", "Vary": _VARY}
"""Headers of what a client may keep as long as it asks each time: rights change."""


class Source(Protocol):
    """What a body is read from: closed once it was sent or left. `ObjectReader` is one."""

    @property
    def reserved(self) -> int:
        """Bytes that have their room already, as they wait in files."""

    def close(self) -> None: ...


def multipart_response(
    request: Request,
    parts: Iterable[Iterable[bytes]],
    content_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    reader: Source | None = None,
) -> Response:
    """Parts of one content type (with its parameters, as `image/jpeg; transfer-syntax=1.2`), sent as they are made."""
    boundary = str(uuid4())
    media_type = content_type.partition(";")[0].strip()
    media_type = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return _stream(request, _multipart(parts, content_type, boundary), media_type, status, headers, reader)


def multipart_bytes_response(
    bodies: Sequence[Sequence[bytes]], content_type: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Parts of one content type that are at hand, each in pieces."""
    boundary = str(uuid4())
    media_type = content_type.partition(";")[0].strip()
    body = b"".join(_multipart(bodies, content_type, boundary))
    content_type = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return bytes_response(body, content_type, headers=headers)


def bytes_response(body: bytes, content_type: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """One thing that is at hand."""
    return Response(body, headers={**KEPT, **(headers or {}), "Content-Type": content_type})


def single_response(
    request: Request,
    chunks: Iterable[bytes],
    content_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    reader: Source | None = None,
) -> Response:
    """One thing that is no multipart, sent as it is read."""
    return _stream(request, chunks, content_type, status, headers, reader)


def _stream(
    request: Request,
    chunks: Iterable[bytes],
    media_type: str,
    status: int,
    headers: Mapping[str, str] | None,
    reader: Source | None,
) -> Response:
    """A body that may wait for decoders: in their threads, so that no download waits for it. Closes the reader."""
    return ThreadedResponse(
        gather(chunks),
        server_state(request).pictures.threads,
        reader.close if reader is not None else lambda: None,
        reserved=reader.reserved if reader is not None else 0,
        status=status,
        headers={**KEPT, **(headers or {})},
        media_type=media_type,
    )


def ranged_response(
    request: Request,
    size: int,
    read: Callable[[int, int], Iterator[bytes]],
    content_type: str,
    headers: Mapping[str, str],
    reader: Source,
) -> Response:
    """One thing of known size, whole or the range that is asked for. RangeUnsatisfiable.

    Its tag is strong: it is the same to the byte, so that a download can be gone on with (If-Range).
    """
    tag = headers["ETag"].removeprefix("W/")
    condition = request.headers.get("if-range")
    is_same = condition is None or condition.strip() == tag
    part = parse_byte_range(request.headers.get("range") if is_same else None, size)
    offset, length = part if part is not None else (0, size)
    headers = {**headers, "ETag": tag, "Accept-Ranges": "bytes", "Content-Length": str(length)}
    if part is not None:
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{size}"
    status = 200 if part is None else 206
    return single_response(request, read(offset, length), content_type, status=status, headers=headers, reader=reader)


def json_response(
    request: Request,
    chunks: Iterable[bytes],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    reader: Source | None = None,
) -> Response:
    """JSON in pieces, compressed where the client takes that."""
    if not takes_gzip(request):
        return _stream(request, chunks, JSON, status, headers, reader)
    headers = {**(headers or {}), "Content-Encoding": "gzip"}
    return _stream(request, _gzip(gather(chunks)), JSON, status, headers, reader)


def json_list(items: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """A list of objects of the DICOM JSON model, item by item."""
    separator = b"["
    for item in items:
        yield separator + json.dumps(item, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


def require_json(request: Request) -> None:
    """Raise NotAcceptable where a request takes no JSON at all."""
    if not takes_json(parse_accept(request)):
        raise NotAcceptable("This is answered as JSON alone.", f"Accept {JSON}.")


def warning_header(base: str, texts: Sequence[str]) -> dict[str, str]:
    """The header that tells what of a request was not done (PS3.18 8.3.4.2); nothing without texts."""
    plain = (text.encode("ascii", "replace").decode().replace('"', "'") for text in texts)
    return {"Warning": ", ".join(f'299 {base} "{text}"' for text in plain)} if texts else {}


def takes_gzip(request: Request) -> bool:
    """Whether a client takes answers compressed."""
    for piece in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = piece.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def gather(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of some size; what is read is closed with it."""
    held: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _multipart(parts: Iterable[Iterable[bytes]], content_type: str, boundary: str) -> Iterator[bytes]:
    before = b""
    head = f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    for part in parts:
        yield before + head
        yield from part
        before = b"\r\n"
    yield before + f"--{boundary}--\r\n".encode()


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, wbits=31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()
