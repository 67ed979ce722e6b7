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
from scandock.web.xnat.address_lookup import (
    EXPERIMENTS,
    SUBJECTS,
    lookup_experiment,
    lookup_experiment_or_assessor,
    lookup_resource_owner,
    lookup_subject,
)
from scandock.web.xnat.assessor_items import make_assessor_item
from scandock.web.xnat.assessors import get_session, read_assessor_filters
from scandock.web.xnat.page_redirects import make_session_path, make_subject_path, redirect_to_page, wants_page
from scandock.web.xnat.responses import Item, item_response, list_response, read_filters, read_format, read_window
from scandock.web.xnat.routing import PublicContext, make_router
from scandock.web.xnat.services import used_terms
from scandock.web.xnat.services.assessors import list_assessors, split_assessor_types
from scandock.web.xnat.services.columns import Rows, together
from scandock.web.xnat.services.experiments import list_experiments
from scandock.web.xnat.services.history import read_history
from scandock.web.xnat.services.projects import list_projects
from scandock.web.xnat.services.subjects import list_subjects
from scandock.web.xnat.zip_downloads import download_zip

routes = make_router()


def _is_true(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("true", "1")


_SEARCH_PARAMETERS: Final = (
    "accessible", "permissions", "data", "creatableTypes", "users", "owner", "member", "collaborator", "prearc_code",
)  # fmt: skip
"""Questions that XNAT answers by its search of projects, whose columns have names of their own."""
_ACTIONS: Final = {
    "edit": Action.UPLOAD, "create": Action.UPLOAD, "writable": Action.UPLOAD, "true": Action.UPLOAD,
    "read": Action.SESSION_READ, "readable": Action.SESSION_READ, "delete": Action.SESSION_DELETE,
}  # fmt: skip
"""What one may do, by the words of `permissions`, `data` and `creatableTypes`."""


def _read_action_words(query: QueryParams) -> list[str]:
    return [query.get(name, "") for name in ("permissions", "data", "creatableTypes")]


# -- projects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/projects")
async def projects(request: Request, context: PublicContext) -> Response:
    """`owner`, `member`, `collaborator`: where one is that. `permissions=edit`: to which one may upload.

    `accessible=true`: all that one may see, `false` those of them where one has no role; `users=true` where one has
    one. Usage `value_invalid` for another word than `readable` and `writable` as `data`.
    """
    query = request.query_params
    action = next(
        (_ACTIONS[word] for word in map(str.lower, _read_action_words(query)) if word in _ACTIONS), Action.PROJECT_SEE
    )
    if query.get("data", "readable") not in ("readable", "writable"):
        raise ValueInvalid(f"data is {query['data'][:40]!r}.", "Right is readable or writable.")
    member_filter = True if _is_true(request, "users") else None
    if query.get("accessible", "").lower() in ("false", "0"):
        member_filter = False

    def ask(connection: Connection) -> Rows:
        return list_projects(
            connection,
            context.service_context.principal,
            query.get("columns"),
            read_filters(request),
            roles=[role for role in ("owner", "member", "collaborator") if _is_true(request, role)],
            action=action,
            has_role=member_filter,
            for_search=any(name in query for name in _SEARCH_PARAMETERS),
            with_code=_is_true(request, "prearc_code"),
        )

    return list_response(request, await context.read(ask), title="Projects")


@routes.get("/data/projects/{project}")
async def project(request: Request, context: PublicContext, project: str) -> Response:
    if wants_page(request):
        me = context.service_context.principal
        return await redirect_to_page(context, lambda c: urls.project_page(browsing.find_project(c, me, project).id))

    def ask(connection: Connection) -> Item:
        found_project = browsing.find_project(connection, context.service_context.principal, project)
        may_read = rights.is_allowed(connection, context.service_context.principal, Action.PROJECT_READ, project)
        resource_items = (
            item_documents.find_resource_items(connection, lookup_resource_owner(connection, context))
            if may_read
            else []
        )
        return item_documents.make_project_item(
            found_project, read_description(connection, project, with_contact=may_read), resource_items
        )

    return item_response(request, await context.read(ask))


# -- subjects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/subjects")
@routes.get("/data/projects/{project}/subjects")
async def subjects(request: Request, context: PublicContext, project: str | None = None) -> Response:
    columns = request.query_params.get("columns")
    rows = await context.read(
        lambda c: list_subjects(
            c, context.service_context.principal, columns, read_filters(request), in_project=project
        )
    )
    return list_response(request, rows, title="Subjects")


async def subject(request: Request, context: PublicContext) -> Response:
    if wants_page(request):
        return await redirect_to_page(context, lambda c: make_subject_path(lookup_subject(c, context)))

    def ask(connection: Connection) -> Item:
        subject_record = lookup_subject(connection, context)
        resource_items = item_documents.find_resource_items(connection, lookup_resource_owner(connection, context))
        return item_documents.make_subject_item(
            subject_record,
            resource_items,
            item_documents.find_experiment_items(connection, context.service_context.principal, subject_record),
        )

    return item_response(request, await context.read(ask))


for _where in SUBJECTS:
    routes.get(_where)(subject)


# -- experiments -------------------------------------------------------------------------------------------------------


async def experiments(request: Request, context: PublicContext) -> Response:
    """Of all projects, of one, or of a subject; `xsiType` narrows to types, of sessions, assessors, or both."""
    query, path_params = request.query_params, request.path_params
    columns = query.get("columns")
    assessor_types, session_types = split_assessor_types(query.get("xsiType", ""))

    def ask(connection: Connection) -> Rows:
        me = context.service_context.principal
        subject_number = lookup_subject(connection, context).number if "subject" in path_params else None

        def sessions(page: tuple[int, int | None] | None) -> Rows:
            return list_experiments(
                connection,
                me,
                columns,
                read_filters(request),
                in_project=path_params.get("project"),
                of_subject=subject_number,
                types=session_types,
                page=page,
            )

        if not assessor_types:
            return sessions(read_window(request) if not query.get("sortBy") else None)  # what is sorted is read whole
        assessors = list_assessors(
            connection,
            me,
            columns,
            read_assessor_filters(request),
            in_project=path_params.get("project"),
            of_subject=subject_number,
            types=assessor_types,
        )
        return together(sessions(None), assessors) if session_types else assessors

    return list_response(request, await context.read(ask), title="Matching Experiments")


for _where in (uris.DATA, "/data/projects/{project}", *SUBJECTS):
    routes.get(f"{_where}/experiments")(experiments)


@routes.get("/data/scanners")
@routes.get("/data/scan_types")
@routes.get("/data/projects/{project}/scanners")
@routes.get("/data/projects/{project}/scan_types")
async def list_used_terms(request: Request, context: PublicContext) -> Response:
    """The words of all sessions, or of a `project`'s."""
    ask = used_terms.list_scanners if request.url.path.rstrip("/").endswith("scanners") else used_terms.list_scan_types
    in_project = request.path_params.get("project") or request.query_params.get("project")
    return list_response(request, await context.read(lambda c: ask(c, context.service_context.principal, in_project)))


async def experiment(request: Request, context: PublicContext) -> Response:
    """One session or assessor; with `format=zip` all files of a session, with `html` its page."""
    if wants_page(request):
        return await redirect_to_page(
            context, lambda c: make_session_path(get_session(lookup_experiment_or_assessor(c, context)))
        )
    if read_format(request, "xml") == "zip":
        return await download_zip(context)

    def ask(connection: Connection) -> Item:
        session_or_assessor = lookup_experiment_or_assessor(connection, context)
        return (
            make_assessor_item(session_or_assessor)
            if isinstance(session_or_assessor, Assessor)
            else item_documents.find_experiment_item(connection, session_or_assessor)
        )

    return item_response(request, await context.read(ask))


async def experiment_history(context: PublicContext) -> Response:
    """What has happened to it, as JSON whatever format is asked for: it is no table."""
    events = await context.read(
        lambda c: read_history(c, context.service_context.principal, lookup_experiment(c, context))
    )
    return JSONResponse({"events": events})


for _where in EXPERIMENTS:
    routes.get(_where)(experiment)
    routes.get(f"{_where}/history")(experiment_history)
