"""The application: what is behind which address, and what begins and ends with the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse

import scandock
from scandock.http import health, logs, problems, request_ids
from scandock.http.deps import Site, open_site
from scandock.http.tus import routes as tus
from scandock.http.v1 import auth, events, imports, projects_create, receipts, tokens
from scandock.model.errors import ScandockError
from scandock.services.arrivals import drop_ended, expire, forget_broken

if TYPE_CHECKING:
    from scandock.services.settings import Settings

JANITOR_SECONDS = 60.0

_ROOT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Scandock</title>
<p>This is a Scandock server. Its API is described at <a href="api/openapi.json">api/openapi.json</a>.</p></html>
"""

root = APIRouter()


@root.get("/", include_in_schema=False)
async def front() -> HTMLResponse:
    """Answers itself: XNAT's clients take a redirect's target for the server's address."""
    return HTMLResponse(_ROOT)


def create_app(data: str, settings: Settings, workers_ready: Callable[[], str] = lambda: "") -> FastAPI:
    """The application of one DATA. `workers_ready` says why no worker takes imports, or nothing."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        site = await loop.run_in_executor(None, open_site, data, settings, workers_ready)
        app.state.site = site
        janitor = asyncio.ensure_future(_tidy(site))
        try:
            yield
        finally:
            site.stopping.set()
            janitor.cancel()
            await asyncio.gather(janitor, return_exceptions=True)
            await loop.run_in_executor(None, site.close)

    app = FastAPI(
        title="Scandock",
        version=scandock.__version__,
        summary="Compressed imaging sessions in, archived sessions out",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    problems.install(app)
    for module in (health, imports, events, receipts, projects_create, tus, auth, tokens):
        app.include_router(module.router)
    app.include_router(root)
    app.add_middleware(request_ids.Around)
    return app


async def _tidy(site: Site) -> None:
    """Forget what stopped coming in: at the start what a killed server left, then whatever expires."""
    steps: list[Callable[[], int]] = [
        lambda: forget_broken(site.receiving),
        lambda: expire(site.receiving, set(site.locks)),
        lambda: drop_ended(site.receiving),
    ]
    while True:
        for step in steps:
            try:
                await site.run(step)
            except ScandockError as error:
                logs.log().error("tidying", code=error.code, message=error.message)
        await asyncio.sleep(JANITOR_SECONDS)


def from_environment() -> FastAPI:
    """The application of SCANDOCK_DATA with the settings of the environment, for uvicorn's factory mode."""
    from scandock.services.settings import load_settings

    logs.configure(os.environ.get("SCANDOCK_LOG_LEVEL", "info"))
    return create_app(os.environ["SCANDOCK_DATA"], load_settings())
