"""`/data/services/dicomdump`: the elements of one object of a session or scan, as a table (xnat-clients.md 2.5)."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.http.v1.desks import Work
from scandock.http.v1.pictures import do
from scandock.http.xnat.answers import listing
from scandock.http.xnat.routing import Known, router
from scandock.model.errors import Usage
from scandock.services import pictures
from scandock.services.xnat import contents
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.finding import find_experiment

routes = router()
_SRC: Final = re.compile(
    r"(?:/data)?(?:/archive)?(?:/projects/(?P<project>[^/]+))?(?:/subjects/(?P<subject>[^/]+))?"
    r"/experiments/(?P<experiment>[^/]+)(?:/scans/(?P<scan>[^/]+))?(?:/.*)?"
)
_NAMES: Final = ["tag1", "tag2", "vr", "value", "desc"]


@routes.get("/data/services/dicomdump")
async def dump(request: Request, work: Known, src: str) -> Response:
    """The first object's elements; `field` chooses by tag (`00100010`) or by name. Nested ones have `tag2`."""
    uuid, number = await work.read(lambda c: _first(c, work, src))
    made, _ = await do(work, lambda: pictures.header(work.desk, work.site.pictures, uuid, number))
    if made.reason:
        raise Usage("dump_impossible", f"The header can't be read: {made.reason}", "Download the file.")
    wanted = {one.lower().strip("() ").replace(",", "") for one in request.query_params.getlist("field") if one}
    return listing(request, Rows(_NAMES, _rows(made.said["rows"], wanted)))


def _first(connection: Connection, work: Work, src: str) -> tuple[str, int]:
    found = _SRC.fullmatch(src.strip())
    if found is None:
        raise Usage("request_invalid", "src uri is invalid.", "Name an experiment, or a scan of one.")
    experiment = find_experiment(
        connection, work.desk.principal, found["experiment"], in_project=found["project"], of_subject=found["subject"]
    )
    scans = contents.scans_of(connection, experiment.standing, found["scan"] or "ALL")
    resources = [one for one in contents.resources_of(connection, experiment.standing, scans=scans)
                 if one["format"] == "DICOM"]  # fmt: skip
    files = contents.files_of(connection, experiment.standing, resources)
    if not files:
        raise Usage("file_unknown", "There is no DICOM object there.")
    return experiment.standing.uuid, files[0]["n"]


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
