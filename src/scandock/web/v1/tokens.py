"""/api/v1/tokens: tokens for scripts, one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.access.tokens import DAYS, MAX_DAYS
from scandock.rules.permissions import Scope
from scandock.services.account_records import NewlyIssued, Token
from scandock.services.accounts import Accounts
from scandock.web.deps import ServerState, server_state
from scandock.web.json_lists import ListOf
from scandock.web.request_context import list_response, record_response
from scandock.web.security import SignedIn, request_info

router = APIRouter(prefix="/api/v1/tokens", tags=["accounts"])


class NewToken(BaseModel):
    """What a token is to be for."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope = Scope.ALL
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DAYS
    name: Annotated[str, Field(max_length=128)] = ""


def _accounts(server: ServerState, request: Request, principal: Principal) -> Accounts:
    return Accounts(server.catalog, principal, request_info(request))


@router.post("", status_code=201, summary="Make a token", response_model=NewlyIssued)
async def issue(request: Request, body: NewToken, principal: SignedIn) -> Response:
    """`secret` is shown this once: alias and secret serve as name and password, `token` as `Authorization: Bearer`."""
    server = server_state(request)
    new_token = await server.run(
        _accounts(server, request, principal).issue_token, scope=body.scope, days=body.days, name=body.name
    )
    return record_response(NewlyIssued.of(new_token, body.scope, body.name), 201)


@router.get("", summary="Your tokens", response_model=ListOf[Token])
async def mine(request: Request, principal: SignedIn) -> Response:
    """Without their secrets, which are not kept."""
    server = server_state(request)
    tokens = await server.read(_accounts(server, request, principal).tokens)
    return list_response(Token.of(token) for token in tokens)


@router.delete("/{alias}", status_code=204, summary="Revoke a token", response_class=Response)
async def revoke(request: Request, alias: str, principal: SignedIn) -> Response:
    """In effect with the next request."""
    server = server_state(request)
    await server.run(_accounts(server, request, principal).revoke_token, alias)
    return Response(status_code=204)
