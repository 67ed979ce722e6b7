"""HTTP/1.1 on one connection: uvicorn's protocol, with bounds on what comes before the application is asked.

The parser gives a head to the application once it is complete, and gathers it by putting each piece after what it has:
work and memory without end for one that has none. So what comes is given to it in small pieces while a head is awaited,
and counted. What bounds bodies and answers is above (`scandock.web.app`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scandock.model import request_limits
from scandock.model.errors import ScandockError
from scandock.services.logs import log
from scandock.web.body_sending import SOCKET_BODY
from scandock.web.connections import Connections, TooManyConnections
from scandock.web.errors import AddressTooLong, HeadLate, HeadTooLong, RequestUnreadable, ServerFull
from scandock.web.problems import MEDIA_TYPE, RETRY_SECONDS, problem_json
from scandock.web.request_ids import HEADERS
from scandock.web.response_sending import TRANSPORT

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

PIECE: Final = 2 * 1024
"""Bytes that the parser is given at once while a head is awaited."""
PIPELINED: Final = 32
"""Requests that were sent ahead of answers, and after which no more are looked at; less where their heads are long."""
CHUNKS: Final = 16 * 1024
"""As `PIECE`, of a body whose length is not known: behind its end another head may begin."""
AHEAD_BYTES: Final = request_limits.AHEAD_BYTES
"""Of what was sent ahead: the body of a request that waits, or what is not looked at yet."""
DISCARD_BYTES: Final = 4 * 1024 * 1024
"""That are read, and forgotten, of a client whose connection is being closed."""
BYTES_A_SECOND: Final = 4096


class Refused(Exception):
    """Ends the parser's work from within one of its calls."""


