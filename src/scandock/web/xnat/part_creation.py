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
from scandock.web.xnat.address_lookup import EXPERIMENTS, HOLDERS, lookup_experiment, lookup_holder
from scandock.web.xnat.creation import (
    created_response,
    id_response,
    make_scan_request,
    make_scans,
    name_missing_error,
    read_fields,
)
from scandock.web.xnat.file_uploads import find_resource_path, read_descriptions
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.routing import SignedInContext, make_router

routes = make_router()


# -- scans and resources -----------------------------------------------------------------------------------------------


async def scan(request: Request, context: SignedInContext) -> Response:
    """Made where missing: the query has its id, and then the address its type; else the address has the id.

    With `pullDataFromHeaders` it is told anew by its objects.
    """
    fields, path_name = await read_fields(context), request.path_params["scans"]
    scan_id = fields.get("id") or path_name
    scan_request = make_scan_request(fields, scan_id, usual_type=path_name if scan_id != path_name else "")
    target_experiment, existing = await context.read(lambda c: _find_scan(c, context, scan_id))
    if existing is not None and fields.by_path and scan_request.xsi_type != existing.xsi_type:
        if scan_request.xsi_type:  # fields of another type, by their paths: they are none of its
            return id_response(scan_id)
        scan_request = replace(scan_request, xsi_type="")
    await make_scans(context, target_experiment, [scan_request])
    if is_true(request.query_params.get("pullDataFromHeaders")):
        await context.run(lambda: pull_headers(context.service_context, target_experiment.record.uuid, scan_id))
    return id_response(scan_id)


def _find_scan(connection: Connection, context: RequestContext, scan_id: str) -> tuple[Experiment, ScanPart | None]:
    target_experiment = lookup_experiment(connection, context, Action.SESSION_EDIT)
    rows = session_parts.find_scans(connection, target_experiment.record)
    return target_experiment, next((row for row in rows if row.scan_id == scan_id), None)


async def post_scan(request: Request, context: SignedInContext) -> Response:
    """A new scan of what a document, or the query, says."""
    fields = await read_fields(context)
    scan_id = fields.get("id")
    if not scan_id:
        raise name_missing_error("scan", "ID")
    target_experiment, existing = await context.read(lambda c: _find_scan(c, context, scan_id))
    if existing is not None:
        raise LabelTaken(f"There is a scan {scan_id[:128]} already.", "Choose another id, or PUT it.")
    await make_scans(context, target_experiment, [make_scan_request(fields, scan_id)])
    return created_response(request, scan_id)


async def resource(request: Request, context: SignedInContext) -> Response:
    """Made where missing, with its `format` and `content`."""

    def ask(connection: Connection) -> tuple[Holder, ResourcePath]:
        target = lookup_holder(connection, context, Action.SESSION_EDIT)
        resource_path, _ = find_resource_path(connection, context)
        return target.record, resource_path

    holder, resource_path = await context.read(ask)
    descriptions = read_descriptions(request.query_params)
    if isinstance(holder, OwnResources):
        own_resources = holder
        uuid = await context.run(
            lambda: project_resources.create_resource(
                context.service_context, own_resources, resource_path.label, descriptions
            )
        )
    else:
        uuid = holder.uuid
        await context.run(
            lambda: session_creation.create_resource(
                context.service_context, uuid, resource_path.scan_id, resource_path.label, descriptions
            )
        )
    return id_response(resource_id(uuid, resource_path.scan_id, resource_path.label))


for _where in EXPERIMENTS:
    routes.put(f"{_where}/scans/{{scans}}")(scan)
    routes.post(f"{_where}/scans")(post_scan)
for _where in HOLDERS:
    routes.put(f"{_where}/resources/{{resources}}")(resource)


@routes.post("/data/services/refresh/catalog")
async def refresh(request: Request, context: SignedInContext) -> Response:
    """Nothing is ever out of step here: whoever may change what is named hears that all is well."""
    fields = await read_fields(context)
    addresses = request.query_params.getlist("resource") or [fields.fields.get("resource", "")]
    if not any(addresses):
        raise RequestInvalid("The request names no resource.", "Say resource=/archive/experiments/{id}.")
    for address in addresses:
        pieces = urls.parse_holder(address.strip())
        if not pieces:
            raise RequestInvalid(
                f"{address[:200]!r} is no address of an experiment, a subject or a project.",
                "Right is /archive/experiments/{id}.",
            )
        await context.read(_make_access_check(context, pieces))
    return PlainTextResponse("")


def _make_access_check(context: RequestContext, pieces: Mapping[str, str]) -> Callable[[Connection], object]:
    project, subject, experiment = pieces.get("project"), pieces.get("subject"), pieces.get("experiment")
    principal, edit = context.service_context.principal, Action.SESSION_EDIT

    def ask(connection: Connection) -> object:
        if experiment is not None:
            return find_experiment(connection, principal, experiment, in_project=project, action=edit)
        if subject is not None:
            return find_subject(connection, principal, subject, in_project=project, action=Action.SUBJECT_EDIT)
        return project_resources.find_project_resources(connection, principal, pieces["project"], edit)

    return ask
