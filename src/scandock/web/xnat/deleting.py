"""DELETE of files, resources, scans, experiments, subjects and projects; 200 where it is done (2.4).

What is deleted is never shown without its files, and lies in the trash for its time. `removeFiles` lets a subject or a
project go that has files of its own; else it changes nothing.
"""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from scandock.rules.permissions import Action
from scandock.services import removing, session_parts
from scandock.services.assessors import Assessor, delete_assessor
from scandock.services.hand_changes import files_change, resources_change, scans_change
from scandock.services.next_tree import Place
from scandock.services.project_deleting import delete_project
from scandock.services.trash import delete_session
from scandock.web.request_context import Work
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
from scandock.web.xnat.wishes import true

routes = router()


def _done() -> Response:
    return PlainTextResponse("")


def _with_files(work: Work) -> bool:
    return true(work.request.query_params.get("removeFiles"))


@routes.delete("/data/projects/{project}")
async def project(work: Known, project: str) -> Response:
    await work.do(lambda: delete_project(work.desk, project, with_files=_with_files(work)))
    return _done()


async def subject(work: Known) -> Response:
    """With its sessions, which go to the trash."""
    found = await work.read(lambda c: subject_of(c, work, Action.SUBJECT_DELETE))
    await work.do(lambda: removing.delete_subject(work.desk, found, with_files=_with_files(work)))
    return _done()


async def experiment(work: Known) -> Response:
    """A session, into the trash, or an assessor."""
    found = await work.read(lambda c: experiment_or_assessor(c, work, Action.SESSION_DELETE))
    if isinstance(found, Assessor):
        assessor = found
        await work.do(lambda: delete_assessor(work.desk, assessor))
        return _done()
    await work.do(lambda: delete_session(work.desk, found.standing.uuid, place="archive"))
    return _done()


async def scans(request: Request, work: Known) -> Response:
    """One scan, or several: `scans/1,2`."""

    def ask(connection: Connection) -> tuple[str, list[str]]:
        found = experiment_of(connection, work, Action.SESSION_DELETE)
        rows = session_parts.scans_of(connection, found.standing, request.path_params["scans"])
        return found.standing.uuid, [row.scan_id for row in rows]

    uuid, ids = await work.read(ask)
    await made(work, uuid, scans_change(work.desk, ids))
    await work.do(lambda: removing.forget_scan_edits(work.desk, uuid, ids))
    return _done()


async def resources(request: Request, work: Known) -> Response:
    """Resources by label or id."""

    def ask(connection: Connection) -> tuple[str, list[Place]]:
        places = request.path_params
        found = holder_of(connection, work, Action.SESSION_DELETE)
        scans = session_parts.scans_of(connection, found.standing, places["scans"]) if "scans" in places else None
        rows = session_parts.resources_of(connection, found.standing, places["resources"], scans=scans)
        return found.standing.uuid, [Place(row.scan_id, row.label) for row in rows]

    uuid, wanted = await work.read(ask)
    await made(work, uuid, resources_change(work.desk, wanted))
    return _done()


async def file(request: Request, work: Known, path: str) -> Response:
    """A file, or a folder with all that is in it: `sub/`, and `sub` where there is no such file."""

    def ask(connection: Connection) -> tuple[str, Place]:
        found = holder_of(connection, work, Action.SESSION_DELETE)
        return found.standing.uuid, place_of(connection, work, Action.SESSION_DELETE)[0]

    uuid, place = await work.read(ask)
    folder = request.scope.get("raw_path", b"").endswith(b"/")
    await made(work, uuid, files_change(work.desk, place, path, folder=folder))
    return _done()


for _where in SUBJECTS:
    routes.delete(_where)(subject)
for _where in EXPERIMENTS:
    routes.delete(_where)(experiment)
    routes.delete(f"{_where}/scans/{{scans}}")(scans)
for _where in HOLDERS:
    routes.delete(f"{_where}/resources/{{resources}}")(resources)
    routes.delete(f"{_where}/resources/{{resources}}/files/{{path:whole}}")(file)
