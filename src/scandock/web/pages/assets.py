"""Style sheets, scripts and pictures of the pages: under an address that changes with them, so that they are kept."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.rules.letters import LETTERS_FILE

router = APIRouter(include_in_schema=False)
SHEET: Final = "all.css"
"""All style sheets as one, on every page, as moving about keeps the document: a page is painted once it has them."""
_SHEETS: Final = ("scandock.css", "upload.css", "viewer.css", "live.css")
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEEP: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}
"""The policy is for workers, which go by that of their own file and not by the page's."""


@cache
def _assets() -> dict[str, tuple[bytes, bytes]]:
    """Name -> (its bytes, the same packed): they are few and small, and no name of a request is ever a path."""
    files = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*.*"))}
    files[SHEET] = b"\n".join(files.pop(name) for name in _SHEETS)
    typed_files = {name: plain for name, plain in files.items() if Path(name).suffix in _TYPES}
    typed_files[LETTERS_FILE.name] = LETTERS_FILE.read_bytes()  # so that a preview names subjects as the import does
    return {name: (plain, gzip.compress(plain, 9, mtime=0)) for name, plain in typed_files.items()}


@cache
def stamp() -> str:
    """What the address of all of them begins with after `/static/`."""
    digest = hashlib.sha256()
    for name, (plain, _) in _assets().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(plain).digest())
    return digest.hexdigest()[:12]


@router.get("/static/{version}/{name:path}")
async def asset(request: Request, version: str, name: str) -> Response:
    """One of them; one of another version, which a page from before an upgrade asks for, is not kept."""
    content = _assets().get(name)
    if content is None:
        return Response("There is no such file.", 404, media_type="text/plain", headers={"Cache-Control": "no-cache"})
    headers = _KEEP if version == stamp() else {**_KEEP, "Cache-Control": "no-cache"}
    kind = _TYPES.get(name[name.rindex(".") :], "text/plain; charset=utf-8")
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(content[1], headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
    return Response(content[0], headers=headers, media_type=kind)
