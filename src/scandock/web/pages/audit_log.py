"""Who did what, and what can still come back: of the site for its administrators, of a project for its owners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.model.request_errors import RequestInvalid
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.audit_targets import find_target_names
from scandock.services.trash import list_trash, restore_session
from scandock.web import urls
from scandock.web.pages.lists import PagedList, list_page
from scandock.web.pages.routing import Seen, Sent, changed
from scandock.web.pages.routing import router as pages
from scandock.web.request_context import RequestContext

router = pages()
SHOWN: Final = 100
_ASKED: Final = ("actor", "action", "kind", "target", "outcome", "since", "until")
_TRASH: Final = PagedList(
    template="trash.html",
    sort="-deleted",
    find=list_trash,
    action=Action.TRASH_READ,
    more=lambda work: {"days": work.site.settings.trash_days},
)


@router.get("/admin/audit")
async def site_trail(request: Request, work: Seen) -> Response:
    """All of it."""
    return await _trail(request, work, None)


@router.get("/projects/{project}/audit")
async def project_trail(request: Request, work: Seen, project: str) -> Response:
    """A project's."""
    return await _trail(request, work, project)


async def _trail(request: Request, work: RequestContext, project: str | None) -> Response:
    asked = {name: request.query_params.get(name, "").strip() for name in _ASKED}
    before = request.query_params.get("before", "")
    wanted = audit.AuditFilter(project=project, earlier=work.context.principal.admin, **_filters(asked))

    def ask(connection: Connection) -> tuple[list[audit.AuditRow], Mapping[tuple[str, str], str]]:
        action = Action.SITE_ADMIN if project is None else Action.AUDIT_READ
        rights.check(connection, work.context.principal, action, project)
        most = int(before) if before.isdecimal() else None
        lines = list(audit.search(connection, wanted, before=most, limit=SHOWN + 1))
        return lines, find_target_names(connection, work.context.principal, lines)

    await work.site.run(work.site.refusals.settle)
    found, names = await work.read(ask)
    rows = [(row, _details(row)) for row in found[:SHOWN]]
    kept = {name: value for name, value in asked.items() if value}
    following = urlencode({**kept, "before": found[SHOWN - 1].id}) if len(found) > SHOWN else ""
    return list_page(
        request, work, "audit.html", project, rows=rows, names=names, asked=asked, following=following,
        actions=[one.value for one in audit.AuditAction], kinds=audit.KINDS,
        outcomes=[one.value for one in audit.AuditOutcome],
    )  # fmt: skip


def _details(row: audit.AuditRow) -> dict[str, str]:
    """What a line says besides, without what is empty."""
    said = json.loads(row.details) if row.details else {}
    shown = {
        name: ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
        for name, value in said.items()
    }
    return {name.replace("_", " "): value for name, value in shown.items() if value}


def _filters(asked: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in asked.items() if value}
    for name in ("since", "until"):
        if name in found:
            found[name] = _moment(found[name])
    return found


def _moment(said: str) -> int:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise RequestInvalid(f"{said[:40]!r} is no date.", "Write it as 2026-11-24.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@router.get("/admin/trash")
async def site_trash(request: Request, work: Seen, cursor: str | None = None) -> Response:
    """What was deleted, of all projects."""
    return await _TRASH.of_site(request, work, cursor)


@router.get("/projects/{project}/trash")
async def project_trash(request: Request, work: Seen, project: str, cursor: str | None = None) -> Response:
    """What was deleted of a project."""
    return await _TRASH.of_project(request, work, project, cursor)


@router.post("/trash/{session}/restore")
async def bring_back(request: Request, form: Sent, session: str) -> Response:
    """Bring a session back, under another label where that is said."""
    project = form.text("project") or None
    label = form.text("label") or None
    return await changed(
        form,
        lambda: restore_session(form.context, session, label=label),
        partial(_TRASH.show, request, form, project),
        urls.of_project_or_site(project, "trash"),
        lambda outcome: "restored-damaged" if outcome.warnings else "restored",
    )
