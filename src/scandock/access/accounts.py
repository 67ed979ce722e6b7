"""Accounts in the catalog: made, found, changed. Names of people here are those who use the server, never patients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from scandock.access.clock import now_ms
from scandock.access.errors import (
    AccountExists,
    AccountNameInvalid,
    AccountUnknown,
    EmailInvalid,
    IdentityTaken,
    LastAdmin,
)
from scandock.catalog.engine import split_values
from scandock.catalog.server_tables import account, api_token, login
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.queue.tokens import new_uuid

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
RESERVED: Final = frozenset({"anonymous", "guest", "system", "unknown"})
_LISTED: Final = "Check how it is written: administrators see all under Accounts, or by `scandock admin user list`."


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it stands."""

    id: int
    uuid: str
    name: str
    display: str
    email: str
    password: str | None = field(repr=False)
    identity: str | None
    admin: bool
    disabled: bool
    epoch: int
    created: int


def check_name(name: str) -> None:
    """Raises Usage `account_name_invalid` for what can't name an account.

    A name has no colon (basic authentication) and does not look like a UUID, which is a token's alias.
    """
    if not NAME.fullmatch(name) or _UUID.fullmatch(name):
        raise AccountNameInvalid(
            f"{name!r} can't be the name of an account.",
            "A name is 1 to 64 letters, digits and . _ @ -, begins with a letter or digit, and is no UUID.",
        )
    if name.casefold() in RESERVED:
        raise AccountNameInvalid(f"The name {name} is reserved.", "Choose another one.")


def check_email(email: str) -> None:
    """Raises Usage `email_invalid` for what no mail can be sent to."""
    if email and not re.fullmatch(r"[^@\s,;<>\x00-\x1f]{1,64}@[^@\s,;<>\x00-\x1f]{1,190}", email):
        raise EmailInvalid(email)


def create(
    connection: Connection,
    name: str,
    *,
    password: str | None = None,
    admin: bool = False,
    display: str = "",
    email: str = "",
    identity: str | None = None,
) -> Account:
    """Make an account; `password` is a hash, made before the transaction, or None where only `identity` logs in.

    Raises Usage `account_exists` where the name is taken, in any case.
    """
    check_name(name)
    check_email(email)
    if find(connection, name) is not None:
        raise _name_taken_error(name)
    now = now_ms(connection)
    uuid = new_uuid()
    row = {
        "uuid": uuid, "name": name, "key": name.casefold(), "display": display[:256] or name, "email": email,
        "password": password, "identity": identity, "admin": admin, "created": now, "modified": now,
    }  # fmt: skip
    try:
        connection.execute(insert(account).values(row))
    except IntegrityError:  # made by another transaction since
        raise _name_taken_error(name) from None
    return _get_account(connection, "uuid", uuid)


def _name_taken_error(name: str) -> Usage:
    return AccountExists(name)


def find(connection: Connection, name: str) -> Account | None:
    """The account of a name, in any case."""
    return _find_account(connection, "key", name.casefold())


def by_id(connection: Connection, account_id: int) -> Account | None:
    return _find_account(connection, "id", account_id)


def by_ids(connection: Connection, ids: Iterable[int]) -> Iterator[Account]:
    """The accounts of many numbers, those that there are."""
    for part in split_values(ids):
        for row in connection.execute(select(account).where(account.c.id.in_(part))).mappings():
            yield account_from_row(row)


def by_uuid(connection: Connection, uuid: str) -> Account | None:
    return _find_account(connection, "uuid", uuid)


def by_identity(connection: Connection, identity: str) -> Account | None:
    """The account that an OpenID Connect identity logs in to."""
    return _find_account(connection, "identity", identity)


def get(connection: Connection, name: str) -> Account:
    """The account of a name or a UUID, which no name can be; Usage `account_unknown` where there is none."""
    user = by_uuid(connection, name.lower()) if _UUID.fullmatch(name) else find(connection, name)
    if user is None:
        raise AccountUnknown(f"There is no account {name!r}.", _LISTED)
    return user


def lock_accounts(connection: Connection, ids: Iterable[int]) -> dict[int, Account]:
    """Accounts by their numbers, as they are and stay until the transaction ends: who changes one waits for it."""
    rows = connection.execute(
        select(account).where(account.c.id.in_(sorted(ids))).order_by(account.c.id).with_for_update(read=True)
    ).mappings()
    return {user.id: user for user in map(account_from_row, rows)}


def list_page(connection: Connection, *, after: str = "", limit: int = 100) -> Sequence[Account]:
    """Accounts by name, from the one after `after` on."""
    rows = connection.execute(
        select(account).where(account.c.key > after.casefold()).order_by(account.c.key).limit(limit)
    ).mappings()
    return [account_from_row(row) for row in rows]


