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
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.places import (
    EXPERIMENTS,
    HOLDERS,
    SUBJECTS,
    experiment_of,
    experiment_or_assessor,
    holder_of,
    subject_of,
)
from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.uploading_files import made, place_of

routes = router()


def _done() -> Response:
    return PlainTextResponse("")


def _with_files(work: RequestContext) -> bool:
    return true(work.request.query_params.get("removeFiles"))


@routes.delete("/data/projects/{project}")
async def project(work: Known, project: str) -> Response:
    await work.do(lambda: delete_project(work.context, project, with_files=_with_files(work)))
    return _done()


async def subject(work: Known) -> Response:
    """With its sessions, which go to the trash."""
    found = await work.read(lambda c: subject_of(c, work, Action.SUBJECT_DELETE))
    await work.do(lambda: subjects.delete_subject(work.context, found, with_files=_with_files(work)))
    return _done()


async def experiment(work: Known) -> Response:
    """A session, into the trash, or an assessor."""
    found = await work.read(lambda c: experiment_or_assessor(c, work, Action.SESSION_DELETE))
    if isinstance(found, Assessor):
        assessor = found
        await work.do(lambda: delete_assessor(work.context, assessor))
        return _done()
    await work.do(lambda: delete_session(work.context, found.standing.uuid, place="archive"))
    return _done()


async def scans(request: Request, work: Known) -> Response:
    """One scan, or several: `scans/1,2`."""

    def ask(connection: Connection) -> tuple[str, list[str]]:
        found = experiment_of(connection, work, Action.SESSION_DELETE)
        rows = session_parts.find_scans(connection, found.standing, request.path_params["scans"])
        return found.standing.uuid, [row.scan_id for row in rows]

    uuid, ids = await work.read(ask)
    await made(work, uuid, make_scan_removal(work.context, ids))
    await work.do(lambda: subjects.delete_scan_edits(work.context, uuid, ids))
    return _done()


async def resources(request: Request, work: Known) -> Response:
    """Resources by label or id."""

    def ask(connection: Connection) -> tuple[str, list[ResourcePath]]:
        places = request.path_params
        found = holder_of(connection, work, Action.SESSION_DELETE)
        scans = session_parts.find_scans(connection, found.standing, places["scans"]) if "scans" in places else None
        rows = session_parts.find_resources(connection, found.standing, places["resources"], scans=scans)
        return found.standing.uuid, [ResourcePath(row.scan_id, row.label) for row in rows]

    uuid, wanted = await work.read(ask)
    await made(work, uuid, make_resource_removal(work.context, wanted))
    return _done()


async def file(request: Request, work: Known, path: str) -> Response:
    """A file, or a folder with all that is in it: `sub/`, and `sub` where there is no such file."""

    def ask(connection: Connection) -> tuple[str, ResourcePath]:
        found = holder_of(connection, work, Action.SESSION_DELETE)
        return found.standing.uuid, place_of(connection, work, Action.SESSION_DELETE)[0]

    uuid, place = await work.read(ask)
    folder = request.scope.get("raw_path", b"").endswith(b"/")
    await made(work, uuid, make_file_removal(work.context, place, path, folder=folder))
    return _done()


for _where in SUBJECTS:
    routes.delete(_where)(subject)
for _where in EXPERIMENTS:
    routes.delete(_where)(experiment)
    routes.delete(f"{_where}/scans/{{scans}}")(scans)
for _where in HOLDERS:
    routes.delete(f"{_where}/resources/{{resources}}")(resources)
    routes.delete(f"{_where}/resources/{{resources}}/files/{{path:whole}}")(file)
