"""The first start: there is an account `admin` to sign in with."""

from __future__ import annotations

import secrets
from dataclasses import field
from typing import Final

from scandock.access import accounts, passwords
from scandock.access.errors import AccountExists
from scandock.catalog.engine import Catalog
from scandock.model.dataclass import dataclass

ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The account that was just made."""

    name: str
    password: str | None = field(repr=False)
    """A password that was made up, to be printed once; None where one was given (SCANDOCK_ADMIN_PASSWORD)."""


def ensure_admin(catalog: Catalog, initial_password: str | None) -> FirstAdmin | None:
    """Make `admin` where there is none, with the password `initial_password` (any), else with one made up.

    None where it is there already: what it has is left alone, also where another process made it just now.
    """
    with catalog.read() as connection:
        if accounts.find(connection, ADMIN) is not None:
            return None
    if initial_password:
        passwords.check_new(initial_password, least=1)
    made_up = None if initial_password else secrets.token_urlsafe(15)
    hashed = passwords.hash_password(initial_password or made_up or "")
    try:
        with catalog.write() as connection:
            accounts.create(connection, ADMIN, password=hashed, admin=True, display="Administrator")
    except AccountExists:
        return None
    return FirstAdmin(ADMIN, made_up)
