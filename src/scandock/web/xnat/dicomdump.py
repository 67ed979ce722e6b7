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
from scandock.web.session_building import build_sessions
from scandock.web.xnat.errors import DumpImpossible
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import SignedInContext, make_router
from scandock.web.xnat.services.columns import Rows

routes = make_router()
_COLUMNS: Final = ["tag1", "tag2", "vr", "value", "desc"]


@routes.get("/data/services/dicomdump")
async def dump(request: Request, context: SignedInContext, src: str) -> Response:
    """The first object's elements; `field` chooses by tag (`00100010`) or by name. Nested ones have `tag2`."""
    if (waiting := urls.parse_waiting(src.strip())) is not None:
        await build_sessions(
            context, [PrearchiveSessionUri(waiting["project"], waiting["timestamp"], waiting["label"])]
        )
    uuid, number = await context.read(lambda c: _find_first_object(c, context, src))
    header, _ = await context.run_decoder(
        lambda: pictures.read_header(context.service_context, context.server.pictures, uuid, number)
    )
    if header.reason:
        raise DumpImpossible(header.reason)
    field_names = {name.lower().strip("() ").replace(",", "") for name in request.query_params.getlist("field") if name}
    return list_response(request, Rows(_COLUMNS, _make_rows(header.said["rows"], field_names)))


def _find_first_object(connection: Connection, context: RequestContext, src: str) -> tuple[str, int]:
    session, scan = _find_session(connection, context, src.strip())
    scans = session_parts.find_scans(connection, session, scan or "ALL")
    resources = session_parts.find_resources(connection, session, scans=scans)
    files = session_parts.find_files(
        connection, session, [resource for resource in resources if resource.format == "DICOM"]
    )
    if not files:
        raise FileUnknown("There is no DICOM object there.", "Name a session, or a scan, that has images.")
    return session.uuid, files[0].n


def _find_session(connection: Connection, context: RequestContext, src: str) -> tuple[SessionRecord, str | None]:
    """The session that `src` names, archived or waiting, and the scan of it where it names one."""
    principal = context.service_context.principal
    prearchive_pieces = urls.parse_waiting(src)
    if prearchive_pieces is not None:
        uri = PrearchiveSessionUri(
            prearchive_pieces["project"], prearchive_pieces["timestamp"], prearchive_pieces["label"]
        )
        return find_prearchive_session(
            connection, principal, uri, Action.PREARCHIVE_READ
        ).record, prearchive_pieces.get("scan")
    pieces = urls.parse_experiment(src)
    if pieces is None:
        raise RequestInvalid(
            "src uri is invalid.",
            "Name a session, or a scan of one, as /archive/projects/{project}/experiments/{label}/scans/{scan}.",
        )
    experiment = find_experiment(
        connection, principal, pieces["experiment"], in_project=pieces.get("project"), of_subject=pieces.get("subject")
    )
    return experiment.record, pieces.get("scan")


def _make_rows(elements: list[list[object]], field_names: set[str]) -> list[list[str]]:
    """Rows of (depth, tag, name, VR, value) as XNAT's, the tag of the sequence before that of what is in it."""
    rows, sequence_tag = [], ""
    for depth, tag, name, vr, value in elements:
        if not depth:
            sequence_tag = str(tag)
        first, second = (str(tag), "") if not depth else (sequence_tag, str(tag))
        if not field_names or _element_names(str(tag), str(name)) & field_names:
            rows.append([first, second, str(vr), str(value), str(name)])
    return rows


def _element_names(tag: str, name: str) -> set[str]:
    """What a request may call an element: `00100020`, `Patient ID`, and DICOM's keyword `PatientID`."""
    keyword = "".join(char for char in name if char.isalnum())
    return {tag.strip("()").replace(",", "").lower(), name.lower(), keyword.lower()}