class Closing:
    """uvicorn's view of the transport: its `close` lets a client that still sends read its answer first (`end`)."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever a transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._protocol.ending or self._transport.is_closing()

    def close(self) -> None:
        self._protocol.end()


class SocketBody:
    """The body of an answer that something else than uvicorn puts on its socket (`scandock.web.body_sending`)."""

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        self._cycle = cycle
        self._transport = transport

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended, or is to."""
        return self._cycle.disconnected or self._transport.is_closing()

    @property
    def is_chunked(self) -> bool:
        """Whether the head said that the length of each chunk stands before it."""
        return bool(self._cycle.chunked_encoding)

    @property
    def unsent(self) -> int:
        """Bytes that uvicorn has yet to send: the head, or an answer before it."""
        return self._transport.get_write_buffer_size()

    def copy_descriptor(self) -> int:
        """A descriptor of the socket, of a connection that has not ended; who takes it closes it."""
        return os.dup(self._transport.get_extra_info("socket").fileno())

    def count(self, size: int) -> None:
        """Note bytes that were sent: uvicorn holds the body to the length that the head said."""
        if not self.is_chunked:
            self._cycle.expected_content_length -= size

    def end(self) -> None:
        """End a connection that was found to be gone, be it before the event loop was told.

        uvicorn would take an answer that has no end yet for an error of the application.
        """
        self._cycle.disconnected = True
        self._transport.abort()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. See `connections.Bounds` for what it may take."""

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:  # noqa: ANN401  uvicorn's own
        super().__init__(*args, **options)
        self._all = connections
        self._raw: asyncio.Transport
        self._address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ending = False
        """Nothing that comes matters any more."""
        self._discarded = 0
        self._in_head = False
        """The first bytes of a head have come, and not its end."""
        self._in_message = False
        """As `_in_head`, to the end of the body."""
        self._awaited = False
        """It is counted among those that wait for a head."""
        self._left: int | None = None
        """Bytes of the body that are still to come, where that is known."""
        self._ahead: deque[int] = deque()
        """Lengths of the heads in `pipeline`, the first one first."""
        self._running: RequestResponseCycle | None = None
        self._as_plain = b""
        """The head of a request that offers another protocol, without the offer."""
        self._piece = 0
        self._head = 0
        """Bytes of the head that have come; those of the piece in which it began are not counted."""
        self._later = b""
        """What was sent ahead and was not looked at yet."""
        self._between = 0
        """Bytes since the last that were of a body: what chunks are told of, and trailers."""
        self._brought = False
        self._until = 0.0

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self._raw = transport
        super().connection_made(Closing(transport, self))  # type: ignore[arg-type]  # is one by `__getattr__`
        if self.client is not None:
            self.client = (_unmapped(self.client[0]), self.client[1])
            self._address = self._all.address_of(self.client[0])
        refusal = self._all.open(self, self._address)
        if not refusal:
            self._await_head()
            return
        self._say(TooManyConnections(self._all.bounds.per_address) if refusal == "address" else ServerFull(), refusal)
        self.ending = True
        self._raw.close()  # at once: to linger takes the room that there is none of

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._all.close(self)
        self.ending = True
        if self._running is not None:  # uvicorn tells the last request of several, which may still wait for its turn
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        extensions: Any = cycle.scope["extensions"]
        extensions[SOCKET_BODY] = SocketBody(cycle, self._raw)
        super()._start_asgi_task(cycle, app)

    def give_way(self) -> None:
        """End now: others need the room."""
        self.ending = True
        self._raw.abort()

    def end(self) -> None:
        """Close, as uvicorn wants. A client that is still sending has a moment to read what it was told."""
        if self.ending or not self._in_message:
            self.ending = True
            self._raw.close()
            return
        self._linger()

    def _linger(self) -> None:
        """Say that nothing more is sent, and read on: to close while bytes come would take the answer away from the
        client that sends them (RFC 9112, 9.6).
        """
        self.ending = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self._raw.is_closing():
            return
        self._all.set_idle(self)
        self.flow.resume_reading()
        self._raw.write_eof()
        self._timer = self.loop.call_later(self._all.bounds.linger_seconds, self._raw.abort)

    # -- what comes ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.ending:
            self._discard(len(data))
            return
        data, self._later = self._later + data if self._later else data, b""
        position = 0
        while position < len(data):
            if len(self.pipeline) > PIPELINED or sum(self._ahead) > self._all.bounds.head_bytes:
                self._look_later(data[position:])
                return
            size = self._next_size()
            if not self._feed(data[position : position + size]):
                return
            position += size
        self._count_head()

    def _next_size(self) -> int:
        """Bytes that the parser may have at once, so that no more than a few heads begin among them."""
        if self._in_head or not self._in_message:
            return PIECE
        return CHUNKS if self._left is None else max(self._left, 1)

    def _look_later(self, data: bytes) -> None:
        """Keep what was sent ahead until some of what came before is answered."""
        self._later = data
        self.flow.pause_reading()
        if len(data) > AHEAD_BYTES:
            self._cut("ahead")

    def _count_head(self) -> None:
        """Count a connection whose further head has begun to come, as soon as nothing else is being answered on it."""
        if not self._in_head or self._awaited or self._is_answering():
            return
        if self._all.wait(self, self._address):
            self._await_head()
        else:
            self._refuse("address", TooManyConnections(self._all.bounds.per_address))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > DISCARD_BYTES:
            self.flow.pause_reading()

    def _feed(self, piece: bytes) -> bool:
        """Give the parser some bytes; False where the connection was ended."""
        self._piece = len(piece)
        self._brought = False
        try:
            self._parse(piece)
        except httptools.HttpParserError:
            if not self.ending:
                self._refuse("unreadable", RequestUnreadable())
        if self.ending:
            return False
        if self._in_head:
            self._head += self._piece
            if self._head > self._all.bounds.head_bytes:
                self._refuse_head()
        elif self._in_message:
            self._between = 0 if self._brought else self._between + self._piece
            if self._between > self._all.bounds.head_bytes:
                self._cut("head_bytes")
        if self.cycle is not None and len(self.cycle.body) > AHEAD_BYTES:
            self._cut("ahead")
        return not self.ending

    def _parse(self, piece: bytes) -> None:
        """Feed the parser. An offer of another protocol is left aside (RFC 9110, 7.8); with it, it would take no body.

        Then the same request is read once more, without the offer.
        """
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            head, self._as_plain = self._as_plain, b""
            if not head:
                raise httptools.HttpParserError("CONNECT") from None
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)
            self.parser.feed_data(piece[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]  # no data, as of ASGI's own
        self._in_head = self._in_message = True
        self._head = -self._piece
        self._between = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # trailers are none: they would come to stand among what was decided upon
            return
        if len(self.headers) >= self._all.bounds.fields:
            self._refuse("fields", _too_many(self._all.bounds.fields))
            raise Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._all.bounds.head_bytes:
            self._refuse_head()
            raise Refused
        if self.parser.should_upgrade():
            self._as_plain = _without_offer(self.parser.get_method(), self.url, self.headers)
            return
        self._in_head = False
        self._left = _length(self.headers)
        if self._awaited:
            self._awaited = False
            self._stop_timer()
        self._unset_keepalive_if_required()
        self._all.complete_head(self)
        queued = len(self.pipeline)
        super().on_headers_complete()
        if len(self.pipeline) > queued:
            self._ahead.append(size)

    def on_body(self, body: bytes) -> None:
        self._brought = True
        if self._left is not None:
            self._left -= len(body)
        if self.cycle.response_complete:
            self._until = min(
                self._until + len(body) / BYTES_A_SECOND, self.loop.time() + self._all.bounds.rest_seconds
            )
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._in_head:  # of a request that is read once more
            return
        self._in_message = False
        super().on_message_complete()
        if self.cycle.response_complete and not self.ending:
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self._all.set_idle(self)

    def on_response_complete(self) -> None:
        queued = len(self.pipeline)
        super().on_response_complete()
        if len(self.pipeline) < queued:
            self._ahead.popleft()
        if self._later and not self.ending:
            self.data_received(b"")
        if self.timeout_keep_alive_task is None or self.ending:  # the next request of several is answered now
            return
        if not self._in_message:
            self._all.set_idle(self)
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._count_head()
        elif not self._all.wait(self, self._address):
            self._cut("address")
        else:
            self._until = self.loop.time() + self._all.bounds.rest_seconds
            self._timer = self.loop.call_at(self._until, self._rest_late)

    # -- what comes too late -------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        self._awaited = True
        self._timer = self.loop.call_later(self._all.bounds.head_seconds, self._head_late)

    def _head_late(self) -> None:
        if self.flow.read_paused:  # it is not the client that keeps it waiting
            self._await_head()
        elif self._in_head:
            self._refuse("head_seconds", HeadLate(self._all.bounds.head_seconds))
        else:
            self._raw.close()

    def _rest_late(self) -> None:
        if self.loop.time() < self._until:
            self._timer = self.loop.call_at(self._until, self._rest_late)
        else:
            self._cut("rest_seconds")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- refusing ------------------------------------------------------------------------------------------------

    def _refuse_head(self) -> None:
        long_url = len(self.url) * 2 > self._all.bounds.head_bytes
        self._refuse("head_bytes", _too_long(self._all.bounds.head_bytes, self.url, long_url))

    def _refuse(self, reason: str, error: ScandockError) -> None:
        """Answer in place of the application, and close. Within or after its own answer nothing can be said."""
        in_body = self._in_message and not self._in_head
        if in_body and not self.pipeline and not self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._is_answering():
            self._cut(reason)
            return
        elif in_body:  # to end at once could take the answer away from the client
            self._all.refused(reason)
            self._linger()
            return
        self._say(error, reason)
        self._linger()

    def _say(self, error: ScandockError, reason: str) -> None:
        self._all.refused(reason)
        log().info("refused", code=error.code, status=error.STATUS)
        self._raw.write(_answer(error.STATUS, error))

    def _cut(self, reason: str) -> None:
        self._all.refused(reason)
        self.ending = True
        self._raw.abort()


def _unmapped(host: str) -> str:
    """A peer's address, of IPv4 as itself where a socket of IPv6 took the connection: so proxies are named."""
    try:
        ipv4 = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if ipv4 is None else str(ipv4)


