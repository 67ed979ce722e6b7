"""Who uploads: a token, or a name with its password. Neither is ever an argument, which every process could read."""

from __future__ import annotations

import getpass
import os
import sys
from urllib.parse import urlsplit

from scandock.cli.upload_client.errors import LoginMissing, ServerUrlInvalid
from scandock.model.dataclass import dataclass

PASSWORD, TOKEN = "SCANDOCK_PASSWORD", "SCANDOCK_TOKEN"


@dataclass(frozen=True, slots=True)
class Login:
    """A name and its password, or a token (then `name` is empty)."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"Login({self.name!r})"


def find_login(user: str | None, host: str) -> Login:
    """The token of SCANDOCK_TOKEN where no user is named; else the user's password from SCANDOCK_PASSWORD, or asked.

    Raises Usage `login_missing` where neither is there and nobody can be asked.
    """
    token = os.environ.get(TOKEN, "").strip()
    if not user and token:
        if not token.isascii() or not token.isprintable():
            raise LoginMissing(f"{TOKEN} holds signs that no token has.", "Copy the token again.")
        return Login("", token)
    if not user:
        raise LoginMissing(
            "It is not said who uploads.",
            f"Name the account by --user (its password is asked for, or stands in {PASSWORD}), or set {TOKEN}.",
        )
    if ":" in user:
        raise LoginMissing(f"No account has the name {user!r}: it has a colon.", "Name the account alone.")
    password = os.environ.get(PASSWORD) or _prompt(f"Password of {user} at {host}: ")
    return Login(user, password)


def _prompt(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise LoginMissing("There is no terminal to ask for the password on.", f"Set {PASSWORD}, or {TOKEN}.")
    return getpass.getpass(prompt)


def check_url(url: str) -> str:
    """The server's address without a slash at its end. Raises Usage `url_invalid`."""
    try:
        parts = urlsplit(url.strip())
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ServerUrlInvalid(
            f"--url {url!r} is no address of a server.", "Right is https://host or http://host:8080."
        )
    if "@" in parts.netloc:
        raise ServerUrlInvalid(
            "--url has a name or password in it.", f"Name the account by --user, and set {PASSWORD}."
        )
    if parts.query or parts.fragment:
        raise ServerUrlInvalid(f"--url {url!r} has more than an address.", "Leave out what begins with ? or #.")
    return url.strip().rstrip("/")
