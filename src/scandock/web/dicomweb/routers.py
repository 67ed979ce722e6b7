"""Every router of DICOMweb, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.web.dicomweb import bulk_data, frames, metadata, objects, rendered, search, store

ROUTERS: Final[tuple[APIRouter, ...]] = (
    search.routes.router,
    store.routes.router,
    metadata.routes.router,
    frames.routes.router,
    rendered.routes.router,
    bulk_data.routes.router,
    objects.routes.router,
)
