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
from scandock.web.xnat.address_lookup import EXPERIMENTS, lookup_experiment
from scandock.web.xnat.assessor_items import make_assessor_item, read_assessor_request
from scandock.web.xnat.creation import created_response, id_response, name_missing_error
from scandock.web.xnat.page_redirects import make_session_path, redirect_to_page, wants_page
from scandock.web.xnat.responses import item_response, list_response, read_filters
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router
from scandock.web.xnat.services.assessors import LISTING, list_assessors
from scandock.web.xnat.services.columns import Rows

routes = make_router()


def lookup_assessor(connection: Connection, context: RequestContext, action: Action = Action.SESSION_READ) -> Assessor:
    """The assessor that an address names by its session. AccessDenied."""
    experiment = lookup_experiment(connection, context, action)
    return find_assessor(
        connection, context.service_context.principal, context.request.path_params["assessor"], experiment
    )


def get_session(session_or_assessor: Experiment | Assessor) -> Experiment:
    """A session, or that of an assessor."""
    return session_or_assessor.session if isinstance(session_or_assessor, Assessor) else session_or_assessor


def read_assessor_filters(request: Request) -> list[tuple[str, str]]:
    """What a query says of columns: paths, and names that are columns' own; any other may be a word of another kind."""
    return [(name, value) for name, value in read_filters(request) if "/" in name or name.lower() in LISTING.columns]


async def assessors(request: Request, context: PublicContext) -> Response:
    query = request.query_params

    def ask(connection: Connection) -> Rows:
        experiment = lookup_experiment(connection, context)
        return list_assessors(
            connection,
            context.service_context.principal,
            query.get("columns"),
            read_assessor_filters(request),
            of_session=experiment.record.id,
            types=query.get("xsiType", ""),
        )

    return list_response(request, await context.read(ask), title="Assessors")


async def assessor(request: Request, context: PublicContext) -> Response:
    """One assessor; with `format=html` the page of its session."""
    if wants_page(request):
        return await redirect_to_page(context, lambda c: make_session_path(lookup_assessor(c, context).session))
    return item_response(request, make_assessor_item(await context.read(lambda c: lookup_assessor(c, context))))


async def put(request: Request, context: SignedInContext) -> Response:
    """Made where missing, else changed, by a document or what the query says."""
    experiment = await context.read(lambda c: lookup_experiment(c, context, Action.SESSION_EDIT))
    assessor_request = await read_assessor_request(context)
    id_, new = await context.run(
        lambda: put_assessor(context.service_context, experiment, request.path_params["assessor"], assessor_request)
    )
    return id_response(id_, new=new)


async def post(request: Request, context: SignedInContext) -> Response:
    """A new one of what a document, or the query, says."""
    experiment = await context.read(lambda c: lookup_experiment(c, context, Action.SESSION_EDIT))
    assessor_request = await read_assessor_request(context)
    if not assessor_request.label:
        raise name_missing_error("assessor", "label")
    id_, _ = await context.run(
        lambda: put_assessor(context.service_context, experiment, assessor_request.label, assessor_request, new=True)
    )
    return created_response(request, id_)


async def delete(context: SignedInContext) -> Response:
    existing = await context.read(lambda c: lookup_assessor(c, context, Action.SESSION_DELETE))
    await context.run(lambda: delete_assessor(context.service_context, existing))
    return PlainTextResponse("")


# -- files, which assessors don't have ---------------------------------------------------------------------------------


class _DerivedPathConvertor(PathConvertor):
    """`{part:derived}` takes what an assessor has of files elsewhere, its own and those that it was made from."""

    regex = r"(?:(?:in|out)/)?(?:resources|files)(?:/(?s:.*))?"


register_url_convertor("derived", _DerivedPathConvertor())


async def no_files(request: Request, context: PublicContext, part: str) -> Response:
    """The files of an assessor, and its resources: none. Usage `file_unknown` for one of them."""
    await context.read(lambda c: lookup_assessor(c, context))
    if part.rstrip("/").rpartition("/")[2] not in ("resources", "files"):
        raise FileUnknown("An assessor has no files here.", "Its session has: .../resources, .../scans.")
    return list_response(request, Rows(["ID", "label", "URI"], []))


async def refuse_files(context: SignedInContext) -> Response:
    """Usage `request_invalid`: whatever is sent for an assessor to keep beside its document."""
    existing = await context.read(lambda c: lookup_assessor(c, context, Action.SESSION_EDIT))
    address = uris.resource(existing.session.uri, None, "{name}")
    raise RequestInvalid("An assessor keeps no files here.", f"Put them into its session: {address}/files.")


async def delete_no_files(context: SignedInContext) -> Response:
    """Usage `file_unknown`: there is none."""
    await context.read(lambda c: lookup_assessor(c, context, Action.SESSION_DELETE))
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
        routes.add_api_route(_part, refuse_files, methods=[_method])
    routes.delete(_part)(delete_no_files)
