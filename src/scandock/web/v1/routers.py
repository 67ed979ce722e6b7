"""Every router of browsing and changing, for the application to include."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from scandock.web.v1 import (
    accounts,
    audit_log,
    clock,
    damage,
    downloads,
    files,
    filters,
    known,
    members,
    own_account,
    peers,
    pictures,
    prearchive,
    privacy,
    projects,
    receivers,
    resources,
    routing,
    rules,
    scans,
    sessions,
    subjects,
    subscriptions,
    trash,
    tree,
    upload_mapping,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    projects.router,
    subjects.router,
    known.router,
    sessions.router,
    scans.router,
    resources.router,
    files.router,
    downloads.router,
    tree.router,
    pictures.router,
    prearchive.router,
    trash.router,
    damage.router,
    audit_log.router,
    subscriptions.router,
    accounts.router,
    own_account.router,
    members.router,
    rules.router,
    receivers.router,
    peers.router,
    routing.router,
    filters.router,
    privacy.router,
    clock.router,
    upload_mapping.router,
)
