"""A signed webhook: one POST of JSON, with an HMAC over time and body that only the site and its receiver can make.

`X-Scandock-Signature: t={unix seconds},v1={hex HMAC-SHA256 of "{t}.{body}"}`. The address is looked up once, judged and
then used, so that a name that changes its mind meanwhile leads nowhere else; redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from scandock.model.errors import Fault, Usage
from scandock.services.notify_settings import NotifySettings

_READ: Final = 4_096
_MAX_URL: Final = 2_000


def check_url(url: str, settings: NotifySettings) -> SplitResult:
    """The URL in its parts. Usage `url_invalid` where no webhook may go there."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("It can't be read.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > _MAX_URL or not url.isascii():
        raise _invalid("It must be http or https.")
    if parts.username or parts.password or parts.fragment or any(c <= " " for c in url) or port == 0:
        raise _invalid("It must have no name, password or fragment.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    if not settings.webhook_private and not _public(str(literal)):
        raise _invalid("It leads to a network of the server's own.")
    return parts


def _invalid(why: str) -> Usage:
    return Usage("url_invalid", f"No webhook may go to that address. {why}", "Right is https://example.org/hook.")


def signature(secret: str, moment: int, body: bytes) -> str:
    """The value of X-Scandock-Signature."""
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={mac}"


def post_signed(settings: NotifySettings, url: str, secret: str, subscription: str, payload: Mapping[str, Any]) -> None:
    """Send it. Fault `webhook_failed` unless the receiver answers with a status of 200 to 299."""
    parts = check_url(url, settings)
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Scandock",
        "X-Scandock-Subscription": subscription,
        "X-Scandock-Signature": signature(secret, int(time.time()), body),
        "Connection": "close",
    }
    connection = _connection(parts, settings)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read(_READ)
    except (OSError, http.client.HTTPException) as error:
        raise Fault("webhook_failed", f"The receiver could not be reached ({type(error).__name__}).") from error
    finally:
        connection.close()
    if not 200 <= answer.status <= 299:
        raise Fault("webhook_failed", f"The receiver answered {answer.status}.")


def _connection(parts: SplitResult, settings: NotifySettings) -> http.client.HTTPConnection:
    """A connection to the address that was judged."""
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Fault("webhook_failed", "The receiver's name is not known.") from error
    addresses = [str(one[4][0]) for one in found]
    if not settings.webhook_private and not all(map(_public, addresses)):
        raise Fault("webhook_failed", "The receiver's name leads to a network of the server's own.")
    seconds = settings.seconds
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=seconds)
        raw = _open(addresses[0], port, seconds)
        try:
            connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        except OSError as error:
            raw.close()
            raise Fault("webhook_failed", "The receiver's certificate can't be trusted.") from error
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        connection.sock = _open(addresses[0], port, seconds)
    return connection


def _open(address: str, port: int, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((address, port), timeout=seconds)
    except OSError as error:
        raise Fault("webhook_failed", f"The receiver could not be reached ({type(error).__name__}).") from error


def _public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast
