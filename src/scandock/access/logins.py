"""Logins by cookie: a random secret, its hash in the catalog, an end by idleness and one in any case."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import field
from typing import Final, NoReturn
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, or_, select, update

from scandock.access.accounts import Account
from scandock.access.clock import now_ms
from scandock.access.login_errors import CsrfFailed
from scandock.access.principal import Door, Principal
from scandock.access.secret import hash_secret, make_secret
from scandock.access.tokens import get_expiry
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, login
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS, HOUR_MS, MINUTE_MS

IDLE_MS: Final = 4 * HOUR_MS
ABSOLUTE_MS: Final = 7 * DAY_MS
ID_DIGITS: Final = 24
MAX_LOGINS: Final = request_limits.LOGINS
"""Of one account; the longest idle one ends for a new one."""
SEEN_MS: Final = MINUTE_MS
"""`seen` is written at most once a minute: a reader of pages is no writer."""


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A login just made: the secret goes into the cookie and is nowhere else."""

    secret: str = field(repr=False)
    csrf: str = field(repr=False)
    expires: int
    ended: int
    """How many others ended for it, as the account had too many."""


@dataclass(frozen=True, slots=True)
class ValidLogin:
    """A login that holds."""

    account_id: int
    csrf: str = field(repr=False)
    stale: bool
    """Whether `touch` is due."""
    token: str | None
    """The token that it comes from."""


@dataclass(frozen=True, slots=True)
class LoginInfo:
    """A login as its owner sees it; times are unix milliseconds."""

    id: str
    created: int
    seen: int
    expires: int


def login_id(secret: str) -> str:
    """What a login is called where it is listed: a piece of the hash, which opens nothing."""
    return hash_secret(secret).hex()[:ID_DIGITS]


def list_logins(connection: Connection, account_id: int) -> list[LoginInfo]:
    """An account's logins that hold, the newest first."""
    now = now_ms(connection)
    rows = connection.execute(
        select(login.c.secret_hash, login.c.created, login.c.seen, login.c.expires)
        .join(account, account.c.id == login.c.account_id)
        .where(
            login.c.account_id == account_id,
            login.c.epoch == account.c.epoch,
            login.c.expires > now,
            login.c.seen > now - IDLE_MS,
        )
        .order_by(login.c.created.desc(), login.c.secret_hash)
    )
    return [LoginInfo(bytes(row.secret_hash).hex()[:ID_DIGITS], row.created, row.seen, row.expires) for row in rows]


def end_logins(connection: Connection, account_id: int, ids: Collection[str]) -> int:
    """End those of an account's logins that are called so; how many."""
    hashes = connection.execute(select(login.c.secret_hash).where(login.c.account_id == account_id)).scalars()
    ended_hashes = [hash_value for hash_value in hashes if bytes(hash_value).hex()[:ID_DIGITS] in ids]
    return (
        connection.execute(delete(login).where(login.c.secret_hash.in_(ended_hashes))).rowcount if ended_hashes else 0
    )


def begin(connection: Connection, user: Account, *, token: str | None = None) -> NewLogin:
    """Log an account in: always a new secret, so that nobody can have set it beforehand.

    What a token begins (`token`, its alias) ends with it. AccessDenied where that one has ended.
    """
    now = now_ms(connection)
    expires = now + ABSOLUTE_MS
    if token is not None:
        expires = min(expires, get_expiry(connection, token))
    ended = _make_room(connection, user.id, now)
    new_login = NewLogin(make_secret(), secrets.token_urlsafe(24), expires, ended)
    connection.execute(
        insert(login).values(
            secret_hash=hash_secret(new_login.secret),
            account_id=user.id,
            epoch=user.epoch,
            csrf=new_login.csrf,
            created=now,
            seen=now,
            expires=new_login.expires,
            token_alias=token,
        )
    )
    return new_login


