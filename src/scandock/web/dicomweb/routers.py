"""Every router of DICOMweb, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.web.dicomweb import objects, store

ROUTERS: Final[tuple[APIRouter, ...]] = (objects.routes.router, store.routes.router)
