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
from scandock.web.pages.routing import PageContext
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
    context: PageContext,
    project: Text = "",
    q: Text = "",
    state: Text = "",
    sort: Text = "-created",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """What one may see of it, the newest first unless asked otherwise."""
    principal = context.service_context.principal
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    filters = ListFilter(project=project or None, search=q, equal=_state_filter(state))
    sorting = Sorting(sort=sort, limit=SHOWN, cursor=cursor)
    sessions_page, comparisons, projects, can = await context.read(lambda c: _ask(c, principal, filters, sorting))
    return page(
        request,
        "prearchive.html",
        principal,
        here="Prearchive",
        page=sessions_page,
        sides=comparisons,
        projects=projects,
        asked={"project": project, "q": q, "state": state, "sort": sort},
        first=cursor is None,
        reasons=REASONS,
        meaning=MEANING,
        titles=TITLES,
        choices_for=choices_for,
        unassigned=UNASSIGNED,
        query=query_of(request),
        script="prearchive",
        days=context.server.settings.trash_days,
        can=can,
        any_can={name for verb in can.values() for name in verb},
    )


def _state_filter(state: str) -> dict[str, str]:
    """A state, or a code that sessions are held for: both are sought in one list."""
    if not state:
        return {}
    return {"code": state} if state in REASONS else {"state": state}


class _WaitingProject(TypedDict):
    """A project, and how many of its sessions wait."""

    id: str
    waiting: int


def _ask(
    connection: Connection, principal: Principal, filters: ListFilter, sorting: Sorting
) -> tuple[Page[Session], dict[str, Comparison], list[_WaitingProject], dict[str, set[str]]]:
    sessions_page = list_sessions(connection, principal, filters, sorting, place="prearchive")
    comparisons = compare_sessions(connection, [item.id for item in sessions_page.items if item.code])
    can = may_decide(connection, principal, {item.project for item in sessions_page.items})
    projects: list[_WaitingProject] = [
        {"id": project_name, "waiting": count} for project_name, count in count_waiting(connection, principal).items()
    ]
    return sessions_page, comparisons, projects, can


def choices_for(item: Session, comparisons: Mapping[str, Comparison]) -> tuple[Choice, ...]:
    """What is offered of a held session: what will do something, given what stands beside it."""
    comparison = comparisons.get(item.id)
    archived = comparison is not None and comparison.stands is not None
    return usable_choices(item.code, archived=archived, differ=comparison is not None and comparison.unequal)


def may_decide(connection: Connection, principal: Principal, names: set[str]) -> dict[str, set[str]]:
    """By project: which verbs are one's own to use there. What one sees of `Unassigned` is one's own, or one is
    an administrator.
    """
    project_rights = ProjectRights(connection)
    return {
        name: {
            verb
            for verb, action in OFFERED.items()
            if decide_access_of(principal, action, name, project_rights, own=name == UNASSIGNED)
            is AccessDecision.ALLOWED
        }
        for name in names
    }
