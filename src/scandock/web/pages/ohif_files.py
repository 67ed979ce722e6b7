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
    "object-src 'self'; frame-src 'self'; connect-src 'self' blob: data:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the viewer needs, as was seen with all that it shows: no script of a page, nothing of another host."""
_WORKER_POLICY: Final = POLICY.replace("'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'")
"""Of workers alone, which go by the policy of their own file: decoders of JPEG 2000, JPEG-LS and the like, compiled to
WebAssembly by Emscripten, make functions from text in them."""
_KEEP: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


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
    assert installed is not None
    headers = _KEEP
    if name in installed.manifest.workers:
        headers = {**_KEEP, "Content-Security-Policy": _WORKER_POLICY}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(content, headers={**headers, "Content-Encoding": "gzip"}, media_type=media_type)
    plain = await server.spool(zlib.decompress, content, 16 + zlib.MAX_WBITS)
    return Response(plain, headers=headers, media_type=media_type)
