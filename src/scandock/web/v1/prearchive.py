"""/api/v1/prearchive: what waits, and what can be done to it, one or many at once, each with a dry run."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.model.json_records import PageOf
from scandock.rules.choices import Choice
from scandock.services import browsing
from scandock.services.archiving import archive_session
from scandock.services.browsing import ListFilter
from scandock.services.held_sessions import resolve_session
from scandock.services.moving import move_session
from scandock.services.prearchive import rebuild_session
from scandock.services.records import Session
from scandock.services.trash import delete_session
from scandock.web.request_context import DryRun, Many, Maybe, Search, SignedContext, Sorted, Text
from scandock.web.v1.describing import tagged

router = APIRouter(prefix="/api/v1/prearchive", tags=["prearchive"])

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
    work: SignedContext,
    page: Sorted,
    project: Maybe = None,
    subject: Maybe = None,
    search: Search = "",
    prefix: Text = "",
    state: Maybe = None,
    code: Maybe = None,
    study_uid: Maybe = None,
) -> Response:
    """Sorted by label, modified, created, subject, files, bytes, scans or type; your own in `Unassigned` among them."""
    named = {"state": state, "code": code, "study_uid": study_uid}
    equal = {name: value for name, value in named.items() if value is not None}
    wanted = ListFilter(project=project, subject=subject, search=search, prefix=prefix, equal=equal)
    return await work.page(
        lambda c: browsing.list_sessions(c, work.context.principal, wanted, page, place="prearchive")
    )


@router.post("/move", summary="Move sessions to another project")
async def move_many(work: SignedContext, wanted: ManyMoved, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    return await work.each(
        wanted.sessions,
        lambda uuid: move_session(work.context, uuid, project_name=wanted.project, dry_run=dry_run),
        "move",
    )


@router.post("/archive", summary="Archive sessions")
async def archive_many(work: SignedContext, wanted: ManyArchived, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    return await work.each(
        wanted.sessions,
        lambda uuid: archive_session(work.context, uuid, overwrite=wanted.overwrite, dry_run=dry_run),
        "archive",
    )


@router.post("/rebuild", summary="Write sessions' attributes anew")
async def rebuild_many(work: SignedContext, wanted: Many, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    return await work.each(
        wanted.sessions, lambda uuid: rebuild_session(work.context, uuid, dry_run=dry_run), "rebuild"
    )


@router.post("/resolve", summary="Decide the same of sessions that are held")
async def resolve_many(work: SignedContext, wanted: ManyResolved, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    return await work.each(
        wanted.sessions, lambda uuid: resolve_session(work.context, uuid, wanted.choice, dry_run=dry_run), "resolve"
    )


@router.post("/delete", summary="Move sessions to the trash")
async def delete_many(work: SignedContext, wanted: Many, dry_run: DryRun = False) -> Response:
    """Each is judged alone; its answer stands in its place."""
    return await work.each(
        wanted.sessions,
        lambda uuid: delete_session(work.context, uuid, place="prearchive", dry_run=dry_run),
        "delete",
    )


@router.get("/{session}", summary="One session that waits", response_model=Session, **tagged())
async def read(work: SignedContext, session: str) -> Response:
    """With what it is held for and what may be decided of it."""
    return await work.item(lambda c: browsing.find_session(c, work.context.principal, session))


@router.post("/{session}/move", summary="Move a session to another project, subject or label")
async def move_one(work: SignedContext, session: str, wanted: Moved, dry_run: DryRun = False) -> Response:
    """Says where it stood and stands."""
    return await work.one(
        lambda: move_session(
            work.context,
            session,
            project_name=wanted.project,
            label=wanted.label,
            subject=wanted.subject,
            dry_run=dry_run,
        )
    )


@router.post("/{session}/archive", summary="Archive a session")
async def archive_one(
    work: SignedContext, session: str, wanted: Archived | None = None, dry_run: DryRun = False
) -> Response:
    """Says where it stands now, or which session it has joined and with how many files. The body may be left out."""
    how = wanted or Archived()
    return await work.one(
        lambda: archive_session(
            work.context,
            session,
            overwrite=how.overwrite,
            label=how.label,
            subject=how.subject,
            dry_run=dry_run,
        )
    )


@router.post("/{session}/rebuild", summary="Write a session's attributes anew")
async def rebuild_one(work: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """From the facts that its objects gave."""
    return await work.one(lambda: rebuild_session(work.context, session, dry_run=dry_run))


@router.post("/{session}/resolve", summary="Decide what a session is held for")
async def resolve_one(work: SignedContext, session: str, wanted: Resolved, dry_run: DryRun = False) -> Response:
    """The choices of its code are listed with the session."""
    return await work.one(
        lambda: resolve_session(
            work.context, session, wanted.choice, label=wanted.label, subject=wanted.subject, dry_run=dry_run
        )
    )


@router.delete("/{session}", summary="Move a session to the trash")
async def delete_one(work: SignedContext, session: str, dry_run: DryRun = False) -> Response:
    """It can be brought back from there for a while."""
    return await work.one(lambda: delete_session(work.context, session, place="prearchive", dry_run=dry_run))
