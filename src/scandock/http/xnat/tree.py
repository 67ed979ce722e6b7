"""The tree of what is archived: projects, subjects, experiments, as listings and one by one (xnat-clients.md 2)."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.http.xnat import things
from scandock.http.xnat.answers import Item, filters_of, format_of, item, listing, window_of
from scandock.http.xnat.places import EXPERIMENTS, SUBJECTS, experiment_of, shelf_of, subject_of
from scandock.http.xnat.routing import Asking, router
from scandock.http.xnat.zipping import as_zip
from scandock.rules.permissions import Action
from scandock.services import browsing, rights
from scandock.services.xnat import words
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.experiments import list_experiments
from scandock.services.xnat.projects import described, list_projects
from scandock.services.xnat.subjects import list_subjects

routes = router()


def _true(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("true", "1")


# -- projects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/projects")
async def projects(request: Request, work: Asking) -> Response:
    """`owner`, `member`, `collaborator`: where one is that. `permissions=edit`: to which one may upload."""
    asked = request.query_params

    def ask(connection: Connection) -> Rows:
        return list_projects(
            connection,
            work.desk.principal,
            asked.get("columns"),
            filters_of(request),
            roles=[one for one in ("owner", "member", "collaborator") if _true(request, one)],
            editable=asked.get("permissions", "").lower() in ("edit", "create"),
            with_code=_true(request, "prearc_code"),
        )

    return listing(request, await work.read(ask), title="Projects")


@routes.get("/data/projects/{project}")
async def project(request: Request, work: Asking, project: str) -> Response:
    def ask(connection: Connection) -> Item:
        found = browsing.find_project(connection, work.desk.principal, project)
        may_read = rights.allowed(connection, work.desk.principal, Action.PROJECT_READ, project)
        own = things.own_items(connection, shelf_of(connection, work)) if may_read else []
        return things.project_item(found, described(connection, project, whole=may_read), own)

    return item(request, await work.read(ask))


# -- subjects ----------------------------------------------------------------------------------------------------------


@routes.get("/data/subjects")
@routes.get("/data/projects/{project}/subjects")
async def subjects(request: Request, work: Asking, project: str | None = None) -> Response:
    columns = request.query_params.get("columns")
    rows = await work.read(
        lambda c: list_subjects(c, work.desk.principal, columns, filters_of(request), in_project=project)
    )
    return listing(request, rows, title="Subjects")


async def subject(request: Request, work: Asking) -> Response:
    def ask(connection: Connection) -> Item:
        own = things.own_items(connection, shelf_of(connection, work))
        return things.subject_item(subject_of(connection, work), own)

    return item(request, await work.read(ask))


for _where in SUBJECTS:
    routes.get(_where)(subject)


# -- experiments -------------------------------------------------------------------------------------------------------


async def experiments(request: Request, work: Asking) -> Response:
    """Of all projects, of one, or of a subject; `xsiType` narrows to types."""
    asked, places = request.query_params, request.path_params

    def ask(connection: Connection) -> Rows:
        of = subject_of(connection, work).number if "subject" in places else None
        return list_experiments(
            connection,
            work.desk.principal,
            asked.get("columns"),
            filters_of(request),
            in_project=places.get("project"),
            of_subject=of,
            types=asked.get("xsiType", ""),
            page=window_of(request) if not asked.get("sortBy") else None,  # what is sorted is read whole first
        )

    return listing(request, await work.read(ask), title="Matching Experiments")


for _where in ("/data", "/data/projects/{project}", *SUBJECTS):
    routes.get(f"{_where}/experiments")(experiments)


@routes.get("/data/scanners")
@routes.get("/data/scan_types")
async def used_words(request: Request, work: Asking) -> Response:
    """The words of all sessions, or of a `project`'s."""
    ask = words.scanners if request.url.path.rstrip("/").endswith("scanners") else words.scan_types
    in_project = request.query_params.get("project")
    return listing(request, await work.read(lambda c: ask(c, work.desk.principal, in_project)))


async def experiment(request: Request, work: Asking) -> Response:
    """One experiment; with `format=zip` all its files."""
    if format_of(request, "xml") == "zip":
        return await as_zip(work)

    def ask(connection: Connection) -> Item:
        return things.experiment_item(connection, experiment_of(connection, work))

    return item(request, await work.read(ask))


for _where in EXPERIMENTS:
    routes.get(_where)(experiment)
