"""Files of an experiment, or of a shelf: listed with their digests, one by one, and many as a zip (1, 9 to 11)."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection, RowMapping
from starlette.responses import Response

from scandock.http.v1.desks import Work
from scandock.http.v1.files import file_answer, file_head
from scandock.http.xnat.answers import FORMATS, filters_of, format_of, listing
from scandock.http.xnat.parts import Chosen, chosen
from scandock.http.xnat.places import HOLDERS
from scandock.http.xnat.routing import Asking, router, said
from scandock.http.xnat.zipping import as_zip, damaged_of
from scandock.model.errors import Usage
from scandock.services.downloads import open_file
from scandock.services.verifying import verify_now
from scandock.services.xnat import contents

routes = router()


async def files(request: Request, work: Asking) -> Response:
    """A listing, or with `format=zip` the files themselves."""
    wanted = format_of(request, "json")
    if wanted == "zip":
        return await as_zip(work)
    if wanted not in FORMATS:
        return said(400, f"There is no format {wanted[:20]!r} of files. There are zip, json, csv and xml.")

    def ask(connection: Connection) -> tuple[Chosen, list[RowMapping]]:
        part = chosen(connection, work, whole=True)
        return part, contents.files_of(connection, part.experiment.standing, part.resources)

    part, found = await work.read(ask)
    if any(one["md5"] is None for one in found):  # placed just now: clients compare digests with what they have sent
        await work.do(lambda: verify_now(work.site.catalog, work.site.store, part.experiment.standing))
        part, found = await work.read(ask)
    rows = contents.list_files(
        found, part.resources, part.experiment.standing, part.experiment.uri, filters_of(request)
    )
    return listing(request, rows, title="Files")


async def file(request: Request, work: Asking, path: str) -> Response:
    """A file's bytes, whole or by ranges."""
    uuid, number = await work.read(lambda c: _find(c, work, path))
    found = await work.do(lambda: open_file(work.desk, uuid, number, damaged=damaged_of(request)))
    return file_answer(request, found)


async def head(request: Request, work: Asking, path: str) -> Response:
    """What a file's bytes would come with."""
    uuid, number = await work.read(lambda c: _find(c, work, path))
    found = await work.do(lambda: open_file(work.desk, uuid, number, noted=False, damaged=damaged_of(request)))
    return file_head(request, found)


def _find(connection: Connection, work: Work, path: str) -> tuple[str, int]:
    part = chosen(connection, work, whole=True)
    standing = part.experiment.standing
    rows = contents.files_of(connection, standing, part.resources, path)
    shown = repr(path[:200])
    if not rows:
        raise Usage("file_unknown", f"There is no file {shown} there.", "Its neighbours are listed at .../files.")
    if len(rows) > 1:
        raise Usage("file_unknown", f"Several files there are called {shown}.", "Name the scan and resource of yours.")
    return standing.uuid, rows[0]["n"]


for _where in HOLDERS:
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{_where}{_of}/files")(files)
        routes.get(f"{_where}{_of}/files/{{path:whole}}")(file)
        routes.head(f"{_where}{_of}/files/{{path:whole}}")(head)
