"""Looking at what is stored: a subject, a session with its scans, a scan with its images, files and headers.

A session that waits in the prearchive is looked at by the same pages, under its id: there may be several of a label.
"""

from __future__ import annotations

from typing import Final, TypedDict

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.catalog.sessions import archived_uuid, subject_uuid
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.rules.permissions import Action
from scandock.rules.subject_fields import label_fields
from scandock.services import pictures
from scandock.services.browsing import ListFilter, find_project, find_session, find_subject, list_sessions
from scandock.services.own_resources import OwnFiles, list_own_files
from scandock.services.pagination import MAX_LIMIT, Page, Sorting
from scandock.services.records import File, Resource, Scan, Session, Subject
from scandock.services.rights import is_allowed
from scandock.services.session_contents import find_file, find_scan, list_files, list_resources
from scandock.services.session_origin import SessionOrigin, read_origin
from scandock.services.viewer_links import ViewerLink, make_links
from scandock.viewing.stack import Stack
from scandock.web import urls
from scandock.web.pages.action_preview import session_path
from scandock.web.pages.browse import OWN, query_of
from scandock.web.pages.errors import SessionHidden, SubjectUnknown
from scandock.web.pages.prearchive_rows import WaitingRow, build_rows
from scandock.web.pages.rendering import page
from scandock.web.pages.routing import PageContext
from scandock.web.pages.routing import router as pages
from scandock.web.pages.scan_filters import ORDERS, ScanFilter, list_all_scans
from scandock.web.picture_responses import SearchedHeaderJson, header_json, view_scan
from scandock.web.request_context import RequestContext

router = pages()

FILES: Final = 50
ROWS: Final = 1_500
"""Elements of a header on one page; a search finds the others."""
OFFERED: Final = {
    "change": Action.SESSION_EDIT,
    "activate": Action.SESSION_ACTIVATE,
    "delete": Action.SESSION_DELETE,
    "damage": Action.DAMAGE_READ,
    "verify": Action.DAMAGE_VERIFY,
}
"""What the page of an archived session offers to whoever may; the prearchive has its own."""
EVERYWHERE: Final = frozenset({"damage", "verify"})
"""What of it is offered in the prearchive too."""


@dataclass(frozen=True, slots=True)
class Files:
    """Which page of a table of files, as the address says it."""

    q: str
    sort: str
    cursor: str | None

    @property
    def is_asked(self) -> bool:
        """Whether the address asks for something of the table: then it is not folded."""
        return bool(self.q or self.cursor or self.sort != "n")

    @classmethod
    def of(cls, request: Request) -> Files:
        query = request.query_params
        return cls(query.get("q", "")[:200], query.get("sort", "n")[:32], query.get("cursor"))

    @property
    def sorting(self) -> Sorting:
        return Sorting(sort=self.sort, cursor=self.cursor, limit=FILES)


@router.get("/projects/{project}/subjects/{subject}")
async def subject(
    request: Request, context: PageContext, project: str, subject: str, q: str = "", sort: str = "label"
) -> Response:
    """A subject and its sessions: what is archived, and what waits, where one may see it; its own files."""
    principal = context.service_context.principal

    def ask(connection: Connection) -> tuple[Subject, Page[Session], Page[Session], OwnFiles]:
        uuid = subject_uuid(connection, project, subject)
        if uuid is None:
            find_project(connection, principal, project)
            raise SubjectUnknown(f"{project} has no subject {subject}.")
        subject_record = find_subject(connection, principal, uuid)
        filters = ListFilter(project=project, subject=subject_record.label, search=q)
        sorting = Sorting(sort=sort, limit=MAX_LIMIT)
        archived = list_sessions(connection, principal, filters, sorting)
        waiting: Page[Session] = Page([], None)
        if is_allowed(connection, principal, Action.PREARCHIVE_READ, project):
            waiting = list_sessions(connection, principal, filters, sorting, place="prearchive")
        own_files = OwnFiles([]) if q else list_own_files(connection, subject_record.project, uuid, OWN)
        return subject_record, archived, waiting, own_files

    subject_record, archived, waiting, own_files = await context.read(ask)
    return page(
        request,
        "subject.html",
        principal,
        here="Projects",
        subject=subject_record,
        facts=label_fields(subject_record.attributes),
        archived=archived,
        waiting=waiting,
        own=own_files,
        q=q,
        sort=sort,
    )


@router.get("/projects/{project}/sessions/{label}")
async def session(request: Request, context: PageContext, project: str, label: str) -> Response:
    """An archived session: facts, scans with their thumbnails, files, downloads."""
    return await _session(request, context, await _archived(context, project, label))


@router.get("/prearchive/{uuid}")
async def waiting_session(request: Request, context: PageContext, uuid: str) -> Response:
    """A session that waits, to be looked at before it is archived."""
    return await _session(request, context, uuid)


@router.get("/projects/{project}/sessions/{label}/scans/{scan}")
async def scan(
    request: Request,
    context: PageContext,
    project: str,
    label: str,
    scan: str,
    image: int | None = None,
    file: int | None = None,
) -> Response:
    """A scan of an archived session: its images in the viewer, its files, the header of one of them."""
    return await _scan(request, context, await _archived(context, project, label), scan, image, file)


@router.get("/prearchive/{uuid}/scans/{scan}")
async def waiting_scan(
    request: Request, context: PageContext, uuid: str, scan: str, image: int | None = None, file: int | None = None
) -> Response:
    """As `scan`, of a session that waits."""
    return await _scan(request, context, uuid, scan, image, file)


