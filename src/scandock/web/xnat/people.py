"""Roles in projects, set by clients; all accounts; how long the server has been up (xnat-clients.md 2, 3)."""

from __future__ import annotations

import time
from typing import Final

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.access.errors import AccountUnknown
from scandock.model.request_errors import ValueInvalid
from scandock.rules.permissions import Action, Role
from scandock.services import rights
from scandock.services.members import list_members, set_member
from scandock.web.request_context import RequestContext
from scandock.web.xnat.answers import listing
from scandock.web.xnat.routing import Known, router
from scandock.web.xnat.services import projects
from scandock.web.xnat.services.columns import Rows

routes = router()
_STARTED: Final = time.monotonic()
_MEMBER: Final = "/data/projects/{project}/users/{group}/{login}"


@routes.get("/xapi/siteConfig/uptime")
async def uptime(_work: Known) -> Response:
    minutes, seconds = divmod(time.monotonic() - _STARTED, 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    found = {"days": days, "hours": hours, "minutes": minutes, "seconds": f"{seconds:.3f}"}
    return JSONResponse({name: str(value) for name, value in found.items()})


@routes.get("/data/users")
async def users(request: Request, work: Known) -> Response:
    def ask(connection: Connection) -> Rows:
        rights.check(connection, work.context.principal, Action.SITE_ADMIN, None)
        return projects.accounts_of(connection)

    return listing(request, await work.read(ask), title="Users")


@routes.put(_MEMBER)
async def join(work: Known, project: str, group: str, login: str) -> Response:
    """A role, instead of another that the account may have there."""
    role = _role(project, group)
    await work.do(lambda: _set(work, project, login, role))
    return PlainTextResponse("")


@routes.delete(_MEMBER)
async def leave(work: Known, project: str, group: str, login: str) -> Response:
    """The role is taken where the account has it."""
    role = _role(project, group)
    await work.do(lambda: _leave(work, project, login, role))
    return PlainTextResponse("")


def _leave(work: RequestContext, project: str, login: str, role: Role) -> None:
    context = work.context
    there = {one.name.casefold(): one.role for one in list_members(context.catalog, context.principal, project)}
    if there.get(login.casefold()) is not role:
        raise AccountUnknown(f"{login[:64]!r} is no {role.value} of the project.", "GET lists its users.")
    _set(work, project, login, None)


def _set(work: RequestContext, project: str, login: str, role: Role | None) -> None:
    context = work.context
    set_member(context.catalog, context.principal, project, login, role, context.request)


def _role(project: str, group: str) -> Role:
    """`Owners`, `owner` and `{project}_owner` are one."""
    low = group.casefold().removeprefix(f"{project.casefold()}_").removesuffix("s")
    found = next((one for one in Role if one.value == low), None)
    if found is None:
        raise ValueInvalid(f"There is no group {group[:40]!r}.", "Right are Owners, Members, Collaborators.")
    return found
