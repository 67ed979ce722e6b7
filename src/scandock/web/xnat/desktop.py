"""What the XNAT Desktop Client asks before it uploads: settings of the site and of projects (xnat-clients.md 5), and
the codes that say what becomes of what comes (xnat-behaviour.md 5.5).

The settings that it knows are XNAT's own (tracers, schemes of labels, scripts that anonymize): none is set here, and
the client then does as it does by default. Import filters are in `import_filters`.
"""

from __future__ import annotations

import json
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.rules.petmr import effective_pet_mr, parse_pet_mr
from scandock.services import browsing, rights
from scandock.services.editing import edit_project
from scandock.web.xnat.import_parameters import is_true
from scandock.web.xnat.routing import PublicContext, SignedInContext, make_router, text_response

routes = make_router()
PREARCHIVE_CODES: Final = {"0": 0, "1": 4, "4": 4, "5": 5, "11": 4}
"""Codes by what they are set by. 1 asks an import for the archive (1.4), and the original takes any number and archives
by those from 4 up (5.5), of which clients set 11. Both are kept as 4.
"""
QUARANTINE_CODES: Final = {"0": False, "1": True}
_SETTING_BYTES: Final = 1024
_NO_SETTING: Final = "There is no such setting."


@routes.get("/data/config/{_setting:path}")
async def site_setting(context: SignedInContext) -> Response:
    return unset_response(context.request)


@routes.get("/data/projects/{project}/config/separatePETMR/config")
async def petmr(context: PublicContext, project: str) -> Response:
    """What becomes of a study with PET and MR: `petmr`, `pet` or `separate`; by default what the site says."""

    def ask(connection: Connection) -> str:
        rights.check(connection, context.service_context.principal, Action.PROJECT_READ, project)
        choice = browsing.find_project(connection, context.service_context.principal, project).petmr
        return effective_pet_mr(choice or "default", context.server.settings.petmr)

    contents = await context.read(ask)
    if context.request.query_params.get("format") != "json":
        return PlainTextResponse(contents)
    row = {"tool": "separatePETMR", "path": "config", "project": project, "status": "enabled", "contents": contents}
    return JSONResponse({"ResultSet": {"Result": [row], "totalRecords": "1"}})


@routes.put("/data/projects/{project}/config/separatePETMR/config")
async def set_petmr(context: SignedInContext, project: str) -> Response:
    """The body is the value, alone or as `contents` of JSON. AccessDenied, Usage `value_invalid`."""
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.SETTINGS_EDIT, project))
    text = _parse_contents(await _read_short_body(context.request))
    try:
        value = parse_pet_mr(text)
    except ValueError:
        message = f"separatePETMR can't be {text[:20]!r}."
        raise ValueInvalid(message, "Right is petmr, pet, separate or, for the site's default, nothing.") from None
    await context.run(lambda: edit_project(context.service_context, project, {"petmr": value}))
    return PlainTextResponse("")


async def _read_short_body(request: Request) -> str:
    """A body of at most a kilobyte, as text; the beginning of a longer one, which is no value."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _SETTING_BYTES:
            break
    return body[:_SETTING_BYTES].decode(errors="replace")


def _parse_contents(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return str(value.get("contents", "")) if isinstance(value, dict) else str(value)


@routes.get("/data/projects/{project}/config/{_setting:path}")
async def project_setting(context: PublicContext, project: str) -> Response:
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.PROJECT_SEE, project))
    return unset_response(context.request)


def unset_response(request: Request) -> Response:
    """A setting that nobody made: nothing for who accepts that, else 404."""
    return (
        text_response(200, "")
        if is_true(request.query_params.get("accept-not-found"))
        else text_response(404, _NO_SETTING)
    )


@routes.get("/data/projects/{project}/prearchive_code")
async def prearchive_code(context: PublicContext, project: str) -> Response:
    """0: what comes waits in the prearchive, 4: it is archived, 5: and replaces what clashes."""

    def ask(connection: Connection) -> int:
        rights.check(connection, context.service_context.principal, Action.PROJECT_READ, project)
        settings = browsing.find_project(connection, context.service_context.principal, project)
        return int(settings.prearchive_code or 0)

    return PlainTextResponse(str(await context.read(ask)))


@routes.put("/data/projects/{project}/prearchive_code/{code}")
async def set_prearchive_code(context: SignedInContext, project: str, code: str) -> Response:
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.SETTINGS_EDIT, project))
    new_code = PREARCHIVE_CODES.get(code)
    if new_code is None:
        raise ValueInvalid(f"prearchive_code can't be {code[:20]!r}.", "Right is 0, 4 or 5.")
    await context.run(lambda: edit_project(context.service_context, project, {"prearchive_code": new_code}))
    return PlainTextResponse(code)


@routes.get("/data/projects/{project}/accessibility")
async def accessibility(context: PublicContext, project: str) -> Response:
    """`private`, `protected` or `public`."""
    settings = await context.read(lambda c: browsing.find_project(c, context.service_context.principal, project))
    return PlainTextResponse(str(settings.accessibility))


@routes.put("/data/projects/{project}/accessibility/{value}")
async def set_accessibility(context: SignedInContext, project: str, value: str) -> Response:
    await context.run(lambda: edit_project(context.service_context, project, {"accessibility": value.lower()}))
    return PlainTextResponse(value.lower())


@routes.get("/data/projects/{project}/current_arc")
async def current_arc(context: PublicContext, project: str) -> Response:
    """No folder stands between a project's and its sessions'."""
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.PROJECT_SEE, project))
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/quarantine_code")
async def quarantine_code(context: PublicContext, project: str) -> Response:
    """1: what is archived is in quarantine until an owner activates it; else 0."""

    def ask(connection: Connection) -> bool:
        rights.check(connection, context.service_context.principal, Action.PROJECT_READ, project)
        return bool(browsing.find_project(connection, context.service_context.principal, project).quarantine)

    return PlainTextResponse("1" if await context.read(ask) else "0")


@routes.put("/data/projects/{project}/quarantine_code/{code}")
async def set_quarantine_code(context: SignedInContext, project: str, code: str) -> Response:
    """Of what is archived from now on. AccessDenied, Usage `value_invalid`."""
    await context.read(lambda c: rights.check(c, context.service_context.principal, Action.SETTINGS_EDIT, project))
    new_value = QUARANTINE_CODES.get(code)
    if new_value is None:
        raise ValueInvalid(f"quarantine_code can't be {code[:20]!r}.", "Right is 0 or 1.")
    await context.run(lambda: edit_project(context.service_context, project, {"quarantine": new_value}))
    return PlainTextResponse(code)
