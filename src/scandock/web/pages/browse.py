"""Projects and what is archived in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final, TypedDict
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.own_resources import PROJECT_KEY
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import Action
from scandock.services.browsing import (
    ListFilter,
    check_day,
    find_project,
    list_modalities,
    list_projects,
    list_sessions,
)
from scandock.services.own_resources import OwnFiles, list_own_files
from scandock.services.pagination import Page, Sorting
from scandock.services.project_description import read_description
from scandock.services.records import Project, Session
from scandock.services.rights import is_allowed
from scandock.services.session_contents import find_pictured_scans
from scandock.web.pages.reader_zone import find_reader_zone
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages

router = pages()
OWN: Final = 50
"""Files of its own that a project's or a subject's page names; the zip has all."""
OFFERED: Final = {
    "waiting": Action.PREARCHIVE_READ,
    "settings": Action.SETTINGS_EDIT,
    "privacy": Action.PRIVACY_READ,
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
async def project(request: Request, context: PageContext, project: str, cursor: str | None = None) -> Response:
    """A project, its archived sessions as they are filtered, and the first of the files that it has of its own."""
    principal, session_filter = context.service_context.principal, SessionFilter.of(request)
    filters = session_filter.in_project(project, find_reader_zone(request))

    def ask(connection: Connection) -> _ProjectData:
        project_record = find_project(connection, principal, project)
        data: _ProjectData = {
            "project": project_record,
            "about": read_description(connection, project_record.id, with_contact=False).in_words(),
            "can": {name: is_allowed(connection, principal, action, project) for name, action in OFFERED.items()},
            "page": None,
            "own": OwnFiles([]),
            "pictures": {},
            "modalities": [],
        }
        if not project_record.readable:
            return data
        sessions = list_sessions(connection, principal, filters, Sorting(sort=session_filter.sort, cursor=cursor))
        data["page"] = sessions
        data["pictures"] = find_pictured_scans(connection, [session.tree for session in sessions.items])
        data["modalities"] = list_modalities(connection, project)
        if not session_filter.is_asked and not cursor:
            data["own"] = list_own_files(connection, project_record.id, PROJECT_KEY, OWN)
        return data

    values = await context.read(ask)
    return page(
        request, "project.html", principal, here="Projects", asked=session_filter, query=query_of(request), **values
    )


class _ProjectData(TypedDict):
    """What the page of a project shows."""

    project: Project
    about: list[tuple[str, str]]
    can: dict[str, bool]
    page: Page[Session] | None
    own: OwnFiles
    pictures: Mapping[int, str]
    """By tree, the scan whose picture stands for the session."""
    modalities: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions of a project are listed, as the address says it."""

    q: str
    modality: str
    date_from: str
    date_to: str
    received: str
    """The first day of reception, in the reader's time zone."""
    sort: str

    @classmethod
    def of(cls, request: Request) -> SessionFilter:
        query = request.query_params
        names = ("q", "modality", "date_from", "date_to", "received")
        return cls(
            sort=query.get("sort", "")[:32] or "label", **{name: query.get(name, "").strip()[:200] for name in names}
        )

    @property
    def is_asked(self) -> bool:
        """Whether some are left out."""
        return any((self.q, self.modality, self.date_from, self.date_to, self.received))

    @property
    def parameters(self) -> dict[str, str]:
        """The filter without the sorting, for links that sort the same list."""
        return {
            "q": self.q,
            "modality": self.modality,
            "date_from": self.date_from,
            "date_to": self.date_to,
            "received": self.received,
        }

    def in_project(self, project: str, zone: tzinfo) -> ListFilter:
        """RequestInvalid where a day is none."""
        since = None
        if check_day(self.received):
            since = int(datetime.fromisoformat(self.received).replace(tzinfo=zone).timestamp() * 1000)
        return ListFilter(
            project=project, search=self.q, modality=self.modality, date_from=self.date_from, date_to=self.date_to,
            received_since=since,
        )  # fmt: skip
