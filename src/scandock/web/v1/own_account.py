"""/api/v1/auth: one's own password, shown name and logins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.access.principal import Door
from scandock.services.account_records import Account, Ended, Login, Renewed
from scandock.services.authentication import change_own_password
from scandock.services.own_logins import OwnLogins
from scandock.web.json_lists import ListOf
from scandock.web.request_context import SignedContext, list_response, record_response
from scandock.web.security import COOKIE, set_cookie
from scandock.web.v1.accounts import Email, Shown

router = APIRouter(prefix="/api/v1/auth", tags=["accounts"])

Password = Annotated[str, Field(max_length=4096)]


class PasswordChange(BaseModel):
    """The password that one has, and the one that one wants."""

    model_config = ConfigDict(extra="forbid")

    current: Password
    new: Password


class Profile(BaseModel):
    """What one says of oneself; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    display: Shown | None = None
    email: Email | None = None


def _logins(context: SignedContext) -> OwnLogins:
    return OwnLogins(
        context.server.catalog,
        context.service_context.principal,
        context.request.cookies.get(COOKIE),
        context.service_context.request,
    )


@router.put("/password", summary="Change your password", response_model=Renewed)
async def change_password(request: Request, context: SignedContext, body: PasswordChange) -> Response:
    """Needs the present one. All your logins and tokens end at once; who came by cookie gets a new login and `csrf`.

    400 `password_wrong`, `password_unfit`; 429 after too many wrong ones.
    """
    server, asker = context.server, context.service_context.principal
    by_cookie = asker.door is Door.COOKIE
    new_login = await context.run_password(
        lambda: change_own_password(
            server.catalog, server.gate, asker, body.current, body.new, context.service_context.request, again=by_cookie
        )
    )
    response = record_response(Renewed.of(new_login))
    if new_login is not None:
        set_cookie(request, response, new_login.secret)
    return response


@router.patch("/me", summary="Change your shown name or e-mail", response_model=Account)
async def change_profile(context: SignedContext, body: Profile) -> Response:
    """Your account as it is then."""
    return record_response(
        Account.of(await context.run(lambda: context.accounts.set_profile(display=body.display, email=body.email)))
    )


@router.get("/logins", summary="Your logins by cookie", response_model=ListOf[Login])
async def logins(context: SignedContext) -> Response:
    """Those that hold, the newest first; `current` is the one that asks."""
    return list_response(await context.run_read(_logins(context).list))


@router.delete("/logins/{login}", status_code=204, summary="End one of your logins", response_class=Response)
async def end_login(context: SignedContext, login: str) -> Response:
    """In effect with the next request. 404 `login_unknown`."""
    await context.run(lambda: _logins(context).end(login))
    return Response(status_code=204)


@router.delete("/logins", summary="End your other logins", response_model=Ended)
async def end_others(context: SignedContext) -> Response:
    """All but the one that asks, where it is one; `{"ended"}` says how many."""
    return record_response(Ended(ended=await context.run(_logins(context).end_others)))
