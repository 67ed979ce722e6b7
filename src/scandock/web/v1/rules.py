"""/api/v1/rules: the site's rules that name projects, subjects and sessions, for its administrators."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.permissions import Action
from scandock.rules.routing_trial import KINDS
from scandock.services import rights
from scandock.services.rules import Rules, find_rules, list_rules, replace_rules
from scandock.services.rules_trial import RulesTest, try_rules
from scandock.web.bodies import limit_body
from scandock.web.json_lists import ListOf
from scandock.web.receiving.sample_form import SAMPLE_BYTES, describe_form, read_sample_form, sample_too_large
from scandock.web.request_context import SignedContext, list_response, record_response
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1/rules", tags=["rules"])

MAX_RULES: Final = 1_000_000
_FIELDS: Final = {
    **{kind: f"Rules for the {kind} in the place of those that are set" for kind in KINDS},
    "values": "Lines `Keyword: value` or `(gggg,eeee): value` to try the rules on, in the place of a file",
}


class RulesText(BaseModel):
    """The rules of a kind, one a line; an empty text takes them away."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_RULES)]


@router.get("", summary="The site's rules", response_model=ListOf[Rules])
async def list_all(context: SignedContext) -> Response:
    """Each kind's text, as it was set."""
    return list_response(await context.read(lambda c: list_rules(c, context.service_context.principal)))


@router.post(
    "/test",
    summary="Try the rules on a file or on values",
    response_model=RulesTest,
    openapi_extra=describe_form(_FIELDS, "A DICOM file"),
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test(context: SignedContext, request: Request) -> Response:
    """What each line reads and gives, which one fires, and what an import makes of it. Nothing is kept.

    400 `rules_unreadable` names the line that can't be read, `sample_unreadable` says what is off with the file or the
    values.
    """
    principal = context.service_context.principal
    await context.read(lambda c: rights.check(c, principal, Action.SITE_ADMIN, None))
    form = await read_sample_form(request, _FIELDS)
    texts: dict[str, str] = {kind: form.text(kind) for kind in KINDS if kind in form.fields}
    return record_response(
        await context.read(
            lambda c: try_rules(
                c,
                principal,
                context.server.settings,
                texts,
                file=bytes(form.file),
                values=form.text("values"),
            )
        )
    )


@router.get("/{kind}", summary="The rules of one kind", response_model=Rules, **etag_keywords())
async def read(context: SignedContext, kind: str) -> Response:
    """`kind` is project, subject or session."""
    return await context.item_response(lambda c: find_rules(c, context.service_context.principal, kind))


@router.put(
    "/{kind}", summary="Set the rules of one kind", response_model=Rules, **etag_keywords(reads=False, matches=True)
)
async def put(context: SignedContext, kind: str, body: RulesText) -> Response:
    """They replace those that were, for imports that begin from now on; with If-Match only what you have read.

    400 `rules_unreadable` names the line that can't be read, and nothing is changed.
    """
    return context.tagged_response(
        await context.run(
            lambda: replace_rules(
                context.server.catalog,
                context.service_context.principal,
                kind,
                body.text,
                request=context.service_context.request,
                if_match=context.if_match,
            )
        )
    )
