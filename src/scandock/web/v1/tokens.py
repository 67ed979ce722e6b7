"""/api/v1/tokens: tokens for scripts, one's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.access.principal import Principal
from scandock.access.tokens import DAYS, DAYS_MOST
from scandock.rules.permissions import Scope
from scandock.services.accounts import Accounts
from scandock.web.deps import Site, site_of
from scandock.web.security import SignedIn, info_of

router = APIRouter(prefix="/api/v1/tokens", tags=["accounts"])


class NewToken(BaseModel):
    """What a token is to be for."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope = Scope.ALL
    days: Annotated[int, Field(ge=1, le=DAYS_MOST)] = DAYS
    name: Annotated[str, Field(max_length=128)] = ""


def _accounts(site: Site, request: Request, principal: Principal) -> Accounts:
    return Accounts(site.catalog, principal, info_of(request))


@router.post("", status_code=201, summary="Make a token")
async def issue(request: Request, body: NewToken, principal: SignedIn) -> dict[str, Any]:
    """`secret` is shown this once: alias and secret serve as name and password, `token` as `Authorization: Bearer`."""
    site = site_of(request)
    made = await site.run(
        _accounts(site, request, principal).issue_token, scope=body.scope, days=body.days, name=body.name
    )
    return {
        "alias": made.alias,
        "secret": made.secret,
        "token": made.bearer,
        "scope": body.scope.value,
        "name": body.name,
        "expires": made.expires,
    }


@router.get("", summary="Your tokens")
async def mine(request: Request, principal: SignedIn) -> dict[str, Any]:
    """Without their secrets, which are not kept."""
    site = site_of(request)
    found = await site.read(_accounts(site, request, principal).tokens)
    return {"items": [asdict(one) for one in found]}


@router.delete("/{alias}", status_code=204, summary="Revoke a token", response_class=Response)
async def revoke(request: Request, alias: str, principal: SignedIn) -> Response:
    """In effect with the next request."""
    site = site_of(request)
    await site.run(_accounts(site, request, principal).revoke_token, alias)
    return Response(status_code=204)
