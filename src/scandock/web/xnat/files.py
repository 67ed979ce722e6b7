"""Files of an experiment, or of a shelf: listed with their digests, one by one, and many as a zip (1, 9 to 11)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.own_resources import Holder
from scandock.model import request_limits
from scandock.model.request_errors import RequestInvalid
from scandock.services import session_parts
from scandock.services.downloads import open_file
from scandock.services.file_errors import FileUnknown
from scandock.services.file_verification import verify_now
from scandock.services.session_parts import FilePart, Folder
from scandock.web.file_answers import file_answer, file_head
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import FORMATS, filters_of, format_of, listing, number_of
from scandock.web.xnat.parts import Chosen, chosen, chosen_of_each
from scandock.web.xnat.places import HOLDERS
from scandock.web.xnat.routing import Asking, router, said
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.zipping import as_zip, damaged_of

routes = router()
MAX_FILES: Final = request_limits.LISTED_FILES
"""Files that several experiments have together, where all of these are listed at once."""
Filters = list[tuple[str, str]]
_COUNTED: Final = "The first has 0."


@dataclass(frozen=True, slots=True)
class _FoundFile:
    """Files of a part, as their listing has them."""

    part: Chosen
    rows: list[FilePart]

    @property
    def holder(self) -> Holder:
        return self.part.experiment.standing

    def listed(self, filters: Filters) -> Rows:
        return contents.list_files(self.rows, self.part.resources, self.holder, self.part.experiment.uri, filters)

    def numbers(self, filters: Filters) -> list[int]:
        return contents.numbers_listed(self.rows, self.part.resources, self.holder, self.part.experiment.uri, filters)


async def files(request: Request, work: Asking) -> Response:
    """A listing, or with `format=zip` the files themselves; with `index` the one file at that place of the listing."""
    return await _listing(request, work, None)


async def _listing(request: Request, work: RequestContext, folder: Folder | None) -> Response:
    wanted = format_of(request, "json")
    if wanted == "zip":
        return await as_zip(work, folder)
    if wanted not in FORMATS:
        return said(400, f"There is no format {wanted[:20]!r} of files. There are zip, json, csv and xml.")
    place = number_of(request, "index")
    every = await _found(work, folder)
    fresh = [one.holder for one in every if any(row.md5 is None for row in one.rows)]
    for holder in fresh:  # placed just now: clients compare digests with what they sent
        await work.do(partial(verify_now, work.site.catalog, work.site.store, holder))
    every = await _found(work, folder) if fresh else every
    filters = filters_of(request)
    if place is not None:
        numbers = [(one.holder.uuid, number) for one in every for number in one.numbers(filters)]
        if place >= len(numbers):
            raise FileUnknown(f"The listing has {len(numbers)} files, none at index {place}.", _COUNTED)
        return await _file(request, work, *numbers[place])
    listed = [one.listed(filters) for one in every]
    return listing(request, Rows(listed[0].names, [row for one in listed for row in one.rows]), title="Files")


async def _found(work: RequestContext, folder: Folder | None) -> list[_FoundFile]:
    """The files of what an address names; of several experiments those of each, looked up where a zip's are."""

    def ask(connection: Connection) -> list[_FoundFile]:
        parts = chosen_of_each(connection, work, whole=True)
        if len(parts) > 1 and sum(part.experiment.standing.files for part in parts) > MAX_FILES:
            many = f"These experiments have more than {MAX_FILES:,} files together."
            raise RequestInvalid(many, "List them in parts, or fetch them as a zip.")
        return [
            _FoundFile(
                part, session_parts.find_files(connection, part.experiment.standing, part.resources, folder=folder)
            )
            for part in parts
        ]

    def many() -> list[_FoundFile]:
        with work.site.catalog.read() as connection:
            return ask(connection)

    if len(session_parts.split_names(work.request.path_params.get("experiment", ""))) > 1:
        return await work.prepare(many)
    return await work.read(ask)


async def file(request: Request, work: Asking, path: str) -> Response:
    """A file's bytes, whole or by ranges; of a folder, what is in it as `files` lists it."""
    found = await work.read(lambda c: _find(c, work, path))
    if isinstance(found, Folder):
        return await _listing(request, work, found)
    return await _file(request, work, *found)


async def _file(request: Request, work: RequestContext, uuid: str, number: int) -> Response:
    return file_answer(
        request, await work.do(lambda: open_file(work.context, uuid, number, on_damage=damaged_of(request)))
    )


async def head(request: Request, work: Asking, path: str) -> Response:
    """What a file's bytes, or the listing of a folder, would come with."""
    found = await work.read(lambda c: _find(c, work, path))
    if isinstance(found, Folder):
        return Response(media_type="application/json")
    uuid, number = found
    opened = await work.do(lambda: open_file(work.context, uuid, number, audited=False, on_damage=damaged_of(request)))
    return file_head(request, opened)


def _find(connection: Connection, work: RequestContext, path: str) -> tuple[str, int] | Folder:
    """The one file that an address names, or the folder: `sub/`, and `sub` where there is no such file.

    Usage `file_unknown`; a folder that is named with its slash may be empty, as there are none without files.
    """
    part = chosen(connection, work, whole=True)
    standing = part.experiment.standing
    named = path.strip("/")
    ends = work.request.scope.get("raw_path", b"").endswith(b"/")
    folder = Folder(named, work.request.query_params.get("recursive", "").strip().lower() not in ("false", "0"))
    if ends and named and session_parts.find_files(connection, standing, part.resources, folder=Folder(named)):
        return folder
    rows = session_parts.find_files(connection, standing, part.resources, path)
    shown = repr(path[:200])
    if len(rows) == 1:
        return standing.uuid, rows[0].n
    if rows:
        raise FileUnknown(f"Several files there are called {shown}.", "Name the scan and resource of yours.")
    if named and (ends or session_parts.find_files(connection, standing, part.resources, folder=Folder(named))):
        return folder
    raise FileUnknown(f"There is no file {shown} there.", "Its neighbours are listed at .../files.")


for _where in HOLDERS:
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{_where}{_of}/files")(files)
        routes.get(f"{_where}{_of}/files/{{path:whole}}")(file)
        routes.head(f"{_where}{_of}/files/{{path:whole}}")(head)
