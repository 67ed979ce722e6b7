"""Tokens for scripts: an alias and a secret, usable as name and password, scoped, expiring, revocable.

The secret is shown once and kept as a hash alone. A token ends with its account's epoch, as logins do. What a token
makes, logins and further tokens, is its own: none lives longer, and all of it ends with it (the catalog's foreign keys
see to that, so that no way of ending a token can forget it).
"""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Collection, Sequence
from dataclasses import field
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from scandock.access.accounts import Account
from scandock.access.clock import now_ms
from scandock.access.errors import TokenDaysInvalid, TokensTooMany
from scandock.access.principal import raise_denied
from scandock.access.secret import hash_secret, make_secret
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, api_token
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS, MINUTE_MS
from scandock.rules.permissions import AccessDecision, Scope

DAYS: Final = 30
MAX_DAYS: Final = 366
MAX_TOKENS: Final = 100
"""Of one account."""
MAX_NAME: Final = 128
SEEN_MS: Final = MINUTE_MS
NO_SECRET: Final = bytes(32)
"""In the place of a secret's hash, where no secret is to hold."""
ALIAS: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made."""

    alias: str
    secret: str = field(repr=False)
    expires: int
    days: int
    """How long it lives, a day begun as a whole one: fewer than were asked for where its maker ends before."""

    @property
    def bearer(self) -> str:
        """The token as one word, for `Authorization: Bearer`."""
        return f"{self.alias}.{self.secret}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it."""

    alias: str
    name: str
    scope: Scope
    created: int
    expires: int
    seen: int | None


@dataclass(frozen=True, slots=True)
class ValidToken:
    """A token that holds."""

    alias: str
    account_id: int
    scope: Scope
    stale: bool


def issue(
    connection: Connection, user: Account, *, scope: Scope, days: int = DAYS, name: str = "", parent: str | None = None
) -> NewToken:
    """Make a token; one that another token makes (`parent`, its alias) ends when that one does.

    Raises Usage `token_days` for a lifetime that is none, `too_many_tokens` beyond 100, and AccessDenied where `parent`
    has ended.
    """
    now, expires = _lifetime(connection, days, parent)
    if _count(connection, user, now) >= MAX_TOKENS:
        raise TokensTooMany(MAX_TOKENS)
    return _issue(connection, user, scope, now, expires, name, parent)


def get_issuing_token(
    connection: Connection, issuer: Account, user: Account, *, scope: Scope, days: int, parent: str | None = None
) -> str:
    """The alias of a token of `issuer`, whose secret nobody hears, by which tokens of another account are issued.

    So these end with whatever ends the issuer's own. There is one for each account that has such tokens, which lives as
    long as the latest of them may; it does not count among the tokens that an account has at most.
    """
    now, expires = _lifetime(connection, days, parent)
    name = f"Issued for {user.name}"[:MAX_NAME]
    existing = connection.execute(
        select(api_token.c.alias, api_token.c.expires)
        .where(
            api_token.c.account_id == issuer.id,
            api_token.c.epoch == issuer.epoch,
            api_token.c.scope == scope,
            api_token.c.parent_alias == parent if parent is not None else api_token.c.parent_alias.is_(None),
            api_token.c.secret_hash == NO_SECRET,
            api_token.c.name == name,
        )
        .order_by(api_token.c.created)
        .limit(1)
        .with_for_update()
    ).first()
    if existing is None:
        alias = _issue(connection, issuer, scope, now, expires, name, parent).alias
        values: dict[str, object] = {"secret_hash": NO_SECRET}
    else:
        alias, values = str(existing.alias), {"expires": max(existing.expires, expires)}
    connection.execute(update(api_token).where(api_token.c.alias == alias).values(values))
    return alias


def _count(connection: Connection, user: Account, now: int) -> int:
    """The tokens of an account that hold, without those by which others' are issued (or were: it may have ended)."""
    query = select(func.count()).where(
        api_token.c.account_id == user.id, api_token.c.expires > now, api_token.c.secret_hash != NO_SECRET
    )
    return int(connection.execute(query.select_from(api_token)).scalar_one())


