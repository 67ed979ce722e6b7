"""A signed webhook: one POST of JSON, with an HMAC over time and body that only the site and its receiver can make.

`X-Scandock-Signature: t={unix seconds},v1={hex HMAC-SHA256 of "{t}.{body}"}`. Redirects are not
followed; where it may go and how long it may take is seen to by `outbound_connections.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from scandock.model.errors import Usage
from scandock.services.message_errors import WebhookFailed, WebhookUrlInvalid
from scandock.services.notify_settings import NotifySettings
from scandock.services.outbound_connections import AddressNotPublic, Deadline, connect, connection_error_reason
from scandock.services.public_addresses import is_public_host

_READ: Final = 4_096
_MAX_URL: Final = 2_000


def check_url(url: str, settings: NotifySettings) -> SplitResult:
    """The URL in its parts. Usage `url_invalid` where no webhook may go there."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid_url("It can't be read.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > _MAX_URL or not url.isascii():
        raise _invalid_url("It must be http or https.")
    if parts.username or parts.password or parts.fragment or any(c <= " " for c in url) or port == 0:
        raise _invalid_url("It must have no name, password or fragment.")
    if not settings.webhook_private and not is_public_host(parts.hostname):
        raise _invalid_url("It leads to a network of the server's own.")
    return parts


def _invalid_url(why: str) -> Usage:
    return WebhookUrlInvalid(f"No webhook may go to that address. {why}", "Right is https://example.org/hook.")


def sign(secret: str, moment: int, body: bytes) -> str:
    """The value of X-Scandock-Signature."""
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={mac}"


def post_signed(
    settings: NotifySettings,
    url: str,
    secret: str,
    subscription: str,
    payload: Mapping[str, Any],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Send it. Fault `webhook_failed` unless the receiver answers with a status of 200 to 299.

    From the look-up of its name to its answer it has `settings.seconds`, however it spends them.
    """
    parts = check_url(url, settings)
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Scandock",
        "X-Scandock-Subscription": subscription,
        "X-Scandock-Signature": sign(secret, int(time.time()), body),
        "Connection": "close",
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = Deadline(settings.seconds, clock)
    try:
        with closing(_connect(parts, settings, deadline)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            with closing(answer), suppress(OSError, http.client.HTTPException):  # its status has said all
                answer.read(_READ)
    except TimeoutError as error:
        raise WebhookFailed(f"The receiver took longer than {settings.seconds:g} seconds.") from error
    except (OSError, http.client.HTTPException) as error:
        raise WebhookFailed(f"The receiver could not be reached. {connection_error_reason(error)}") from error
    if not 200 <= answer.status <= 299:
        raise WebhookFailed(f"The receiver answered {answer.status}.")


def _connect(parts: SplitResult, settings: NotifySettings, deadline: Deadline) -> http.client.HTTPConnection:
    """A connection to the address that was judged. Raises TimeoutError at the deadline."""
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        connected = connect(host, port, deadline, private=settings.webhook_private)
    except AddressNotPublic as error:
        raise WebhookFailed("The receiver's name leads to a network of the server's own.") from error
    except (socket.gaierror, UnicodeError) as error:
        raise WebhookFailed("The receiver's name is not known.") from error
    connection = http.client.HTTPConnection(host, port)
    connection.auto_open = 0  # never by itself, to an address that nobody judged
    connection.sock = connected  # which does all that http.client asks of one
    if not secure:
        return connection
    connection.default_port = http.client.HTTPS_PORT  # which its header does not name
    try:
        connected.secure(host, ssl.create_default_context())
    except OSError as error:
        connected.close()
        if isinstance(error, TimeoutError):
            raise
        raise WebhookFailed("The receiver's certificate can't be trusted.") from error
    return connection
