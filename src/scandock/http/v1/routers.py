"""Every router of browsing and changing, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.http.v1 import (
    audit_log,
    downloads,
    files,
    prearchive,
    projects,
    resources,
    scans,
    sessions,
    subjects,
    subscriptions,
    trash,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    projects.router,
    subjects.router,
    sessions.router,
    scans.router,
    resources.router,
    files.router,
    downloads.router,
    prearchive.router,
    trash.router,
    audit_log.router,
    subscriptions.router,
)
