"""Every router of DICOMweb, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.web.dicomweb import bulk_data, frames, metadata, objects, rendered, search

ROUTERS: Final[tuple[APIRouter, ...]] = (
    metadata.routes.router,
    frames.routes.router,
    rendered.routes.router,
    bulk_data.routes.router,
    objects.routes.router,
    search.routes.router,
)
