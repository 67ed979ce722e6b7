"""What is in an experiment, or on a shelf: scans and resources, as listings and one by one (xnat-clients.md 2.2)."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.services import session_parts
from scandock.services.file_errors import ResourceUnknown
from scandock.services.session_errors import ScanUnknown
from scandock.web.xnat import item_documents
from scandock.web.xnat.answers import Item, filters_of, format_of, item, listing
from scandock.web.xnat.catalogs import catalog_of
from scandock.web.xnat.parts import Chosen, chosen, chosen_of_each
from scandock.web.xnat.places import EXPERIMENTS, HOLDERS, experiment_of, session_of
from scandock.web.xnat.routing import Asking, router
from scandock.web.xnat.services import contents
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.zipping import as_zip

routes = router()


async def scans(request: Request, work: Asking) -> Response:
    filters = filters_of(request)
    kinds = request.query_params.get("xsiType", "")
    if kinds and "imagescandata" not in kinds.lower():  # which every scan is
        filters.append(("xsiType", kinds))

    def ask(connection: Connection) -> Rows:
        found = experiment_of(connection, work)
        rows = session_parts.find_scans(connection, found.standing)
        return contents.list_scans(
            rows, found.uri, item_documents.told_of_session(found), request.query_params.get("columns"), filters
        )

    return listing(request, await work.read(ask), title="Scans")


async def scan(request: Request, work: Asking) -> Response:
    """One scan; with `format=zip` its files, or those of several."""
    if format_of(request, "xml") == "zip":
        return await as_zip(work)

    def ask(connection: Connection) -> Item:
        part = chosen(connection, work)
        if part.scans is None or len(part.scans) != 1:
            raise ScanUnknown("Several scans are no single one.", "Name one, or ask for their files.")
        return item_documents.scan_item(part.scans[0], part.experiment, part.resources)

    return item(request, await work.read(ask))


async def resources(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Rows:
        parts = chosen_of_each(connection, work)
        listed = [contents.list_resources(part.resources, part.experiment.standing.uuid) for part in parts]
        return Rows(listed[0].names, [row for one in listed for row in one.rows])

    return listing(request, await work.read(ask), title="Resources")


async def resource(request: Request, work: Asking) -> Response:
    """One resource as JSON; as XML the catalog of its files, with `format=zip` the files themselves."""
    wanted = format_of(request, "json")
    if wanted == "zip":
        return await as_zip(work)

    def ask(connection: Connection) -> Chosen:
        part = chosen(connection, work)
        if len(part.resources) != 1:
            raise ResourceUnknown("Several resources are no single one.", "Name one.")
        return part

    part = await work.read(ask)
    if wanted == "json":
        # the original has no such item, and xnatpy takes it as a row of the listing, whose values are texts
        return item(
            request, item_documents.resource_item(part.resources[0], part.experiment), default="json", numbers=False
        )
    return await catalog_of(work, part)


async def none(request: Request, work: Asking) -> Response:
    """What a session never has: reconstructions."""
    await work.read(lambda c: session_of(c, work))
    return listing(request, Rows(["ID", "label", "xsiType", "URI"], []))


async def status(work: Asking) -> Response:
    """`quarantine` until somebody activates it, else `active` (xnat-behaviour.md 1.4, 5.5); nothing is ever locked."""
    found = await work.read(lambda c: experiment_of(c, work))
    return PlainTextResponse("quarantine" if found.standing.quarantined else "active")


for _where in EXPERIMENTS:
    routes.get(f"{_where}/reconstructions")(none)
    routes.get(f"{_where}/status")(status)
    routes.get(f"{_where}/scans")(scans)
    routes.get(f"{_where}/scans/{{scans}}")(scan)
for _where in HOLDERS:
    routes.get(f"{_where}/resources")(resources)
    routes.get(f"{_where}/resources/{{resources}}")(resource)
