"""/api/v1/auth: logging in by cookie, logging out, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from scandock.services.sign_in import begin_login, sign_out
from scandock.web import urls
from scandock.web.deps import site_of
from scandock.web.security import COOKIE, Caller, SignedIn, info_of, prove_password, set_cookie

router = APIRouter(prefix="/api/v1/auth", tags=["accounts"])


class NameAndPassword(BaseModel):
    """What a person types."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=4096)]


@router.post("/login", summary="Log in, by cookie")
async def login(request: Request, body: NameAndPassword) -> Response:
    """Sets the cookie; `csrf` goes into the header X-CSRF-Token of each change that is made by it."""
    site = site_of(request)
    one = await prove_password(request, body.name, body.password)
    made = await site.run(begin_login, site.catalog, one, info_of(request), by="password")
    answer = JSONResponse(
        {"name": one.name, "id": one.uuid, "admin": one.admin, "csrf": made.csrf, "expires": made.expires}
    )
    set_cookie(request, answer, made.secret)
    return answer


@router.post("/logout", status_code=204, summary="Log out", response_class=Response)
async def logout(request: Request, principal: Caller) -> Response:
    """Ends the cookie's login; done already is fine."""
    site = site_of(request)
    secret = request.cookies.get(COOKIE)
    if secret:
        await site.run(sign_out, site.catalog, principal, secret, info_of(request))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path=urls.cookie_path_of(request.scope), httponly=True, samesite="lax")
    return answer


@router.get("/me", summary="Who you are")
async def me(principal: SignedIn) -> dict[str, Any]:
    """Name, roles by project, and how one is logged in; for a login by cookie its `csrf` too."""
    return {
        "id": principal.uuid,
        "name": principal.name,
        "admin": principal.admin,
        "roles": dict(principal.roles),
        "door": principal.door.value,
        "scope": principal.scope.value,
        "csrf": principal.csrf or None,
    }
