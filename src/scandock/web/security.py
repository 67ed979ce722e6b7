"""Who asks, and whether they may: the only module of the web process that proves anybody's identity.

Basic authentication and tokens serve every route. A login by cookie serves too, but a change by it needs the header
`X-CSRF-Token` that the login was given: another site's page can send the cookie along, and not the header. A browser
that was asked for a name and password sends them along too, so what it says to come from another site is refused.
"""

from __future__ import annotations

import contextlib
import secrets
from functools import partial
from hashlib import blake2b
from typing import Annotated, Final, NoReturn

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.access.accounts import Account
from scandock.access.authentication import (
    Credentials,
    authenticate,
    authenticate_within,
    check_password,
    find_remembered,
    parse_authorization,
    password_principal,
    recall,
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
from scandock.web.dialect import get_dialect
from scandock.web.problems import request_id_of

COOKIE: Final = "scandock_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def request_info(request: Request) -> RequestInfo:
    """Where a request came from: the client's address as the proxy in front says it, where uvicorn trusts that."""
    address = request.client.host if request.client is not None else ""
    return RequestInfo(address=address, request_id=request_id_of(request.scope))


async def authenticate_request(request: Request) -> Principal:
    """Who asks; ANONYMOUS where nobody says.

    AccessDenied where what was sent proves nothing, or not who sent the change.
    """
    principal = await identify(request)
    if request.method not in _SAFE:
        check_csrf(principal, request.headers.get(CSRF_HEADER), cross_site=is_from_other_site(request))
    return principal


async def identify(request: Request) -> Principal:
    """As `current`, for doors that look for the CSRF token themselves: forms have it in a field."""
    known_principal = _known_principal(request)
    if known_principal is not None:
        return known_principal
    try:
        credentials = _sent_credentials(request)
        principal = ANONYMOUS if credentials is None else await _authenticate(request, credentials)
    except ScandockError as error:
        request.state.principal = error
        raise
    return _know(request, principal)


def identify_within(request: Request, connection: Connection) -> Principal | None:
    """As `identify`, in a thread and within a transaction that reads; None where a password has to be checked first,
    which `identify` does.

    Who is known by the transaction that reads what they ask for needs no other one.
    """
    known_principal = _known_principal(request)
    if known_principal is not None:
        return known_principal
    server = server_state(request)
    try:
        credentials = _sent_credentials(request)
        if credentials is None:
            return _know(request, ANONYMOUS)
        principal = authenticate_within(server.catalog, connection, credentials, request_info(request), server.gate)
    except ScandockError as error:
        request.state.principal = error
        raise
    return None if principal is None else _know(request, principal)


def _known_principal(request: Request) -> Principal | None:
    """Who asks, where that was found out before. Raises the error that it ended with."""
    known_principal: Principal | ScandockError | None = getattr(request.state, "principal", None)
    if isinstance(known_principal, ScandockError):  # the page of an error asks again: a wrong password counts once
        raise known_principal
    return known_principal


def _know(request: Request, principal: Principal) -> Principal:
    request.state.principal = principal
    request.state.account_id = principal.account_id
    return principal


def _sent_credentials(request: Request) -> Credentials | None:
    """What a request brings along; None where nobody says who asks. AccessDenied where it can't be read."""
    credentials = parse_authorization(request.headers.get("authorization"), _cookie(request))
    is_empty = credentials.basic is None and credentials.token is None and credentials.cookie is None
    return None if is_empty else credentials


def _cookie(request: Request) -> str | None:
    """A login's secret: the pages' own, else that of a client of the dialect."""
    dialect = get_dialect(request)
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

    Raises AccessDenied `login_failed`, Throttled, PasswordsBusy.
    """
    server = server_state(request)
    account = await server.read(find_remembered, server.catalog, name, password, server.gate)
    return account if account is not None else await _prove_password(request, name, password)


async def _prove_password(request: Request, name: str, password: str) -> Account:
    server, info = server_state(request), request_info(request)
    check = partial(check_password, server.catalog, name, password, info, server.gate)
    return await server.passwords.run(info.address, check, key=server.gate.remembered.digest(name, password))


async def _authenticate(request: Request, credentials: Credentials) -> Principal:
    server = server_state(request)
    if credentials.basic is not None and not ALIAS.fullmatch(credentials.basic[0]):
        name, password = credentials.basic
        principal = await server.read(recall, server.catalog, name, password, server.gate)
        if principal is not None:
            return principal
        account = await _prove_password(request, name, password)
        return await server.read(password_principal, server.catalog, account)
    return await server.read(
        authenticate,
        server.catalog,
        basic=credentials.basic,
        token=credentials.token,
        cookie=credentials.cookie,
        request=request_info(request),
        gate=server.gate,
    )


_READER_KEY: Final = secrets.token_bytes(32)


def reader_key(request: Request) -> bytes:
    """What requests have in common that send the same proof of who sends them, or none.

    A keyed hash, of this process alone: it says nothing of a password.
    """
    proof = "\0".join((request.headers.get("authorization", ""), _cookie(request) or ""))
    return blake2b(proof.encode(), key=_READER_KEY, digest_size=16).digest()


def request_credentials(request: Request, principal: Principal) -> SavedCredentials:
    """What a request proved its sender by, to be asked again while it goes on (`access.reauthentication`)."""
    return save_credentials(principal, parse_authorization(request.headers.get("authorization"), _cookie(request)))


async def reauthenticate_request(request: Request, principal: Principal) -> Principal:
    """Who asks, as their account is after a request has taken long. AccessDenied (401) where they may no more."""
    server = server_state(request)
    return await server.read(reauthenticate, server.catalog, request_credentials(request, principal))


def is_from_other_site(request: Request) -> bool:
    """Whether a browser says that another site's page asks."""
    headers = request.headers
    public = server_state(request).settings.public_url
    if public is not None and headers.get("sec-fetch-site") is None and headers.get("origin") == _origin(public):
        return False  # by a proxy that asks here under another name
    return is_cross_site(headers.get("sec-fetch-site"), headers.get("origin"), headers.get("host"))


async def check_same_site(request: Request) -> None:
    """AccessDenied (403) where another site's page asks by GET for what changes something: a link of it would do.

    For the addresses of XNAT whose clients change things by GET; these say nothing of where they come from.
    """
    if is_from_other_site(request):
        await refuse_other_site(request)


async def refuse_other_site(request: Request) -> NoReturn:
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


async def require_login(principal: Annotated[Principal, Depends(authenticate_request)]) -> Principal:
    """Who asks; AccessDenied (401) where nobody says."""
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    return principal


Caller = Annotated[Principal, Depends(authenticate_request)]
SignedIn = Annotated[Principal, Depends(require_login)]


def check_upload(principal: Principal, connection: Connection, project: str | None) -> str | None:
    """Whether an upload may go to a project, or (None) wherever its headers say; gives the project's id as written.

    Raises AccessDenied: 404 `project_unknown` where there is none, or none that they may know of; 403; 401.
    """
    if not principal.signed_in:
        raise_denied(AccessDecision.SIGN_IN)
    if project is None:
        if principal.scope not in REQUIREMENTS[Action.UPLOAD].scopes:
            raise_denied(AccessDecision.FORBIDDEN, principal, Action.UPLOAD)
        return None
    rights = ProjectRights(connection)
    decision = decide_access_of(principal, Action.UPLOAD, project, rights)
    project_row = rights.find(project)
    if decision is AccessDecision.HIDDEN:
        raise UploadProjectHidden(
            f"There is no project {project}, or you may not upload to it.",
            "Name one that exists, or have it created first.",
            action=Action.UPLOAD,
            project=project_row[0] if project_row is not None else "",
        )
    if decision is not AccessDecision.ALLOWED:
        raise_denied(decision, principal, Action.UPLOAD, project_row[0] if project_row is not None else "")
    return project_row[0] if project_row is not None else project
