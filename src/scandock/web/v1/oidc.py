"""/api/v1/auth/oidc: logging in by the site's OpenID Connect provider, in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from scandock.access.oidc_flow import FLOW_SECONDS
from scandock.services.authentication import login_by_provider
from scandock.web import urls
from scandock.web.deps import ServerState, server_state
from scandock.web.security import request_info, set_cookie
from scandock.web.v1.errors import ProviderMissing

if TYPE_CHECKING:
    from scandock.access.oidc import OidcProvider

T = TypeVar("T")

router = APIRouter(prefix="/api/v1/auth/oidc", tags=["accounts"])

FLOW_COOKIE: Final = "scandock_oidc"
"""Keeps a login while the browser is at the provider."""


@router.get("/login", status_code=303, summary="Log in by the site's provider", response_class=RedirectResponse)
async def begin(
    request: Request,
    then: Annotated[
        str, Query(max_length=2000, description="Where to go at the end, a path of this server")
    ] = urls.HOME,
) -> Response:
    """Sends the browser to the provider. 404 `oidc_off` where the site has none."""
    server = server_state(request)
    provider = _provider(server)
    flow = await _ask(server, lambda: provider.begin(_redirect_uri(request), then))
    answer = RedirectResponse(flow.url, 303)
    answer.set_cookie(
        FLOW_COOKIE,
        flow.cookie,
        max_age=FLOW_SECONDS,
        path=urls.root_of(request.scope) + router.prefix,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/callback", status_code=303, summary="Back from the provider", response_class=RedirectResponse)
async def back(request: Request) -> Response:
    """Sets the cookie of a login, as a login by password does, and goes on. An account is made where the rule says so.

    401 `oidc_failed` for an answer that does not hold, 403 `oidc_not_allowed` and `oidc_name_taken`.
    """
    server = server_state(request)
    provider = _provider(server)
    parameters, cookie = dict(request.query_params), request.cookies.get(FLOW_COOKIE)
    new_login, then = await _ask(
        server,
        lambda: login_by_provider(
            server.catalog, server.gate, provider, parameters, cookie, _redirect_uri(request), request_info(request)
        ),
    )
    answer = RedirectResponse(urls.under_root(urls.root_of(request.scope), then), 303)
    set_cookie(request, answer, new_login.secret)
    answer.delete_cookie(FLOW_COOKIE, path=urls.root_of(request.scope) + router.prefix, httponly=True, samesite="lax")
    return answer


def _provider(server: ServerState) -> OidcProvider:
    if server.provider is None:
        raise ProviderMissing("This site has no provider to log in by.", "Log in by a password.")
    return server.provider


async def _ask(server: ServerState, call: Callable[[], T]) -> T:
    """Ask the provider in threads of their own: one that does not answer keeps nobody else waiting."""
    bound_call = partial(copy_context().run, call)
    return await asyncio.get_running_loop().run_in_executor(server.provider_threads, bound_call)


def _redirect_uri(request: Request) -> str:
    """The address of `back`, as the provider knows it: the site's public one, else the one that was asked."""
    public = server_state(request).settings.public_url
    base = public or f"{request.url.scheme}://{request.url.netloc}{urls.root_of(request.scope)}"
    return base + urls.OIDC_CALLBACK
