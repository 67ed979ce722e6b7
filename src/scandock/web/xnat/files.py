"""Files of an experiment, or of a shelf: listed with their digests, one by one, and many as a zip (1, 9 to 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from sqlalchemy import Connection, RowMapping
from starlette.responses import Response

from scandock.model.errors import Usage
from scandock.services.downloads import open_file
from scandock.services.verifying import verify_now
from scandock.services.xnat import contents
from scandock.services.xnat.contents import Folder
from scandock.web.v1.desks import Work
from scandock.web.v1.files import file_answer, file_head
from scandock.web.xnat.answers import FORMATS, filters_of, format_of, listing, number_of
from scandock.web.xnat.parts import Chosen, chosen
from scandock.web.xnat.places import HOLDERS
from scandock.web.xnat.routing import Asking, router, said
from scandock.web.xnat.zipping import as_zip, damaged_of

routes = router()
_COUNTED: Final = "The first has 0."


@dataclass(frozen=True, slots=True)
class _Found:
    """Files of a part, as their listing has them."""

    part: Chosen
    rows: list[RowMapping]


async def files(request: Request, work: Asking) -> Response:
    """A listing, or with `format=zip` the files themselves; with `index` the one file at that place of the listing."""
    return await _listing(request, work, None)


async def _listing(request: Request, work: Work, folder: Folder | None) -> Response:
    wanted = format_of(request, "json")
    if wanted == "zip":
        return await as_zip(work, folder)
    if wanted not in FORMATS:
        return said(400, f"There is no format {wanted[:20]!r} of files. There are zip, json, csv and xml.")
    place = number_of(request, "index")
    found = await work.read(lambda c: _of_folder(c, work, folder))
    if any(one["md5"] is None for one in found.rows):  # placed just now: clients compare digests with what they sent
        await work.do(lambda: verify_now(work.site.catalog, work.site.store, found.part.experiment.standing))
        found = await work.read(lambda c: _of_folder(c, work, folder))
    experiment, filters = found.part.experiment, filters_of(request)
    if place is not None:
        numbers = contents.numbers_listed(
            found.rows, found.part.resources, experiment.standing, experiment.uri, filters
        )
        if place >= len(numbers):
            raise Usage("file_unknown", f"The listing has {len(numbers)} files, none at index {place}.", _COUNTED)
        return await _file(request, work, experiment.standing.uuid, numbers[place])
    rows = contents.list_files(found.rows, found.part.resources, experiment.standing, experiment.uri, filters)
    return listing(request, rows, title="Files")


def _of_folder(connection: Connection, work: Work, folder: Folder | None) -> _Found:
    part = chosen(connection, work, whole=True)
    return _Found(part, contents.files_of(connection, part.experiment.standing, part.resources, folder=folder))


async def file(request: Request, work: Asking, path: str) -> Response:
    """A file's bytes, whole or by ranges; of a folder, what is in it as `files` lists it."""
    found = await work.read(lambda c: _find(c, work, path))
    if isinstance(found, Folder):
        return await _listing(request, work, found)
    return await _file(request, work, *found)


async def _file(request: Request, work: Work, uuid: str, number: int) -> Response:
    return file_answer(request, await work.do(lambda: open_file(work.desk, uuid, number, damaged=damaged_of(request))))


async def head(request: Request, work: Asking, path: str) -> Response:
    """What a file's bytes, or the listing of a folder, would come with."""
    found = await work.read(lambda c: _find(c, work, path))
    if isinstance(found, Folder):
        return Response(media_type="application/json")
    uuid, number = found
    opened = await work.do(lambda: open_file(work.desk, uuid, number, noted=False, damaged=damaged_of(request)))
    return file_head(request, opened)


def _find(connection: Connection, work: Work, path: str) -> tuple[str, int] | Folder:
    """The one file that an address names, or the folder: `sub/`, and `sub` where there is no such file.

    Usage `file_unknown`; a folder that is named with its slash may be empty, as there are none without files.
    """
    part = chosen(connection, work, whole=True)
    standing = part.experiment.standing
    named = path.strip("/")
    ends = work.request.scope.get("raw_path", b"").endswith(b"/")
    folder = Folder(named, work.request.query_params.get("recursive", "").strip().lower() not in ("false", "0"))
    if ends and named and contents.files_of(connection, standing, part.resources, folder=Folder(named)):
        return folder
    rows = contents.files_of(connection, standing, part.resources, path)
    shown = repr(path[:200])
    if len(rows) == 1:
        return standing.uuid, rows[0]["n"]
    if rows:
        raise Usage("file_unknown", f"Several files there are called {shown}.", "Name the scan and resource of yours.")
    if named and (ends or contents.files_of(connection, standing, part.resources, folder=Folder(named))):
        return folder
    raise Usage("file_unknown", f"There is no file {shown} there.", "Its neighbours are listed at .../files.")


for _where in HOLDERS:
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{_where}{_of}/files")(files)
        routes.get(f"{_where}{_of}/files/{{path:whole}}")(file)
        routes.head(f"{_where}{_of}/files/{{path:whole}}")(head)
