"""Changing and deleting an archived session from its own page: first what will happen is shown, as in the prearchive.

Addresses have the session's id, not its label: they hold once it has another one.
"""

from __future__ import annotations

from typing import Final, Literal

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.browsing import find_session
from scandock.services.editing import edit_session
from scandock.services.moving import Outcome
from scandock.services.records import Session
from scandock.services.trash import delete_session
from scandock.web import urls
from scandock.web.pages.action_preview import TITLES, Place, SessionPreview, Verb, each, kept_of, path_of, shown
from scandock.web.pages.errors import NothingNamed
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Form, Seen, Sent, back
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()
KEPT: Final = ("subject", "label")


@router.get("/sessions/{uuid}/change")
async def change(request: Request, work: Seen, uuid: str) -> Response:
    """Another label for it, or another subject of its project."""
    one = await _archived(work, uuid, Action.SESSION_EDIT)
    return page(
        request, "change.html", work.context.principal, here="Projects", session=one, do="move", moves=False,
        meaning={}, action=urls.session_form(uuid, "change"), trail=_trail(one), back=path_of(one),
    )  # fmt: skip


@router.post("/sessions/{uuid}/change")
async def changed(form: Sent, uuid: str) -> Response:
    """Say what the change would do; with `sure`, do it."""
    one = await _archived(form, uuid, Action.SESSION_EDIT)
    label, subject = _new(form, one, "label"), _new(form, one, "subject")
    if label is None and subject is None:
        raise NothingNamed("No other subject or label is named.")

    def edited(uuid: str, dry: bool) -> Outcome:
        return edit_session(form.context, uuid, label=label, subject_label=subject, dry_run=dry)

    return await _told(form, one, edited, "move", subject or "")


@router.get("/sessions/{uuid}/delete")
async def delete(work: Seen, uuid: str) -> Response:
    """Say what deleting it would do."""
    one = await _archived(work, uuid, Action.SESSION_DELETE)
    told = await work.do(lambda: _each(one, _deleting(work), "", dry=True))
    return shown(work, told, _place(one, "delete"), "delete", sure=False, kept={}, title=TITLES["delete"])


@router.post("/sessions/{uuid}/delete")
async def deleted(form: Sent, uuid: str) -> Response:
    """To the trash, once it is sure."""
    one = await _archived(form, uuid, Action.SESSION_DELETE)
    return await _told(form, one, _deleting(form), "delete")


@router.post("/sessions/{uuid}/quarantine")
async def quarantine(request: Request, form: Sent, uuid: str) -> Response:
    """Put it into quarantine, or with 0 take it out of it: nothing of it moves, so nothing is shown first."""
    one = await _archived(form, uuid, Action.SESSION_EDIT)
    into = form.text("quarantine") != "0"
    await form.do(lambda: edit_session(form.context, uuid, quarantined=into))
    return back(request, path_of(one), "quarantined" if into else "activated")


async def _archived(work: RequestContext, uuid: str, action: Action) -> Session:
    """The session. Denied, where `action` is not one's to do to it."""
    me = work.context.principal

    def ask(connection: Connection) -> Session:
        rights.find_session_for(connection, me, uuid, action, place="archive")
        return find_session(connection, me, uuid)

    return await work.read(ask)


def _new(form: Form, one: Session, name: Literal["label", "subject"]) -> str | None:
    """What the form says, where it is not what stands."""
    said = form.text(name)
    return said if said and said != getattr(one, name) else None


def _deleting(work: RequestContext) -> Verb:
    return lambda uuid, dry: delete_session(work.context, uuid, place="archive", dry_run=dry)


async def _told(form: Form, one: Session, verb: Verb, name: str, subject: str = "") -> Response:
    sure = bool(form.text("sure"))
    told = await form.do(lambda: _each(one, verb, subject, dry=not sure))
    kept = kept_of(form, KEPT if name == "move" else ())
    return shown(
        form,
        told,
        _place(one, "change" if name == "move" else "delete"),
        name,
        sure=sure,
        kept=kept,
        title=TITLES[name],
    )


def _each(one: Session, verb: Verb, subject: str, *, dry: bool) -> list[SessionPreview]:
    return each([one.id], {one.id: one}, lambda _: subject, verb, dry=dry)


def _place(one: Session, word: Literal["change", "delete"]) -> Place:
    project = (one.project, urls.project_page(one.project))
    return Place(
        here="Projects", action=urls.session_form(one.id, word), above=project, back=(one.label, path_of(one))
    )  # fmt: skip


def _trail(one: Session) -> tuple[tuple[str, str], ...]:
    project = urls.project_page(one.project)
    return (("Projects", urls.PROJECTS), (one.project, project), (one.label, path_of(one)))
