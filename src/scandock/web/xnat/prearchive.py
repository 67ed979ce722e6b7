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
from scandock.web.xnat.address_lookup import PREARCHIVE_SESSION, lookup_prearchive_session
from scandock.web.xnat.page_redirects import make_session_path, redirect_to_page, wants_page
from scandock.web.xnat.parts import AddressedPart, lookup_part
from scandock.web.xnat.responses import Item, item_response, list_response, read_filters, read_format
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router, text_response
from scandock.web.xnat.services import contents, session_logs
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.prearchive_sessions import list_prearchive_sessions, read_session_row
from scandock.web.xnat.zip_downloads import download_zip

routes = make_router()
RESOURCE_COLUMNS: Final = ("category", "cat_id", "label", "file_count", "file_size")


# -- listings ----------------------------------------------------------------------------------------------------------


@routes.get("/data/prearchive")
@routes.get("/data/prearchive/projects")
@routes.get("/data/prearchive/experiments")
@routes.get("/data/prearchive/projects/{projects}")
async def sessions(request: Request, context: SignedInContext, projects: str = "") -> Response:
    """Of all projects, or of those that are named with commas between."""
    project_names = [name for name in projects.split(",") if name]
    recent = request.url.path.rstrip("/").endswith(urls.PREARCHIVE_EXPERIMENTS)

    def ask(connection: Connection) -> Rows:
        return list_prearchive_sessions(
            connection,
            context.service_context.principal,
            request.query_params.get("columns"),
            read_filters(request),
            in_projects=project_names,
            recent=recent,
        )

    return list_response(request, await context.read(ask), title="Prearchive")


# -- one session -------------------------------------------------------------------------------------------------------


@routes.get(PREARCHIVE_SESSION)
async def session(request: Request, context: PublicContext) -> Response:
    """Its row as JSON or CSV, its document as XML, its files as a zip, its page as HTML."""
    if wants_page(request):
        return await redirect_to_page(context, lambda c: make_session_path(lookup_prearchive_session(c, context)))
    requested_format = read_format(request, "xml")
    if requested_format == "zip":
        return await download_zip(context)
    if requested_format in ("json", "csv"):
        return list_response(
            request, await context.read(lambda c: read_session_row(c, lookup_prearchive_session(c, context).record))
        )

    def ask(connection: Connection) -> Item:
        return item_documents.find_experiment_item(connection, lookup_prearchive_session(connection, context))

    return item_response(request, await context.read(ask))


@routes.get(f"{PREARCHIVE_SESSION}/scans")
async def scans(request: Request, context: SignedInContext) -> Response:
    """Without the type where columns are named and it is not: xnatpy then has its own kind of scans."""

    def ask(connection: Connection) -> Rows:
        waiting = lookup_prearchive_session(connection, context)
        rows = find_scans(connection, waiting.record)
        return contents.list_scans(
            rows, waiting.uri, item_documents.make_listing_fields(waiting), request.query_params.get("columns")
        )

    return list_response(request, await context.read(ask), title="Scans")


@routes.get(f"{PREARCHIVE_SESSION}/scans/{{scans}}")
async def scan(request: Request, context: SignedInContext) -> Response:
    return (
        await download_zip(context)
        if read_format(request, "xml") == "zip"
        else await session_parts.scan(request, context)
    )


async def resources(request: Request, context: SignedInContext) -> Response:
    """The session's own, or those of scans."""

    def ask(connection: Connection) -> Rows:
        rows = lookup_part(connection, context).resources
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
        return contents.make_table(cells, None, RESOURCE_COLUMNS, ())

    return list_response(request, await context.read(ask), title="Resources")


async def resource(request: Request, context: SignedInContext) -> Response:
    if read_format(request, "json") == "zip":
        return await download_zip(context)
    return await session_parts.resource(request, context)


async def all_files(request: Request, context: SignedInContext) -> Response:
    """A listing, or with `format=zip` the files themselves. Digests are there where they are known already."""
    if read_format(request, "json") == "zip":
        return await download_zip(context)

    def ask(connection: Connection) -> Rows:
        part = lookup_part(connection, context, whole=True)
        return list_files(connection, part)

    return list_response(request, await context.read(ask), title="Files")


def list_files(connection: Connection, part: AddressedPart) -> Rows:
    """Files as `Name, Size, URI, digest`; each URI is the same whatever address was asked, and names its resource."""
    resources_by_number = {row.n: row for row in part.resources}
    rows = []
    for file_part in find_files(connection, part.experiment.record, part.resources):
        resource_part = resources_by_number[file_part.resource_n]
        uri = uris.file(part.experiment.uri, resource_part.scan_id, resource_part.label, file_part.name)
        digest = file_part.md5.hex() if file_part.md5 else ""
        rows.append([file_part.name.rpartition("/")[2], str(file_part.bytes), uri, digest])
    return Rows(["Name", "Size", "URI", "digest"], rows)


for _within in ("", "/scans/{scans}"):
    routes.get(f"{PREARCHIVE_SESSION}{_within}/resources")(resources)
    routes.get(f"{PREARCHIVE_SESSION}{_within}/resources/{{resources}}")(resource)
    for _of in ("", "/resources/{resources}"):
        routes.get(f"{PREARCHIVE_SESSION}{_within}{_of}/files")(all_files)
        routes.get(f"{PREARCHIVE_SESSION}{_within}{_of}/files/{{path:whole}}")(files.file)
        routes.head(f"{PREARCHIVE_SESSION}{_within}{_of}/files/{{path:whole}}")(files.head)


# -- its log -----------------------------------------------------------------------------------------------------------


@routes.get(f"{PREARCHIVE_SESSION}/logs")
async def logs(request: Request, context: SignedInContext) -> Response:
    """What has happened to it, one entry a row."""
    entries = await context.read(lambda c: session_logs.read_log(c, lookup_prearchive_session(c, context).record))
    return list_response(request, session_logs.make_log_rows(entries), title="Logs")


@routes.get(f"{PREARCHIVE_SESSION}/logs/{{number}}")
async def log(context: SignedInContext, number: str) -> Response:
    """One entry as text, or the `last`."""
    entries = await context.read(lambda c: session_logs.read_log(c, lookup_prearchive_session(c, context).record))
    index = len(entries) if number == "last" else int(number) if number.isascii() and number.isdecimal() else 0
    if not 1 <= index <= len(entries):
        raise SessionsMissing(f"The session has no log {number[:40]!r}.", "GET .../logs lists them.")
    return text_response(200, entries[index - 1].text)