def _make_room(connection: Connection, account_id: int, now: int) -> int:
    """End the longest idle logins where an account has as many as it may; how many. None is ever refused for them."""
    mine = and_(login.c.account_id == account_id, ~_has_ended(now))  # the others go by `purge`, once the clock is right
    idle = select(login.c.secret_hash).where(mine).order_by(login.c.seen.desc(), login.c.created.desc())
    hashes = connection.execute(idle.offset(MAX_LOGINS - 1)).scalars().all()
    return connection.execute(delete(login).where(login.c.secret_hash.in_(hashes))).rowcount if hashes else 0


def _has_ended(now: int) -> ColumnElement[bool]:
    return or_(login.c.expires <= now, login.c.seen <= now - IDLE_MS)


def find(connection: Connection, secret: str) -> ValidLogin | None:
    """The login of a cookie; None where it is unknown, has expired, or its account has moved on."""
    return find_all(connection, [secret]).get(secret)


def find_all(connection: Connection, secrets: Iterable[str]) -> dict[str, ValidLogin]:
    """As `find`, of many cookies by their secrets."""
    hashes = {hash_secret(secret): secret for secret in secrets}
    logins = {}
    for part in split_values(hashes):
        rows = connection.execute(_BY_HASHES, {"hashes": part}).all()
        now = now_ms(connection) if rows else 0
        for row in rows:
            if now < row.expires and now < row.seen + IDLE_MS:
                valid_login = ValidLogin(row.account_id, row.csrf, now >= row.seen + SEEN_MS, row.token_alias)
                logins[hashes[bytes(row.secret_hash)]] = valid_login
    return logins


_BY_HASHES: Final = (
    select(
        login.c.secret_hash, login.c.account_id, login.c.csrf, login.c.seen, login.c.expires, login.c.token_alias,
    )
    .join(account, account.c.id == login.c.account_id)
    .where(
        login.c.secret_hash.in_(bindparam("hashes", expanding=True)),
        login.c.epoch == account.c.epoch,
        ~account.c.disabled,
    )
)  # fmt: skip


def touch(connection: Connection, secret: str) -> None:
    """The login was used."""
    connection.execute(update(login).where(login.c.secret_hash == hash_secret(secret)).values(seen=now_ms(connection)))


def end(connection: Connection, secret: str) -> None:
    """Log out."""
    connection.execute(delete(login).where(login.c.secret_hash == hash_secret(secret)))


def purge(connection: Connection) -> int:
    """Take away what has ended; how many."""
    return connection.execute(delete(login).where(_has_ended(now_ms(connection)))).rowcount


def check_csrf(principal: Principal, sent_token: str | None, *, cross_site: bool = False) -> None:
    """A change by cookie has to bring the login's own token: raises AccessDenied `csrf_failed` (403) where it does not.

    Other doors need none. But a browser that was asked for a name and password sends them by itself from then on, so
    what a browser says to come from another site (`is_cross_site`) is refused at every door.
    """
    by_cookie = principal.door is Door.COOKIE
    right = bool(sent_token) and hmac.compare_digest(
        (sent_token or "").encode("utf-8", "replace"), principal.csrf.encode()
    )
    if (cross_site and principal.signed_in) or (by_cookie and not right):
        raise_cross_site()


def raise_cross_site() -> NoReturn:
    """Refuse (403) a change that another site's page asked for."""
    raise CsrfFailed(
        "This change did not come from a page of this server.",
        "Load the page anew; a script that logged in by cookie sends the login's csrf in the header X-CSRF-Token.",
    )


def is_cross_site(fetch_site: str | None, origin: str | None, host: str | None) -> bool:
    """Whether a browser says that another site's page sent a request.

    By `Sec-Fetch-Site`, else (plain http) by `Origin` against the host that was asked. Others send neither.
    """
    if fetch_site:
        return fetch_site.lower() not in {"same-origin", "none"}
    if origin is None or not host:
        return False
    return urlsplit(origin).netloc.lower() != host.lower()
