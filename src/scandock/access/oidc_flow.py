"""A login under way at a provider, as it travels in the browser's cookie: signed, and good for ten minutes."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from scandock.model.dataclass import dataclass

FLOW_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """What has to fit when the browser comes back."""

    state: str
    nonce: str
    verifier: str
    then: str
    until: int
    """Unix milliseconds, by the clock that all hosts share."""

    @classmethod
    def new(cls, then: str, now: int) -> LoginFlow:
        fresh = secrets.token_urlsafe
        return cls(fresh(24), fresh(24), fresh(48), then, now + FLOW_SECONDS * 1000)


def sign_flow(flow: LoginFlow, key: bytes) -> str:
    """The flow as a cookie's value."""
    body = base64.urlsafe_b64encode(json.dumps(asdict(flow)).encode())
    return f"{body.decode()}.{_sign(body, key).decode()}"


def open_flow(cookie: str | None, keys: Iterable[bytes], now: int) -> LoginFlow | None:
    """The flow of a cookie; None where none of the keys has signed it, it was changed, or is too old."""
    body, _, signature = (cookie or "").partition(".")
    raw, given = body.encode("utf-8", "replace"), signature.encode("utf-8", "replace")
    if not any(hmac.compare_digest(_sign(raw, key), given) for key in keys):
        return None
    flow = LoginFlow(**json.loads(base64.urlsafe_b64decode(raw)))
    return flow if flow.until > now else None


def _sign(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, body, "sha256").hexdigest().encode()


def safe_path(then: str) -> str:
    """A path of this server, and never another's address: what browsers read as one is no path."""
    plain = all(" " < sign < "\x7f" for sign in then) and "\\" not in then
    return then if plain and then.startswith("/") and not then.startswith("//") else "/"
