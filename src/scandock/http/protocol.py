"""HTTP/1.1 on one connection: uvicorn's protocol, with bounds on what comes before the application is asked.

The parser gives a head to the application once it is complete, and gathers it by putting each piece after what it has:
work and memory without end for one that has none. So what comes is given to it in small pieces while a head is awaited,
and counted. What bounds bodies and answers is above (`scandock.http.app`).
"""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scandock.http.connections import Connections, Crowded
from scandock.http.problems import MEDIA_TYPE, RETRY_SECONDS, written
from scandock.http.request_ids import HEADERS
from scandock.http.sending import TRANSPORT
from scandock.model.errors import ScandockError, Usage
from scandock.services.logs import log

PIECE: Final = 2 * 1024
"""Bytes that the parser is given at once while a head is awaited."""
PIPELINED: Final = 32
"""Requests that were sent ahead of answers, and after which no more are looked at."""
AHEAD_BYTES: Final = 1024 * 1024
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


class BoundedProtocol(HttpToolsProtocol):
    """One connection. See `connections.Bounds` for what it may take."""

    def __init__(self, *args: Any, connections: Connections, **more: Any) -> None:  # noqa: ANN401  uvicorn's own
        super().__init__(*args, **more)
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
        self._address = self._all.address_of(self.client[0]) if self.client else None
        refused = self._all.open(self, self._address)
        if not refused:
            self._await_head()
            return
        self._say(*((429, Crowded(self._all.bounds.per_address)) if refused == "address" else (503, _full())), refused)
        self.ending = True
        self._raw.close()  # at once: to linger takes the room that there is none of

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._all.close(self)
        self.ending = True
        super().connection_lost(exc)

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
        self._all.rest(self)
        self.flow.resume_reading()
        self._raw.write_eof()
        self._timer = self.loop.call_later(self._all.bounds.linger_seconds, self._raw.abort)

    # -- what comes ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.ending:
            self._discard(len(data))
            return
        data, self._later = self._later + data if self._later else data, b""
        at = 0
        while at < len(data):
            if len(self.pipeline) > PIPELINED:
                self._look_later(data[at:])
                return
            size = PIECE if self._in_head or not self._in_message else len(data)
            if not self._feed(data[at : at + size]):
                return
            at += size
        self._count_head()

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
            self._refuse(429, "address", Crowded(self._all.bounds.per_address))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _discard(self, many: int) -> None:
        self._discarded += many
        if self._discarded > DISCARD_BYTES:
            self.flow.pause_reading()

    def _feed(self, piece: bytes) -> bool:
        """Give the parser some bytes; False where the connection was ended."""
        self._piece = len(piece)
        self._brought = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:  # to nothing that is spoken here: what follows can't be told from a request
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            if not self.ending:
                self._refuse(400, "unreadable", _unreadable())
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

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]  # no data, as of ASGI's own
        self._in_head = self._in_message = True
        self._head = -self._piece
        self._between = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are none: they would come to stand among what was decided upon
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if (
            len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            > self._all.bounds.head_bytes
        ):
            self._refuse_head()
            raise Refused
        self._in_head = False
        if self._awaited:
            self._awaited = False
            self._stop_timer()
        self._unset_keepalive_if_required()
        self._all.work(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._brought = True
        if self.cycle.response_complete:
            self._until = min(
                self._until + len(body) / BYTES_A_SECOND, self.loop.time() + self._all.bounds.rest_seconds
            )
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()
        if self.cycle.response_complete and not self.ending:
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self._all.rest(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._later and not self.ending:
            self.data_received(b"")
        if self.timeout_keep_alive_task is None or self.ending:  # the next request of several is answered now
            return
        if not self._in_message:
            self._all.rest(self)
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._count_head()
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
            self._refuse(408, "head_seconds", _late(self._all.bounds.head_seconds))
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
        self._refuse(414 if long_url else 431, "head_bytes", _too_long(self._all.bounds.head_bytes, self.url, long_url))

    def _refuse(self, status: int, why: str, error: ScandockError) -> None:
        """Answer in place of the application, and close. Within another answer nothing can be said."""
        if self._is_answering():
            self._cut(why)
            return
        self._say(status, error, why)
        self._linger()

    def _say(self, status: int, error: ScandockError, why: str) -> None:
        self._all.refused(why)
        log().info("refused", code=error.code, status=status)
        self._raw.write(_answer(status, error))

    def _cut(self, why: str) -> None:
        self._all.refused(why)
        self.ending = True
        self._raw.abort()


def _answer(status: int, error: ScandockError) -> bytes:
    request_id = secrets.token_hex(8)
    body = written(status, error.code, error.message, error.remedy, request_id).encode()
    headers = {**HEADERS, "X-Request-Id": request_id, "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def _too_long(most: int, url: bytes, long_url: bool) -> ScandockError:
    what = "address" if long_url else "request's headers"
    if b"mapping=" in url:
        remedy = "Send the mapping as a field of a multipart body, or with PUT to /api/v1/uploads/{id}/mapping."
    elif long_url:
        remedy = "Send what is long in the request's body, or ask in several requests."
    else:
        remedy = "Send fewer or shorter headers; a browser's cookies of this site can be deleted."
    return Usage("head_too_long", f"The {what} is longer than the {most:,} bytes that are read.", remedy)


def _late(seconds: float) -> ScandockError:
    return Usage("head_late", f"The request's head was not complete within {seconds:.0f} seconds.", "Send it again.")


def _full() -> ScandockError:
    return Usage("server_full", "The server has as many connections as it may.", "Try again in a moment.")


def _unreadable() -> ScandockError:
    return Usage("request_unreadable", "What came is no HTTP/1.1 request.", "Check the address and the client.")