def set_password(connection: Connection, user: Account, password: str) -> Account:
    """Set a password by its hash: every login and token of the account ends at once."""
    return _change(connection, user, ends=True, password=password)


def set_disabled(connection: Connection, user: Account, disabled: bool) -> Account:
    """Shut an account out, or let it in again with nothing but its password. The last administrator stays."""
    if disabled:
        _check_not_last_admin(connection, user)
    return _change(connection, user, ends=disabled, disabled=disabled)


def set_admin(connection: Connection, user: Account, admin: bool) -> Account:
    """Make somebody a site administrator or no longer; in effect with their next request.

    The tokens end that administrators issued for them, and those that they issued for others: who holds one must not
    become an administrator by it, nor go on as somebody else who is none any more.
    """
    if not admin:
        _check_not_last_admin(connection, user)
    as_is = select(account.c.admin).where(account.c.id == user.id)  # `one` may be of before another's change
    was = connection.execute(as_is.with_for_update()).scalar_one()
    changed = _change(connection, user, ends=False, admin=admin)
    if was != admin:
        _end_issued_tokens(connection, user)
    return changed


def set_profile(connection: Connection, user: Account, *, display: str, email: str) -> Account:
    """The name that is shown, and where mail goes."""
    check_email(email)
    return _change(connection, user, ends=False, display=display[:256] or user.name, email=email)


def set_identity(connection: Connection, user: Account, identity: str | None) -> Account:
    """Let an OpenID Connect identity log in to an account that is there, or no longer."""
    if identity is not None and (other := by_identity(connection, identity)) is not None and other.id != user.id:
        raise IdentityTaken(other.name)
    return _change(connection, user, ends=identity is None, identity=identity)


def update_hash(connection: Connection, user: Account, password: str) -> None:
    """Keep a hash of the same password by today's parameters; ends nothing."""
    connection.execute(
        update(account).where(account.c.id == user.id, account.c.epoch == user.epoch).values(password=password)
    )


def _change(connection: Connection, user: Account, *, ends: bool, **values: Any) -> Account:  # noqa: ANN401  columns
    """The row first: who holds it (`steady`) is waited for, and what they have made meanwhile ends as all else."""
    if ends:
        values["epoch"] = account.c.epoch + 1
    connection.execute(update(account).where(account.c.id == user.id).values(modified=now_ms(connection), **values))
    if ends:
        for table in (login, api_token):
            connection.execute(delete(table).where(table.c.account_id == user.id))
    return _get_account(connection, "id", user.id)


def _end_issued_tokens(connection: Connection, user: Account) -> None:
    """End the tokens between this account and another one: those that one of the two has, and the other one issued."""
    issuer = api_token.alias("issuer")
    of_others = (
        select(api_token.c.alias)
        .join(issuer, issuer.c.alias == api_token.c.parent_alias)
        .where(
            api_token.c.account_id != issuer.c.account_id,
            or_(api_token.c.account_id == user.id, issuer.c.account_id == user.id),
        )
    )
    connection.execute(delete(api_token).where(api_token.c.alias.in_(of_others.scalar_subquery())))


def _check_not_last_admin(connection: Connection, user: Account) -> None:
    """Somebody has to be left who can make administrators. The count is taken under the writer's lock on SQLite; on
    PostgreSQL the administrators' rows are locked first, so that two who disable each other do not both succeed.
    """
    if not user.admin or user.disabled:
        return
    others = select(account.c.id).where(account.c.admin, ~account.c.disabled, account.c.id != user.id)
    if connection.dialect.name != "sqlite":
        connection.execute(
            select(account.c.id).where(account.c.admin, ~account.c.disabled).order_by(account.c.id).with_for_update()
        ).all()
    if not connection.execute(select(func.count()).select_from(others.subquery())).scalar_one():
        raise LastAdmin(user.name)


@cache
def _account_by(column: str) -> Select[Any]:
    """One account."""
    return select(account).where(account.c[column] == bindparam("value"))


def _find_account(connection: Connection, column: str, value: str | int) -> Account | None:
    row = connection.execute(_account_by(column), {"value": value}).mappings().first()
    return None if row is None else account_from_row(row)


def _get_account(connection: Connection, column: str, value: str | int) -> Account:
    return account_from_row(connection.execute(_account_by(column), {"value": value}).mappings().one())


def account_from_row(row: RowMapping) -> Account:
    """A row that has the columns of `account`."""
    return Account(**{name: row[name] for name in Account.__slots__})
