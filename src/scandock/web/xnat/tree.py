"""The tree of what is archived: projects, subjects, experiments, as listings and one by one (xnat-clients.md 2)."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from scandock.model import uris
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.services import browsing, rights
from scandock.services.assessors import Assessor
from scandock.services.project_description import read_description
from scandock.web import urls
from scandock.web.xnat import item_documents
from scandock.web.xnat.answers import Item, filters_of, format_of, item, listing, window_of
from scandock.web.xnat.assessor_items import assessor_item
from scandock.web.xnat.assessors import filters_of_assessors, session_in
from scandock.web.xnat.page_redirects import is_for_a_page, page_of_session, page_of_subject, to_page
from scandock.web.xnat.places import EXPERIMENTS, SUBJECTS, experiment_of, experiment_or_assessor, shelf_of, subject_of
from scandock.web.xnat.routing import Asking, router
from scandock.web.xnat.services import words
from scandock.web.xnat.services.assessors import list_assessors, types_of_assessors
from scandock.web.xnat.services.columns import Rows, together
from scandock.web.xnat.services.experiments import list_experiments
from scandock.web.xnat.services.history import history_of
from scandock.web.xnat.services.projects import list_projects
from scandock.web.xnat.services.subjects import list_subjects
from scandock.web.xnat.zipping import as_zip

routes = router()


def _true(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("true", "1")


_SEARCHING: Final = (
    "accessible", "permissions", "data", "creatableTypes", "users", "owner", "member", "collaborator", "prearc_code",
)  # fmt: skip
"""Questions that XNAT answers by its search of projects, whose columns have names of their own."""
_MAY: Final = {
    "edit": Action.UPLOAD, "create": Action.UPLOAD, "writable": Action.UPLOAD, "true": Action.UPLOAD,
    "read": Action.SESSION_READ, "readable": Action.SESSION_READ, "delete": Action.SESSION_DELETE,
}  # fmt: skip
"""What one may do, by the words of `permissions`, `data` and `creatableTypes`."""


def _asked_to_do(asked: QueryParams) -> list[str]:
    return [asked.get(name, "") for name in ("permissions", "data", "creatableTypes")]


# -- projects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/projects")
async def projects(request: Request, work: Asking) -> Response:
    """`owner`, `member`, `collaborator`: where one is that. `permissions=edit`: to which one may upload.

    `accessible=true`: all that one may see, `false` those of them where one has no role; `users=true` where one has
    one. Usage `value_invalid` for another word than `readable` and `writable` as `data`.
    """
    asked = request.query_params
    may = next((_MAY[word] for word in map(str.lower, _asked_to_do(asked)) if word in _MAY), Action.PROJECT_SEE)
    if asked.get("data", "readable") not in ("readable", "writable"):
        raise ValueInvalid(f"data is {asked['data'][:40]!r}.", "Right is readable or writable.")
    mine = True if _true(request, "users") else None
    if asked.get("accessible", "").lower() in ("false", "0"):
        mine = False

    def ask(connection: Connection) -> Rows:
        return list_projects(
            connection,
            work.context.principal,
            asked.get("columns"),
            filters_of(request),
            roles=[one for one in ("owner", "member", "collaborator") if _true(request, one)],
            action=may,
            mine=mine,
            searched=any(name in asked for name in _SEARCHING),
            with_code=_true(request, "prearc_code"),
        )

    return listing(request, await work.read(ask), title="Projects")


@routes.get("/data/projects/{project}")
async def project(request: Request, work: Asking, project: str) -> Response:
    if is_for_a_page(request):
        me = work.context.principal
        return await to_page(work, lambda c: urls.project_page(browsing.find_project(c, me, project).id))

    def ask(connection: Connection) -> Item:
        found = browsing.find_project(connection, work.context.principal, project)
        may_read = rights.is_allowed(connection, work.context.principal, Action.PROJECT_READ, project)
        own = item_documents.own_items(connection, shelf_of(connection, work)) if may_read else []
        return item_documents.project_item(found, read_description(connection, project, with_contact=may_read), own)

    return item(request, await work.read(ask))


# -- subjects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/subjects")
@routes.get("/data/projects/{project}/subjects")
async def subjects(request: Request, work: Asking, project: str | None = None) -> Response:
    columns = request.query_params.get("columns")
    rows = await work.read(
        lambda c: list_subjects(c, work.context.principal, columns, filters_of(request), in_project=project)
    )
    return listing(request, rows, title="Subjects")


async def subject(request: Request, work: Asking) -> Response:
    if is_for_a_page(request):
        return await to_page(work, lambda c: page_of_subject(subject_of(c, work)))

    def ask(connection: Connection) -> Item:
        found = subject_of(connection, work)
        own = item_documents.own_items(connection, shelf_of(connection, work))
        return item_documents.subject_item(
            found, own, item_documents.experiment_items(connection, work.context.principal, found)
        )

    return item(request, await work.read(ask))


for _where in SUBJECTS:
    routes.get(_where)(subject)


# -- experiments -------------------------------------------------------------------------------------------------------


async def experiments(request: Request, work: Asking) -> Response:
    """Of all projects, of one, or of a subject; `xsiType` narrows to types, of sessions, assessors, or both."""
    asked, places = request.query_params, request.path_params
    columns = asked.get("columns")
    of_assessors, of_sessions = types_of_assessors(asked.get("xsiType", ""))

    def ask(connection: Connection) -> Rows:
        me = work.context.principal
        of = subject_of(connection, work).number if "subject" in places else None

        def sessions(page: tuple[int, int | None] | None) -> Rows:
            return list_experiments(
                connection,
                me,
                columns,
                filters_of(request),
                in_project=places.get("project"),
                of_subject=of,
                types=of_sessions,
                page=page,
            )

        if not of_assessors:
            return sessions(window_of(request) if not asked.get("sortBy") else None)  # what is sorted is read whole
        assessors = list_assessors(
            connection,
            me,
            columns,
            filters_of_assessors(request),
            in_project=places.get("project"),
            of_subject=of,
            types=of_assessors,
        )
        return together(sessions(None), assessors) if of_sessions else assessors

    return listing(request, await work.read(ask), title="Matching Experiments")


for _where in (uris.DATA, "/data/projects/{project}", *SUBJECTS):
    routes.get(f"{_where}/experiments")(experiments)


@routes.get("/data/scanners")
@routes.get("/data/scan_types")
@routes.get("/data/projects/{project}/scanners")
@routes.get("/data/projects/{project}/scan_types")
async def used_words(request: Request, work: Asking) -> Response:
    """The words of all sessions, or of a `project`'s."""
    ask = words.scanners if request.url.path.rstrip("/").endswith("scanners") else words.scan_types
    in_project = request.path_params.get("project") or request.query_params.get("project")
    return listing(request, await work.read(lambda c: ask(c, work.context.principal, in_project)))


async def experiment(request: Request, work: Asking) -> Response:
    """One session or assessor; with `format=zip` all files of a session, with `html` its page."""
    if is_for_a_page(request):
        return await to_page(work, lambda c: page_of_session(session_in(experiment_or_assessor(c, work))))
    if format_of(request, "xml") == "zip":
        return await as_zip(work)

    def ask(connection: Connection) -> Item:
        found = experiment_or_assessor(connection, work)
        return (
            assessor_item(found) if isinstance(found, Assessor) else item_documents.experiment_item(connection, found)
        )

    return item(request, await work.read(ask))


async def experiment_history(work: Asking) -> Response:
    """What has happened to it, as JSON whatever format is asked for: it is no table."""
    events = await work.read(lambda c: history_of(c, work.context.principal, experiment_of(c, work)))
    return JSONResponse({"events": events})


for _where in EXPERIMENTS:
    routes.get(_where)(experiment)
    routes.get(f"{_where}/history")(experiment_history)
