"""The prearchive: what waits, and what is decided of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from scandock.access.principal import deny
from scandock.http.pages.browse import query_of
from scandock.http.pages.rendering import page
from scandock.http.pages.routing import Form, Seen, Sent
from scandock.http.pages.routing import router as pages
from scandock.http.v1.desks import Work
from scandock.model.errors import Usage
from scandock.rules.choices import MEANING
from scandock.rules.permissions import Answer
from scandock.services.archiving import archive
from scandock.services.browsing import Wanted, list_sessions
from scandock.services.listing import Sorting
from scandock.services.moving import Desk, Outcome, move
from scandock.services.prearchive import each, rebuild
from scandock.services.resolving import resolve
from scandock.services.trash import delete_session

router = pages()


@router.get("/prearchive")
async def prearchive(request: Request, work: Seen, project: str = "", cursor: str | None = None) -> Response:
    """What one may see of it, the newest first."""
    if not work.desk.principal.signed_in:
        deny(Answer.SIGN_IN)
    return await _shown(request, work, project, cursor, [])


@router.post("/prearchive")
async def decide(request: Request, form: Sent) -> Response:
    """Do to the chosen sessions what was asked, and tell of each."""
    uuids, asked = form.texts("session"), form.text("do")
    if asked.startswith("resolve:"):
        _, choice, uuid = asked.split(":", 2)
        uuids, verb = [uuid], _resolving(form.desk, choice, dry=bool(form.text("dry")))
    else:
        verb = _verb(form, asked)
    if not uuids:
        raise Usage(
            "sessions_none", "No session is chosen.", "Tick the sessions that are meant, then press the button."
        )
    told = await form.do(lambda: each(uuids, verb, asked))
    return await _shown(request, form, form.text("project"), None, told)


def _resolving(desk: Desk, choice: str, *, dry: bool) -> Callable[[str], Outcome]:
    if choice not in MEANING:
        raise Usage("choice_unknown", f"There is no choice {choice!r}.", "Load the page anew.")
    return lambda uuid: resolve(desk, uuid, choice, dry_run=dry)


def _verb(form: Form, asked: str) -> Callable[[str], Outcome]:
    desk, dry, to = form.desk, bool(form.text("dry")), form.text("to")
    verbs: dict[str, Callable[[str], Outcome]] = {
        "archive": lambda uuid: archive(desk, uuid, dry_run=dry),
        "move": lambda uuid: move(desk, uuid, project_name=to, dry_run=dry),
        "rebuild": lambda uuid: rebuild(desk, uuid, dry_run=dry),
        "delete": lambda uuid: delete_session(desk, uuid, place="prearchive", dry_run=dry),
    }
    if asked == "move" and not to:
        raise Usage("project_missing", "No project is named to move to.", "Write its id beside the button.")
    if asked not in verbs:
        raise Usage("verb_unknown", "What is to be done was not said.", "Use one of the page's buttons.")
    return verbs[asked]


async def _shown(
    request: Request, work: Work, project: str, cursor: str | None, told: list[dict[str, Any]]
) -> Response:
    me = work.desk.principal
    wanted = Wanted(project=project or None)
    sorting = Sorting(sort="-created", cursor=cursor)
    found = await work.read(lambda c: list_sessions(c, me, wanted, sorting, place="prearchive"))
    labels = {one["id"]: one["label"] for one in found.items}
    told = [{**one, "label": labels.get(one["session"], "The session")} for one in told]
    return page(
        request, "prearchive.html", me, here="Prearchive", page=found, project=project, told=told, meaning=MEANING,
        query=query_of(request),
    )  # fmt: skip
