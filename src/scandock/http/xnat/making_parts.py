"""PUT of scans and resources: made where missing, else changed; and the word that catalogs are fresh (2.4, 2.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.catalog.shelves import Holder, Shelf
from scandock.http.v1.desks import Work
from scandock.http.xnat.making import answer, said_in
from scandock.http.xnat.places import EXPERIMENTS, HOLDERS, experiment_of, holder_of
from scandock.http.xnat.routing import Known, router
from scandock.http.xnat.schema import SCANS
from scandock.http.xnat.uploading_files import place_of
from scandock.http.xnat.wishes import true
from scandock.model.errors import Usage
from scandock.rules.permissions import Action
from scandock.rules.said_fields import SCAN_FIELDS, Said
from scandock.services.editing import edit_scan, scan_values
from scandock.services.xnat import contents, making, shelves
from scandock.services.xnat.finding import find_experiment, find_subject
from scandock.services.xnat.ids import resource_id
from scandock.services.xnat.next_tree import Place
from scandock.services.xnat.pulling import pull_headers

routes = router()
_SCAN_TYPES: Final = {f"xnat:{one}ScanData".lower(): f"xnat:{one}ScanData" for one in SCANS}
_ADDRESS: Final = re.compile(
    r"(?:/data)?(?:/archive)?(?:/projects/(?P<project>[^/]+))?(?:/subjects/(?P<subject>[^/]+))?"
    r"(?:/experiments/(?P<experiment>[^/]+)(?:/.*)?|/resources(?:/.*)?|/files(?:/.*)?)?"
)


# -- scans and resources -----------------------------------------------------------------------------------------------


async def scan(request: Request, work: Known) -> Response:
    """Made where missing: the query has its id, and then the address its type; else the address has the id.

    With `pullDataFromHeaders` it is told anew by its objects.
    """
    said = await said_in(work)
    named = request.path_params["scans"]
    scan_id = said.get("id") or named
    found = await work.read(lambda c: experiment_of(c, work, Action.SESSION_EDIT))
    uuid = found.standing.uuid
    rows = await work.read(lambda c: contents.scans_of(c, found.standing))
    there = any(row["scan_id"] == scan_id for row in rows)
    kind = _kind_of_scan(said)
    if not there and not kind:
        kind = found.standing.xsi_type.replace("SessionData", "ScanData")
        kind = _SCAN_TYPES.get(kind.lower(), "xnat:otherDicomScanData")
    told = said.get("type") or (named if scan_id != named else "")
    changes = {name: said.fields[name] for name in ("quality", "note") if said.fields.get(name)}
    if there and said.get("type"):
        changes["type"] = told
    scan_values(changes)  # nothing is made of what is refused
    wanted = making.WantedScan(id=scan_id, type=told, xsi_type=kind, attributes=said.known(SCAN_FIELDS))
    new = await work.do(lambda: making.make_scan(work.desk, uuid, wanted))
    if changes:
        await work.do(lambda: edit_scan(work.desk, uuid, scan_id, changes))
    if true(request.query_params.get("pullDataFromHeaders")):
        await work.do(lambda: pull_headers(work.desk, uuid, scan_id))
    return answer(scan_id, new=new)


def _kind_of_scan(said: Said) -> str:
    """The type that a request names; empty where it names none, or that of every scan. Usage `type_unknown`."""
    kind = _SCAN_TYPES.get(said.xsi_type.lower(), "")
    if not kind and said.xsi_type and said.xsi_type.lower() != "xnat:imagescandata":
        raise Usage(
            "type_unknown",
            f"{said.xsi_type[:64]} is no type of a scan.",
            f"Say xsiType=xnat:mrScanData, or in the place of mr one of {', '.join(SCANS)}.",
        )
    return kind


async def resource(request: Request, work: Known) -> Response:
    """Made where missing, with its `format` and `content`."""

    def ask(connection: Connection) -> tuple[Holder, Place]:
        found = holder_of(connection, work, Action.SESSION_EDIT)
        place, _ = place_of(connection, work)
        return found.standing, place

    of, place = await work.read(ask)
    asked = request.query_params
    kind = {"format": asked.get("format", "")[:32], "content": asked.get("content", "")[:4000]}
    kind["tags"] = asked.get("tags", "")[:4000]
    if isinstance(of, Shelf):
        shelf = of
        uuid, new = await work.do(lambda: shelves.make_resource(work.desk, shelf, place.label, kind))
    else:
        uuid = of.uuid
        new = await work.do(lambda: making.make_resource(work.desk, uuid, place.scan_id, place.label, kind))
    return answer(resource_id(uuid, place.scan_id, place.label), new=new)


for _where in EXPERIMENTS:
    routes.put(f"{_where}/scans/{{scans}}")(scan)
for _where in HOLDERS:
    routes.put(f"{_where}/resources/{{resources}}")(resource)


@routes.post("/data/services/refresh/catalog")
async def refresh(request: Request, work: Known) -> Response:
    """Nothing is ever out of step here: whoever may change what is named hears that all is well."""
    said = await said_in(work)
    named = request.query_params.getlist("resource") or [said.fields.get("resource", "")]
    if not any(named):
        raise Usage("request_invalid", "The request names no resource.", "Say resource=/archive/experiments/{id}.")
    for one in named:
        found = _ADDRESS.fullmatch(one.strip())
        if found is None or not any(found.groupdict().values()):
            raise Usage(
                "request_invalid",
                f"{one[:200]!r} is no address of an experiment, a subject or a project.",
                "Right is /archive/experiments/{id}.",
            )
        await work.read(_checked(work, found))
    return PlainTextResponse("")


def _checked(work: Work, named: re.Match[str]) -> Callable[[Connection], object]:
    project, subject, experiment = named["project"], named["subject"], named["experiment"]
    principal, edit = work.desk.principal, Action.SESSION_EDIT

    def ask(connection: Connection) -> object:
        if experiment is not None:
            return find_experiment(connection, principal, experiment, in_project=project, action=edit)
        if subject is not None:
            return find_subject(connection, principal, subject, in_project=project, action=Action.SUBJECT_EDIT)
        return shelves.find_of_project(connection, principal, project, edit)

    return ask
