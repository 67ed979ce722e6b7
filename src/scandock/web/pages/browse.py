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
from scandock.web.pages.routing import Seen
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
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "said")]
    return urlencode(kept)


@router.get("/projects")
async def projects(request: Request, work: Seen, q: str = "", sort: str = "id", cursor: str | None = None) -> Response:
    """Those that one may see."""
    me = work.context.principal
    found = await work.read(lambda c: list_projects(c, me, ListFilter(search=q), Sorting(sort=sort, cursor=cursor)))
    return page(request, "projects.html", me, here="Projects", page=found, q=q, sort=sort, query=query_of(request))


@router.get("/projects/{project}")
async def project(
    request: Request, work: Seen, project: str, q: str = "", sort: str = "label", cursor: str | None = None
) -> Response:
    """A project, its archived sessions, and the first of the files that it has of its own."""
    me = work.context.principal

    def ask(
        connection: Connection,
    ) -> tuple[Project, list[tuple[str, str]], Page[Session] | None, dict[str, bool], OwnFiles]:
        found = find_project(connection, me, project)
        about = read_description(connection, found.id, with_contact=False).in_words()
        can = {name: is_allowed(connection, me, action, project) for name, action in OFFERED.items()}
        if not found.readable:
            return found, about, None, can, OwnFiles([])
        wanted = ListFilter(project=project, search=q)
        sessions = list_sessions(connection, me, wanted, Sorting(sort=sort, cursor=cursor))
        own = OwnFiles([]) if q or cursor else list_own_files(connection, found.id, PROJECT_KEY, OWN)
        return found, about, sessions, can, own

    found, about, sessions, can, own = await work.read(ask)
    return page(
        request, "project.html", me, here="Projects", project=found, page=sessions, q=q, sort=sort,
        query=query_of(request), can=can, own=own, about=about,
    )  # fmt: skip
