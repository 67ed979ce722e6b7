"""/api/v1/audit: who did what, filtered and exported; a project's for its owners, all of it for administrators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response, StreamingResponse

from scandock.access.principal import Principal
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.audit_export import begin_export
from scandock.web.file_responses import streaming_response
from scandock.web.openapi import binary_response
from scandock.web.request_context import Maybe, SignedContext

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
"""An offset whose + was written as it is: to a query that is a space."""


def _milliseconds(value: object) -> object:
    """A date or a time as ISO 8601 writes it, in UTC unless it names an offset, as Unix milliseconds."""
    if not isinstance(value, str) or value.strip().isdecimal():
        return value
    moment = datetime.fromisoformat(_PLUS.sub(r"\1+\2", value.strip()))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


_SAYS = "Unix milliseconds, or a date or time as ISO 8601 writes it (2026-11-24, 2026-11-24T12:00:00Z), in UTC"
Moment = Annotated[int | None, BeforeValidator(_milliseconds), Query(ge=0, le=2**53, description=_SAYS)]


def _make_filter(
    project: Maybe = None,
    actor: Maybe = None,
    action: Maybe = None,
    kind: Maybe = None,
    target: Maybe = None,
    request_id: Maybe = None,
    outcome: Maybe = None,
    since: Moment = None,
    until: Moment = None,
) -> audit.AuditFilter:
    return audit.AuditFilter(
        project=project,
        actor=actor,
        action=action,
        kind=kind,
        target=target,
        request_id=request_id,
        outcome=outcome,
        since=since,
        until=until,
    )


def _restrict_filter(connection: Connection, principal: Principal, filters: audit.AuditFilter) -> audit.AuditFilter:
    """What the asker may see of it."""
    action = Action.SITE_ADMIN if filters.project is None else Action.AUDIT_READ
    rights.check(connection, principal, action, filters.project)
    return replace(filters, earlier=principal.admin)


class TrailPage(BaseModel):
    """A list."""

    items: list[audit.TrailLine]
    next: Annotated[int | None, Field(description="The following page's cursor; null behind the last")]


@router.get("", summary="Lines of the audit trail, the newest first", response_model=TrailPage)
async def list_all(
    context: SignedContext,
    project: Maybe = None,
    actor: Maybe = None,
    action: Maybe = None,
    kind: Maybe = None,
    target: Maybe = None,
    request_id: Maybe = None,
    outcome: Maybe = None,
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="The last line's id, for the next page")] = None,
) -> Response:
    """`{"items", "next"}`; `next` is the `before` of the following page."""
    filters = _make_filter(project, actor, action, kind, target, request_id, outcome, since, until)

    def ask(connection: Connection) -> list[audit.TrailLine]:
        allowed_filters = _restrict_filter(connection, context.service_context.principal, filters)
        return [
            audit.TrailLine.of(row) for row in audit.search(connection, allowed_filters, before=before, limit=limit)
        ]

    await context.server.run(context.server.refusals.settle)
    items = await context.read(ask)
    next_before = items[-1].id if len(items) == limit else None
    return JSONResponse({"items": [line.to_json() for line in items], "next": next_before})


@router.get(
    "/export",
    summary="The audit trail as JSON lines or CSV",
    response_class=StreamingResponse,
    responses=binary_response("application/x-ndjson", "text/csv"),
)
async def export(
    context: SignedContext,
    project: Maybe = None,
    since: Moment = None,
    until: Moment = None,
    format: Literal["jsonl", "csv"] = "jsonl",  # noqa: A002  the parameter's name
) -> Response:
    """All lines that the filters leave, the newest first. The export's own line comes behind them."""
    filters = audit.AuditFilter(project=project, since=since, until=until)
    service_context, catalog = context.service_context, context.server.catalog

    def still() -> audit.AuditFilter:
        principal = service_context.still()
        with catalog.read() as connection:
            return _restrict_filter(connection, principal, filters)

    def begin() -> Iterator[str]:
        allowed_filters = still()
        context.server.refusals.settle()
        return begin_export(catalog, service_context.principal, allowed_filters, format, service_context.request, still)

    text_pieces = await context.server.run(begin)
    kind = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    pieces = (piece.encode() for piece in text_pieces)
    headers = {"Content-Disposition": f'attachment; filename="audit.{format}"', "X-Content-Type-Options": "nosniff"}
    return streaming_response(pieces, status=200, headers=headers, media_type=kind)
