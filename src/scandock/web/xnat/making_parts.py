"""PUT of scans and resources: made where missing, else changed; and the word that catalogs are fresh (2.4, 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.catalog.own_resources import Holder, OwnResources
from scandock.model.request_errors import RequestInvalid
from scandock.model.xnat_ids import resource_id
from scandock.rules.permissions import Action
from scandock.services import project_resources, session_creation, session_parts
from scandock.services.header_refresh import pull_headers
from scandock.services.next_tree import ResourcePath
from scandock.services.session_errors import LabelTaken
from scandock.services.session_parts import ScanPart
from scandock.services.xnat_lookup import Experiment, find_experiment, find_subject
from scandock.web import urls
from scandock.web.request_context import RequestContext
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.making import answer, make_scans, nameless, posted, said_in, wanted_scan
from scandock.web.xnat.places import EXPERIMENTS, HOLDERS, experiment_of, holder_of
from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.uploading_files import place_of, words_in

routes = router()


# -- scans and resources -----------------------------------------------------------------------------------------------


async def scan(request: Request, work: Known) -> Response:
    """Made where missing: the query has its id, and then the address its type; else the address has the id.

    With `pullDataFromHeaders` it is told anew by its objects.
    """
    said, named = await said_in(work), request.path_params["scans"]
    scan_id = said.get("id") or named
    wanted = wanted_scan(said, scan_id, told=named if scan_id != named else "")
    found, there = await work.read(lambda c: _scan_at(c, work, scan_id))
    if there is not None and said.by_path and wanted.xsi_type != there.xsi_type:
        if wanted.xsi_type:  # fields of another type, by their paths: they are none of its
            return answer(scan_id)
        wanted = replace(wanted, xsi_type="")
    await make_scans(work, found, [wanted])
    if true(request.query_params.get("pullDataFromHeaders")):
        await work.do(lambda: pull_headers(work.context, found.standing.uuid, scan_id))
    return answer(scan_id)


def _scan_at(connection: Connection, work: RequestContext, scan_id: str) -> tuple[Experiment, ScanPart | None]:
    found = experiment_of(connection, work, Action.SESSION_EDIT)
    rows = session_parts.find_scans(connection, found.standing)
    return found, next((row for row in rows if row.scan_id == scan_id), None)


async def post_scan(request: Request, work: Known) -> Response:
    """A new scan of what a document, or the query, says."""
    said = await said_in(work)
    scan_id = said.get("id")
    if not scan_id:
        raise nameless("scan", "ID")
    found, there = await work.read(lambda c: _scan_at(c, work, scan_id))
    if there is not None:
        raise LabelTaken(f"There is a scan {scan_id[:128]} already.", "Choose another id, or PUT it.")
    await make_scans(work, found, [wanted_scan(said, scan_id)])
    return posted(request, scan_id)


async def resource(request: Request, work: Known) -> Response:
    """Made where missing, with its `format` and `content`."""

    def ask(connection: Connection) -> tuple[Holder, ResourcePath]:
        found = holder_of(connection, work, Action.SESSION_EDIT)
        place, _ = place_of(connection, work)
        return found.standing, place

    of, place = await work.read(ask)
    kind = words_in(request.query_params)
    if isinstance(of, OwnResources):
        shelf = of
        uuid = await work.do(lambda: project_resources.create_resource(work.context, shelf, place.label, kind))
    else:
        uuid = of.uuid
        await work.do(lambda: session_creation.create_resource(work.context, uuid, place.scan_id, place.label, kind))
    return answer(resource_id(uuid, place.scan_id, place.label))


for _where in EXPERIMENTS:
    routes.put(f"{_where}/scans/{{scans}}")(scan)
    routes.post(f"{_where}/scans")(post_scan)
for _where in HOLDERS:
    routes.put(f"{_where}/resources/{{resources}}")(resource)


@routes.post("/data/services/refresh/catalog")
async def refresh(request: Request, work: Known) -> Response:
    """Nothing is ever out of step here: whoever may change what is named hears that all is well."""
    said = await said_in(work)
    named = request.query_params.getlist("resource") or [said.fields.get("resource", "")]
    if not any(named):
        raise RequestInvalid("The request names no resource.", "Say resource=/archive/experiments/{id}.")
    for one in named:
        found = urls.parse_holder(one.strip())
        if not found:
            raise RequestInvalid(
                f"{one[:200]!r} is no address of an experiment, a subject or a project.",
                "Right is /archive/experiments/{id}.",
            )
        await work.read(_checked(work, found))
    return PlainTextResponse("")


def _checked(work: RequestContext, named: Mapping[str, str]) -> Callable[[Connection], object]:
    project, subject, experiment = named.get("project"), named.get("subject"), named.get("experiment")
    principal, edit = work.context.principal, Action.SESSION_EDIT

    def ask(connection: Connection) -> object:
        if experiment is not None:
            return find_experiment(connection, principal, experiment, in_project=project, action=edit)
        if subject is not None:
            return find_subject(connection, principal, subject, in_project=project, action=Action.SUBJECT_EDIT)
        return project_resources.find_project_resources(connection, principal, named["project"], edit)

    return ask
