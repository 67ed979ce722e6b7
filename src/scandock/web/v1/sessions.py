"""/api/v1/sessions: what is archived; a session of the prearchive is read here too, by its id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services import browsing
from scandock.services.browsing import ListFilter
from scandock.services.editing import edit_session
from scandock.services.prearchive import rebuild_session
from scandock.services.records import Session
from scandock.services.trash import delete_session
from scandock.web.json_lists import PageOf
from scandock.web.request_context import DryRun, Maybe, Search, SignedContext, Sorted, Text
from scandock.web.v1.audit_log import Moment as Since
from scandock.web.v1.openapi_keywords import condition_keywords, etag_keywords

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])

Day = Annotated[str | None, Query(max_length=40, description="A date as 2026-11-29")]


class SessionChanges(BaseModel):
    """What is to be changed of a session; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    subject: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    quarantined: bool | None = None
    """False, which only owners may say, activates it."""


@router.get("", summary="Archived sessions that you may see", response_model=PageOf[Session])
async def list_all(
    context: SignedContext,
    page: Sorted,
    project: Maybe = None,
    subject: Maybe = None,
    subject_id: Maybe = None,
    search: Search = "",
    prefix: Text = "",
    type: Maybe = None,  # noqa: A002  the parameter's name
    study_uid: Maybe = None,
    modality: Maybe = None,
    date_from: Day = None,
    date_to: Day = None,
    received_since: Since = None,
) -> Response:
    """Sorted by label, modified, created, subject, files, bytes, scans, type, date, modality or received."""
    filter_values = {"type": type, "study_uid": study_uid, "subject_id": subject_id}
    equal = {name: value for name, value in filter_values.items() if value is not None}
    filters = ListFilter(
        project=project, subject=subject, search=search, prefix=prefix, equal=equal, modality=modality or "",
        date_from=date_from or "", date_to=date_to or "", received_since=received_since,
    )  # fmt: skip
    return await context.page_response(
        lambda c: browsing.list_sessions(c, context.service_context.principal, filters, page)
    )


@router.get("/{session}", summary="One session", response_model=Session, **etag_keywords())
async def read(context: SignedContext, session: str) -> Response:
    """A session by its id."""
    return await context.item_response(lambda c: browsing.find_session(c, context.service_context.principal, session))


@router.patch(
    "/{session}",
    summary="Give an archived session another label or subject, or activate it",
    **condition_keywords(matches=True),
)
async def change(context: SignedContext, session: str, changes: SessionChanges, dry_run: DryRun = False) -> Response:
    """Its folder moves by one rename; says where it stood and stands."""
    return await context.run_verb(
        lambda: edit_session(
            context.service_context,
            session,
            label=changes.label,
            subject_label=changes.subject,
            quarantined=changes.quarantined,
            if_match=context.if_match,
            dry_run=dry_run,
        )
    )


@router.delete("/{session}", summary="Move an archived session to the trash")
async def delete(context: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """It can be brought back from there for a while."""
    return await context.run_verb(
        lambda: delete_session(context.service_context, session, place="archive", dry_run=dry_run)
    )


@router.post("/{session}/rebuild", summary="Write a session's attributes anew")
async def rebuilt(context: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """From the facts that its objects gave; files and labels stay."""
    return await context.run_verb(lambda: rebuild_session(context.service_context, session, dry_run=dry_run))
