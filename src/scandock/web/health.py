"""Whether the server lives, whether it is ready and what it lacks, and its metrics."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.model.left_out import LeftOut
from scandock.web.deps import server_state
from scandock.web.problems import RETRY_SECONDS
from scandock.web.readiness import OK
from scandock.web.shared_call import StillRunning

router = APIRouter(tags=["operation"])


@dataclass(frozen=True, kw_only=True)
class Health(JsonRecord):
    """The process lives."""

    status: str


@dataclass(frozen=True, kw_only=True)
class Ready(JsonRecord):
    """Whether uploads are taken and imported."""

    ready: bool
    checks: dict[str, str]
    notes: LeftOut[dict[str, str]] = None


@router.get("/healthz", summary="The process lives", response_model=Health)
async def healthz() -> Response:
    return JSONResponse(Health(status="ok").to_json())


@router.get(
    "/readyz", summary="Ready, or what is not", response_model=Ready, responses={503: {"description": "Not ready"}}
)
async def readyz(request: Request) -> Response:
    """`{"ready", "checks": {"catalog", "store", "workers", "receivers"}}`: each `ok`, or the code of what is wrong.

    `notes` where there is something to know all the same: `clock` is `deletions_held` while nothing is deleted for its
    age.
    """
    readiness = server_state(request).readiness
    checks, notes = await asyncio.gather(readiness.ask(), readiness.notes())
    ready = all(code == OK for code in checks.values())
    answer = Ready(ready=ready, checks=checks, notes=notes or None)
    return JSONResponse(answer.to_json(), 200 if ready else 503)


@router.get(
    "/metrics", summary="Metrics for Prometheus", response_class=Response,
    responses={503: {"description": "A disk or the catalog does not answer"}},
)  # fmt: skip
async def metrics(request: Request) -> Response:
    server = server_state(request)
    checks = await server.readiness.ask()
    try:
        text = await server.shared_metrics.ask(partial(server.metrics.text, checks))
    except StillRunning as error:
        message = f"A disk or the catalog has not answered for {error.seconds:.0f} seconds.\n"
        return Response(message, 503, {"Retry-After": str(RETRY_SECONDS)}, "text/plain")
    return Response(text, media_type=CONTENT_TYPE_LATEST)
