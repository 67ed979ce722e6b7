"""`/xapi/event_tracking/{key}`: how an import goes that was asked for with a listener's key (xnat-behaviour.md 6.1)."""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.http.xnat.routing import Known, router, said
from scandock.services.xnat.tracking import tell

routes = router()


@routes.get("/xapi/event_tracking/{key:path}/payload")
async def payload(work: Known, key: str) -> Response:
    """The entries alone."""
    found = await work.site.read(tell, work.site.catalog, work.desk.principal, key)
    if found is None:
        return said(404, f"No event listener data with key {key[:255]} accessible to user")
    return PlainTextResponse(found.payload or "")


@routes.get("/xapi/event_tracking/{key:path}")
async def track(work: Known, key: str) -> Response:
    """What was told so far; `payload` is a text that holds JSON. 404 without a word for who may not know of it."""
    found = await work.site.read(tell, work.site.catalog, work.desk.principal, key)
    if found is None:
        return said(404, "")
    told = {"key": key, "payload": found.payload, "succeeded": found.succeeded, "finalMessage": found.final}
    return JSONResponse(told)
