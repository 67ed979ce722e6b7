"""The keys that sign logins under way at a provider, in the catalog: a login may come back to any web host.

A key signs for 30 days, then a new one is made and the one before it is still good: for longer than any login takes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import field
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from scandock.access.clock import now_ms
from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.server_tables import login_key
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS

SIGNS_MS: Final = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class LoginKeys:
    """Keys that are good, the newest first, and the moment by the database's clock, which all hosts share."""

    keys: Sequence[bytes] = field(repr=False)
    now: int
    """Unix milliseconds."""

    @property
    def signing(self) -> bytes:
        return self.keys[0]


def read_login_keys(catalog: Catalog) -> LoginKeys:
    """The keys; a new one is made where the newest has signed for long enough. Fault where the catalog fails."""
    with catalog.read() as connection:
        keys = _read_keys(connection)
    return keys or _add_key(catalog)


def _read_keys(connection: Connection) -> LoginKeys | None:
    """The keys; None where there is none that still signs."""
    now = now_ms(connection)
    rows = connection.execute(select(login_key).order_by(login_key.c.id.desc()).limit(2)).all()
    if not rows or not 0 <= now - rows[0].created < SIGNS_MS:  # of a clock that was ahead: not for ever
        return None
    return LoginKeys([row.secret for row in rows], now)


def _add_key(catalog: Catalog) -> LoginKeys:
    with catalog.write() as connection:
        catalog.alone(connection, AdvisoryLock.ADD_LOGIN_KEY)
        keys = _read_keys(connection)
        if keys is not None:  # another host was quicker
            return keys
        now = now_ms(connection)
        kept = connection.execute(select(login_key).order_by(login_key.c.id.desc()).limit(1)).all()
        connection.execute(delete(login_key).where(login_key.c.id.not_in([row.id for row in kept])))
        secret = secrets.token_bytes(32)
        connection.execute(insert(login_key).values(secret=secret, created=now))
        return LoginKeys([secret, *(row.secret for row in kept)], now)
