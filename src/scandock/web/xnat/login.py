"""Logging in as XNAT's clients do: JSESSION, services/auth, alias tokens (xnat-clients.md 1, rules 7 and 8; 2.1)."""

from __future__ import annotations

import time
from typing import Final

from fastapi import Depends, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from scandock.access.logins import IDLE_MS
from scandock.access.principal import Door, raise_denied
from scandock.rules.permissions import AccessDecision, Scope
from scandock.services.alias_tokens import find_token_owner, revoke_by_secret
from scandock.services.authentication import begin_login, begin_login_for, end_login
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.request_context import RequestContext
from scandock.web.security import check_same_site, prove_password, request_info
from scandock.web.xnat.bodies import parse_form
from scandock.web.xnat.routing import JSESSION, LoginContext, PublicContext, SignedInContext, make_router, text_response
from scandock.web.xnat.services.people import find_person
from scandock.web.xnat.services.projects import list_projects

routes = make_router()
TOKEN_DAYS: Final = 2
"""As XNAT's: an alias token lives 48 hours."""
_FORM_BYTES: Final = 16_384


def add_login_cookies(request: Request, answer: Response, secret: str) -> Response:
    """Both cookies of a login, the second with its literal quotes: clients refuse to work without either."""
    root = urls.cookie_path_of(request.scope)
    secure = "; Secure" if request.url.scheme == "https" else ""
    expiry = f'SESSION_EXPIRATION_TIME="{int(time.time() * 1000)},{IDLE_MS}"; Path={root}; SameSite=Lax{secure}'
    answer.raw_headers.append(
        (b"set-cookie", f"{JSESSION}={secret}; Path={root}; HttpOnly; SameSite=Lax{secure}".encode())
    )
    answer.raw_headers.append((b"set-cookie", expiry.encode()))
    return answer


async def _begin_login(context: RequestContext, text: str | None = None) -> Response:
    """Begin a login for whoever proved who they are by name and password, or keep theirs; its id is the answer.

    A token that is for less than everything begins none; it is told who it is of all the same.
    """
    server, principal, request = context.server, context.service_context.principal, context.request
    if principal.scope is not Scope.ALL and text is not None:
        return PlainTextResponse(text)
    if principal.door is Door.COOKIE:
        secret = request.cookies.get(JSESSION, "")
    else:
        await check_same_site(request)
        secret = (await server.run(begin_login_for, server.catalog, principal, request_info(request))).secret
    return add_login_cookies(request, PlainTextResponse(secret if text is None else text), secret)


@routes.put("/data/services/auth")
async def services_auth(request: Request, context: LoginContext) -> Response:
    """A form with username and password; the answer is the session's id."""
    body = await request.body()
    if len(body) > _FORM_BYTES:
        return text_response(400, f"The form has more than {_FORM_BYTES:,} bytes. Send username and password alone.")
    form = dict(reversed(parse_form(body)))  # the first of each name
    server = context.server
    query = request.query_params
    name, password = (form.get(field, (query.getlist(field) or [""])[0]) for field in ("username", "password"))
    if not name and context.service_context.principal.signed_in:
        return await _begin_login(context)
    principal = await prove_password(request, name, password)
    new_login = await server.run(begin_login, server.catalog, principal, request_info(request), method="password")
    return add_login_cookies(request, PlainTextResponse(new_login.secret), new_login.secret)


@routes.get("/data/auth")
async def auth(context: SignedInContext) -> Response:
    """Who one is, in the words that clients look for."""
    return await _begin_login(context, f"User '{context.service_context.principal.name}' is logged in")


@routes.post("/data/JSESSION")
async def login(context: SignedInContext) -> Response:
    """A login's id."""
    return await _begin_login(context)


@routes.get("/data/JSESSION")
@routes.get("/data/JSESSIONID")
async def session(context: PublicContext) -> Response:
    """A login's id, and its heartbeat. Who brings none is a guest, where anything is public: xnatpy asks this first."""
    principal = context.service_context.principal
    if principal.signed_in:
        return await _begin_login(context)
    if not (await context.read(lambda c: list_projects(c, principal))).rows:
        raise_denied(AccessDecision.SIGN_IN)
    return PlainTextResponse("")


@routes.delete("/data/JSESSION", dependencies=[Depends(check_same_site)])
@routes.delete("/data/JSESSIONID", dependencies=[Depends(check_same_site)])
@routes.get("/app/action/LogoutUser", dependencies=[Depends(check_same_site)])
async def log_out(request: Request, context: LoginContext) -> Response:
    """End the login."""
    secret = request.cookies.get(JSESSION)
    if secret:
        await context.server.run(
            end_login, context.server.catalog, context.service_context.principal, secret, request_info(request)
        )
    answer = PlainTextResponse("")
    answer.delete_cookie(JSESSION, path=urls.cookie_path_of(request.scope))
    return answer


# -- alias tokens ------------------------------------------------------------------------------------------------------


@routes.get("/data/services/tokens/issue", dependencies=[Depends(check_same_site)])
@routes.post("/data/services/tokens/issue")
async def issue(context: SignedInContext) -> Response:
    """An alias and a secret, which serve as name and password for two days."""
    return await _issue_token(context, None)


@routes.get("/data/services/tokens/issue/user/{login}", dependencies=[Depends(check_same_site)])
@routes.post("/data/services/tokens/issue/user/{login}")
async def issue_for(context: SignedInContext, login: str) -> Response:
    """The same of one's own name, or for administrators of another account.

    AccessDenied (403) for all others, whoever it is.
    An administrator's token for somebody ends with what ends their own, and no other administrator has one.
    """
    me = context.service_context.principal
    return await _issue_token(context, None if login.casefold() == me.name.casefold() else login)


async def _issue_token(context: RequestContext, login_name: str | None) -> Response:
    token = await context.server.run(
        context.accounts.issue_token, scope=Scope.ALL, days=TOKEN_DAYS, name="XNAT client", account_name=login_name
    )
    principal = context.service_context.principal
    name = (
        principal.name
        if login_name is None
        else (await context.read(lambda c: find_person(c, principal, login_name))).name
    )
    return JSONResponse(
        {
            "alias": token.alias,
            "secret": token.secret,
            "xdatUserId": name,
            "singleUse": False,
            "estimatedExpirationTime": token.expires,
            "validIPAddresses": [],
        }
    )


@routes.get("/data/services/tokens/validate/{alias}/{secret}")
async def validate(request: Request, alias: str, secret: str) -> Response:
    """Whose token it is. AccessDenied (404) where it holds no more, the secret is wrong or the alias unknown."""
    server = server_state(request)
    holder = await server.run(find_token_owner, server.catalog, server.gate, alias, secret, request_info(request))
    if not holder:
        raise_denied(AccessDecision.HIDDEN)
    return JSONResponse({"valid": holder})


@routes.get("/data/services/tokens/invalidate/{alias}/{secret}", dependencies=[Depends(check_same_site)])
async def invalidate(request: Request, alias: str, secret: str) -> Response:
    """End a token, with all that it made: who holds its secret may, whoever else they are, or nobody."""
    server = server_state(request)
    await server.run(revoke_by_secret, server.catalog, server.gate, alias, secret, request_info(request))
    return JSONResponse({"result": "OK"})


@routes.get("/data/services/tokens/invalidate/{alias}", dependencies=[Depends(check_same_site)])
async def invalidate_own(context: SignedInContext, alias: str) -> Response:
    """End a token of one's own without its secret; administrators, anybody's. 404 where there is none of one's own."""
    await context.server.run(context.accounts.revoke_named, alias)
    return JSONResponse({"result": "OK"})
