"""Documents that may be long: written to memory or, above a megabyte, to disk, and sent from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from sqlalchemy import Connection
from starlette.responses import Response

from scandock.services.response_buffers import BufferedFile
from scandock.web.request_context import RequestContext
from scandock.web.response_sending import BufferedResponse

IN_MEMORY: Final = 1024 * 1024


async def buffered_document(
    context: RequestContext,
    write: Callable[[Connection, IO[bytes]], None],
    media_type: str = "text/xml; charset=utf-8",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What `write` writes while it reads the catalog, as an answer."""
    file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  closed once it is sent

    def written(connection: Connection) -> int:
        write(connection, file)
        return file.tell()

    try:
        size = await context.read(written)
        body = BufferedFile(file, context.server.response_buffers.hold(context.client_key, size))
    except BaseException:
        file.close()
        raise
    return BufferedResponse(body, dict(headers or {}), media_type)
