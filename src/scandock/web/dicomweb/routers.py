"""Every router of DICOMweb, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.web.dicomweb import objects, search, store

ROUTERS: Final[tuple[APIRouter, ...]] = (objects.routes.router, search.routes.router, store.routes.router)
