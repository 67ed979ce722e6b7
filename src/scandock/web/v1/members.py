"""/api/v1/projects/{project}/members: who has a role in a project."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from scandock.rules.permissions import Role
from scandock.services.account_records import Member, RoleNow
from scandock.services.members import list_members, set_member
from scandock.web.json_lists import ListOf
from scandock.web.request_context import SignedContext, list_response, record_response

router = APIRouter(prefix="/api/v1/projects/{project}/members", tags=["projects"])


class Membership(BaseModel):
    """The role that an account is to have."""

    model_config = ConfigDict(extra="forbid")

    role: Role


@router.get("", summary="Who has a role in a project", response_model=ListOf[Member])
async def list_all(context: SignedContext, project: str) -> Response:
    """By name."""
    members = await context.run_read(
        lambda: list_members(context.server.catalog, context.service_context.principal, project)
    )
    return list_response(Member.of(member) for member in members)


@router.put("/{account}", summary="Give an account a role in a project", response_model=RoleNow)
async def put(context: SignedContext, project: str, account: str, body: Membership) -> Response:
    """In place of the one that it has, in effect with its next request. The account goes by its name or its id.

    409 `last_owner` where nobody would own the project any more; site administrators may do that too.
    """
    await context.run(
        lambda: set_member(
            context.server.catalog,
            context.service_context.principal,
            project,
            account,
            body.role,
            context.service_context.request,
        )
    )
    return record_response(RoleNow(account=account, role=body.role.value))


@router.delete("/{account}", status_code=204, summary="Take an account's role", response_class=Response)
async def remove(context: SignedContext, project: str, account: str) -> Response:
    """In effect with the account's next request; having none already is fine. 409 `last_owner` as above."""
    await context.run(
        lambda: set_member(
            context.server.catalog,
            context.service_context.principal,
            project,
            account,
            None,
            context.service_context.request,
        )
    )
    return Response(status_code=204)
