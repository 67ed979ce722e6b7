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
from scandock.web.xnat import creation, part_creation
from scandock.web.xnat.documents import parse_body, read_document_type
from scandock.web.xnat.routing import SignedInContext, make_router

routes = make_router()
Put = Callable[[Request, RequestContext], Awaitable[Response]]


@routes.post("/xapi/archive/upload/xml")
@routes.put("/xapi/archive/upload/xml")
async def upload_xml(request: Request, context: SignedInContext) -> Response:
    """Make or change the project, subject, session or scan that the document in the body is of."""
    body, root = await parse_body(context)
    put, path_params = _find_target(read_document_type(root), root)
    if project_name := path_params.get("project"):
        path_params["project"] = await context.read(
            lambda c: resolve_project(c, context.service_context.principal, project_name)
        )
    new_work = copy(context)
    new_work.request = Request(_make_scope(request, path_params, body), _make_receive(body))
    return await put(new_work.request, new_work)


def _make_scope(request: Request, path_params: dict[str, str], body: bytes) -> Scope:
    """A request for another address, whose body is this document."""
    other_headers = [pair for pair in request.scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
    headers = [*other_headers, (b"content-type", b"text/xml"), (b"content-length", b"%d" % len(body))]
    return {**request.scope, "path_params": path_params, "headers": headers}


def _make_receive(body: bytes) -> Receive:
    """What hands a body that was read to who reads it again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _project(request: Request, context: RequestContext) -> Response:
    return await creation.project(request, context, request.path_params["project"])


async def _experiment(_: Request, context: RequestContext) -> Response:
    return await creation.experiment(context)


def _find_target(kind: str, root: ET.Element) -> tuple[Put, dict[str, str]]:
    """What changes a thing of a type, and the pieces of its address. Usage `request_invalid`."""

    def named(*names: str) -> str:
        texts = (root.get(name) or (root.findtext(name) or "") for name in names)
        return next((text.strip() for text in texts if text.strip()), "")

    put: Put
    if kind == "xnat:projectData":
        put, path_params = _project, {"project": named("ID")}
    elif kind == "xnat:subjectData":
        put, path_params = creation.subject, {"subject": named("ID", "label"), "project": named("project")}
    elif kind.endswith("SessionData"):
        put = _experiment
        path_params = {"experiment": named("ID", "label"), "project": named("project"), "subject": named("subject_ID")}
    else:
        put, path_params = part_creation.scan, {"scans": named("ID"), "experiment": named("image_session_ID")}
    if not next(iter(path_params.values())) or (kind.endswith("ScanData") and not path_params["experiment"]):
        raise RequestInvalid(
            "The document says no ID of what it is of.",
            "Send what GET ?format=xml of such a thing answers, or PUT it to the thing's own address.",
        )
    return put, {name: text for name, text in path_params.items() if text}
