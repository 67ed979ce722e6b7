"""Who did what, and what can still come back: of the site for its administrators, of a project for its owners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import partial
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.audit_targets import find_target_names
from scandock.services.trash import list_trash, restore_session
from scandock.web import urls
from scandock.web.pages.lists import PagedList, list_page
from scandock.web.pages.reader_zone import find_reader_zone
from scandock.web.pages.routing import PageContext, SentForm, apply_change
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()
SHOWN: Final = 100
_FILTER_FIELDS: Final = ("actor", "action", "kind", "target", "outcome", "since", "until")
_TRASH: Final = PagedList(
    template="trash.html",
    sort="-deleted",
    find=list_trash,
    action=Action.TRASH_READ,
    more=lambda context: {"days": context.server.settings.trash_days},
)


@router.get("/admin/audit")
async def site_trail(request: Request, context: PageContext) -> Response:
    """All of it."""
    return await _audit_page(request, context, None)


@router.get("/projects/{project}/audit")
async def project_trail(request: Request, context: PageContext, project: str) -> Response:
    """A project's."""
    return await _audit_page(request, context, project)


async def _audit_page(request: Request, context: RequestContext, project: str | None) -> Response:
    query = {name: request.query_params.get(name, "").strip() for name in _FILTER_FIELDS}
    before = request.query_params.get("before", "")
    filters = _build_filter(query, project, context.service_context.principal, find_reader_zone(request))

    def ask(connection: Connection) -> tuple[list[audit.AuditRow], Mapping[tuple[str, str], str]]:
        action = Action.SITE_ADMIN if project is None else Action.AUDIT_READ
        rights.check(connection, context.service_context.principal, action, project)
        before_id = int(before) if before.isdecimal() else None
        lines = list(audit.search(connection, filters, before=before_id, limit=SHOWN + 1))
        return lines, find_target_names(connection, context.service_context.principal, lines)

    await context.server.run(context.server.refusals.settle)
    found_rows, names = await context.read(ask)
    rows = [(row, _details(row)) for row in found_rows[:SHOWN]]
    set_filters = {name: value for name, value in query.items() if value}
    next_query = urlencode({**set_filters, "before": found_rows[SHOWN - 1].id}) if len(found_rows) > SHOWN else ""
    return list_page(
        request, context, "audit.html", project, rows=rows, names=names, asked=query, following=next_query,
        actions=[member.value for member in audit.AuditAction], kinds=audit.KINDS,
        outcomes=[member.value for member in audit.AuditOutcome],
    )  # fmt: skip


def _details(row: audit.AuditRow) -> dict[str, str]:
    """What a line says besides, without what is empty."""
    details = json.loads(row.details) if row.details else {}
    shown_details = {name: _describe(value) for name, value in details.items()}
    return {name.replace("_", " "): value for name, value in shown_details.items() if value}


def _describe(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):  # what a thing was set to
        return ", ".join(f"{name.replace('_', ' ')} {_describe_set(one)}" for name, one in value.items())
    return str(value)


def _describe_set(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else str(value)


def _build_filter(query: dict[str, str], project: str | None, principal: Principal, zone: tzinfo) -> audit.AuditFilter:
    return audit.AuditFilter(
        project=project,
        earlier=principal.admin,
        actor=query["actor"] or None,
        action=query["action"] or None,
        kind=query["kind"] or None,
        target=query["target"] or None,
        outcome=query["outcome"] or None,
        since=_parse_time(query["since"], zone) if query["since"] else None,
        until=_parse_time(query["until"], zone) if query["until"] else None,
    )


def _parse_time(text: str, zone: tzinfo) -> int:
    """A day or time of the reader's zone, unless it names another, in unix milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestInvalid(f"{text[:40]!r} is no date.", "Write it as 2026-11-24.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


@router.get("/admin/trash")
async def site_trash(request: Request, context: PageContext, cursor: str | None = None) -> Response:
    """What was deleted, of all projects."""
    return await _TRASH.of_site(request, context, cursor)


@router.get("/projects/{project}/trash")
async def project_trash(request: Request, context: PageContext, project: str, cursor: str | None = None) -> Response:
    """What was deleted of a project."""
    return await _TRASH.of_project(request, context, project, cursor)


@router.post("/trash/{session}/restore")
async def bring_back(request: Request, form: SentForm, session: str) -> Response:
    """Bring a session back, under another label where that is said."""
    project = form.text("project") or None
    label = form.text("label") or None
    return await apply_change(
        form,
        lambda: restore_session(form.service_context, session, label=label),
        partial(_TRASH.show, request, form, project),
        urls.of_project_or_site(project, "trash"),
        lambda outcome: "restored-damaged" if outcome.warnings else "restored",
    )
