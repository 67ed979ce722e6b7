"""Whether the server lives, whether it is ready and what it lacks, and its metrics."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from scandock.web.deps import site_of
from scandock.web.problems import RETRY_SECONDS
from scandock.web.shared_look import StillLooking

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="The process lives")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="Ready, or what is not", responses={503: {"description": "Not ready"}})
async def readyz(request: Request) -> Response:
    """`{"ready", "checks": {"catalog", "store", "workers"}}`: each `ok`, or what is the matter with it.

    `notes` where there is something to know all the same: `clock`, why nothing is deleted for its age.
    """
    readiness = site_of(request).readiness
    checks, notes = await asyncio.gather(readiness.ask(), readiness.notes())
    ready = all(said == "ok" for said in checks.values())
    more = {"notes": notes} if notes else {}
    return JSONResponse({"ready": ready, "checks": checks, **more}, 200 if ready else 503)


@router.get(
    "/metrics", summary="Metrics for Prometheus", response_class=Response,
    responses={503: {"description": "A disk or the catalog does not answer"}},
)  # fmt: skip
async def metrics(request: Request) -> Response:
    site = site_of(request)
    checks = await site.readiness.ask()
    try:
        text = await site.metrics_look.ask(partial(site.metrics.text, checks))
    except StillLooking as hanging:
        said = f"A disk or the catalog has not answered for {hanging.seconds:.0f} seconds.\n"
        return Response(said, 503, {"Retry-After": str(RETRY_SECONDS)}, "text/plain")
    return Response(text, media_type=CONTENT_TYPE_LATEST)
