"""The prearchive: what waits, with what each session is held for, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypedDict

from fastapi import Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal, ProjectRights, decide_access_of, raise_denied
from scandock.rules.choices import MEANING, REASONS, Choice, usable_choices
from scandock.rules.labels import UNASSIGNED
from scandock.rules.permissions import AccessDecision, Action
from scandock.services.browsing import ListFilter, count_waiting, list_sessions
from scandock.services.comparison import Comparison, compare_sessions
from scandock.services.pagination import Page, Sorting
from scandock.services.records import Session
from scandock.web.pages.action_preview import TITLES
from scandock.web.pages.browse import query_of
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import Seen
from scandock.web.pages.routing import router as pages

router = pages()

SHOWN: Final = 25
OFFERED: Final = {
    "archive": Action.SESSION_ARCHIVE,
    "change": Action.PREARCHIVE_EDIT,
    "delete": Action.PREARCHIVE_DELETE,
}
"""Verbs that the page offers to whoever may."""
Text = Annotated[str, Query(max_length=200)]


@router.get("/prearchive")
async def prearchive(
    request: Request,
    work: Seen,
    project: Text = "",
    q: Text = "",
    state: Text = "",
    sort: Text = "-created",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """What one may see of it, the newest first unless asked otherwise."""
    me = work.context.principal
    if not me.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    wanted = ListFilter(project=project or None, search=q, equal=_equal(state))
    sorting = Sorting(sort=sort, limit=SHOWN, cursor=cursor)
    found, sides, projects, can = await work.read(lambda c: _ask(c, me, wanted, sorting))
    return page(
        request, "prearchive.html", me, here="Prearchive", page=found, sides=sides, projects=projects,
        asked={"project": project, "q": q, "state": state, "sort": sort}, first=cursor is None, reasons=REASONS,
        meaning=MEANING, titles=TITLES, choices_for=choices_for, unassigned=UNASSIGNED, query=query_of(request),
        script="prearchive", days=work.site.settings.trash_days, can=can,
        any_can={name for one in can.values() for name in one},
    )  # fmt: skip


def _equal(state: str) -> dict[str, str]:
    """A state, or a code that sessions are held for: both are sought in one list."""
    if not state:
        return {}
    return {"code": state} if state in REASONS else {"state": state}


class _WaitingProject(TypedDict):
    """A project, and how many of its sessions wait."""

    id: str
    waiting: int


def _ask(
    connection: Connection, me: Principal, wanted: ListFilter, sorting: Sorting
) -> tuple[Page[Session], dict[str, Comparison], list[_WaitingProject], dict[str, set[str]]]:
    found = list_sessions(connection, me, wanted, sorting, place="prearchive")
    sides = compare_sessions(connection, [one.id for one in found.items if one.code])
    can = may_decide(connection, me, {one.project for one in found.items})
    projects: list[_WaitingProject] = [
        {"id": project_name, "waiting": count} for project_name, count in count_waiting(connection, me).items()
    ]
    return found, sides, projects, can


def choices_for(one: Session, sides: Mapping[str, Comparison]) -> tuple[Choice, ...]:
    """What is offered of a held session: what will do something, given what stands beside it."""
    side = sides.get(one.id)
    archived = side is not None and side.stands is not None
    return usable_choices(one.code, archived=archived, differ=side is not None and side.unequal)


def may_decide(connection: Connection, me: Principal, names: set[str]) -> dict[str, set[str]]:
    """By project: which verbs are one's own to use there. What one sees of `Unassigned` is one's own, or one is
    an administrator.
    """
    known = ProjectRights(connection)
    return {
        name: {
            verb for verb, action in OFFERED.items()
            if decide_access_of(me, action, name, known, own=name == UNASSIGNED) is AccessDecision.ALLOWED
        }
        for name in names
    }  # fmt: skip
