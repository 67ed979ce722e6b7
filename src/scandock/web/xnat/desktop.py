"""What the XNAT Desktop Client asks before it uploads: settings of the site and of projects (xnat-clients.md 5), and
the codes that say what becomes of what comes (xnat-behaviour.md 5.5).

The settings that it knows are XNAT's own (tracers, filters, schemes of labels, scripts that anonymize): none is set
here, and the client then does as it does by default.
"""

from __future__ import annotations

import json
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action
from scandock.services import browsing, rights
from scandock.services.editing import edit_project
from scandock.web.xnat.import_parameters import true
from scandock.web.xnat.routing import Asking, Known, router, said

routes = router()
CODES: Final = {"0": 0, "1": 4, "4": 4, "5": 5, "11": 4}
"""Codes by what they are set by. 1 asks an import for the archive (1.4), and the original takes any number and archives
by those from 4 up (5.5), of which clients set 11. Both are kept as 4.
"""
QUARANTINE: Final = {"0": False, "1": True}
PETMR: Final = ("petmr", "pet")
_SETTING_BYTES: Final = 1024
_NONE: Final = "There is no such setting."


@routes.get("/data/config/{_setting:path}")
async def site_setting(work: Known) -> Response:
    return _unset(work.request)


@routes.get("/data/projects/{project}/config/separatePETMR/config")
async def petmr(work: Asking, project: str) -> Response:
    """What becomes of a study with PET and MR: `petmr` or `pet`."""

    def ask(connection: Connection) -> str:
        rights.check(connection, work.context.principal, Action.PROJECT_READ, project)
        return str(browsing.find_project(connection, work.context.principal, project).petmr)

    contents = await work.read(ask)
    if work.request.query_params.get("format") != "json":
        return PlainTextResponse(contents)
    row = {"tool": "separatePETMR", "path": "config", "project": project, "status": "enabled", "contents": contents}
    return JSONResponse({"ResultSet": {"Result": [row], "totalRecords": "1"}})


@routes.put("/data/projects/{project}/config/separatePETMR/config")
async def set_petmr(work: Known, project: str) -> Response:
    """The body is the value, alone or as `contents` of JSON. Denied, Usage `value_invalid`."""
    await work.read(lambda c: rights.check(c, work.context.principal, Action.SETTINGS_EDIT, project))
    value = "".join(_contents(await _short_body(work.request)).lower().split()) or PETMR[0]
    if value not in PETMR:
        raise ValueInvalid(f"separatePETMR can't be {value[:20]!r}.", f"Right is {' or '.join(PETMR)}.")
    await work.do(lambda: edit_project(work.context, project, {"petmr": value}))
    return PlainTextResponse("")


async def _short_body(request: Request) -> str:
    """A body of at most a kilobyte, as text; the beginning of a longer one, which is no value."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _SETTING_BYTES:
            break
    return body[:_SETTING_BYTES].decode(errors="replace")


def _contents(text: str) -> str:
    try:
        told = json.loads(text)
    except ValueError:
        return text
    return str(told.get("contents", "")) if isinstance(told, dict) else str(told)


@routes.get("/data/projects/{project}/config/{_setting:path}")
async def project_setting(work: Asking, project: str) -> Response:
    await work.read(lambda c: rights.check(c, work.context.principal, Action.PROJECT_SEE, project))
    return _unset(work.request)


def _unset(request: Request) -> Response:
    """A setting that nobody made: nothing for who accepts that, else 404."""
    return said(200, "") if true(request.query_params.get("accept-not-found")) else said(404, _NONE)


@routes.get("/data/projects/{project}/prearchive_code")
async def prearchive_code(work: Asking, project: str) -> Response:
    """0: what comes waits in the prearchive, 4: it is archived, 5: and replaces what clashes."""

    def ask(connection: Connection) -> int:
        rights.check(connection, work.context.principal, Action.PROJECT_READ, project)
        found = browsing.find_project(connection, work.context.principal, project)
        return int(found.prearchive_code or 0)

    return PlainTextResponse(str(await work.read(ask)))


@routes.put("/data/projects/{project}/prearchive_code/{code}")
async def set_prearchive_code(work: Known, project: str, code: str) -> Response:
    await work.read(lambda c: rights.check(c, work.context.principal, Action.SETTINGS_EDIT, project))
    wanted = CODES.get(code)
    if wanted is None:
        raise ValueInvalid(f"prearchive_code can't be {code[:20]!r}.", "Right is 0, 4 or 5.")
    await work.do(lambda: edit_project(work.context, project, {"prearchive_code": wanted}))
    return PlainTextResponse(code)


@routes.get("/data/projects/{project}/accessibility")
async def accessibility(work: Asking, project: str) -> Response:
    """`private`, `protected` or `public`."""
    found = await work.read(lambda c: browsing.find_project(c, work.context.principal, project))
    return PlainTextResponse(str(found.accessibility))


@routes.put("/data/projects/{project}/accessibility/{value}")
async def set_accessibility(work: Known, project: str, value: str) -> Response:
    await work.do(lambda: edit_project(work.context, project, {"accessibility": value.lower()}))
    return PlainTextResponse(value.lower())


@routes.get("/data/projects/{project}/current_arc")
async def current_arc(work: Asking, project: str) -> Response:
    """No folder stands between a project's and its sessions'."""
    await work.read(lambda c: rights.check(c, work.context.principal, Action.PROJECT_SEE, project))
    return PlainTextResponse("")


@routes.get("/data/projects/{project}/quarantine_code")
async def quarantine_code(work: Asking, project: str) -> Response:
    """1: what is archived is in quarantine until an owner activates it; else 0."""

    def ask(connection: Connection) -> bool:
        rights.check(connection, work.context.principal, Action.PROJECT_READ, project)
        return bool(browsing.find_project(connection, work.context.principal, project).quarantine)

    return PlainTextResponse("1" if await work.read(ask) else "0")


@routes.put("/data/projects/{project}/quarantine_code/{code}")
async def set_quarantine_code(work: Known, project: str, code: str) -> Response:
    """Of what is archived from now on. Denied, Usage `value_invalid`."""
    await work.read(lambda c: rights.check(c, work.context.principal, Action.SETTINGS_EDIT, project))
    wanted = QUARANTINE.get(code)
    if wanted is None:
        raise ValueInvalid(f"quarantine_code can't be {code[:20]!r}.", "Right is 0 or 1.")
    await work.do(lambda: edit_project(work.context, project, {"quarantine": wanted}))
    return PlainTextResponse(code)
