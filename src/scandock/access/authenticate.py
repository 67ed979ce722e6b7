"""Who asks: names and passwords, cookies and tokens become a principal here, for every door alike.

The account's row and its roles are read for every request, so that what is changed there has effect with the next.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeGuard

from sqlalchemy import Connection

from scandock.access import accounts, logins, members, passwords, tokens
from scandock.access.accounts import Account
from scandock.access.denials import LoginFailed
from scandock.access.passwords import Remembered
from scandock.access.principal import ANONYMOUS, Denied, Door, Principal, RequestInfo
from scandock.access.throttle import Throttle, Throttled
from scandock.catalog.engine import Catalog
from scandock.rules.permissions import Role, Scope


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings along; at most one of `basic` and `token`, and either goes before `cookie`."""

    basic: tuple[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A name and password, or a token, that did not hold."""

    what: Literal["login", "password", "token_use"]
    account_id: int | None
    """The account that it was for, where there is one."""
    request: RequestInfo
    details: Mapping[str, str] = field(default_factory=dict)


def _ignore(_attempt: Attempt) -> None:
    """Nobody wants to know of refused logins."""


def _settled() -> None:
    """There is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What one process remembers of logins: failures, and good ones of the last minute."""

    throttle: Throttle = field(default_factory=Throttle)
    remembered: Remembered = field(default_factory=Remembered)
    refused: Callable[[Attempt], None] = _ignore
    """Told of each that did not hold, or was one too many. It takes no time: that would tell which accounts exist."""
    settle: Callable[[], None] = _settled
    """Waits until the first of them are written down, so that what succeeded stands behind them."""


_GATE: Final = Gate()


def parse_authorization(header: str | None, cookie: str | None = None) -> Credentials:
    """Credentials of an `Authorization` header (Basic, or Bearer with a token) and of the login's cookie.

    Raises Denied `login_failed` for a header that can't be read: it was meant to say something.
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
            raise login_failed() from None
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:  # older clients write Latin 1
            text = raw.decode("latin-1")
        name, colon, password = text.partition(":")
        if colon:
            return Credentials(basic=(name, password))
    raise login_failed()


def authenticate(
    catalog: Catalog,
    *,
    basic: tuple[str, str] | None = None,
    token: str | None = None,
    cookie: str | None = None,
    request: RequestInfo | None = None,
    gate: Gate = _GATE,
) -> Principal:
    """The principal of a request; anonymous where it brings nothing, or a cookie that no longer holds.

    Raises Denied `login_failed` (401) for a wrong name, password or token, Throttled (429) after too many of them.
    A name and password may take a tenth of a second: the web process asks `recall` first, and has this done by
    `password_queue`.
    """
    if basic is not None:
        name, password = basic
        if tokens.ALIAS.fullmatch(name):
            return _by_token(catalog, name, password, request or RequestInfo(), gate)
        return by_password(catalog, check_password(catalog, name, password, request or RequestInfo(), gate))
    if token is not None:
        alias, _, secret = token.partition(".")
        return _by_token(catalog, alias, secret, request or RequestInfo(), gate)
    return _by_cookie(catalog, cookie) if cookie else ANONYMOUS


def recall(catalog: Catalog, name: str, password: str, gate: Gate) -> Account | None:
    """The account of a name and password that was good within the last minute; None where they have to be checked."""
    with catalog.read() as connection:
        one = accounts.find(connection, name)
    return one if _is_remembered(one, name, password, gate) else None


def _is_remembered(one: Account | None, name: str, password: str, gate: Gate) -> TypeGuard[Account]:
    return one is not None and not one.disabled and gate.remembered.knows(name, password, one.id, one.epoch)


def check_password(catalog: Catalog, name: str, password: str, request: RequestInfo, gate: Gate) -> Account:
    """The account of a name and its password. Raises Denied `login_failed` or Throttled.

    Whether the name, the password or the account's being disabled was the reason is told neither by words nor by time.
    """
    with catalog.read() as connection:
        one = accounts.find(connection, name)
    if _is_remembered(one, name, password, gate):
        return one
    attempt = Attempt("login", None if one is None else one.id, request)
    try:
        gate.throttle.begin(name, request.address)
    except Throttled:
        gate.refused(attempt)
        raise
    right = passwords.verify(one.password if one is not None else None, password)
    if one is None or one.disabled or not right:
        gate.refused(attempt)
        raise login_failed()
    with catalog.read() as connection:  # it may have been changed meanwhile
        now = accounts.by_id(connection, one.id)
    if now is None or now.disabled or now.epoch != one.epoch:
        raise login_failed()
    gate.throttle.good(name, request.address)
    gate.remembered.add(name, password, one.id, one.epoch)
    _keep_up(catalog, now, password)
    gate.settle()
    return now


def principal_of(
    connection: Connection,
    one: Account,
    door: Door,
    *,
    scope: Scope = Scope.ALL,
    csrf: str = "",
    token: str | None = None,
    roles: Mapping[str, Role] | None = None,
) -> Principal:
    """An account as somebody who asks, with its roles as they are now; `roles` where they were just read."""
    return Principal(
        one.id,
        one.uuid,
        one.name,
        admin=one.admin,
        scope=scope,
        roles=members.roles_of(connection, one.id) if roles is None else roles,
        door=door,
        csrf=csrf,
        epoch=one.epoch,
        token=token,
    )


def by_password(catalog: Catalog, one: Account) -> Principal:
    """Who has proved their name and password just now."""
    with catalog.read() as connection:
        return principal_of(connection, one, Door.BASIC)


def _by_token(catalog: Catalog, alias: str, secret: str, request: RequestInfo, gate: Gate) -> Principal:
    with catalog.read() as connection:
        known = tokens.find(connection, alias, secret)
        one = accounts.by_id(connection, known.account_id) if known else None
        if known is None or one is None:
            gate.refused(Attempt("token_use", tokens.account_of(connection, alias), request))
            raise login_failed()
        principal = principal_of(connection, one, Door.TOKEN, scope=known.scope, token=known.alias)
    if known.stale:
        catalog.note(("token", alias), lambda connection: tokens.touch(connection, alias))
    return principal


def _by_cookie(catalog: Catalog, secret: str) -> Principal:
    with catalog.read() as connection:
        known = logins.find(connection, secret)
        one = accounts.by_id(connection, known.account_id) if known else None
        if known is None or one is None:
            return ANONYMOUS
        principal = principal_of(connection, one, Door.COOKIE, csrf=known.csrf, token=known.token)
    if known.stale:
        catalog.note(("login", secret), lambda connection: logins.touch(connection, secret))
    return principal


def _keep_up(catalog: Catalog, one: Account, password: str) -> None:
    """A hash by yesterday's parameters is made anew while the password is at hand."""
    if one.password is not None and passwords.is_outdated(one.password):
        fresh = passwords.hash_password(password)
        with catalog.write() as connection:
            accounts.rehashed(connection, one, fresh)


def login_failed() -> Denied:
    """Why somebody is not let in, in the same words whatever was wrong."""
    return LoginFailed("Name, password or token is wrong.", "Check them, and sign in again.")
