"""/api/v1/auth: logging in by cookie, logging out, and who one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from scandock.services.account_records import LoggedIn, Me
from scandock.services.authentication import begin_login, end_login
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.request_context import record_response
from scandock.web.security import COOKIE, Caller, SignedIn, prove_password, request_info, set_cookie

router = APIRouter(prefix="/api/v1/auth", tags=["accounts"])


class NameAndPassword(BaseModel):
    """What a person types."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=4096)]


@router.post("/login", summary="Log in, by cookie", response_model=LoggedIn)
async def login(request: Request, body: NameAndPassword) -> Response:
    """Sets the cookie; `csrf` goes into the header X-CSRF-Token of each change that is made by it."""
    server = server_state(request)
    account = await prove_password(request, body.name, body.password)
    new_login = await server.run(begin_login, server.catalog, account, request_info(request), method="password")
    response = record_response(LoggedIn.of(account, new_login))
    set_cookie(request, response, new_login.secret)
    return response


@router.post("/logout", status_code=204, summary="Log out", response_class=Response)
async def logout(request: Request, principal: Caller) -> Response:
    """Ends the cookie's login; done already is fine."""
    server = server_state(request)
    secret = request.cookies.get(COOKIE)
    if secret:
        await server.run(end_login, server.catalog, principal, secret, request_info(request))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=urls.cookie_path_of(request.scope), httponly=True, samesite="lax")
    return response


@router.get("/me", summary="Who you are", response_model=Me)
async def me(principal: SignedIn) -> Response:
    """Name, roles by project, and how one is logged in; for a login by cookie its `csrf` too."""
    return record_response(Me.of(principal))
