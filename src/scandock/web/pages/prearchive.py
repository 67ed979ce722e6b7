"""The prearchive: what waits, with what each session is held for, and what stands in its way."""

from __future__ import annotations

from typing import Annotated, Final, TypedDict

from fastapi import Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal, raise_denied
from scandock.rules.choices import REASONS
from scandock.rules.permissions import AccessDecision
from scandock.services.browsing import ListFilter, count_waiting, list_sessions
from scandock.services.pagination import Sorting
from scandock.web.pages.browse import query_of
from scandock.web.pages.prearchive_rows import WaitingRow, build_rows
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()

SHOWN: Final = 25
Text = Annotated[str, Query(max_length=200)]


@router.get("/prearchive")
async def prearchive(
    request: Request,
    context: PageContext,
    project: Text = "",
    q: Text = "",
    state: Text = "",
    sort: Text = "-received",
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """What one may see of it, the newest first unless asked otherwise."""
    principal = context.service_context.principal
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    filters = ListFilter(project=project or None, search=q, equal=_state_filter(state))
    sorting = Sorting(sort=sort, limit=SHOWN, cursor=cursor)
    rows, following, projects = await context.read(lambda c: _ask(c, principal, filters, sorting))
    return page(
        request,
        "prearchive.html",
        principal,
        here="Prearchive",
        rows=rows,
        next=following,
        projects=projects,
        asked={"project": project, "q": q, "state": state, "sort": sort},
        first=cursor is None,
        reasons=REASONS,
        query=query_of(request),
        script="prearchive",
        any_can={name for row in rows for name in row.can},
        days=context.server.settings.trash_days,
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
) -> tuple[list[WaitingRow], str | None, list[_WaitingProject]]:
    sessions_page = list_sessions(connection, principal, filters, sorting, place="prearchive")
    projects: list[_WaitingProject] = [
        {"id": project_name, "waiting": count} for project_name, count in count_waiting(connection, principal).items()
    ]
    return build_rows(connection, principal, sessions_page.items), sessions_page.next, projects
