"""The archive as a read-only tree of folders and files that people mount: index pages, and files by ranges."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scandock.access.principal import LoginNeeded
from scandock.services.archive_folders import ArchivedFile, Folder, open_archived_file
from scandock.services.file_errors import FileUnknown
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.description.schemas import Responses
from scandock.web.file_responses import file_description_response, file_response, streaming_response
from scandock.web.openapi import binary_response
from scandock.web.request_context import SignedContext
from scandock.web.security import reader_key
from scandock.web.v1.openapi_keywords import etag_keywords


class TreeRoute(APIRoute):
    """A route that answers a HEAD from memory, where the sender was let into the session a moment ago."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            if request.method == "HEAD":
                path = request.path_params["path"]
                known = server_state(request).archive_folders.find_again(reader_key(request), path)
                if known is not None:
                    file, request.state.account_id = known
                    return file_description_response(request, file.description)
            return await handle(request)

        return answer


router = APIRouter(prefix="/api/v1", tags=["tree"], route_class=TreeRoute)

Place = Annotated[
    str,
    Path(
        description="A project, a session's label, and what stands in its folder, between slashes; that of a folder"
        " ends in a slash",
        max_length=4096,
    ),
]
MAX_WHOLE: Final = 10_000
"""Entries of an index that is made before it is sent; a longer one waits for its reader piece by piece."""
_LINES: Final = 1_000
_FILE: Final = binary_response("*/*")[200]["content"]
_INDEX: Final[Responses] = {200: {"content": {"text/html": {"schema": {"type": "string"}}, **_FILE}}}
_MOVED: Final[Responses] = {308: {"description": "It is a folder: its address ends in a slash"}}
_BYTES: Final[Responses] = {
    **_INDEX,
    **_MOVED,
    206: {"description": "The range of a file that was asked for", **binary_response("*/*")[200]},
}


@router.get(
    "/tree",
    summary="To the folder of all projects",
    response_class=RedirectResponse,
    status_code=308,
    responses=_MOVED,
)
async def top(request: Request) -> Response:
    """Its address ends in a slash."""
    return RedirectResponse(urls.root_of(request.scope) + urls.api_tree(), 308)


@router.get(
    "/tree/{path:path}",
    summary="A folder's index, or a file's bytes",
    response_class=HTMLResponse,
    **etag_keywords(_BYTES, matches=True),
)
async def read(request: Request, context: SignedContext, path: Place) -> Response:
    """Folders are pages of links, as rclone's http backend reads them; of a file the whole, or what Range asks for."""
    answer = await _find(request, context, path)
    if isinstance(answer, Response):
        return answer
    folders, pictures = context.server.archive_folders, context.server.pictures
    download = await context.run(lambda: open_archived_file(context.service_context, folders, pictures, path, answer))
    return file_response(request, download)


@router.head(
    "/tree/{path:path}",
    summary="What a folder or a file would come with",
    response_class=HTMLResponse,
    **etag_keywords({**_INDEX, **_MOVED}, matches=True),
)
async def head(request: Request, context: SignedContext, path: Place) -> Response:
    """The headers alone; no file is opened."""
    answer = await _find(request, context, path)
    return answer if isinstance(answer, Response) else file_description_response(request, answer.description)


async def _find(request: Request, context: SignedContext, path: str) -> ArchivedFile | Response:
    """A file; or a folder's page, or the way to its address."""

    def find() -> ArchivedFile | Response:
        found = context.server.archive_folders.find(
            context.service_context, path.removesuffix("/"), reader_key(request)
        )
        if (
            not path
            and context.service_context.principal.account_id is None
            and isinstance(found, Folder)
            and not found.entries
        ):
            raise LoginNeeded(
                "You are not signed in, and no project is public.", "Send a name and password, or a token."
            )  # an empty page would say to programs that all is there
        is_folder = not path or path.endswith("/")
        if isinstance(found, Folder):
            if is_folder:
                return _index_response(path, found)
            return RedirectResponse(urls.root_of(request.scope) + urls.api_tree(path), 308)
        if is_folder:
            raise FileUnknown("There is a file of that name, and no folder.", "Leave the slash out.")
        return found

    return await context.run(find)  # all files of a session are read for the first folder that has some


def _index_response(path: str, folder: Folder) -> Response:
    """The page of a folder: a link for each thing in it, folders by a slash at the end."""
    headers = {"Cache-Control": "private, no-cache"}
    pieces = _make_index(path, folder)
    if len(folder.entries) <= MAX_WHOLE:
        return HTMLResponse(b"".join(pieces), headers=headers)
    return streaming_response(pieces, status=200, headers=headers, media_type="text/html; charset=utf-8")


def _make_index(path: str, folder: Folder) -> Iterator[bytes]:
    title = escape(f"Index of /{path}")
    above = '<a href="../">../</a>\n' if path else ""
    yield (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<pre>{above}"
    ).encode()
    lines = _make_lines(folder)
    while piece := "".join(islice(lines, _LINES)):
        yield piece.encode()
    yield b"</pre></body></html>\n"


def _make_lines(folder: Folder) -> Iterator[str]:
    common = "" if folder.modified is None else _format_time(folder.modified)
    for name, entry in folder.entries.items():
        made = _format_time(folder.created[name]) if name in folder.created else common
        slash, size = ("/", "-") if entry is None else ("", str(entry.size))
        link = urls.path_segments(name)
        yield f'<a href="{link}{slash}">{escape(name)}{slash}</a>  {made}  {size}\n'


def _format_time(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d %H:%M")
