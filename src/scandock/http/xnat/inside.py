"""What is in an experiment: scans and resources, as listings and one by one (xnat-clients.md 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import Connection, RowMapping
from starlette.responses import Response

from scandock.http.v1.desks import Work
from scandock.http.xnat import things
from scandock.http.xnat.answers import Item, item, listing
from scandock.http.xnat.places import EXPERIMENTS, experiment_of, session_of
from scandock.http.xnat.routing import Asking, router
from scandock.model.errors import Usage
from scandock.services.xnat import contents
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.waiting import AnySession

routes = router()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The part of an experiment, or of a session that waits, that an address names."""

    experiment: AnySession
    scans: Sequence[RowMapping] | None
    """None: the session's own resources are meant."""
    resources: list[RowMapping]


def chosen(connection: Connection, work: Work, *, whole: bool = False, name: str | None = None) -> Chosen:
    """What `.../scans/1,2/resources/DICOM` names. Denied, Usage `scan_unknown`, `resource_unknown`.

    `whole`: where neither scans nor resources are named, those of all scans are meant besides the session's own.
    `name`: one of several experiments that the address names with commas.
    """
    places = work.request.path_params
    found = session_of(connection, work) if name is None else experiment_of(connection, work, name=name)
    scans = contents.scans_of(connection, found.standing, places["scans"]) if "scans" in places else None
    resources = contents.resources_of(connection, found.standing, places.get("resources", "ALL"), scans=scans)
    if whole and scans is None and "resources" not in places:
        every = contents.scans_of(connection, found.standing)
        resources = contents.resources_of(connection, found.standing, scans=every) + resources
    return Chosen(found, scans, resources)


async def scans(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Rows:
        found = experiment_of(connection, work)
        rows = contents.scans_of(connection, found.standing)
        return contents.list_scans(rows, found.uri, request.query_params.get("columns"))

    return listing(request, await work.read(ask), title="Scans")


async def scan(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Item:
        part = chosen(connection, work)
        if part.scans is None or len(part.scans) != 1:
            raise Usage("scan_unknown", "Several scans are no single one.", "Name one, or ask for their files.")
        return things.scan_item(part.scans[0], part.experiment, part.resources)

    return item(request, await work.read(ask))


async def resources(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Rows:
        part = chosen(connection, work)
        return contents.list_resources(part.resources, part.experiment.standing)

    return listing(request, await work.read(ask), title="Resources")


async def resource(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Item:
        part = chosen(connection, work)
        if len(part.resources) != 1:
            raise Usage("resource_unknown", "Several resources are no single one.", "Name one.")
        return things.resource_item(part.resources[0], part.experiment)

    return item(request, await work.read(ask), default="json")


for _where in EXPERIMENTS:
    routes.get(f"{_where}/scans")(scans)
    routes.get(f"{_where}/scans/{{scans}}")(scan)
    for _within in ("", "/scans/{scans}"):
        routes.get(f"{_where}{_within}/resources")(resources)
        routes.get(f"{_where}{_within}/resources/{{resources}}")(resource)
