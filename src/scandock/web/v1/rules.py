"""/api/v1/rules: the site's rules that name projects, subjects and sessions, for its administrators."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.model.json_records import ListOf
from scandock.services.rules import Rules, find_rules, list_rules, replace_rules
from scandock.web.request_context import SignedContext, list_response
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1/rules", tags=["rules"])

MAX_RULES: Final = 1_000_000


class RulesText(BaseModel):
    """The rules of a kind, one a line; an empty text takes them away."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_RULES)]


@router.get("", summary="The site's rules", response_model=ListOf[Rules])
async def list_all(context: SignedContext) -> Response:
    """Each kind's text, as it was set."""
    return list_response(await context.read(lambda c: list_rules(c, context.service_context.principal)))


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
