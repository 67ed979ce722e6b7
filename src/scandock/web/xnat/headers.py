"""`/data/services/dicomdump`: the elements of one object of a session or scan, as a table (xnat-clients.md 2.5)."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.records import SessionRecord
from scandock.model.request_errors import RequestInvalid
from scandock.model.uris import PrearchiveSessionUri
from scandock.rules.permissions import Action
from scandock.services import pictures, session_parts
from scandock.services.file_errors import FileUnknown
from scandock.services.xnat_lookup import find_experiment, find_prearchive_session
from scandock.web import urls
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import listing
from scandock.web.xnat.errors import DumpImpossible
from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.services.columns import Rows

routes = router()
_NAMES: Final = ["tag1", "tag2", "vr", "value", "desc"]


@routes.get("/data/services/dicomdump")
async def dump(request: Request, work: Known, src: str) -> Response:
    """The first object's elements; `field` chooses by tag (`00100010`) or by name. Nested ones have `tag2`."""
    uuid, number = await work.read(lambda c: _first(c, work, src))
    made, _ = await work.decode(lambda: pictures.read_header(work.context, work.site.pictures, uuid, number))
    if made.reason:
        raise DumpImpossible(made.reason)
    wanted = {one.lower().strip("() ").replace(",", "") for one in request.query_params.getlist("field") if one}
    return listing(request, Rows(_NAMES, _rows(made.said["rows"], wanted)))


def _first(connection: Connection, work: RequestContext, src: str) -> tuple[str, int]:
    one, scan = _session(connection, work, src.strip())
    scans = session_parts.find_scans(connection, one, scan or "ALL")
    every = session_parts.find_resources(connection, one, scans=scans)
    files = session_parts.find_files(connection, one, [kept for kept in every if kept.format == "DICOM"])
    if not files:
        raise FileUnknown("There is no DICOM object there.", "Name a session, or a scan, that has images.")
    return one.uuid, files[0].n


def _session(connection: Connection, work: RequestContext, src: str) -> tuple[SessionRecord, str | None]:
    """The session that `src` names, archived or waiting, and the scan of it where it names one."""
    principal = work.context.principal
    waiting = urls.parse_waiting(src)
    if waiting is not None:
        where = PrearchiveSessionUri(waiting["project"], waiting["timestamp"], waiting["label"])
        return find_prearchive_session(connection, principal, where, Action.PREARCHIVE_READ).standing, waiting.get(
            "scan"
        )
    found = urls.parse_experiment(src)
    if found is None:
        raise RequestInvalid(
            "src uri is invalid.",
            "Name a session, or a scan of one, as /archive/projects/{project}/experiments/{label}/scans/{scan}.",
        )
    experiment = find_experiment(
        connection, principal, found["experiment"], in_project=found.get("project"), of_subject=found.get("subject")
    )
    return experiment.standing, found.get("scan")


def _rows(elements: list[list[object]], wanted: set[str]) -> list[list[str]]:
    """Rows of (depth, tag, name, VR, value) as XNAT's, the tag of the sequence before that of what is in it."""
    rows, above = [], ""
    for depth, tag, name, vr, value in elements:
        if not depth:
            above = str(tag)
        first, second = (str(tag), "") if not depth else (above, str(tag))
        if not wanted or _said_as(str(tag), str(name)) & wanted:
            rows.append([first, second, str(vr), str(value), str(name)])
    return rows


def _said_as(tag: str, name: str) -> set[str]:
    """What a request may call an element: `00100020`, `Patient ID`, and DICOM's keyword `PatientID`."""
    keyword = "".join(char for char in name if char.isalnum())
    return {tag.strip("()").replace(",", "").lower(), name.lower(), keyword.lower()}
