"""What an experiment or own resources have: scans and resources, listed and one by one (xnat-clients.md 2.2)."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.services import session_parts
from scandock.services.file_errors import ResourceUnknown
from scandock.services.session_errors import ScanUnknown
from scandock.web.xnat import item_documents
from scandock.web.xnat.address_lookup import EXPERIMENTS, HOLDERS, lookup_experiment, lookup_session
from scandock.web.xnat.catalogs import catalog_response
from scandock.web.xnat.parts import AddressedPart, lookup_part, lookup_parts
from scandock.web.xnat.responses import Item, item_response, list_response, read_filters, read_format
from scandock.web.xnat.routing import PublicContext, make_router
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.zip_downloads import download_zip

routes = make_router()


async def scans(request: Request, context: PublicContext) -> Response:
    filters = read_filters(request)
    types = request.query_params.get("xsiType", "")
    if types and "imagescandata" not in types.lower():  # which every scan is
        filters.append(("xsiType", types))

    def ask(connection: Connection) -> Rows:
        target_experiment = lookup_experiment(connection, context)
        rows = session_parts.find_scans(connection, target_experiment.record)
        return contents.list_scans(
            rows,
            target_experiment.uri,
            item_documents.make_listing_fields(target_experiment),
            request.query_params.get("columns"),
            filters,
        )

    return list_response(request, await context.read(ask), title="Scans")


async def scan(request: Request, context: PublicContext) -> Response:
    """One scan; with `format=zip` its files, or those of several."""
    if read_format(request, "xml") == "zip":
        return await download_zip(context)

    def ask(connection: Connection) -> Item:
        part = lookup_part(connection, context)
        if part.scans is None or len(part.scans) != 1:
            raise ScanUnknown("Several scans are no single one.", "Name one, or ask for their files.")
        return item_documents.make_scan_item(part.scans[0], part.experiment, part.resources)

    return item_response(request, await context.read(ask))


async def resources(request: Request, context: PublicContext) -> Response:
    def ask(connection: Connection) -> Rows:
        parts = lookup_parts(connection, context)
        tables = [contents.list_resources(part.resources, part.experiment.record.uuid) for part in parts]
        return Rows(tables[0].names, [row for table in tables for row in table.rows])

    return list_response(request, await context.read(ask), title="Resources")


async def resource(request: Request, context: PublicContext) -> Response:
    """One resource as JSON; as XML the catalog of its files, with `format=zip` the files themselves."""
    requested_format = read_format(request, "json")
    if requested_format == "zip":
        return await download_zip(context)

    def ask(connection: Connection) -> AddressedPart:
        part = lookup_part(connection, context)
        if len(part.resources) != 1:
            raise ResourceUnknown("Several resources are no single one.", "Name one.")
        return part

    part = await context.read(ask)
    if requested_format == "json":
        # the original has no such item, and xnatpy takes it as a row of the listing, whose values are texts
        return item_response(
            request,
            item_documents.make_resource_item(part.resources[0], part.experiment),
            default="json",
            numbers=False,
        )
    return await catalog_response(context, part)


async def none(request: Request, context: PublicContext) -> Response:
    """What a session never has: reconstructions."""
    await context.read(lambda c: lookup_session(c, context))
    return list_response(request, Rows(["ID", "label", "xsiType", "URI"], []))


async def status(context: PublicContext) -> Response:
    """`quarantine` until somebody activates it, else `active` (xnat-behaviour.md 1.4, 5.5); nothing is ever locked."""
    target_experiment = await context.read(lambda c: lookup_experiment(c, context))
    return PlainTextResponse("quarantine" if target_experiment.record.quarantined else "active")


for _where in EXPERIMENTS:
    routes.get(f"{_where}/reconstructions")(none)
    routes.get(f"{_where}/status")(status)
    routes.get(f"{_where}/scans")(scans)
    routes.get(f"{_where}/scans/{{scans}}")(scan)
for _where in HOLDERS:
    routes.get(f"{_where}/resources")(resources)
    routes.get(f"{_where}/resources/{{resources}}")(resource)
