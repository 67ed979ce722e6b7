"""/api/v1/prearchive: what waits, and what can be done to it, one or many at once, each with a dry run."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.rules.choices import Choice
from scandock.services import browsing
from scandock.services.archiving import archive_session
from scandock.services.browsing import ListFilter
from scandock.services.held_sessions import resolve_session
from scandock.services.prearchive import rebuild_session
from scandock.services.records import Session
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session
from scandock.web.json_lists import PageOf
from scandock.web.request_context import DryRun, Many, Maybe, Search, SignedContext, Sorted, Text
from scandock.web.session_building import complete_sessions
from scandock.web.v1.openapi_keywords import etag_keywords, import_keywords


async def complete_session(context: SignedContext) -> None:
    """Have single objects that still come for the session of an address join it first."""
    session = context.request.path_params.get("session")
    if session is not None:
        await complete_sessions(context, [session])


router = APIRouter(prefix="/api/v1/prearchive", tags=["prearchive"], dependencies=[Depends(complete_session)])

Label = Annotated[str, Field(min_length=1, max_length=64)]


class Moved(BaseModel):
    """Where a session is to go; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    project: Label | None = None
    subject: Label | None = None
    label: Label | None = None


class Archived(BaseModel):
    """How a session is to be archived."""

    model_config = ConfigDict(extra="forbid")

    overwrite: Literal["none", "append", "delete"] | None = None
    subject: Label | None = None
    label: Label | None = None


class Resolved(BaseModel):
    """What is decided of a session that is held."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice
    subject: Label | None = None
    label: Label | None = None


class ManyMoved(Many):
    """Sessions that go to another project."""

    project: Label


class ManyArchived(Many):
    """Sessions that are archived."""

    overwrite: Literal["none", "append", "delete"] | None = None


class ManyResolved(Many):
    """Sessions of which the same is decided."""

    choice: Choice


@router.get("", summary="Sessions that wait", response_model=PageOf[Session])
async def list_all(
    context: SignedContext,
    page: Sorted,
    project: Maybe = None,
    subject: Maybe = None,
    search: Search = "",
    prefix: Text = "",
    state: Maybe = None,
    code: Maybe = None,
    study_uid: Maybe = None,
) -> Response:
    """Sorted by label, modified, created, subject, files, bytes, scans, type, date, modality or received; your own in
    `Unassigned` among them.
    """
    filter_values = {"state": state, "code": code, "study_uid": study_uid}
    equal = {name: value for name, value in filter_values.items() if value is not None}
    filters = ListFilter(project=project, subject=subject, search=search, prefix=prefix, equal=equal)
    return await context.page_response(
        lambda c: browsing.list_sessions(c, context.service_context.principal, filters, page, place="prearchive")
    )


@router.post("/move", summary="Move sessions to another project")
async def move_many(context: SignedContext, body: ManyMoved, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    await complete_sessions(context, body.sessions)
    return await context.run_verb_each(
        body.sessions,
        lambda uuid: move_session(context.service_context, uuid, project_name=body.project, dry_run=dry_run),
        "move",
    )


@router.post("/archive", summary="Archive sessions")
async def archive_many(context: SignedContext, body: ManyArchived, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    await complete_sessions(context, body.sessions)
    return await context.run_verb_each(
        body.sessions,
        lambda uuid: archive_session(context.service_context, uuid, overwrite=body.overwrite, dry_run=dry_run),
        "archive",
    )


@router.post("/rebuild", summary="Write sessions' attributes anew")
async def rebuild_many(context: SignedContext, body: Many, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    await complete_sessions(context, body.sessions)
    return await context.run_verb_each(
        body.sessions, lambda uuid: rebuild_session(context.service_context, uuid, dry_run=dry_run), "rebuild"
    )


@router.post("/resolve", summary="Decide the same of sessions that are held")
async def resolve_many(context: SignedContext, body: ManyResolved, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    await complete_sessions(context, body.sessions)
    return await context.run_verb_each(
        body.sessions,
        lambda uuid: resolve_session(context.service_context, uuid, body.choice, dry_run=dry_run),
        "resolve",
    )


@router.post("/delete", summary="Move sessions to the trash")
async def delete_many(context: SignedContext, body: Many, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    await complete_sessions(context, body.sessions)
    return await context.run_verb_each(
        body.sessions,
        lambda uuid: delete_session(context.service_context, uuid, place="prearchive", dry_run=dry_run),
        "delete",
    )


@router.get("/{session}", summary="One session that waits", response_model=Session, **etag_keywords())
async def read(context: SignedContext, session: str) -> Response:
    """With what it is held for and what may be decided of it."""
    return await context.item_response(lambda c: browsing.find_session(c, context.service_context.principal, session))


@router.post("/{session}/move", summary="Move a session to another project, subject or label", **import_keywords())
async def move_one(context: SignedContext, session: str, body: Moved, dry_run: DryRun = False) -> Response:
    """Says where it stood and stands."""
    return await context.run_verb(
        lambda: move_session(
            context.service_context,
            session,
            project_name=body.project,
            label=body.label,
            subject=body.subject,
            dry_run=dry_run,
        )
    )


@router.post("/{session}/archive", summary="Archive a session", **import_keywords())
async def archive_one(
    context: SignedContext, session: str, body: Archived | None = None, dry_run: DryRun = False
) -> Response:
    """Says where it stands now, or which session it has joined and with how many files. The body may be left out."""
    options = body or Archived()
    return await context.run_verb(
        lambda: archive_session(
            context.service_context,
            session,
            overwrite=options.overwrite,
            label=options.label,
            subject=options.subject,
            dry_run=dry_run,
        )
    )


@router.post("/{session}/rebuild", summary="Write a session's attributes anew")
async def rebuild_one(context: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """From the facts that its objects gave."""
    return await context.run_verb(lambda: rebuild_session(context.service_context, session, dry_run=dry_run))


@router.post("/{session}/resolve", summary="Decide what a session is held for", **import_keywords())
async def resolve_one(context: SignedContext, session: str, body: Resolved, dry_run: DryRun = False) -> Response:
    """The choices of its code are listed with the session."""
    return await context.run_verb(
        lambda: resolve_session(
            context.service_context, session, body.choice, label=body.label, subject=body.subject, dry_run=dry_run
        )
    )


@router.delete("/{session}", summary="Move a session to the trash")
async def delete_one(context: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """It can be brought back from there for a while."""
    return await context.run_verb(
        lambda: delete_session(context.service_context, session, place="prearchive", dry_run=dry_run)
    )
