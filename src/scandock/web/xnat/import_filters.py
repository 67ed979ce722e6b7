"""Series import filters as XNAT's configuration service has them: tool `seriesImportFilter`, path `config`.

Clients ask for the contents, or for JSON with the contents in a row; what is set is the text, or JSON with it as
`contents` (xnat-behaviour.md 11.4).
"""

from __future__ import annotations

import json
from typing import Final

from starlette.responses import PlainTextResponse, Response

from scandock.rules.permissions import Action
from scandock.rules.series_filters import MAX_TEXT, FilterText, read_document
from scandock.services import rights
from scandock.services.import_filters import enable_filter, find_filter, set_filter
from scandock.web.request_context import RequestContext
from scandock.web.xnat.configuration import parse_state, read_text_body, row_response
from scandock.web.xnat.desktop import unset_response
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router

routes = make_router()

_MAX_BODY: Final = 2 * MAX_TEXT


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
        return row_response(
            "seriesImportFilter",
            "config",
            import_filter.project,
            import_filter.text.to_document(),
            import_filter.version,
            import_filter.modified,
            import_filter.by,
            enabled=import_filter.enabled,
        )
    return PlainTextResponse(import_filter.text.to_document() if import_filter.enabled else "")


async def _set(context: RequestContext, project: str | None) -> Response:
    """The body is the filter, alone or as `contents` of JSON; `status` switches it on or off, with no body too.

    AccessDenied, Usage `filter_unreadable`, `filter_missing`, `value_invalid`.
    """
    service = context.service_context
    action = Action.SITE_ADMIN if project is None else Action.SETTINGS_EDIT
    await context.read(lambda c: rights.check(c, service.principal, action, project))
    body = await read_text_body(context.request, _MAX_BODY)
    status = parse_state(context.request)
    text = _read_text(body)
    if text is not None:
        await context.run(
            lambda: set_filter(service.catalog, service.principal, project, text, request=service.request)
        )
    if status is not None or text is None:
        enabled = status is not False
        await context.run(
            lambda: enable_filter(service.catalog, service.principal, project, enabled=enabled, request=service.request)
        )
    return PlainTextResponse("")


def _read_text(body: str) -> FilterText | None:
    """The filter that a body brings; None of an empty one."""
    if not body.strip():
        return None
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return read_document(body)
    contents = values.get("contents") if isinstance(values, dict) else None
    return read_document(contents if isinstance(contents, str) else body)
