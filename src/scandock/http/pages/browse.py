"""Projects and what is archived in them."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Denied
from scandock.catalog.standing import archived_uuid
from scandock.http.pages.rendering import page
from scandock.http.pages.routing import Seen
from scandock.http.pages.routing import router as pages
from scandock.rules.permissions import Answer
from scandock.services.browsing import Wanted, find_project, find_session, list_projects, list_sessions
from scandock.services.contents import list_scans
from scandock.services.listing import Page, Sorting

router = pages()
MANY_SCANS = 500


def query_of(request: Request) -> str:
    """The address's question without the page and what was said, for links to further pages."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "said")]
    return urlencode(kept)


@router.get("/projects")
async def projects(request: Request, work: Seen, q: str = "", sort: str = "id", cursor: str | None = None) -> Response:
    """Those that one may see."""
    me = work.desk.principal
    found = await work.read(lambda c: list_projects(c, me, Wanted(search=q), Sorting(sort=sort, cursor=cursor)))
    return page(request, "projects.html", me, here="Projects", page=found, q=q, sort=sort, query=query_of(request))


@router.get("/projects/{project}")
async def project(
    request: Request, work: Seen, project: str, q: str = "", sort: str = "label", cursor: str | None = None
) -> Response:
    """A project and its archived sessions."""
    me = work.desk.principal

    def ask(connection: Connection) -> tuple[dict[str, object], Page | None]:
        found = find_project(connection, me, project)
        if "sessions" not in found:
            return found, None
        wanted = Wanted(project=project, search=q)
        return found, list_sessions(connection, me, wanted, Sorting(sort=sort, cursor=cursor))

    found, sessions = await work.read(ask)
    return page(
        request, "project.html", me, here="Projects", project=found, page=sessions, q=q, sort=sort,
        query=query_of(request),
    )  # fmt: skip


@router.get("/projects/{project}/sessions/{label}")
async def session(request: Request, work: Seen, project: str, label: str) -> Response:
    """An archived session: facts, scans, downloads."""
    me = work.desk.principal

    def ask(connection: Connection) -> tuple[dict[str, object], Page]:
        uuid = archived_uuid(connection, project, label)
        if uuid is None:
            find_project(connection, me, project)
            raise Denied(Answer.HIDDEN, "session_unknown", f"{project} has no archived session {label}.")
        scans = list_scans(connection, me, uuid, Sorting(limit=MANY_SCANS))
        return find_session(connection, me, uuid), scans

    found, scans = await work.read(ask)
    return page(request, "session.html", me, here="Projects", session=found, scans=scans)
