"""/api/v1/auth: one's own password, shown name and logins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.access.principal import Door
from scandock.model.json_records import ListOf
from scandock.services.account_records import Account, Ended, Login, Renewed
from scandock.services.authentication import change_own_password
from scandock.services.own_logins import OwnLogins
from scandock.web.request_context import SignedContext, answer, listed
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


def _logins(work: SignedContext) -> OwnLogins:
    return OwnLogins(work.site.catalog, work.context.principal, work.request.cookies.get(COOKIE), work.context.request)


@router.put("/password", summary="Change your password", response_model=Renewed)
async def change_password(request: Request, work: SignedContext, wanted: PasswordChange) -> Response:
    """Needs the present one. All your logins and tokens end at once; who came by cookie gets a new login and `csrf`.

    400 `password_wrong`, `password_unfit`; 429 after too many wrong ones.
    """
    site, asker = work.site, work.context.principal
    by_cookie = asker.door is Door.COOKIE
    made = await work.by_turn(
        lambda: change_own_password(
            site.catalog, site.gate, asker, wanted.current, wanted.new, work.context.request, again=by_cookie
        )
    )
    response = answer(Renewed.of(made))
    if made is not None:
        set_cookie(request, response, made.secret)
    return response


@router.patch("/me", summary="Change your shown name or e-mail", response_model=Account)
async def change_profile(work: SignedContext, wanted: Profile) -> Response:
    """Your account as it is then."""
    return answer(
        Account.of(await work.do(lambda: work.accounts.set_profile(display=wanted.display, email=wanted.email)))
    )


@router.get("/logins", summary="Your logins by cookie", response_model=ListOf[Login])
async def logins(work: SignedContext) -> Response:
    """Those that hold, the newest first; `current` is the one that asks."""
    return listed(await work.look(_logins(work).list))


@router.delete("/logins/{login}", status_code=204, summary="End one of your logins", response_class=Response)
async def end_login(work: SignedContext, login: str) -> Response:
    """In effect with the next request. 404 `login_unknown`."""
    await work.do(lambda: _logins(work).end(login))
    return Response(status_code=204)


@router.delete("/logins", summary="End your other logins", response_model=Ended)
async def end_others(work: SignedContext) -> Response:
    """All but the one that asks, where it is one; `{"ended"}` says how many."""
    return answer(Ended(ended=await work.do(_logins(work).end_others)))
