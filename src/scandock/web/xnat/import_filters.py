"""Series import filters as XNAT's configuration service has them: tool `seriesImportFilter`, path `config`.

Clients ask for the contents, or for JSON with the contents in a row; what is set is the text, or JSON with it as
`contents` (xnat-behaviour.md 11.4).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from fastapi import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.rules.series_filters import MAX_TEXT, FilterText, read_document
from scandock.services import rights
from scandock.services.import_filters import ImportFilter, enable_filter, find_filter, set_filter
from scandock.web.request_context import RequestContext
from scandock.web.xnat.desktop import unset_response
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router

routes = make_router()

_MAX_BODY: Final = 2 * MAX_TEXT
_STATES: Final = {"enabled": True, "disabled": False}


@routes.get("/data/config/seriesImportFilter")
@routes.get("/data/config/seriesImportFilter/config")
async def site_filter(context: SignedInContext) -> Response:
    return await _read(context, None)


@routes.get("/data/projects/{project}/config/seriesImportFilter")
@routes.get("/data/projects/{project}/config/seriesImportFilter/config")
async def project_filter(context: PublicContext, project: str) -> Response:
    return await _read(context, project)


@routes.put("/data/config/seriesImportFilter/config")
async def set_site_filter(context: SignedInContext) -> Response:
    return await _set(context, None)


@routes.put("/data/projects/{project}/config/seriesImportFilter/config")
async def set_project_filter(context: SignedInContext, project: str) -> Response:
    return await _set(context, project)


async def _read(context: RequestContext, project: str | None) -> Response:
    """The contents, or with `format=json` the row; one that is switched off has no contents for who asks for them."""
    import_filter = await context.read(lambda c: find_filter(c, context.service_context.principal, project))
    if not import_filter.version:
        return unset_response(context.request)
    if context.request.query_params.get("format") == "json":
        return JSONResponse({"ResultSet": {"Result": [_row(import_filter)], "totalRecords": "1"}})
    return PlainTextResponse(import_filter.text.to_document() if import_filter.enabled else "")


def _row(import_filter: ImportFilter) -> dict[str, str]:
    modified = datetime.fromtimestamp((import_filter.modified or 0) / 1000, UTC)
    return {
        "tool": "seriesImportFilter",
        "path": "config",
        "project": import_filter.project or "",
        "user": import_filter.by,
        "create_date": modified.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "reason": "",
        "contents": import_filter.text.to_document(),
        "version": str(import_filter.version),
        "status": "enabled" if import_filter.enabled else "disabled",
    }


async def _set(context: RequestContext, project: str | None) -> Response:
    """The body is the filter, alone or as `contents` of JSON; `status` switches it on or off, with no body too.

    AccessDenied, Usage `filter_unreadable`, `filter_missing`, `value_invalid`.
    """
    service = context.service_context
    action = Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT
    await context.read(lambda c: rights.check(c, service.principal, action, project))
    body = await _read_body(context.request)
    status = context.request.query_params.get("status", "")
    if status not in ("", *_STATES):
        raise ValueInvalid(f"The status can't be {status[:20]!r}.", "Right is enabled or disabled.")
    text = _read_text(body)
    if text is not None:
        await context.run(
            lambda: set_filter(service.catalog, service.principal, project, text, request=service.request)
        )
    if status or text is None:
        enabled = _STATES.get(status, True)
        await context.run(
            lambda: enable_filter(service.catalog, service.principal, project, enabled=enabled, request=service.request)
        )
    return PlainTextResponse("")


async def _read_body(request: Request) -> str:
    """A body of the length that a filter may have, as text; the beginning of a longer one, which is none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY:
            break
    return body[:_MAX_BODY].decode(errors="replace")


def _read_text(body: str) -> FilterText | None:
    """The filter that a body brings; None of an empty one."""
    if not body.strip():
        return None
    try:
        values = json.loads(body)
    except ValueError:
        return read_document(body)
    contents = values.get("contents") if isinstance(values, dict) else None
    return read_document(contents if isinstance(contents, str) else body)
