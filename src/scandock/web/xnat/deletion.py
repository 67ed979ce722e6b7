"""DELETE of files, resources, scans, experiments, subjects and projects; 200 where it is done (2.4).

What is deleted is never shown without its files, and lies in the trash for its time. `removeFiles` lets a subject or a
project go that has files of its own; else it changes nothing.
"""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.rules.permissions import Action
from scandock.services import session_parts, subjects
from scandock.services.assessors import Assessor, delete_assessor
from scandock.services.next_tree import ResourcePath
from scandock.services.project_deletions import delete_project
from scandock.services.trash import delete_session
from scandock.services.tree_changes import make_file_removal, make_resource_removal, make_scan_removal
from scandock.web.request_context import RequestContext
from scandock.web.xnat.address_lookup import (
    EXPERIMENTS,
    HOLDERS,
    SUBJECTS,
    lookup_experiment,
    lookup_experiment_or_assessor,
    lookup_holder,
    lookup_subject,
)
from scandock.web.xnat.file_uploads import find_resource_path, make_change
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.routing import SignedInContext, make_router

routes = make_router()


def _empty_response() -> Response:
    return PlainTextResponse("")


def _removes_files(context: RequestContext) -> bool:
    return is_true(context.request.query_params.get("removeFiles"))


@routes.delete("/data/projects/{project}")
async def project(context: SignedInContext, project: str) -> Response:
    await context.run(lambda: delete_project(context.service_context, project, with_files=_removes_files(context)))
    return _empty_response()


async def subject(context: SignedInContext) -> Response:
    """With its sessions, which go to the trash."""
    subject_record = await context.read(lambda c: lookup_subject(c, context, Action.SUBJECT_DELETE))
    await context.run(
        lambda: subjects.delete_subject(context.service_context, subject_record, with_files=_removes_files(context))
    )
    return _empty_response()


async def experiment(context: SignedInContext) -> Response:
    """A session, into the trash, or an assessor."""
    session_or_assessor = await context.read(lambda c: lookup_experiment_or_assessor(c, context, Action.SESSION_DELETE))
    if isinstance(session_or_assessor, Assessor):
        assessor = session_or_assessor
        await context.run(lambda: delete_assessor(context.service_context, assessor))
        return _empty_response()
    await context.run(lambda: delete_session(context.service_context, session_or_assessor.record.uuid, place="archive"))
    return _empty_response()


async def scans(request: Request, context: SignedInContext) -> Response:
    """One scan, or several: `scans/1,2`."""

    def ask(connection: Connection) -> tuple[str, list[str]]:
        target_experiment = lookup_experiment(connection, context, Action.SESSION_DELETE)
        rows = session_parts.find_scans(connection, target_experiment.record, request.path_params["scans"])
        return target_experiment.record.uuid, [row.scan_id for row in rows]

    uuid, ids = await context.read(ask)
    await make_change(context, uuid, make_scan_removal(context.service_context, ids))
    await context.run(lambda: subjects.delete_scan_edits(context.service_context, uuid, ids))
    return _empty_response()


async def resources(request: Request, context: SignedInContext) -> Response:
    """Resources by label or id."""

    def ask(connection: Connection) -> tuple[str, list[ResourcePath]]:
        path_params = request.path_params
        holder = lookup_holder(connection, context, Action.SESSION_DELETE)
        scans = (
            session_parts.find_scans(connection, holder.record, path_params["scans"])
            if "scans" in path_params
            else None
        )
        rows = session_parts.find_resources(connection, holder.record, path_params["resources"], scans=scans)
        return holder.record.uuid, [ResourcePath(row.scan_id, row.label) for row in rows]

    uuid, paths = await context.read(ask)
    await make_change(context, uuid, make_resource_removal(context.service_context, paths))
    return _empty_response()


async def file(request: Request, context: SignedInContext, path: str) -> Response:
    """A file, or a folder with all that is in it: `sub/`, and `sub` where there is no such file."""

    def ask(connection: Connection) -> tuple[str, ResourcePath]:
        holder = lookup_holder(connection, context, Action.SESSION_DELETE)
        return holder.record.uuid, find_resource_path(connection, context, Action.SESSION_DELETE)[0]

    uuid, resource_path = await context.read(ask)
    folder = request.scope.get("raw_path", b"").endswith(b"/")
    await make_change(context, uuid, make_file_removal(context.service_context, resource_path, path, folder=folder))
    return _empty_response()


for _where in SUBJECTS:
    routes.delete(_where)(subject)
for _where in EXPERIMENTS:
    routes.delete(_where)(experiment)
    routes.delete(f"{_where}/scans/{{scans}}")(scans)
for _where in HOLDERS:
    routes.delete(f"{_where}/resources/{{resources}}")(resources)
    routes.delete(f"{_where}/resources/{{resources}}/files/{{path:whole}}")(file)
