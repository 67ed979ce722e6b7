"""Searches: what may be searched, and bundles of criteria, which pyxnat and xnatpy send (xnat-clients.md 3)."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from scandock.access.principal import raise_denied
from scandock.rules.permissions import AccessDecision
from scandock.services import browsing
from scandock.web.bodies import takes_body
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import listing
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.routing import Asking, Known, router
from scandock.web.xnat.services import saved_searches
from scandock.web.xnat.services.default_searches import default_search
from scandock.web.xnat.services.search_bundle import MAX_BYTES, read_bundle
from scandock.web.xnat.services.searching import elements, fields, search

routes = router()


@routes.get("/data/search/elements")
async def searched(request: Request, work: Asking) -> Response:
    """The types that may be searched, sessions' where there are any."""
    return listing(request, await work.read(lambda c: elements(c, work.context.principal)))


@routes.get("/data/search/elements/{kind}")
async def searched_by(request: Request, _work: Asking, kind: str) -> Response:
    """The fields of a type."""
    found = fields(kind)
    if found is None:
        raise_denied(AccessDecision.HIDDEN)
    return listing(request, found)


@routes.get("/data/search/saved")
async def list_saved(request: Request, work: Asking) -> Response:
    """The saved searches that the reader may use, without those of projects: `includeTag=true` or a project's id."""
    asked = request.query_params
    user, every, tag = asked.get("user", ""), true(asked.get("all")), asked.get("includeTag")
    tag = "" if tag is not None and true(tag) else tag
    me = work.context.principal
    rows = await work.read(lambda c: saved_searches.list_saved(c, me, user=user, every=every, tag=tag))
    return listing(request, rows, title="Stored Searches")


@routes.get("/data/search/saved/{search}")
async def get_saved(work: Asking, search: str) -> Response:
    """The document of a saved search, or of a type's default one, `@xnat:mrSessionData`."""
    return _xml(await _document(work, search))


@routes.get("/data/search/saved/{search}/results")
async def results_of_saved(request: Request, work: Asking, search: str) -> Response:
    """What a saved search finds, for whoever asks."""
    return await _results(request, work, await _document(work, search))


@routes.put("/data/search/saved/{search}")
@takes_body(saved_searches.MAX_BYTES)
async def put_saved(request: Request, work: Known, search: str) -> Response:
    """Kept by this name, in place of what has it; with `saveAs=true` by another one where it is taken."""
    body = await request.body()
    copy = true(request.query_params.get("saveAs"))
    return PlainTextResponse(await work.do(lambda: saved_searches.save_search(work.context, search, body, copy=copy)))


@routes.delete("/data/search/saved/{search}")
async def delete_saved(work: Known, search: str) -> Response:
    """Taken back; where others use it, it stays for them."""
    await work.do(lambda: saved_searches.delete_search(work.context, search))
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/searches/{search}")
async def get_search_of_project(work: Asking, project: str, search: str) -> Response:
    """The same as below `/data/search/saved`; a type's default search is of what the project has."""
    found = await work.read(lambda c: browsing.find_project(c, work.context.principal, project))
    return _xml(await _document(work, search, found.id))


async def _document(work: RequestContext, search: str, project: str | None = None) -> bytes:
    """The document of a saved search, or of a type's default one. Denied."""
    if not search.startswith("@"):
        return (await work.read(lambda c: saved_searches.find_saved(c, work.context.principal, search))).written()
    document = default_search(search[1:], project)
    if document is None:
        raise_denied(AccessDecision.HIDDEN)
    return document


def _xml(document: bytes) -> Response:
    return Response(document, media_type="text/xml; charset=utf-8")


async def _results(request: Request, work: RequestContext, document: bytes) -> Response:
    bundle = await work.do(lambda: read_bundle(document))
    found = await work.read(lambda c: search(c, work.context.principal, bundle))
    return listing(request, found, title=bundle.root)


@routes.post("/data/search")
@takes_body(MAX_BYTES)
async def searching(request: Request, work: Asking) -> Response:
    """What a bundle finds. It changes nothing, so that it is asked like a listing."""
    return await _results(request, work, await request.body())
