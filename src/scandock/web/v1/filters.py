"""/api/v1/filters and /api/v1/projects/{project}/filters: which series imports leave out."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.permissions import Action
from scandock.rules.series_filters import MAX_TEXT, FilterText, read_typed
from scandock.services import rights
from scandock.services.filter_trial import FilterTest, try_filter
from scandock.services.import_filters import ImportFilter, find_filter, set_filter
from scandock.web.bodies import limit_body
from scandock.web.receiving.sample_form import SAMPLE_BYTES, describe_form, read_sample_form, sample_too_large
from scandock.web.request_context import RequestContext, SignedContext, record_response
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(tags=["filters"])

_FIELDS: Final = {
    "mode": "whitelist, blacklist or modalityMap, of `text`",
    "text": "The lines, or the JSON of a modalityMap, in the place of the filter that is set",
    "values": "Lines `Keyword: value` or `(gggg,eeee): value` to try the filter on, in the place of a file",
}
_FORM: Final = describe_form(_FIELDS, "A DICOM file")


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


@router.post(
    "/api/v1/filters/test",
    summary="Try the site's import filter on a file or on values",
    response_model=FilterTest,
    openapi_extra=_FORM,
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test_site(context: SignedContext, request: Request) -> Response:
    """Whether an import takes the image, and which line decides. Nothing is kept.

    400 `filter_unreadable` names the lines that can't be read, `sample_unreadable` says what is off with the file or
    the values.
    """
    return await _test(context, request, None)


@router.post(
    "/api/v1/projects/{project}/filters/test",
    summary="Try a project's import filter on a file or on values",
    response_model=FilterTest,
    openapi_extra=_FORM,
)
@limit_body(SAMPLE_BYTES, sample_too_large)
async def test_project(context: SignedContext, request: Request, project: str) -> Response:
    """As the site's, by owners; the site's filter is asked too."""
    return await _test(context, request, project)


async def _test(context: RequestContext, request: Request, project: str | None) -> Response:
    principal = context.service_context.principal
    action = Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT
    await context.read(lambda c: rights.check(c, principal, action, project))
    form = await read_sample_form(request, _FIELDS)
    mode, text = form.text("mode"), form.text("text")
    filter_text = read_typed(text, mode) if mode or text else None
    return record_response(
        await context.read(
            lambda c: try_filter(c, principal, project, filter_text, file=bytes(form.file), values=form.text("values"))
        )
    )


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
