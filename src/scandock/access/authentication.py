"""Who asks: names and passwords, cookies and tokens become a principal here, for every door alike.

The account's row and its roles are read for every request, so that what is changed there has effect with the next.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Hashable, Mapping
from dataclasses import field
from typing import Final, Literal, TypeGuard

from sqlalchemy import Connection

from scandock.access import accounts, logins, members, passwords, tokens
from scandock.access.accounts import Account
from scandock.access.login_errors import LoginFailed
from scandock.access.passwords import PasswordCache
from scandock.access.principal import ANONYMOUS, AccessDenied, Door, Principal, RequestInfo
from scandock.access.shared_throttle import SharedThrottle
from scandock.access.throttle import Throttle, Throttled
from scandock.catalog.engine import Catalog
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import Role, Scope


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings along; at most one of `basic` and `token`, and either goes before `cookie`."""

    basic: tuple[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """A name and password, or a token, that did not hold."""

    what: Literal["login", "password", "token_use"]
    account_id: int | None
    """The account that it was for, where there is one."""
    request: RequestInfo
    details: Mapping[str, str] = field(default_factory=dict)


def _ignore(_attempt: FailedLogin) -> None:
    """Nobody wants to know of refused logins."""


def _wait_for_nothing() -> None:
    """There is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class LoginState:
    """What one process remembers of logins: failures, and good ones of the last minute."""

    throttle: Throttle | SharedThrottle = field(default_factory=Throttle)
    remembered: PasswordCache = field(default_factory=PasswordCache)
    refused: Callable[[FailedLogin], None] = _ignore
    """Told of each that did not hold, or was one too many. It takes no time: that would tell which accounts exist."""
    settle: Callable[[], None] = _wait_for_nothing
    """Waits until the first of them are written down, so that what succeeded stands behind them."""


_LOGIN_STATE: Final = LoginState()


def parse_authorization(header: str | None, cookie: str | None = None) -> Credentials:
    """Credentials of an `Authorization` header (Basic, or Bearer with a token) and of the login's cookie.

    Raises AccessDenied `login_failed` for a header that can't be read: it was meant to say something.
    """
    if not header:
        return Credentials(cookie=cookie)
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return Credentials(token=rest.strip())
    if scheme.lower() == "basic":
        try:
            raw = base64.b64decode(rest.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise login_failed_error() from None
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:  # older clients write Latin 1
            text = raw.decode("latin-1")
        name, colon, password = text.partition(":")
        if colon:
            return Credentials(basic=(name, password))
    raise login_failed_error()


def authenticate(
    catalog: Catalog,
    *,
    basic: tuple[str, str] | None = None,
    token: str | None = None,
    cookie: str | None = None,
    request: RequestInfo | None = None,
    gate: LoginState = _LOGIN_STATE,
) -> Principal:
    """The principal of a request; anonymous where it brings nothing, or a cookie that no longer holds.

    Raises AccessDenied `login_failed` (401) for a wrong name, password or token, Throttled (429) after too many of
    them. A name and password may take a tenth of a second: the web process asks `recall` first, and has this done by
    `password_queue`.
    """
    if basic is not None:
        name, password = basic
        if not tokens.ALIAS.fullmatch(name):
            return password_principal(catalog, check_password(catalog, name, password, request or RequestInfo(), gate))
    with catalog.read() as connection:
        credentials = Credentials(basic, token, cookie)
        principal, use = _find_principal(connection, credentials, request or RequestInfo(), gate)
    if use is not None:
        catalog.note(*use)
    return principal


def recall(catalog: Catalog, name: str, password: str, gate: LoginState) -> Principal | None:
    """Who asks by a name and password that were good within the last minute; None where they have to be checked."""
    with catalog.read() as connection:
        return _recall_within(connection, name, password, gate)


def _recall_within(connection: Connection, name: str, password: str, gate: LoginState) -> Principal | None:
    account_and_roles = members.find_with_roles(connection, "key", name.casefold())
    if account_and_roles is None or not _is_remembered(account_and_roles[0], name, password, gate):
        return None
    account, roles = account_and_roles
    return make_principal(connection, account, Door.BASIC, roles=roles)


def find_remembered(catalog: Catalog, name: str, password: str, gate: LoginState) -> Account | None:
    """The account of a name and password that was good within the last minute; None where they have to be checked."""
    with catalog.read() as connection:
        account = accounts.find(connection, name)
    return account if _is_remembered(account, name, password, gate) else None


def _is_remembered(account: Account | None, name: str, password: str, gate: LoginState) -> TypeGuard[Account]:
    return (
        account is not None
        and not account.disabled
        and gate.remembered.knows(name, password, account.id, account.epoch)
    )


def check_password(catalog: Catalog, name: str, password: str, request: RequestInfo, gate: LoginState) -> Account:
    """The account of a name and its password. Raises AccessDenied `login_failed` or Throttled.

    Whether the name, the password or the account's being disabled was the reason is told neither by words nor by time.
    """
    with catalog.read() as connection:
        account = accounts.find(connection, name)
    if _is_remembered(account, name, password, gate):
        return account
    attempt = FailedLogin("login", None if account is None else account.id, request)
    try:
        gate.throttle.begin(name, request.address)
    except Throttled:
        gate.refused(attempt)
        raise
    right = passwords.verify(account.password if account is not None else None, password)
    if account is None or account.disabled or not right:
        gate.refused(attempt)
        raise login_failed_error()
    with catalog.read() as connection:  # it may have been changed meanwhile
        now = accounts.by_id(connection, account.id)
    if now is None or now.disabled or now.epoch != account.epoch:
        raise login_failed_error()
    gate.throttle.good(name, request.address)
    gate.remembered.add(name, password, account.id, account.epoch)
    _update_hash(catalog, now, password)
    gate.settle()
    return now


def make_principal(
    connection: Connection,
    account: Account,
    door: Door,
    *,
    scope: Scope = Scope.ALL,
    csrf: str = "",
    token: str | None = None,
    roles: Mapping[str, Role] | None = None,
) -> Principal:
    """An account as somebody who asks, with its roles as they are now; `roles` where they were just read."""
    return Principal(
        account.id,
        account.uuid,
        account.name,
        admin=account.admin,
        scope=scope,
        roles=members.roles_of(connection, account.id) if roles is None else roles,
        door=door,
        csrf=csrf,
        epoch=account.epoch,
        token=token,
    )


def password_principal(catalog: Catalog, account: Account) -> Principal:
    """Who has proved their name and password just now."""
    with catalog.read() as connection:
        return make_principal(connection, account, Door.BASIC)


def authenticate_within(
    catalog: Catalog, connection: Connection, credentials: Credentials, request: RequestInfo, gate: LoginState
) -> Principal | None:
    """As `authenticate`, within a transaction that reads; None where a name and password have to be checked first.

    What is noted of the use of a token or login is written later, in another thread.
    """
    if credentials.basic is not None and not tokens.ALIAS.fullmatch(credentials.basic[0]):
        return _recall_within(connection, *credentials.basic, gate)
    principal, use = _find_principal(connection, credentials, request, gate)
    if use is not None:
        catalog.note(*use, later=True)
    return principal


_Use = tuple[Hashable, Callable[[Connection], object]]
"""What notes that a token or login was used, with the key of the note."""


def _find_principal(
    connection: Connection, credentials: Credentials, request: RequestInfo, gate: LoginState
) -> tuple[Principal, _Use | None]:
    """Who asks by a token or a cookie, and what notes its use, where that is due."""
    if credentials.basic is not None:
        return _token_principal(connection, *credentials.basic, request, gate)
    if credentials.token is not None:
        alias, _, secret = credentials.token.partition(".")
        return _token_principal(connection, alias, secret, request, gate)
    return _cookie_principal(connection, credentials.cookie) if credentials.cookie else (ANONYMOUS, None)


def _token_principal(
    connection: Connection, alias: str, secret: str, request: RequestInfo, gate: LoginState
) -> tuple[Principal, _Use | None]:
    valid_token = tokens.find(connection, alias, secret)
    account_and_roles = members.find_with_roles(connection, "id", valid_token.account_id) if valid_token else None
    if valid_token is None or account_and_roles is None:
        gate.refused(FailedLogin("token_use", tokens.find_account_id(connection, alias), request))
        raise login_failed_error()
    account, roles = account_and_roles
    principal = make_principal(
        connection, account, Door.TOKEN, scope=valid_token.scope, token=valid_token.alias, roles=roles
    )
    return principal, (("token", alias), lambda later: tokens.touch(later, alias)) if valid_token.stale else None


def _cookie_principal(connection: Connection, secret: str) -> tuple[Principal, _Use | None]:
    valid_login = logins.find(connection, secret)
    account_and_roles = members.find_with_roles(connection, "id", valid_login.account_id) if valid_login else None
    if valid_login is None or account_and_roles is None:
        return ANONYMOUS, None
    account, roles = account_and_roles
    principal = make_principal(
        connection, account, Door.COOKIE, csrf=valid_login.csrf, token=valid_login.token, roles=roles
    )
    return principal, (("login", secret), lambda later: logins.touch(later, secret)) if valid_login.stale else None


def _update_hash(catalog: Catalog, account: Account, password: str) -> None:
    """A hash by yesterday's parameters is made anew while the password is at hand."""
    if account.password is not None and passwords.is_outdated(account.password):
        fresh = passwords.hash_password(password)
        with catalog.write() as connection:
            accounts.update_hash(connection, account, fresh)


def login_failed_error() -> AccessDenied:
    """Why somebody is not let in, in the same words whatever was wrong."""
    return LoginFailed("Name, password or token is wrong.", "Check them, and sign in again.")
