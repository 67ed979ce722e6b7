"""Image assessors of sessions: listed, shown, made, changed, deleted; at `/data/experiments/{id}` as well."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import PlainTextResponse, Response

from scandock.model import uris
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import Action
from scandock.services.assessors import Assessor, delete_assessor, find_assessor, put_assessor
from scandock.services.file_errors import FileUnknown
from scandock.services.xnat_lookup import Experiment
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import filters_of, item, listing
from scandock.web.xnat.assessor_items import assessor_item, said_in_assessor
from scandock.web.xnat.making import answer, nameless, posted
from scandock.web.xnat.page_redirects import is_for_a_page, page_of_session, to_page
from scandock.web.xnat.places import EXPERIMENTS, experiment_of
from scandock.web.xnat.routing import Asking, Known, router
from scandock.web.xnat.services.assessors import LISTING, list_assessors
from scandock.web.xnat.services.columns import Rows

routes = router()


def assessor_of(connection: Connection, work: RequestContext, action: Action = Action.SESSION_READ) -> Assessor:
    """The assessor that an address names by its session. Denied."""
    found = experiment_of(connection, work, action)
    return find_assessor(connection, work.context.principal, work.request.path_params["assessor"], found)


def session_in(found: Experiment | Assessor) -> Experiment:
    """A session, or that of an assessor."""
    return found.session if isinstance(found, Assessor) else found


def filters_of_assessors(request: Request) -> list[tuple[str, str]]:
    """What a query says of columns: paths, and names that are columns' own; any other may be a word of another kind."""
    return [(name, said) for name, said in filters_of(request) if "/" in name or name.lower() in LISTING.columns]


async def assessors(request: Request, work: Asking) -> Response:
    asked = request.query_params

    def ask(connection: Connection) -> Rows:
        found = experiment_of(connection, work)
        return list_assessors(
            connection,
            work.context.principal,
            asked.get("columns"),
            filters_of_assessors(request),
            of_session=found.standing.id,
            types=asked.get("xsiType", ""),
        )

    return listing(request, await work.read(ask), title="Assessors")


async def assessor(request: Request, work: Asking) -> Response:
    """One assessor; with `format=html` the page of its session."""
    if is_for_a_page(request):
        return await to_page(work, lambda c: page_of_session(assessor_of(c, work).session))
    return item(request, assessor_item(await work.read(lambda c: assessor_of(c, work))))


async def put(request: Request, work: Known) -> Response:
    """Made where missing, else changed, by a document or what the query says."""
    found = await work.read(lambda c: experiment_of(c, work, Action.SESSION_EDIT))
    said = await said_in_assessor(work)
    id_, new = await work.do(lambda: put_assessor(work.context, found, request.path_params["assessor"], said))
    return answer(id_, new=new)


async def post(request: Request, work: Known) -> Response:
    """A new one of what a document, or the query, says."""
    found = await work.read(lambda c: experiment_of(c, work, Action.SESSION_EDIT))
    said = await said_in_assessor(work)
    if not said.label:
        raise nameless("assessor", "label")
    id_, _ = await work.do(lambda: put_assessor(work.context, found, said.label, said, new=True))
    return posted(request, id_)


async def delete(work: Known) -> Response:
    found = await work.read(lambda c: assessor_of(c, work, Action.SESSION_DELETE))
    await work.do(lambda: delete_assessor(work.context, found))
    return PlainTextResponse("")


# -- files, which assessors don't have ---------------------------------------------------------------------------------


class _Files(PathConvertor):
    """`{part:derived}` takes what an assessor has of files elsewhere, its own and those that it was made from."""

    regex = r"(?:(?:in|out)/)?(?:resources|files)(?:/(?s:.*))?"


register_url_convertor("derived", _Files())


async def no_files(request: Request, work: Asking, part: str) -> Response:
    """The files of an assessor, and its resources: none. Usage `file_unknown` for one of them."""
    await work.read(lambda c: assessor_of(c, work))
    if part.rstrip("/").rpartition("/")[2] not in ("resources", "files"):
        raise FileUnknown("An assessor has no files here.", "Its session has: .../resources, .../scans.")
    return listing(request, Rows(["ID", "label", "URI"], []))


async def keep_no_files(work: Known) -> Response:
    """Usage `request_invalid`: whatever is sent for an assessor to keep beside its document."""
    found = await work.read(lambda c: assessor_of(c, work, Action.SESSION_EDIT))
    address = uris.resource(found.session.uri, None, "{name}")
    raise RequestInvalid("An assessor keeps no files here.", f"Put them into its session: {address}/files.")


async def delete_no_files(work: Known) -> Response:
    """Usage `file_unknown`: there is none."""
    await work.read(lambda c: assessor_of(c, work, Action.SESSION_DELETE))
    raise FileUnknown("An assessor has no files here.", "Its session has: .../resources, .../scans.")


for _where in EXPERIMENTS:
    routes.get(f"{_where}/assessors")(assessors)
    routes.post(f"{_where}/assessors")(post)
    routes.get(f"{_where}/assessors/{{assessor}}")(assessor)
    routes.put(f"{_where}/assessors/{{assessor}}")(put)
    routes.delete(f"{_where}/assessors/{{assessor}}")(delete)
    _part = f"{_where}/assessors/{{assessor}}/{{part:derived}}"
    routes.get(_part)(no_files)
    for _method in ("PUT", "POST"):
        routes.add_api_route(_part, keep_no_files, methods=[_method])
    routes.delete(_part)(delete_no_files)
