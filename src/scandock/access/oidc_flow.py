"""A login under way at a provider, as it travels in the browser's cookie: signed, and good for ten minutes."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Final

FLOW_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """What has to fit when the browser comes back."""

    state: str
    nonce: str
    verifier: str
    then: str
    until: int

    @classmethod
    def new(cls, then: str) -> LoginFlow:
        fresh = secrets.token_urlsafe
        return cls(fresh(24), fresh(24), fresh(48), then, int(time.time()) + FLOW_SECONDS)


def sign_flow(flow: LoginFlow, key: bytes) -> str:
    """The flow as a cookie's value."""
    body = base64.urlsafe_b64encode(json.dumps(asdict(flow)).encode())
    return f"{body.decode()}.{hmac.new(key, body, 'sha256').hexdigest()}"


def open_flow(cookie: str | None, key: bytes) -> LoginFlow | None:
    """The flow of a cookie; None where it is no one's of this process, was changed, or is too old."""
    body, _, signature = (cookie or "").partition(".")
    raw = body.encode("utf-8", "replace")
    if not hmac.compare_digest(hmac.new(key, raw, "sha256").hexdigest().encode(), signature.encode("utf-8", "replace")):
        return None
    flow = LoginFlow(**json.loads(base64.urlsafe_b64decode(raw)))
    return flow if flow.until > time.time() else None


def safe_path(then: str) -> str:
    """A path of this server, and never another's address: what browsers read as one is no path."""
    plain = all(" " < sign < "\x7f" for sign in then) and "\\" not in then
    return then if plain and then.startswith("/") and not then.startswith("//") else "/"
