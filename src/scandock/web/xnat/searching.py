"""Searches: what may be searched, and bundles of criteria, which pyxnat and xnatpy send (xnat-clients.md 3)."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from scandock.access.principal import deny
from scandock.rules.permissions import Answer
from scandock.services import browsing
from scandock.services.xnat.columns import Rows
from scandock.services.xnat.default_searches import default_search
from scandock.services.xnat.search_bundle import MAX_BYTES, read_bundle
from scandock.services.xnat.searching import elements, fields, search
from scandock.web.bodies import takes_body
from scandock.web.xnat.answers import listing
from scandock.web.xnat.routing import Asking, router

routes = router()


@routes.get("/data/search/elements")
async def searched(request: Request, work: Asking) -> Response:
    """The types that may be searched, sessions' where there are any."""
    return listing(request, await work.read(lambda c: elements(c, work.desk.principal)))


@routes.get("/data/search/elements/{kind}")
async def searched_by(request: Request, _work: Asking, kind: str) -> Response:
    """The fields of a type."""
    found = fields(kind)
    if found is None:
        deny(Answer.HIDDEN)
    return listing(request, found)


@routes.get("/data/search/saved")
async def saved(request: Request, _work: Asking) -> Response:
    """There are no stored searches."""
    return listing(request, Rows(["id", "brief_description", "description", "root_element_name"], []))


@routes.get("/data/search/saved/{search}")
async def saved_one(_work: Asking, search: str) -> Response:
    """A type's default search, `@xnat:mrSessionData`: there are no stored ones."""
    return _default(search, None)


@routes.get("/data/projects/{project}/searches/{search}")
async def of_project(work: Asking, project: str, search: str) -> Response:
    """The same, of what a project has."""
    found = await work.read(lambda c: browsing.find_project(c, work.desk.principal, project))
    return _default(search, found["id"])


def _default(search: str, project: str | None) -> Response:
    document = default_search(search[1:], project) if search.startswith("@") else None
    if document is None:
        deny(Answer.HIDDEN)
    return Response(document, media_type="text/xml; charset=utf-8")


@routes.post("/data/search")
@takes_body(MAX_BYTES)
async def searching(request: Request, work: Asking) -> Response:
    """What a bundle finds. It changes nothing, so that it is asked like a listing."""
    body = await request.body()
    bundle = await work.do(lambda: read_bundle(body))
    found = await work.read(lambda c: search(c, work.desk.principal, bundle))
    return listing(request, found, title=bundle.root)
