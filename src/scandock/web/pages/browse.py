"""Projects and what is archived in them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.own_resources import PROJECT_KEY
from scandock.rules.permissions import Action
from scandock.services.browsing import ListFilter, find_project, list_projects, list_sessions
from scandock.services.own_resources import OwnFiles, list_own_files
from scandock.services.pagination import Page, Sorting
from scandock.services.project_description import read_description
from scandock.services.records import Project, Session
from scandock.services.rights import is_allowed
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()
OWN: Final = 50
"""Files of its own that a project's or a subject's page names; the zip has all."""
OFFERED: Final = {
    "waiting": Action.PREARCHIVE_READ,
    "settings": Action.SETTINGS_EDIT,
    "trash": Action.TRASH_READ,
    "audit": Action.AUDIT_READ,
    "damage": Action.DAMAGE_READ,
    "upload": Action.UPLOAD,
}
"""What a project's page leads to, where one may."""


def query_of(request: Request) -> str:
    """The address's question without the page and what was said, for links to further pages."""
    parameters = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "said")]
    return urlencode(parameters)


@router.get("/projects")
async def projects(
    request: Request, context: PageContext, q: str = "", sort: str = "id", cursor: str | None = None
) -> Response:
    """Those that one may see."""
    principal = context.service_context.principal
    page_of_projects = await context.read(
        lambda c: list_projects(c, principal, ListFilter(search=q), Sorting(sort=sort, cursor=cursor))
    )
    return page(
        request,
        "projects.html",
        principal,
        here="Projects",
        page=page_of_projects,
        q=q,
        sort=sort,
        query=query_of(request),
    )


@router.get("/projects/{project}")
async def project(
    request: Request, context: PageContext, project: str, q: str = "", sort: str = "label", cursor: str | None = None
) -> Response:
    """A project, its archived sessions, and the first of the files that it has of its own."""
    principal = context.service_context.principal

    def ask(
        connection: Connection,
    ) -> tuple[Project, list[tuple[str, str]], Page[Session] | None, dict[str, bool], OwnFiles]:
        project_record = find_project(connection, principal, project)
        description = read_description(connection, project_record.id, with_contact=False).in_words()
        can = {name: is_allowed(connection, principal, action, project) for name, action in OFFERED.items()}
        if not project_record.readable:
            return project_record, description, None, can, OwnFiles([])
        filters = ListFilter(project=project, search=q)
        sessions = list_sessions(connection, principal, filters, Sorting(sort=sort, cursor=cursor))
        own_files = OwnFiles([]) if q or cursor else list_own_files(connection, project_record.id, PROJECT_KEY, OWN)
        return project_record, description, sessions, can, own_files

    project_record, description, sessions, can, own_files = await context.read(ask)
    return page(
        request, "project.html", principal, here="Projects", project=project_record, page=sessions, q=q, sort=sort,
        query=query_of(request), can=can, own=own_files, about=description,
    )  # fmt: skip
