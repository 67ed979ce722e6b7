"""`/xapi/archive/upload/xml`: a document that says by itself which thing it is of (pages of the original, its scripts).

It does what a PUT of the thing's own address does: the document's ids and labels lead there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from xml.etree import ElementTree as ET

from fastapi import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from scandock.model.request_errors import RequestInvalid
from scandock.services.xnat_lookup import resolve_project
from scandock.web.request_context import RequestContext
from scandock.web.xnat import making, making_parts
from scandock.web.xnat.documents import bare_document, type_of
from scandock.web.xnat.routing import Known, router

routes = router()
Put = Callable[[Request, RequestContext], Awaitable[Response]]


@routes.post("/xapi/archive/upload/xml")
@routes.put("/xapi/archive/upload/xml")
async def upload_xml(request: Request, work: Known) -> Response:
    """Make or change the project, subject, session or scan that the document in the body is of."""
    body, root = await bare_document(work)
    put, places = _target(type_of(root), root)
    if named := places.get("project"):
        places["project"] = await work.read(lambda c: resolve_project(c, work.context.principal, named))
    again = copy(work)
    again.request = Request(_scope(request, places, body), _once(body))
    return await put(again.request, again)


def _scope(request: Request, places: dict[str, str], body: bytes) -> Scope:
    """A request for another address, whose body is this document."""
    others = [pair for pair in request.scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
    headers = [*others, (b"content-type", b"text/xml"), (b"content-length", b"%d" % len(body))]
    return {**request.scope, "path_params": places, "headers": headers}


def _once(body: bytes) -> Receive:
    """What hands a body that was read to who reads it again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _project(request: Request, work: RequestContext) -> Response:
    return await making.project(request, work, request.path_params["project"])


async def _experiment(_: Request, work: RequestContext) -> Response:
    return await making.experiment(work)


def _target(kind: str, root: ET.Element) -> tuple[Put, dict[str, str]]:
    """What changes a thing of a type, and the pieces of its address. Usage `request_invalid`."""

    def named(*names: str) -> str:
        found = (root.get(name) or (root.findtext(name) or "") for name in names)
        return next((text.strip() for text in found if text.strip()), "")

    put: Put
    if kind == "xnat:projectData":
        put, places = _project, {"project": named("ID")}
    elif kind == "xnat:subjectData":
        put, places = making.subject, {"subject": named("ID", "label"), "project": named("project")}
    elif kind.endswith("SessionData"):
        put = _experiment
        places = {"experiment": named("ID", "label"), "project": named("project"), "subject": named("subject_ID")}
    else:
        put, places = making_parts.scan, {"scans": named("ID"), "experiment": named("image_session_ID")}
    if not next(iter(places.values())) or (kind.endswith("ScanData") and not places["experiment"]):
        raise RequestInvalid(
            "The document says no ID of what it is of.",
            "Send what GET ?format=xml of such a thing answers, or PUT it to the thing's own address.",
        )
    return put, {name: text for name, text in places.items() if text}
