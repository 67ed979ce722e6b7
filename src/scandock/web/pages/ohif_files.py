"""The files of the OHIF viewer, where it is installed: at addresses that change with them, so that they are kept."""

from __future__ import annotations

import zlib
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.services.ohif import media_type_of
from scandock.web.deps import server_state

router = APIRouter(include_in_schema=False)

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the viewer needs, as was seen with all that it shows: no script of a page, nothing of another host."""
_KEEP: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
"""The policy is for workers, which go by that of their own file."""


@router.get("/ohif/static/{stamp}/{name:path}")
async def viewer_file(request: Request, stamp: str, name: str) -> Response:
    """A file of the viewer; of another one than is installed, nothing."""
    server = server_state(request)
    installed = await server.spool(server.ohif.find)
    media_type = media_type_of(name)
    content = None
    if installed is not None and installed.manifest.stamp == stamp and media_type is not None:
        content = await server.spool(installed.read, name)
    if content is None:
        return Response("There is no such file.", 404, media_type="text/plain", headers={"Cache-Control": "no-cache"})
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(content, headers={**_KEEP, "Content-Encoding": "gzip"}, media_type=media_type)
    plain = await server.spool(zlib.decompress, content, 16 + zlib.MAX_WBITS)
    return Response(plain, headers=_KEEP, media_type=media_type)
