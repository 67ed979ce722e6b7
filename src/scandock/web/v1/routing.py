"""/api/v1/projects/{project}/routing: a project's own rules that name subjects and sessions, for its owners."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.permissions import Action
from scandock.rules.series_filters import MAX_TEXT
from scandock.services import rights
from scandock.services.project_routing import PROJECT_KINDS, ProjectRouting, find_routing, set_routing, try_routing
from scandock.services.rules_trial import RulesTest
from scandock.web.bodies import limit_body
from scandock.web.receiving.sample_form import SAMPLE_BYTES, describe_form, read_sample_form, sample_too_large
from scandock.web.request_context import SignedContext, record_response
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1/projects/{project}/routing", tags=["rules"])

_FIELDS: Final = {
    **{kind: f"Rules for the {kind} in the place of those that are set" for kind in PROJECT_KINDS},
    "values": "Lines `Keyword: value` or `(gggg,eeee): value` to try the rules on, in the place of a file",
}


class RoutingBody(BaseModel):
    """Rules by kind, one a line; an empty text takes them away."""

    model_config = ConfigDict(extra="forbid")

    subject: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    session: Annotated[str, Field(max_length=MAX_TEXT)] = ""


@router.get("", summary="A project's routing rules", response_model=ProjectRouting, **etag_keywords())
async def read(context: SignedContext, project: str) -> Response:
    """They name subjects and sessions of studies that go to the project, before the site's rules do."""
    return await context.item_response(lambda c: find_routing(c, context.service_context.principal, project))


@router.put(
    "",
    summary="Set a project's routing rules",
    response_model=ProjectRouting,
    **etag_keywords(reads=False, matches=True),
)
async def put(context: SignedContext, project: str, body: RoutingBody) -> Response:
    """They replace those that were, for imports that begin from now on.

    400 `rules_unreadable` names the line that can't be read, or whose pattern could take long; nothing is changed then.
    """
    return context.tagged_response(
        await context.run(
            lambda: set_routing(context.service_context, project, body.model_dump(), if_match=context.if_match)
        )
    )


@router.post(
    "/test",
    summary="Try a project's routing rules on a file or on values",
    response_model=RulesTest,
    openapi_extra=describe_form(_FIELDS, "A DICOM file"),
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test(context: SignedContext, request: Request, project: str) -> Response:
    """As the site's rules are tried, for a study that is sent to the project. Nothing is kept."""
    principal = context.service_context.principal
    await context.read(lambda c: rights.check(c, principal, Action.SETTINGS_EDIT, project))
    form = await read_sample_form(request, _FIELDS)
    texts: dict[str, str] = {kind: form.text(kind) for kind in PROJECT_KINDS if kind in form.fields}
    return record_response(
        await context.read(
            lambda c: try_routing(
                c,
                principal,
                context.server.settings,
                project,
                texts,
                file=bytes(form.file),
                values=form.text("values"),
            )
        )
    )
