"""/api/v1/filters and /api/v1/projects/{project}/filters: which series imports leave out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.series_filters import MAX_TEXT, FilterText
from scandock.services.import_filters import ImportFilter, find_filter, set_filter
from scandock.web.request_context import RequestContext, SignedContext
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(tags=["filters"])


class FilterBody(BaseModel):
    """A filter: the lines of a whitelist or blacklist, or the conditions of a modalityMap."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["whitelist", "blacklist", "modalityMap"]
    lines: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    conditions: dict[str, str] = {}
    default: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    strict: bool = False
    enabled: bool = True


@router.get("/api/v1/filters", summary="The site's import filter", response_model=ImportFilter, **etag_keywords())
async def read_site(context: SignedContext) -> Response:
    """For every account, as it decides what becomes of each import. `version` is 0 where none was set."""
    return await _read(context, None)


@router.put(
    "/api/v1/filters",
    summary="Set the site's import filter",
    response_model=ImportFilter,
    **etag_keywords(reads=False, matches=True),
)
async def put_site(context: SignedContext, body: FilterBody) -> Response:
    """It replaces the one that was, for imports that begin from now on; with If-Match only what you have read.

    400 `filter_unreadable` names the lines that can't be read, and nothing is changed.
    """
    return await _put(context, None, body)


@router.get(
    "/api/v1/projects/{project}/filters",
    summary="A project's import filter",
    response_model=ImportFilter,
    **etag_keywords(),
)
async def read_project(context: SignedContext, project: str) -> Response:
    """For those who have a role in the project. Images are imported where the site's filter takes them, too."""
    return await _read(context, project)


@router.put(
    "/api/v1/projects/{project}/filters",
    summary="Set a project's import filter",
    response_model=ImportFilter,
    **etag_keywords(reads=False, matches=True),
)
async def put_project(context: SignedContext, project: str, body: FilterBody) -> Response:
    """As the site's, by owners."""
    return await _put(context, project, body)


async def _read(context: RequestContext, project: str | None) -> Response:
    return await context.item_response(lambda c: find_filter(c, context.service_context.principal, project))


async def _put(context: RequestContext, project: str | None, body: FilterBody) -> Response:
    return context.tagged_response(
        await context.run(
            lambda: set_filter(
                context.server.catalog,
                context.service_context.principal,
                project,
                FilterText(**body.model_dump()),
                request=context.service_context.request,
                if_match=context.if_match,
            )
        )
    )
