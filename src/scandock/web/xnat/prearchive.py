"""What waits in the prearchive: listings, one session, and what is in it (xnat-behaviour.md 5.6; xnat-clients.md 2.5).

Rows of resources and files have the few columns that the original gives them: by these xnatpy tells them from those of
the archive.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model import uris
from scandock.services.session_errors import SessionsMissing
from scandock.services.session_parts import find_files, find_scans
from scandock.web import urls
from scandock.web.xnat import files, item_documents, session_parts
from scandock.web.xnat.answers import Item, filters_of, format_of, item, listing
from scandock.web.xnat.page_redirects import is_for_a_page, page_of_session, to_page
from scandock.web.xnat.parts import Chosen, chosen
from scandock.web.xnat.places import PREARCHIVED, waiting_of
from scandock.web.xnat.routing import Asking, Known, router, said
from scandock.web.xnat.services import contents, session_logs
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.prearchive_sessions import list_waiting, row_of
from scandock.web.xnat.zipping import as_zip

routes = router()
RESOURCE_COLUMNS: Final = ("category", "cat_id", "label", "file_count", "file_size")


# -- listings ----------------------------------------------------------------------------------------------------------


@routes.get("/data/prearchive")
@routes.get("/data/prearchive/projects")
@routes.get("/data/prearchive/experiments")
@routes.get("/data/prearchive/projects/{projects}")
async def sessions(request: Request, work: Known, projects: str = "") -> Response:
    """Of all projects, or of those that are named with commas between."""
    named = [one for one in projects.split(",") if one]
    recent = request.url.path.rstrip("/").endswith(urls.PREARCHIVE_EXPERIMENTS)

    def ask(connection: Connection) -> Rows:
        return list_waiting(
            connection,
            work.context.principal,
            request.query_params.get("columns"),
            filters_of(request),
            in_projects=named,
            recent=recent,
        )

    return listing(request, await work.read(ask), title="Prearchive")


# -- one session -------------------------------------------------------------------------------------------------------


@routes.get(PREARCHIVED)
async def session(request: Request, work: Asking) -> Response:
    """Its row as JSON or CSV, its document as XML, its files as a zip, its page as HTML."""
    if is_for_a_page(request):
        return await to_page(work, lambda c: page_of_session(waiting_of(c, work)))
    wanted = format_of(request, "xml")
    if wanted == "zip":
        return await as_zip(work)
    if wanted in ("json", "csv"):
        return listing(request, await work.read(lambda c: row_of(c, waiting_of(c, work).standing)))

    def ask(connection: Connection) -> Item:
        return item_documents.experiment_item(connection, waiting_of(connection, work))

    return item(request, await work.read(ask))


@routes.get(f"{PREARCHIVED}/scans")
async def scans(request: Request, work: Known) -> Response:
    """Without the type where columns are named and it is not: xnatpy then has its own kind of scans."""

    def ask(connection: Connection) -> Rows:
        found = waiting_of(connection, work)
        rows = find_scans(connection, found.standing)
        return contents.list_scans(
            rows, found.uri, item_documents.told_of_session(found), request.query_params.get("columns")
        )

    return listing(request, await work.read(ask), title="Scans")


@routes.get(f"{PREARCHIVED}/scans/{{scans}}")
async def scan(request: Request, work: Known) -> Response:
    return await as_zip(work) if format_of(request, "xml") == "zip" else await session_parts.scan(request, work)


async def resources(request: Request, work: Known) -> Response:
    """The session's own, or those of scans."""

    def ask(connection: Connection) -> Rows:
        rows = chosen(connection, work).resources
        cells = [
            {
                "category": "scans" if row.scan_id is not None else "resources",
                "cat_id": row.scan_id or "",
                "label": row.label,
                "file_count": str(row.files),
                "file_size": str(row.bytes),
            }
            for row in rows
        ]
        return contents.table_of(cells, None, RESOURCE_COLUMNS, ())

    return listing(request, await work.read(ask), title="Resources")


async def resource(request: Request, work: Known) -> Response:
    if format_of(request, "json") == "zip":
        return await as_zip(work)
    return await session_parts.resource(request, work)


async def all_files(request: Request, work: Known) -> Response:
    """A listing, or with `format=zip` the files themselves. Digests are there where they are known already."""
    if format_of(request, "json") == "zip":
        return await as_zip(work)

    def ask(connection: Connection) -> Rows:
        part = chosen(connection, work, whole=True)
        return files_of(connection, part)

    return listing(request, await work.read(ask), title="Files")


def files_of(connection: Connection, part: Chosen) -> Rows:
    """Files as `Name, Size, URI, digest`; each URI is the same whatever address was asked, and names its resource."""
    of = {row.n: row for row in part.resources}
    rows = []
    for one in find_files(connection, part.experiment.standing, part.resources):
        within = of[one.resource_n]
        uri = uris.file(part.experiment.uri, within.scan_id, within.label, one.name)
        digest = one.md5.hex() if one.md5 else ""
        rows.append([one.name.rpartition("/")[2], str(one.bytes), uri, digest])
    return Rows(["Name", "Size", "URI", "digest"], rows)


for _within in ("", "/scans/{scans}"):
    routes.get(f"{PREARCHIVED}{_within}/resources")(resources)
    routes.get(f"{PREARCHIVED}{_within}/resources/{{resources}}")(resource)
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{PREARCHIVED}{_within}{_of}/files")(all_files)
        routes.get(f"{PREARCHIVED}{_within}{_of}/files/{{path:whole}}")(files.file)
        routes.head(f"{PREARCHIVED}{_within}{_of}/files/{{path:whole}}")(files.head)


# -- its log -----------------------------------------------------------------------------------------------------------


@routes.get(f"{PREARCHIVED}/logs")
async def logs(request: Request, work: Known) -> Response:
    """What has happened to it, one entry a row."""
    entries = await work.read(lambda c: session_logs.entries_of(c, waiting_of(c, work).standing))
    return listing(request, session_logs.table(entries), title="Logs")


@routes.get(f"{PREARCHIVED}/logs/{{number}}")
async def log(work: Known, number: str) -> Response:
    """One entry as text, or the `last`."""
    entries = await work.read(lambda c: session_logs.entries_of(c, waiting_of(c, work).standing))
    at = len(entries) if number == "last" else int(number) if number.isascii() and number.isdecimal() else 0
    if not 1 <= at <= len(entries):
        raise SessionsMissing(f"The session has no log {number[:40]!r}.", "GET .../logs lists them.")
    return said(200, entries[at - 1].text)
