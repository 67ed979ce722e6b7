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
from scandock.web.xnat.responses import list_response
from scandock.web.xnat.routing import SignedInContext, make_router
from scandock.web.xnat.services import projects
from scandock.web.xnat.services.columns import Rows

routes = make_router()
_STARTED: Final = time.monotonic()
_MEMBER: Final = "/data/projects/{project}/users/{group}/{login}"


@routes.get("/xapi/siteConfig/uptime")
async def uptime(_work: SignedInContext) -> Response:
    minutes, seconds = divmod(time.monotonic() - _STARTED, 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    values = {"days": days, "hours": hours, "minutes": minutes, "seconds": f"{seconds:.3f}"}
    return JSONResponse({name: str(value) for name, value in values.items()})


@routes.get("/data/users")
async def users(request: Request, context: SignedInContext) -> Response:
    def ask(connection: Connection) -> Rows:
        rights.check(connection, context.service_context.principal, Action.SITE_ADMIN, None)
        return projects.list_accounts(connection)

    return list_response(request, await context.read(ask), title="Users")


@routes.put(_MEMBER)
async def add_member(context: SignedInContext, project: str, group: str, login: str) -> Response:
    """A role, instead of another that the account may have there."""
    role = _parse_role(project, group)
    await context.run(lambda: _set_role(context, project, login, role))
    return PlainTextResponse("")


@routes.delete(_MEMBER)
async def remove_member(context: SignedInContext, project: str, group: str, login: str) -> Response:
    """The role is taken where the account has it."""
    role = _parse_role(project, group)
    await context.run(lambda: _remove_member(context, project, login, role))
    return PlainTextResponse("")


def _remove_member(context: RequestContext, project: str, login: str, role: Role) -> None:
    service_context = context.service_context
    roles = {
        member.name.casefold(): member.role
        for member in list_members(service_context.catalog, service_context.principal, project)
    }
    if roles.get(login.casefold()) is not role:
        raise AccountUnknown(f"{login[:64]!r} is no {role.value} of the project.", "GET lists its users.")
    _set_role(context, project, login, None)


def _set_role(context: RequestContext, project: str, login: str, role: Role | None) -> None:
    service_context = context.service_context
    set_member(service_context.catalog, service_context.principal, project, login, role, service_context.request)


def _parse_role(project: str, group: str) -> Role:
    """`Owners`, `owner` and `{project}_owner` are one."""
    group_name = group.casefold().removeprefix(f"{project.casefold()}_").removesuffix("s")
    role = next((candidate for candidate in Role if candidate.value == group_name), None)
    if role is None:
        raise ValueInvalid(f"There is no group {group[:40]!r}.", "Right are Owners, Members, Collaborators.")
    return role
