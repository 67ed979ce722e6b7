"""How answers go out: in pieces, as far as clients take them; what waits is bounded, and who takes nothing is let go.

uvicorn waits between two messages until most of what it has was taken, and takes whatever one message brings at once:
so a body goes out in pieces. Until it has all been taken it is held here, in memory or in a file, which counts
(`services.response_buffers`). A client that takes nothing is ended by aborting its connection: to close it would wait
until the client takes what is in the buffer. The transport is reached by the request's scope (`TRANSPORT`).

Plain ASGI, as `request_ids.RequestMiddleware`, within which it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from fastapi import Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from scandock.model import request_limits
from scandock.model.errors import ScandockError
from scandock.services.chunks import copy_chunk
from scandock.services.logs import log
from scandock.services.response_buffers import client_key
from scandock.web.body_sending import SOCKET_BODY, BodySender, ClientStopped, SocketBody, close_chunks

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scandock.services.chunks import Chunk
    from scandock.services.response_buffers import BufferedFile, BufferReservation, ResponseBuffers

PIECE: Final = 64 * 1024
"""Bytes of one message; an answer that has no more is never refused and needs no room."""

STREAM_BYTES: Final = 256 * 1024
"""Room of a stream: what is read of a file or a zip at once."""

LARGE_BYTES: Final = 1024 * 1024
LARGE_SECONDS: Final = request_limits.LARGE_ANSWER_SECONDS
"""How long the client of an answer that holds more than `LARGE_BYTES` may take nothing."""

LARGE_MIN_BYTES: Final = 16 * 1024
"""Of a large answer, what counts as something: who takes a byte a minute keeps the room from others as well."""

LOOK_SECONDS: Final = 5.0

TRANSPORT: Final = "scandock.transport"
"""Among the scope's extensions: the connection's transport, from `scandock.web.protocol`."""

SEND_CHUNKS: Final = "scandock.send_chunks"
"""Among the scope's extensions: sends a body from threads (`scandock.web.body_sending`), where the server can."""

_RESERVED_BYTES: Final = "answer_bytes"
"""In the scope's state: what an answer holds that took its room before it is sent."""

Refuse = Callable[[Request, ScandockError], Awaitable[Response]]


class Transport(Protocol):
    """What is used of asyncio's transports."""

    def abort(self) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def get_extra_info(self, name: str) -> Any: ...  # noqa: ANN401  as asyncio has it


