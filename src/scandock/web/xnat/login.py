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
from scandock.web.security import info_of, only_from_here, prove_password
from scandock.web.xnat.bodies import pairs_of
from scandock.web.xnat.routing import JSESSION, Anybody, Asking, Known, router, said
from scandock.web.xnat.services.people import find_person
from scandock.web.xnat.services.projects import list_projects

routes = router()
TOKEN_DAYS: Final = 2
"""As XNAT's: an alias token lives 48 hours."""
_FORM_BYTES: Final = 16_384


def with_login(request: Request, answer: Response, secret: str) -> Response:
    """Both cookies of a login, the second with its literal quotes: clients refuse to work without either."""
    root = urls.cookie_path_of(request.scope)
    secure = "; Secure" if request.url.scheme == "https" else ""
    expiry = f'SESSION_EXPIRATION_TIME="{int(time.time() * 1000)},{IDLE_MS}"; Path={root}; SameSite=Lax{secure}'
    answer.raw_headers.append(
        (b"set-cookie", f"{JSESSION}={secret}; Path={root}; HttpOnly; SameSite=Lax{secure}".encode())
    )
    answer.raw_headers.append((b"set-cookie", expiry.encode()))
    return answer


async def _begin(work: RequestContext, text: str | None = None) -> Response:
    """Begin a login for whoever proved who they are by name and password, or keep theirs; its id is the answer.

    A token that is for less than everything begins none; it is told who it is of all the same.
    """
    site, principal, request = work.site, work.context.principal, work.request
    if principal.scope is not Scope.ALL and text is not None:
        return PlainTextResponse(text)
    if principal.door is Door.COOKIE:
        secret = request.cookies.get(JSESSION, "")
    else:
        await only_from_here(request)
        secret = (await site.run(begin_login_for, site.catalog, principal, info_of(request))).secret
    return with_login(request, PlainTextResponse(secret if text is None else text), secret)


@routes.put("/data/services/auth")
async def services_auth(request: Request, work: Anybody) -> Response:
    """A form with username and password; the answer is the session's id."""
    body = await request.body()
    if len(body) > _FORM_BYTES:
        return said(400, f"The form has more than {_FORM_BYTES:,} bytes. Send username and password alone.")
    form = dict(reversed(pairs_of(body)))  # the first of each name
    site = work.site
    asked = request.query_params
    name, password = (form.get(one, (asked.getlist(one) or [""])[0]) for one in ("username", "password"))
    if not name and work.context.principal.signed_in:
        return await _begin(work)
    one = await prove_password(request, name, password)
    made = await site.run(begin_login, site.catalog, one, info_of(request), method="password")
    return with_login(request, PlainTextResponse(made.secret), made.secret)


@routes.get("/data/auth")
async def auth(work: Known) -> Response:
    """Who one is, in the words that clients look for."""
    return await _begin(work, f"User '{work.context.principal.name}' is logged in")


@routes.post("/data/JSESSION")
async def login(work: Known) -> Response:
    """A login's id."""
    return await _begin(work)


@routes.get("/data/JSESSION")
@routes.get("/data/JSESSIONID")
async def session(work: Asking) -> Response:
    """A login's id, and its heartbeat. Who brings none is a guest, where anything is public: xnatpy asks this first."""
    principal = work.context.principal
    if principal.signed_in:
        return await _begin(work)
    if not (await work.read(lambda c: list_projects(c, principal))).rows:
        raise_denied(AccessDecision.SIGN_IN)
    return PlainTextResponse("")


@routes.delete("/data/JSESSION", dependencies=[Depends(only_from_here)])
@routes.delete("/data/JSESSIONID", dependencies=[Depends(only_from_here)])
@routes.get("/app/action/LogoutUser", dependencies=[Depends(only_from_here)])
async def end(request: Request, work: Anybody) -> Response:
    """End the login."""
    secret = request.cookies.get(JSESSION)
    if secret:
        await work.site.run(end_login, work.site.catalog, work.context.principal, secret, info_of(request))
    answer = PlainTextResponse("")
    answer.delete_cookie(JSESSION, path=urls.cookie_path_of(request.scope))
    return answer


# -- alias tokens ------------------------------------------------------------------------------------------------------


@routes.get("/data/services/tokens/issue", dependencies=[Depends(only_from_here)])
@routes.post("/data/services/tokens/issue")
async def issue(work: Known) -> Response:
    """An alias and a secret, which serve as name and password for two days."""
    return await _issued(work, None)


@routes.get("/data/services/tokens/issue/user/{login}", dependencies=[Depends(only_from_here)])
@routes.post("/data/services/tokens/issue/user/{login}")
async def issue_for(work: Known, login: str) -> Response:
    """The same of one's own name, or for administrators of another account. Denied (403) for all others, whoever it is.

    An administrator's token for somebody ends with what ends their own, and no other administrator has one.
    """
    me = work.context.principal
    return await _issued(work, None if login.casefold() == me.name.casefold() else login)


async def _issued(work: RequestContext, of: str | None) -> Response:
    made = await work.site.run(
        work.accounts.issue_token, scope=Scope.ALL, days=TOKEN_DAYS, name="XNAT client", account_name=of
    )
    me = work.context.principal
    name = me.name if of is None else (await work.read(lambda c: find_person(c, me, of))).name
    return JSONResponse(
        {
            "alias": made.alias,
            "secret": made.secret,
            "xdatUserId": name,
            "singleUse": False,
            "estimatedExpirationTime": made.expires,
            "validIPAddresses": [],
        }
    )


@routes.get("/data/services/tokens/validate/{alias}/{secret}")
async def validate(request: Request, alias: str, secret: str) -> Response:
    """Whose token it is. Denied (404) where it holds no more, the secret is wrong or the alias unknown."""
    site = server_state(request)
    holder = await site.run(find_token_owner, site.catalog, site.gate, alias, secret, info_of(request))
    if not holder:
        raise_denied(AccessDecision.HIDDEN)
    return JSONResponse({"valid": holder})


@routes.get("/data/services/tokens/invalidate/{alias}/{secret}", dependencies=[Depends(only_from_here)])
async def invalidate(request: Request, alias: str, secret: str) -> Response:
    """End a token, with all that it made: who holds its secret may, whoever else they are, or nobody."""
    site = server_state(request)
    await site.run(revoke_by_secret, site.catalog, site.gate, alias, secret, info_of(request))
    return JSONResponse({"result": "OK"})


@routes.get("/data/services/tokens/invalidate/{alias}", dependencies=[Depends(only_from_here)])
async def invalidate_own(work: Known, alias: str) -> Response:
    """End a token of one's own without its secret; administrators, anybody's. 404 where there is none of one's own."""
    await work.site.run(work.accounts.revoke_named, alias)
    return JSONResponse({"result": "OK"})