async def _archived(context: RequestContext, project: str, label: str) -> str:
    """The id of an archived session. AccessDenied where there is none, or none that one may know of."""

    def ask(connection: Connection) -> str:
        uuid = archived_uuid(connection, project, label)
        if uuid is None:
            find_project(connection, context.service_context.principal, project)
            raise SessionHidden(f"{project} has no archived session {label}.")
        return uuid

    return await context.read(ask)


class _SessionData(TypedDict):
    """What the page of a session shows."""

    session: Session
    origin: SessionOrigin | None
    can: dict[str, bool]
    row: WaitingRow | None
    scans: list[Scan]
    resources: Page[Resource]
    files: Page[File]


class _ScanData(TypedDict):
    """What the page of a scan shows."""

    session: Session
    scan: Scan
    scans: list[Scan]
    files: Page[File]
    file: File | None


async def _session(request: Request, context: RequestContext, uuid: str) -> Response:
    principal, files, scan_filter = context.service_context.principal, Files.of(request), ScanFilter.of(request)

    def ask(connection: Connection) -> _SessionData:
        session_record = find_session(connection, principal, uuid)
        is_waiting = session_record.place == "prearchive"
        return {
            "session": session_record,
            "origin": read_origin(connection, principal, session_record),
            "can": {
                name: (name in EVERYWHERE or not is_waiting)
                and is_allowed(connection, principal, action, session_record.project)
                for name, action in OFFERED.items()
            },
            "row": build_rows(connection, principal, [session_record])[0] if is_waiting else None,
            "scans": list_all_scans(connection, principal, uuid),
            "resources": list_resources(connection, principal, uuid, Sorting(limit=MAX_LIMIT)),
            "files": list_files(connection, principal, uuid, files.sorting, search=files.q),
        }

    values = await context.read(ask)
    path = session_path(values["session"])
    return page(
        request,
        "session.html",
        principal,
        here=_here(path),
        path=path,
        of=path,
        asked=files,
        query=query_of(request),
        sift=scan_filter,
        shown=scan_filter(values["scans"]),
        orders=ORDERS,
        days=context.server.settings.trash_days,
        viewers=_viewer_links(context, values["session"]),
        **values,
    )


def _viewer_links(context: RequestContext, record: Session) -> list[ViewerLink]:
    """The viewers beside our own that show a session: OHIF where it is installed, and those of the settings.

    What waits is shown by the base of all that one may read, as that of a project has its archive alone.
    """
    if not record.study_uid or not record.scans:
        return []
    server = context.server
    project = record.project if record.place == "archive" else None
    root = urls.root_of(context.request.scope)
    links = []
    if server.ohif.find() is not None:
        links.append(ViewerLink("OHIF", root + urls.ohif_study(record.study_uid, project)))
    site = server.settings.public_url or str(context.request.base_url).rstrip("/")
    return links + make_links(
        server.settings.viewers, study=record.study_uid, project=record.project, session=record.label,
        subject=record.subject, dicomweb=site + urls.dicomweb(project),
    )  # fmt: skip


async def _scan(
    request: Request, context: RequestContext, uuid: str, scan_id: str, image: int | None, file: int | None
) -> Response:  # fmt: skip
    principal, files = context.service_context.principal, Files.of(request)

    def ask(connection: Connection) -> _ScanData:
        return {
            "session": find_session(connection, principal, uuid),
            "scan": find_scan(connection, principal, uuid, scan_id),
            "scans": list_all_scans(connection, principal, uuid),
            "files": list_files(connection, principal, uuid, files.sorting, scan_id=scan_id, search=files.q),
            "file": None if file is None else find_file(connection, principal, uuid, file),
        }

    values = await context.read(ask)
    stack_json_text, damaged = await _stack(context, uuid, scan_id)
    last = max(len(stack_json_text.images) - 1, 0)
    path = session_path(values["session"])
    return page(
        request,
        "scan.html",
        principal,
        here=_here(path),
        path=path,
        of=urls.scan_page(path, scan_id),
        asked=files,
        query=query_of(request),
        stack=stack_json_text,
        at=stack_json_text.middle if image is None else min(max(image, 0), last),
        header=await _header(request, context, uuid, file),
        rows=ROWS,
        script="viewer",
        damaged=damaged,
        **values,
    )


async def _stack(context: RequestContext, uuid: str, scan_id: str) -> tuple[Stack, int]:
    """The order of the scan's images; empty, with the reason, where it can't be told. And how many are damaged."""
    view = await view_scan(context, uuid, scan_id)
    try:
        return await context.run_decoder(lambda: pictures.read_stack(view)), len(view.damaged)
    except Fault as fault:
        return Stack(reasons=[(0, str(fault))]), len(view.damaged)


async def _header(request: Request, context: RequestContext, uuid: str, file: int | None) -> SearchedHeaderJson | None:
    """The header of a file, or what a search finds in it; None where none is asked for."""
    if file is None:
        return None
    search = request.query_params.get("search", "")[:200]
    header, _ = await context.run_decoder(
        lambda: pictures.read_header(context.service_context, context.server.pictures, uuid, file)
    )
    return {**header_json(header, search), "search": search}


def _here(path: str) -> str:
    return "Prearchive" if urls.is_prearchive(path) else "Projects"
