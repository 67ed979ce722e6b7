"""Style sheets, scripts and pictures of the pages: under an address that changes with them, so that they are kept."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import deflate
from fastapi import APIRouter, Request
from starlette.responses import Response

from scandock.rules.letters import LETTERS_FILE

router = APIRouter(include_in_schema=False)
SHEET: Final = "all.css"
"""All style sheets as one, on every page, as moving about keeps the document: a page is painted once it has them."""
_SHEETS: Final = ("scandock.css", "upload.css", "viewer.css", "live.css")
_FOLDER: Final = Path(__file__).parent / "static"
_BUNDLE: Final = "bundle"
"""The folder of the minified scripts and style sheets, which a wheel has (hatch_build.py) and a checkout has not."""
_bundle = _FOLDER / _BUNDLE
_MAIN: Final = "js/main.js"
_STATIC_IMPORT: Final = re.compile(rb'(?:\bfrom|\bimport)\s*"(\.{1,2}/[^"]+)"')
_PAGE_SCRIPT: Final = re.compile(rb'\b(\w+):\s*\(\)\s*=>\s*import\("([^"]+)"\)')
"""The scripts of pages in `main.js`, as written and as minified."""
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


@contextmanager
def use_bundle(folder: Path) -> Iterator[None]:
    """Serve our scripts and style sheets from a bundle (hatch_build.make_bundle) that stands in another folder.

    For tests, which see pages of a checkout as those of a wheel by it. No setting leads here.
    """
    global _bundle  # noqa: PLW0603  one for the process, as the addresses are that follow from it
    before, _bundle = _bundle, folder
    _forget()
    try:
        yield
    finally:
        _bundle = before
        _forget()


def _forget() -> None:
    for cached in (_assets, preloads, stamp):
        cached.cache_clear()


def read_static_files(folder: Path, bundle_folder: Path) -> dict[str, bytes]:
    """Name -> bytes of all static files. Where there is a bundle, it has our scripts and style sheets."""
    files = {name: content for name, content in _read(folder).items() if not name.startswith(f"{_BUNDLE}/")}
    if bundle := _read(bundle_folder):
        files = {name: content for name, content in files.items() if not name.startswith("js/")} | bundle
    files[SHEET] = b"\n".join(files.pop(name) for name in _SHEETS)
    return {name: content for name, content in files.items() if Path(name).suffix in _TYPES}


def _read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@cache
def _assets() -> dict[str, tuple[bytes, bytes]]:
    """Name -> (its bytes, the same packed): they are few and small, and no name of a request is ever a path."""
    files = read_static_files(_FOLDER, _bundle)
    letters = Path(LETTERS_FILE)  # so that a preview names subjects as the import does
    files[letters.name] = letters.read_bytes()
    return {name: (plain, bytes(deflate.gzip_compress(plain, 12))) for name, plain in files.items()}


@cache
def preloads(script: str) -> tuple[str, ...]:
    """Names of the modules that a page with this script needs first: the browser asks for all of them at once."""
    files = {name: plain for name, (plain, _) in _assets().items()}
    page_scripts = {name.decode(): path.decode() for name, path in _PAGE_SCRIPT.findall(files[_MAIN])}
    names = [_MAIN]
    if script in page_scripts:
        names.append(_resolve(_MAIN, page_scripts[script]))
    for name in names:  # it grows meanwhile
        imports = [_resolve(name, path.decode()) for path in _STATIC_IMPORT.findall(files[name])]
        names += [imported for imported in dict.fromkeys(imports) if imported not in names]
    return tuple(names)


def _resolve(importer: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))


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
