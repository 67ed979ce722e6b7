"""/api/v1/projects: those that one may see, their settings; what is in them is found by `?project=` elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.permissions import Accessibility
from scandock.rules.petmr import PetMrChoice
from scandock.services import browsing
from scandock.services.browsing import ListFilter
from scandock.services.editing import edit_project
from scandock.services.records import Project
from scandock.web.json_lists import PageOf
from scandock.web.request_context import SignedContext, Sorted, Text
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1/projects", tags=["projects"])


class ProjectChanges(BaseModel):
    """What is to be changed of a project; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=1000)] | None = None
    prearchive_code: Literal[0, 4, 5] | None = None
    identified: Literal["accept", "warn", "hold"] | None = None
    petmr: PetMrChoice | None = None
    separate_secondary: bool | None = None
    quarantine: bool | None = None
    """Whether what is archived is in quarantine until an owner activates it."""
    accessibility: Accessibility | None = None


@router.get("", summary="Projects that you may see", response_model=PageOf[Project])
async def list_all(context: SignedContext, page: Sorted, search: Text = "", prefix: Text = "") -> Response:
    """Sorted by id, created or title; `search` is a part of id or title."""
    filters = ListFilter(search=search, prefix=prefix)
    return await context.page_response(
        lambda c: browsing.list_projects(c, context.service_context.principal, filters, page)
    )


@router.get("/{project}", summary="One project", response_model=Project, **etag_keywords())
async def read(context: SignedContext, project: str) -> Response:
    """Its settings and sums, where you may read it; else its title."""
    return await context.item_response(lambda c: browsing.find_project(c, context.service_context.principal, project))


@router.patch(
    "/{project}",
    summary="Change a project's title or settings",
    response_model=Project,
    **etag_keywords(reads=False, matches=True),
)
async def change(context: SignedContext, project: str, changes: ProjectChanges) -> Response:
    """With If-Match only where it is still what you have read."""
    values = changes.model_dump(exclude_none=True)
    return context.tagged_response(
        await context.run(lambda: edit_project(context.service_context, project, values, context.if_match))
    )
