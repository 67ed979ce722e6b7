"""XNAT's site preferences, those of which there is something here: scripts, import filter, PET/MR of the site."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.model import request_limits
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.rules.series_filters import BLACKLIST, FilterText
from scandock.services import rights
from scandock.services.context import ServiceContext
from scandock.services.import_filters import enable_filter, find_filter, set_filter
from scandock.services.privacy_scripts import enable_script, find_script, set_script
from scandock.web.request_context import RequestContext
from scandock.web.xnat.configuration import parse_truth, read_text_body
from scandock.web.xnat.routing import SignedInContext, make_router, text_response

routes = make_router()

_MOST_BODY: Final = 4 * 64 * request_limits.KIB
_SCRIPT: Final = ("enableSitewideAnonymizationScript", "sitewideAnonymizationScript")
_FILTER: Final = (
    "enableSitewideSeriesImportFilter",
    "sitewideSeriesImportFilterMode",
    "sitewideSeriesImportFilter",
)
_PETMR: Final = "sitewidePetMr"
NAMES: Final = (*_SCRIPT, *_FILTER, _PETMR)


@routes.get("/xapi/siteConfig/{name}")
async def preference(context: SignedInContext, name: str) -> Response:
    """Its value as JSON; scripts for administrators alone."""
    if name not in NAMES:
        return text_response(404, "There is no such preference.")
    return JSONResponse(await context.read(lambda c: _read(c, context.service_context, name)))


@routes.post("/xapi/siteConfig/{name}")
async def set_preference(context: SignedInContext, name: str) -> Response:
    """The body is the value, as JSON or as it is. AccessDenied, Usage `value_invalid`."""
    await _check(context)
    body = await read_text_body(context.request, _MOST_BODY)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = body
    await context.run(lambda: _write(context.service_context, {name: value}))
    return PlainTextResponse("")


@routes.post("/xapi/siteConfig")
async def set_preferences(context: SignedInContext) -> Response:
    """The body is an object of values by name. AccessDenied, Usage `value_invalid`."""
    await _check(context)
    try:
        values = json.loads(await read_text_body(context.request, _MOST_BODY))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueInvalid("The body is no JSON object of preferences.", "Send names with their values.")
    await context.run(lambda: _write(context.service_context, values))
    return PlainTextResponse("")


async def _check(context: RequestContext) -> None:
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.SITE_ADMIN, None))


def _read(connection: Connection, service: ServiceContext, name: str) -> str | bool:
    if name in _SCRIPT:
        script = find_script(connection, service.principal, None)
        return script.enabled if name == _SCRIPT[0] else script.text
    if name == _PETMR:
        rights.check(connection, service.principal, Action.ACCOUNT_READ, None)
        return service.settings.petmr
    import_filter = find_filter(connection, service.principal, None)
    if name == _FILTER[0]:
        return import_filter.enabled
    return import_filter.mode or BLACKLIST if name == _FILTER[1] else import_filter.text.lines


def _write(service: ServiceContext, values: dict[str, Any]) -> None:
    """Set what is named: texts before what switches them on or off."""
    for name in values:
        if name not in NAMES:
            raise ValueInvalid(f"There is no preference {name[:60]!r} here.", f"Known are {', '.join(NAMES)}.")
    if _PETMR in values and values[_PETMR] not in ("", service.settings.petmr):
        raise ValueInvalid(
            f"{_PETMR} is set where the server is started.", "Set SCANDOCK_PETMR, or the setting of each project."
        )
    if _SCRIPT[1] in values:
        set_script(service, None, str(values[_SCRIPT[1]]))
    if {_FILTER[1], _FILTER[2]} & values.keys():
        _set_filter(service, values)
    _switch(values, _SCRIPT[0], lambda on: enable_script(service, None, enabled=on))
    _switch(
        values,
        _FILTER[0],
        lambda on: enable_filter(service.catalog, service.principal, None, enabled=on, request=service.request),
    )


def _switch(values: dict[str, Any], name: str, switch: Callable[[bool], object]) -> None:
    if name in values:
        switch(parse_truth(str(values[name]), name))


def _set_filter(service: ServiceContext, values: dict[str, Any]) -> None:
    """Another mode or text of the filter, which is as it was else; a first one is off until it is switched on."""
    with service.catalog.read() as connection:
        before = find_filter(connection, service.principal, None)
    text = before.text if before.version else FilterText(mode=BLACKLIST)
    changes: dict[str, Any] = {"enabled": before.enabled}
    if _FILTER[1] in values:
        changes["mode"] = str(values[_FILTER[1]])
    if _FILTER[2] in values:
        changes["lines"] = str(values[_FILTER[2]])
    set_filter(service.catalog, service.principal, None, replace(text, **changes), request=service.request)
