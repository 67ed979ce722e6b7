"""Whether the server lives, whether it is ready and what it lacks, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from scandock.http.deps import Site, site_of
from scandock.model.errors import ScandockError

router = APIRouter(tags=["operation"])

SECONDS = 5.0
"""After which a part that does not answer is not ready."""


@router.get("/healthz", summary="The process lives")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="Ready, or what is not", responses={503: {"description": "Not ready"}})
async def readyz(request: Request) -> Response:
    """`{"ready", "checks": {"catalog", "store", "workers"}}`: each `ok`, or what is the matter with it."""
    site = site_of(request)
    checks = dict(zip(("catalog", "store", "workers"), await _all(site), strict=True))
    ready = all(said == "ok" for said in checks.values())
    return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)


async def _all(site: Site) -> list[str]:
    return list(
        await asyncio.gather(
            _ask(site, lambda: _catalog(site)),
            _ask(site, lambda: _store(site)),
            _ask(site, site.workers_ready),
        )
    )


async def _ask(site: Site, check: Callable[[], str]) -> str:
    try:
        return await asyncio.wait_for(site.run(check), SECONDS) or "ok"
    except TimeoutError:
        return f"did not answer within {SECONDS:.0f} seconds"
    except ScandockError as error:
        return error.message


def _catalog(site: Site) -> str:
    with site.catalog.read() as connection:
        connection.execute(text("SELECT 1 FROM upload LIMIT 1")).first()
    return ""


def _store(site: Site) -> str:
    site.store.reserve(0, files=1, min_free=site.settings.min_free_bytes)
    site.store.spools()
    return ""


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Any:  # noqa: ANN401
    site = site_of(request)
    return Response(await site.run(site.metrics.text), media_type=CONTENT_TYPE_LATEST)
