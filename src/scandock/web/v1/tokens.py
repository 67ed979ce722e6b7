"""/api/v1/tokens: tokens for scripts, one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.access.tokens import DAYS, MAX_DAYS
from scandock.model.json_records import ListOf
from scandock.rules.permissions import Scope
from scandock.services.account_records import NewlyIssued, Token
from scandock.services.accounts import Accounts
from scandock.web.deps import ServerState, server_state
from scandock.web.request_context import answer, listed
from scandock.web.security import SignedIn, info_of

router = APIRouter(prefix="/api/v1/tokens", tags=["accounts"])


class NewToken(BaseModel):
    """What a token is to be for."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope = Scope.ALL
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DAYS
    name: Annotated[str, Field(max_length=128)] = ""


def _accounts(site: ServerState, request: Request, principal: Principal) -> Accounts:
    return Accounts(site.catalog, principal, info_of(request))


@router.post("", status_code=201, summary="Make a token", response_model=NewlyIssued)
async def issue(request: Request, body: NewToken, principal: SignedIn) -> Response:
    """`secret` is shown this once: alias and secret serve as name and password, `token` as `Authorization: Bearer`."""
    site = server_state(request)
    made = await site.run(
        _accounts(site, request, principal).issue_token, scope=body.scope, days=body.days, name=body.name
    )
    return answer(NewlyIssued.of(made, body.scope, body.name), 201)


@router.get("", summary="Your tokens", response_model=ListOf[Token])
async def mine(request: Request, principal: SignedIn) -> Response:
    """Without their secrets, which are not kept."""
    site = server_state(request)
    found = await site.read(_accounts(site, request, principal).tokens)
    return listed(Token.of(one) for one in found)


@router.delete("/{alias}", status_code=204, summary="Revoke a token", response_class=Response)
async def revoke(request: Request, alias: str, principal: SignedIn) -> Response:
    """In effect with the next request."""
    site = server_state(request)
    await site.run(_accounts(site, request, principal).revoke_token, alias)
    return Response(status_code=204)
