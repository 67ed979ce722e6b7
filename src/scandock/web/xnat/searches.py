"""Searches: what may be searched, and bundles of criteria, which pyxnat and xnatpy send (xnat-clients.md 3)."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision
from scandock.services import browsing
from scandock.web.bodies import limit_body
from scandock.web.request_context import RequestContext
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router
from scandock.web.xnat.services import saved_searches
from scandock.web.xnat.services.default_searches import make_default_search
from scandock.web.xnat.services.search_bundle import MAX_BYTES, parse_bundle
from scandock.web.xnat.services.search_queries import list_elements, list_fields, search

routes = make_router()


@routes.get("/data/search/elements")
async def search_elements(request: Request, context: PublicContext) -> Response:
    """The types that may be searched, sessions' where there are any."""
    return list_response(request, await context.read(lambda c: list_elements(c, context.service_context.principal)))


@routes.get("/data/search/elements/{kind}")
async def search_fields(request: Request, _work: PublicContext, kind: str) -> Response:
    """The fields of a type."""
    rows = list_fields(kind)
    if rows is None:
        raise_denied(AccessDecision.HIDDEN)
    return list_response(request, rows)


@routes.get("/data/search/saved")
async def list_saved(request: Request, context: PublicContext) -> Response:
    """The saved searches that the reader may use, without those of projects: `includeTag=true` or a project's id."""
    query = request.query_params
    user, list_all, tag = query.get("user", ""), is_true(query.get("all")), query.get("includeTag")
    tag = "" if tag is not None and is_true(tag) else tag
    me = context.service_context.principal
    rows = await context.read(lambda c: saved_searches.list_saved(c, me, user=user, list_all=list_all, tag=tag))
    return list_response(request, rows, title="Stored Searches")


@routes.get("/data/search/saved/{search}")
async def get_saved(context: PublicContext, search: str) -> Response:
    """The document of a saved search, or of a type's default one, `@xnat:mrSessionData`."""
    return _xml_response(await _find_document(context, search))


@routes.get("/data/search/saved/{search}/results")
async def results_of_saved(request: Request, context: PublicContext, search: str) -> Response:
    """What a saved search finds, for whoever asks."""
    return await _results_response(request, context, await _find_document(context, search))


@routes.put("/data/search/saved/{search}")
@limit_body(saved_searches.MAX_BYTES)
async def put_saved(request: Request, context: SignedInContext, search: str) -> Response:
    """Kept by this name, in place of what has it; with `saveAs=true` by another one where it is taken."""
    body = await request.body()
    copy = is_true(request.query_params.get("saveAs"))
    return PlainTextResponse(
        await context.run(lambda: saved_searches.save_search(context.service_context, search, body, copy=copy))
    )


@routes.delete("/data/search/saved/{search}")
async def delete_saved(context: SignedInContext, search: str) -> Response:
    """Taken back; where others use it, it stays for them."""
    await context.run(lambda: saved_searches.delete_search(context.service_context, search))
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/searches/{search}")
async def get_search_of_project(context: PublicContext, project: str, search: str) -> Response:
    """The same as below `/data/search/saved`; a type's default search is of what the project has."""
    found_project = await context.read(lambda c: browsing.find_project(c, context.service_context.principal, project))
    return _xml_response(await _find_document(context, search, found_project.id))


async def _find_document(context: RequestContext, search: str, project: str | None = None) -> bytes:
    """The document of a saved search, or of a type's default one. AccessDenied."""
    if not search.startswith("@"):
        return (
            await context.read(lambda c: saved_searches.find_saved(c, context.service_context.principal, search))
        ).to_document()
    document = make_default_search(search[1:], project)
    if document is None:
        raise_denied(AccessDecision.HIDDEN)
    return document


def _xml_response(document: bytes) -> Response:
    return Response(document, media_type="text/xml; charset=utf-8")


async def _results_response(request: Request, context: RequestContext, document: bytes) -> Response:
    bundle = await context.run(lambda: parse_bundle(document))
    rows = await context.read(lambda c: search(c, context.service_context.principal, bundle))
    return list_response(request, rows, title=bundle.root)


@routes.post("/data/search")
@limit_body(MAX_BYTES)
async def post_search(request: Request, context: PublicContext) -> Response:
    """What a bundle finds. It changes nothing, so that it is asked like a listing."""
    return await _results_response(request, context, await request.body())
