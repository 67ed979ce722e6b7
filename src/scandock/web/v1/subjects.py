"""/api/v1/subjects: the subjects of the projects that one may read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services import browsing
from scandock.services.browsing import ListFilter
from scandock.services.editing import rename_subject
from scandock.services.records import Subject
from scandock.web.json_lists import PageOf
from scandock.web.request_context import Maybe, SignedContext, Sorted, Text
from scandock.web.v1.openapi_keywords import etag_keywords

router = APIRouter(prefix="/api/v1/subjects", tags=["subjects"])


class SubjectChanges(BaseModel):
    """What is to be changed of a subject."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=64)]


@router.get("", summary="Subjects that you may see", response_model=PageOf[Subject])
async def list_all(
    context: SignedContext, page: Sorted, project: Maybe = None, search: Text = "", prefix: Text = ""
) -> Response:
    """Sorted by label or created; `search` is a part of the label."""
    filters = ListFilter(project=project, search=search, prefix=prefix)
    return await context.page_response(
        lambda c: browsing.list_subjects(c, context.service_context.principal, filters, page)
    )


@router.get("/{subject}", summary="One subject", response_model=Subject, **etag_keywords())
async def read(context: SignedContext, subject: str) -> Response:
    """A subject by its id, with the sums of its sessions."""
    return await context.item_response(lambda c: browsing.find_subject(c, context.service_context.principal, subject))


@router.patch(
    "/{subject}", summary="Rename a subject", response_model=Subject, **etag_keywords(reads=False, matches=True)
)
async def change(context: SignedContext, subject: str, changes: SubjectChanges) -> Response:
    """Its sessions get other URIs; no file moves."""
    return context.tagged_response(
        await context.run(lambda: rename_subject(context.service_context, subject, changes.label, context.if_match))
    )