def _length(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """How long a body will be; None where that is not told."""
    stated_length = next((value for name, value in headers if name == b"content-length"), None)
    return int(stated_length) if stated_length is not None and stated_length.isdigit() else None


def _without_offer(method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of a request, without what offers another protocol; nothing of CONNECT, which is no offer."""
    if method == b"CONNECT":
        return b""
    kept_headers = [
        (name, value) for name, value in headers if name not in {b"upgrade", b"connection", b"http2-settings"}
    ]
    lines = [b"%s: %s\r\n" % header for header in kept_headers]
    return b"".join([method, b" ", url, b" HTTP/1.1\r\n", *lines, b"\r\n"])


def _answer(status: int, error: ScandockError) -> bytes:
    request_id = secrets.token_hex(8)
    body = problem_json(status, error.code, *error.public, request_id).encode()
    headers = {**HEADERS, "X-Request-Id": request_id, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def _too_long(max_bytes: int, url: bytes, long_url: bool) -> ScandockError:
    subject = "address is" if long_url else "request's headers are"
    if b"mapping=" in url:
        remedy = "Send the mapping as a field of a multipart body, or with PUT to /api/v1/uploads/{id}/mapping."
    elif long_url:
        remedy = "Send what is long in the request's body, or ask in several requests."
    else:
        remedy = "Send fewer or shorter headers; a browser's cookies of this site can be deleted."
    kind = AddressTooLong if long_url else HeadTooLong
    return kind(f"The {subject} longer than the {max_bytes:,} bytes that are read.", remedy)


def _too_many(max_headers: int) -> ScandockError:
    return HeadTooLong(f"The request has more than {max_headers:,} headers.", "Send fewer.")