def _lifetime(connection: Connection, days: int, parent: str | None) -> tuple[int, int]:
    """Now, and when a token of so many days ends that `parent` makes. Usage `token_days`, AccessDenied."""
    if not 1 <= days <= MAX_DAYS:
        raise TokenDaysInvalid(MAX_DAYS)
    now = now_ms(connection)
    expires = now + days * DAY_MS
    return now, expires if parent is None else min(expires, get_expiry(connection, parent))


def _issue(
    connection: Connection, user: Account, scope: Scope, now: int, expires: int, name: str, parent: str | None
) -> NewToken:
    new_token = NewToken(str(uuid.uuid4()), make_secret(), expires, -((now - expires) // DAY_MS))
    connection.execute(
        insert(api_token).values(
            alias=new_token.alias,
            account_id=user.id,
            epoch=user.epoch,
            name=name[:MAX_NAME],
            secret_hash=hash_secret(new_token.secret),
            scope=scope,
            created=now,
            expires=new_token.expires,
            parent_alias=parent,
        )
    )
    return new_token


def get_expiry(connection: Connection, alias: str) -> int:
    """When a token ends that is about to make something, and stays until it has; AccessDenied where it has ended."""
    expires: int | None = connection.execute(
        select(api_token.c.expires).where(api_token.c.alias == alias).with_for_update(read=True, key_share=True)
    ).scalar_one_or_none()
    if expires is None:
        raise_denied(AccessDecision.SIGN_IN)
    return expires


def find(connection: Connection, alias: str, secret: str) -> ValidToken | None:
    """The token of alias and secret; None where one is wrong, it has expired, or its account has moved on."""
    return find_all(connection, [(alias, secret)]).get((alias, secret))


def find_all(connection: Connection, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], ValidToken]:
    """As `find`, of many tokens by their aliases and secrets."""
    rows: dict[str, Row[Any]] = {}
    for part in split_values({alias.lower() for alias, _ in pairs}):
        rows |= {row.alias: row for row in connection.execute(_BY_ALIASES, {"aliases": part})}
    now = now_ms(connection) if rows else 0
    valid_tokens = {}
    for alias, secret in pairs:
        row = rows.get(alias.lower())
        if row is None or not hmac.compare_digest(row.secret_hash, hash_secret(secret)) or now >= row.expires:
            continue
        stale = row.seen is None or now >= row.seen + SEEN_MS
        valid_tokens[alias, secret] = ValidToken(row.alias, row.account_id, Scope(row.scope), stale)
    return valid_tokens


_BY_ALIASES: Final = (
    select(api_token)
    .join(account, account.c.id == api_token.c.account_id)
    .where(
        api_token.c.alias.in_(bindparam("aliases", expanding=True)),
        api_token.c.epoch == account.c.epoch,
        ~account.c.disabled,
    )
)


def find_account_id(connection: Connection, alias: str) -> int | None:
    """The account of an alias, whether or not its token still holds; None where there is none, as of a revoked one."""
    account_id: int | None = connection.execute(
        select(api_token.c.account_id).where(api_token.c.alias == alias.lower())
    ).scalar()
    return account_id


def touch(connection: Connection, alias: str) -> None:
    """The token was used."""
    connection.execute(update(api_token).where(api_token.c.alias == alias.lower()).values(seen=now_ms(connection)))


def list_tokens(connection: Connection, account_id: int) -> Sequence[Token]:
    """An account's tokens, the newest first."""
    rows = connection.execute(
        select(api_token)
        .where(api_token.c.account_id == account_id)
        .order_by(api_token.c.created.desc(), api_token.c.alias)
    )
    return [Token(r.alias, r.name, Scope(r.scope), r.created, r.expires, r.seen) for r in rows]


def revoke(connection: Connection, account_id: int, alias: str) -> bool:
    """End one token of an account, with all that it made; False where it has none of that alias."""
    gone = connection.execute(
        delete(api_token).where(api_token.c.alias == alias.lower(), api_token.c.account_id == account_id)
    )
    return gone.rowcount > 0


def purge(connection: Connection) -> int:
    """Take away what has expired; how many."""
    return connection.execute(delete(api_token).where(api_token.c.expires <= now_ms(connection))).rowcount
