"""Who asks, and whether they may: the only module of the web process that proves anybody's identity.

Basic authentication and tokens serve every route. A login by cookie serves too, but a change by it needs the header
`X-CSRF-Token` that the login was given: another site's page can send the cookie along, and not the header. A browser
that was asked for a name and password sends them along too, so what it says to come from another site is refused.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Annotated, Final, NoReturn

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.accounts import Account
from scandock.access.authentication import (
    Credentials,
    authenticate,
    check_password,
    find_remembered,
    parse_authorization,
    password_principal,
)
from scandock.access.login_errors import CsrfFailed
from scandock.access.logins import ABSOLUTE_MS, check_csrf, is_cross_site
from scandock.access.principal import ANONYMOUS, Principal, ProjectRights, RequestInfo, decide_access_of, raise_denied
from scandock.access.reauthentication import SavedCredentials, reauthenticate, save_credentials
from scandock.access.tokens import ALIAS
from scandock.model.errors import ScandockError
from scandock.rules.permissions import REQUIREMENTS, AccessDecision, Action
from scandock.services.project_errors import UploadProjectHidden
from scandock.web import urls
from scandock.web.deps import server_state
from scandock.web.dialect import dialect_of
from scandock.web.problems import request_id_of

COOKIE: Final = "scandock_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def info_of(request: Request) -> RequestInfo:
    """Where a request came from: the client's address as the proxy in front says it, where uvicorn trusts that."""
    address = request.client.host if request.client is not None else ""
    return RequestInfo(address=address, request_id=request_id_of(request.scope))


async def current(request: Request) -> Principal:
    """Who asks; ANONYMOUS where nobody says. Denied where what was sent proves nothing, or not who sent the change."""
    found = await identify(request)
    if request.method not in _SAFE:
        check_csrf(found, request.headers.get(CSRF_HEADER), cross_site=from_elsewhere(request))
    return found


async def identify(request: Request) -> Principal:
    """As `current`, for doors that look for the CSRF token themselves: forms have it in a field."""
    known: Principal | ScandockError | None = getattr(request.state, "principal", None)
    if isinstance(known, ScandockError):  # the page of an error asks again: a wrong password counts once
        raise known
    if known is not None:
        return known
    try:
        sent = parse_authorization(request.headers.get("authorization"), _cookie(request))
        found = ANONYMOUS
        if sent.basic is not None or sent.token is not None or sent.cookie is not None:
            found = await _proved(request, sent)
    except ScandockError as error:
        request.state.principal = error
        raise
    request.state.principal = found
    request.state.account_id = found.account_id
    return found


def _cookie(request: Request) -> str | None:
    """A login's secret: the pages' own, else that of a client of the dialect."""
    dialect = dialect_of(request)
    return request.cookies.get(COOKIE) or (request.cookies.get(dialect.cookie) if dialect is not None else None)


def set_cookie(request: Request, answer: Response, secret: str) -> None:
    """Give the browser its login: out of reach of scripts and of other sites, and over TLS alone where there is TLS."""
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=ABSOLUTE_MS // 1000,
        path=urls.cookie_path_of(request.scope),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


async def prove_password(request: Request, name: str, password: str) -> Account:
    """The account of a name and its password; one that was good a moment ago waits for nobody.

    Raises Denied `login_failed`, Throttled, PasswordsBusy.
    """
    site, info = server_state(request), info_of(request)
    one = await site.read(find_remembered, site.catalog, name, password, site.gate)
    if one is not None:
        return one
    check = partial(check_password, site.catalog, name, password, info, site.gate)
    return await site.passwords.run(info.address, check, key=site.gate.remembered.digest(name, password))


async def _proved(request: Request, sent: Credentials) -> Principal:
    site = server_state(request)
    if sent.basic is not None and not ALIAS.fullmatch(sent.basic[0]):
        return await site.read(password_principal, site.catalog, await prove_password(request, *sent.basic))
    return await site.read(
        authenticate,
        site.catalog,
        basic=sent.basic,
        token=sent.token,
        cookie=sent.cookie,
        request=info_of(request),
        gate=site.gate,
    )


def proved_by(request: Request, principal: Principal) -> SavedCredentials:
    """What a request proved its sender by, to be asked again while it goes on (`access.proofs`)."""
    return save_credentials(principal, parse_authorization(request.headers.get("authorization"), _cookie(request)))


async def still(request: Request, principal: Principal) -> Principal:
    """Who asks, as their account is after a request has taken long. Denied (401) where they may no more."""
    site = server_state(request)
    return await site.read(reauthenticate, site.catalog, proved_by(request, principal))


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site's page asks."""
    told = request.headers
    public = server_state(request).settings.public_url
    if public is not None and told.get("sec-fetch-site") is None and told.get("origin") == _origin(public):
        return False  # by a proxy that asks here under another name
    return is_cross_site(told.get("sec-fetch-site"), told.get("origin"), told.get("host"))


async def only_from_here(request: Request) -> None:
    """Denied (403) where another site's page asks by GET for what changes something: a link of it would do.

    For the addresses of XNAT whose clients change things by GET; these say nothing of where they come from.
    """
    if from_elsewhere(request):
        await refuse_elsewhere(request)


async def refuse_elsewhere(request: Request) -> NoReturn:
    """Refuse (403) what another site's page asks for by a link or a login's form: what helps is to do it here.

    Who asks is looked up first where the request says it, so that the audit names the account.
    """
    with contextlib.suppress(ScandockError):
        await identify(request)
    raise CsrfFailed(
        f"This {'login' if request.method == 'POST' else 'request'} did not come from a page of this server.",
        "Open the address here by itself, not by a link or a form of another site.",
    )


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


async def signed_in(principal: Annotated[Principal, Depends(current)]) -> Principal:
    """Who asks; Denied (401) where nobody says."""
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    return principal


Caller = Annotated[Principal, Depends(current)]
SignedIn = Annotated[Principal, Depends(signed_in)]


def check_upload(principal: Principal, connection: Connection, project: str | None) -> str | None:
    """Whether an upload may go to a project, or (None) wherever its headers say; gives the project's id as written.

    Raises Denied: 404 `project_unknown` where there is none, or none that they may know of; 403; 401.
    """
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    if project is None:
        if principal.scope not in REQUIREMENTS[Action.UPLOAD].scopes:
            raise_denied(AccessDecision.FORBIDDEN, principal, Action.UPLOAD)
        return None
    rights = ProjectRights(connection)
    told = decide_access_of(principal, Action.UPLOAD, project, rights)
    found = rights.find(project)
    if told is AccessDecision.HIDDEN:
        raise UploadProjectHidden(
            f"There is no project {project}, or you may not upload to it.",
            "Name one that exists, or have it created first.",
            action=Action.UPLOAD,
            project=found[0] if found is not None else "",
        )
    if told is not AccessDecision.ALLOWED:
        raise_denied(told, principal, Action.UPLOAD, found[0] if found is not None else "")
    return found[0] if found is not None else project
