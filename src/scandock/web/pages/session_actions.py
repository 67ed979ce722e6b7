"""Changing and deleting an archived session from its own page: a change is made at once, deleting is confirmed first.

Addresses have the session's id, not its label: they hold once it has another one.
"""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.browsing import find_session
from scandock.services.editing import edit_session
from scandock.services.outcomes import Outcome
from scandock.services.records import Session
from scandock.services.trash import delete_session
from scandock.web import urls
from scandock.web.pages.action_preview import (
    TITLES,
    ActionOrigin,
    SessionPreview,
    Verb,
    preview_each,
    preview_page,
    session_path,
)
from scandock.web.pages.errors import NothingNamed
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, PageContext, SentForm, redirect_back
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()


@router.get("/sessions/{uuid}/change")
async def change(request: Request, context: PageContext, uuid: str) -> Response:
    """Another label for it, or another subject of its project."""
    session = await _archived(context, uuid, Action.SESSION_EDIT)
    return page(
        request,
        "change.html",
        context.service_context.principal,
        here="Projects",
        session=session,
        do="move",
        moves=False,
        action=urls.session_form(uuid, "change"),
        trail=_breadcrumbs(session),
        back=session_path(session),
    )


@router.post("/sessions/{uuid}/change")
async def changed(form: SentForm, uuid: str) -> Response:
    """Make the change, and go to where the session is now; what is refused is told."""
    session = await _archived(form, uuid, Action.SESSION_EDIT)
    label, subject = _changed_value(form, session, "label"), _changed_value(form, session, "subject")
    if label is None and subject is None:
        raise NothingNamed("No other subject or label is named.")

    def edited(uuid: str, dry: bool) -> Outcome:
        return edit_session(form.service_context, uuid, label=label, subject_label=subject, dry_run=dry)

    previews = await form.run(lambda: _preview_one(session, edited, subject or "", dry=False))
    return _done_page(form, previews, session, "change")


@router.get("/sessions/{uuid}/delete")
async def delete(context: PageContext, uuid: str) -> Response:
    """Say what deleting it would do."""
    session = await _archived(context, uuid, Action.SESSION_DELETE)
    previews = await context.run(lambda: _preview_one(session, _make_delete_verb(context), "", dry=True))
    return preview_page(
        context,
        previews,
        _make_origin(session, "delete"),
        "delete",
        is_confirmed=False,
        form_fields={},
        title=TITLES["delete"],
    )


@router.post("/sessions/{uuid}/delete")
async def deleted(form: SentForm, uuid: str) -> Response:
    """To the trash, once it is sure."""
    session = await _archived(form, uuid, Action.SESSION_DELETE)
    is_confirmed = bool(form.text("sure"))
    previews = await form.run(lambda: _preview_one(session, _make_delete_verb(form), "", dry=not is_confirmed))
    return _done_page(form, previews, session, "delete", is_confirmed=is_confirmed)


@router.post("/sessions/{uuid}/quarantine")
async def quarantine(request: Request, form: SentForm, uuid: str) -> Response:
    """Put it into quarantine, or with 0 take it out of it: nothing of it moves, so nothing is shown first."""
    session = await _archived(form, uuid, Action.SESSION_EDIT)
    is_quarantine = form.text("quarantine") != "0"
    await form.run(lambda: edit_session(form.service_context, uuid, quarantined=is_quarantine))
    return redirect_back(request, session_path(session), "quarantined" if is_quarantine else "activated")


async def _archived(context: RequestContext, uuid: str, action: Action) -> Session:
    """The session. AccessDenied, where `action` is not one's to do to it."""
    principal = context.service_context.principal

    def ask(connection: Connection) -> Session:
        rights.find_session_for(connection, principal, uuid, action, place="archive")
        return find_session(connection, principal, uuid)

    return await context.read(ask)


def _changed_value(form: Form, session: Session, name: Literal["label", "subject"]) -> str | None:
    """What the form says, where it is not what stands."""
    value = form.text(name)
    return value if value and value != getattr(session, name) else None


def _make_delete_verb(context: RequestContext) -> Verb:
    return lambda uuid, dry: delete_session(context.service_context, uuid, place="archive", dry_run=dry)


def _done_page(
    form: Form,
    previews: list[SessionPreview],
    session: Session,
    word: Literal["change", "delete"],
    *,
    is_confirmed: bool = True,
) -> Response:
    name = "move" if word == "change" else word
    return preview_page(
        form, previews, _make_origin(session, word), name, is_confirmed=is_confirmed, form_fields={}, title=TITLES[name]
    )


def _preview_one(session: Session, verb: Verb, subject: str, *, dry: bool) -> list[SessionPreview]:
    return preview_each([session.id], {session.id: session}, lambda _: subject, verb, dry=dry)


def _make_origin(session: Session, word: Literal["change", "delete"]) -> ActionOrigin:
    project = (session.project, urls.project_page(session.project))
    return ActionOrigin(
        here="Projects",
        action=urls.session_form(session.id, word),
        above=project,
        back=(session.label, session_path(session)),
    )


def _breadcrumbs(session: Session) -> tuple[tuple[str, str], ...]:
    project = urls.project_page(session.project)
    return (("Projects", urls.PROJECTS), (session.project, project), (session.label, session_path(session)))