class ResponseRegistry:
    """The answers that are being sent, by connection. For one event loop."""

    def __init__(
        self, idle_seconds: float, on_end: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`on_end` is told of each connection that was ended, by kind: `large` or `other`."""
        self.idle_seconds = idle_seconds
        self.ended = on_end
        self.clock = clock
        self._sent: dict[Transport, _ResponseSender] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, answer: _ResponseSender, transport: Transport) -> None:
        """Look at an answer from now on, and no more at the one before it on its connection."""
        self._sent[transport] = answer

    def discard(self, answer: _ResponseSender, transport: Transport) -> None:
        if self._sent.get(transport) is answer:
            del self._sent[transport]

    def look(self) -> None:
        """End the connections of those who take nothing."""
        for answer in list(self._sent.values()):
            answer.look()

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()


class SendingMiddleware:
    """The layer."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        """`refuse` makes the answer for which there is room no more, in the words of who asks."""
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = getattr(scope["app"].state, "server", None) if scope["type"] == "http" else None
        if server is None:
            await self._app(scope, receive, send)
            return
        answer = _ResponseSender(scope, send, server.answers, server.response_buffers, self._refuse)
        if SOCKET_BODY in scope.get("extensions", {}):
            scope["extensions"][SEND_CHUNKS] = answer.send_chunks
        try:
            await self._app(scope, receive, answer.send)
            await answer.flush()
        finally:
            answer.end()


class _ResponseSender:
    """One answer on its way."""

    def __init__(
        self, scope: Scope, send: Send, answers: ResponseRegistry, buffers: ResponseBuffers, refuse: Refuse
    ) -> None:
        self._scope = scope
        self._send = send
        self._answers = answers
        self._held = buffers
        self._refuse = refuse
        self._transport: Transport | None = scope.get("extensions", {}).get(TRANSPORT)
        self._start: Message | None = None
        """The head of the answer, which waits until it is known whether there is room for the body."""
        self._hold: BufferReservation | None = None
        self._bytes = 0
        self._events = False
        self._refused = False
        self._waits = False
        """A message is being sent."""
        self._over = False
        self._ended = False
        self._sent = 0
        self._sender: BodySender | None = None
        """Sends the body, where threads do."""
        self._mark: tuple[int, int] | None = None
        """The message that was being sent when the client last took something, and what it had yet to take then."""
        self._since = 0.0
        if self._transport is not None:
            answers.add(self, self._transport)

    async def send(self, message: Message) -> None:
        if self._refused:
            raise ClientStopped
        if message["type"] == "http.response.start":
            self._events = _is_event_stream(message)
            if not self._events:
                self._start = message
                return
        if message["type"] != "http.response.body":
            await self._out(message)
            return
        if self._start is not None:
            await self._begin(message)
            if self._refused:
                if message.get("more_body", False):
                    raise ClientStopped
                return
        await self._in_pieces(message)

    async def send_chunks(self, chunks: Iterator[Chunk], threads: Executor) -> None:
        """Send chunks of the body from threads. The end of the body is sent as ever.

        The chunks are closed in any case, once no thread reads them any more.
        """
        sender = None
        try:
            if self._start is not None:
                await self._begin({"type": "http.response.body", "more_body": True})
            if self._refused:
                raise ClientStopped
            if self._scope["method"] != "HEAD":
                body: SocketBody = self._scope["extensions"][SOCKET_BODY]
                self._sender = sender = BodySender(body, chunks, self._note_progress)
                await sender.send(threads)
        finally:
            self._sender = None
            if sender is None:
                close_chunks(chunks)
            else:
                sender.close()

    def _note_progress(self) -> None:
        self._sent += 1

    async def flush(self) -> None:
        """Send the head of an answer that has no body."""
        start, self._start = self._start, None
        if start is not None:
            await self._out(start)

    def end(self) -> None:
        """The application is done; what the server has yet to send is looked at until it is taken."""
        self._over = True
        if self._hold is not None:
            self._hold.close()
        if self._transport is not None and not self._transport.get_write_buffer_size():
            self._answers.discard(self, self._transport)

    async def _begin(self, message: Message) -> None:
        """Take room for the body, then send the head; else send the refusal."""
        self._bytes = self._scope.get("state", {}).get(_RESERVED_BYTES, 0)
        if not self._bytes:
            size = STREAM_BYTES if message.get("more_body", False) else len(message.get("body", b""))
            if size > PIECE and self._scope["method"] != "HEAD":
                try:
                    self._hold = self._held.hold(self._asker, size)
                except ScandockError as error:
                    self._start, self._refused = None, True
                    answer = await self._refuse(Request(self._scope), error)
                    await answer(self._scope, _receive_disconnect, self._out)
                    return
                self._bytes = size
        await self.flush()

    @property
    def _asker(self) -> Hashable:
        client = self._scope.get("client")
        return client_key(self._scope.get("state", {}).get("account_id"), client[0] if client else "")

    async def _in_pieces(self, message: Message) -> None:
        body, position = message.get("body", b""), 0
        while len(body) - position > PIECE:
            await self._out(
                {"type": "http.response.body", "body": bytes(body[position : position + PIECE]), "more_body": True}
            )
            position += PIECE
        await self._out({**message, "body": body[position:] if position else body})

    async def _out(self, message: Message) -> None:
        self._sent += 1
        self._waits = True
        try:
            await self._send(message)
        finally:
            self._waits = False
        if self._ended:
            raise ClientStopped

    # -- looking ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """End the connection where the client has taken nothing for too long."""
        transport = self._transport
        if transport is None:
            return
        if self._over and not transport.get_write_buffer_size():
            self._answers.discard(self, transport)
            return
        waits = self._waits or (self._sender is not None and self._sender.waits)
        if self._events or not (waits or self._over):
            self._mark = None
            return
        now, unsent = self._answers.clock(), _unsent_bytes(transport)
        if self._mark is None or self._mark[0] != self._sent or self._mark[1] - unsent >= self._least:
            self._mark = (self._sent, unsent)
            self._since = now
        elif now - self._since >= self._seconds:
            self._stop(transport)

    @property
    def _large(self) -> bool:
        return self._bytes > LARGE_BYTES and not self._over

    @property
    def _least(self) -> int:
        return LARGE_MIN_BYTES if self._large else 1

    @property
    def _seconds(self) -> float:
        return LARGE_SECONDS if self._large else self._answers.idle_seconds

    def _stop(self, transport: Transport) -> None:
        self._ended = True
        kind = "large" if self._large else "other"
        log().info("unread", kind=kind, seconds=self._seconds)
        self._answers.ended(kind)
        self._answers.discard(self, transport)
        if self._sender is not None:
            self._sender.abort()
        transport.abort()


def _unsent_bytes(transport: Transport) -> int:
    """Bytes that the client has yet to take: those of the server's buffer, and of the system's.

    The system tells of room in its buffer only once a third of it is free, which may take a slow client minutes.
    """
    buffered = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return buffered
    try:
        (queued,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return buffered
    return buffered + int(queued)


def _is_event_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start.get("headers", ())
    )


async def _receive_disconnect() -> Message:
    return {"type": "http.disconnect"}


class ThreadedResponse(StreamingResponse):
    """A body that is read while it is sent, in threads that are given: none of those that all downloads share.

    `on_end` is called once it was sent, refused or left, and no thread reads it any more. `reserved` bytes have their
    room already.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        threads: Executor,
        on_end: Callable[[], object],
        *,
        reserved: int = 0,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str,
    ) -> None:
        super().__init__(self._read_all(), status, headers, media_type)
        self._chunks = chunks
        self._threads = threads
        self._on_end = on_end
        self._reserved = reserved
        self._read: asyncio.Future[bytes | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._reserved:
            scope.setdefault("state", {})[_RESERVED_BYTES] = self._reserved
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._read is None:
                self._close()
            else:
                self._read.add_done_callback(self._close)

    async def _read_all(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while True:
            self._read = loop.run_in_executor(self._threads, partial(copy_context().run, next, self._chunks, None))
            chunk = await asyncio.shield(self._read)
            if chunk is None:
                return
            yield chunk

    def _close(self, read: asyncio.Future[bytes | None] | None = None) -> None:
        if read is not None:
            read.exception()  # if it was left, nobody else is told of it
        close = getattr(self._chunks, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._on_end()


class BufferedResponse(StreamingResponse):
    """A body that waits in a file and has taken its room; the file is closed whether or not the body is taken."""

    def __init__(self, body: BufferedFile, headers: Mapping[str, str], media_type: str) -> None:
        pieces = iterate_in_threadpool(body.pieces())
        super().__init__(pieces, 200, {**headers, "Content-Length": str(body.size)}, media_type)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[_RESERVED_BYTES] = self._body.size
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._body.close()


class _OwnedChunks:
    """Chunks, and what they are read of: a generator that nobody has begun does nothing when it is closed."""

    def __init__(self, chunks: Iterator[Chunk], on_end: Callable[[], object]) -> None:
        self._chunks = chunks
        self._on_end = on_end

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        try:
            close_chunks(self._chunks)
        finally:
            self._on_end()


class DownloadResponse(StreamingResponse):
    """A file or a zip: threads put it on the socket themselves where they can, else they read it while it is sent.

    `on_end` is called where its chunks are closed, also where nobody has taken the first one.
    """

    def __init__(
        self,
        chunks: Iterator[Chunk],
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        on_end: Callable[[], object],
    ) -> None:
        super().__init__((), status, headers, media_type)
        self._chunks = _OwnedChunks(chunks, on_end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        threads: Executor = scope["app"].state.server.download_threads
        send_chunks = scope.get("extensions", {}).get(SEND_CHUNKS)
        if send_chunks is None:
            copies = map(copy_chunk, self._chunks)
            copied = ThreadedResponse(
                copies, threads, partial(close_chunks, self._chunks),
                status=self.status_code, headers=self.headers, media_type=self.media_type or "",
            )  # fmt: skip
            await copied(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        except BaseException:
            close_chunks(self._chunks)
            raise
        await send_chunks(self._chunks, threads)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
