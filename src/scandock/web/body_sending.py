"""Bodies that threads put on their socket: what is read of stored files passes neither the event loop nor uvicorn.

Where the client takes it as fast as it is read, one call sends a quarter of a megabyte of a zip, or megabytes of a file
by sendfile; a message of uvicorn's takes 64 kB, through copies and a turn of the loop. A thread does not wait for a
client: once the socket has taken what it takes, the loop does, and a turn of a thread is short, so that a few threads
serve many downloads. uvicorn sends the head before and the end behind it, and has nothing in between.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

from starlette.requests import ClientDisconnect

from scandock.services.chunks import Chunk, FileRange, copy_chunk
from scandock.services.file_errors import FileChanged

SOCKET_BODY: Final = "scandock.socket_body"
"""Among the scope's extensions: the answer's `SocketBody`, from `scandock.web.protocol`."""

TURN_SECONDS: Final = 0.05
"""How long a thread sends before others have their turn."""

WAIT_MS: Final = 5
"""How long a thread waits for the client, who may be about to take more: to wake another one costs more than that."""

LOOK_SECONDS: Final = 1.0
"""How often it is looked, while a client takes nothing, whether its connection has ended."""


_CONNECTION_LOST: Final = frozenset(
    {
        errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH,
        errno.ENETUNREACH, errno.ENETDOWN,
    }
)  # fmt: skip
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""Of a file system whose files can only be read."""


class SocketBody(Protocol):
    """What the server's protocol gives of the answer that is being sent."""

    @property
    def is_gone(self) -> bool: ...
    @property
    def is_chunked(self) -> bool: ...
    @property
    def unsent(self) -> int: ...
    def copy_descriptor(self) -> int: ...
    def count(self, size: int) -> None: ...
    def end(self) -> None: ...


class ClientStopped(ClientDisconnect):
    """The client took nothing for too long, and its connection was ended; or it was answered otherwise."""


class Turn(Enum):
    """How a thread's turn has ended."""

    DONE = auto()
    BLOCKED = auto()
    """The socket takes no more until the client does."""
    OVER = auto()


class BodySender:
    """One body on its way; `close` it. It closes the chunks, once no thread reads them any more."""

    def __init__(self, body: SocketBody, chunks: Iterator[Chunk], on_progress: Callable[[], None]) -> None:
        """`on_progress` is called in the loop whenever the client has taken something. ClientStopped."""
        if body.is_gone:
            body.end()
            raise ClientStopped
        self._body = body
        self._chunks = chunks
        self._on_progress = on_progress
        self._socket = socket.socket(fileno=body.copy_descriptor())
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)
        self._pending: deque[memoryview | FileRange] = deque()
        self._sent = 0
        self._stopped = False
        self._turn: asyncio.Future[Turn] | None = None
        self.waits = False
        """It is the client that is waited for."""

    async def send(self, threads: Executor) -> None:
        """Send all chunks. ClientStopped where the connection has ended; what reading them raises."""
        try:
            await self._send(threads)
        except ClientStopped:
            self._body.end()
            raise

    async def _send(self, threads: Executor) -> None:
        await self._wait_for_head()
        loop = asyncio.get_running_loop()
        end = None
        while end is not Turn.DONE:
            self._turn = loop.run_in_executor(threads, partial(copy_context().run, self._take_turn))
            end = await asyncio.shield(self._turn)
            if self._sent:
                self._body.count(self._sent)
                self._sent = 0
                self._on_progress()
            if end is Turn.BLOCKED:
                await self._wait_for_client(loop)
            self._check()

    def abort(self) -> None:
        """End it now, whatever the client has taken."""
        self._stopped = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return

    def close(self) -> None:
        """Give back the socket and the chunks."""
        self._stopped = True
        if self._turn is None or self._turn.done():
            self._release()
        else:
            self._turn.add_done_callback(self._release)

    def _release(self, turn: asyncio.Future[Turn] | None = None) -> None:
        if turn is not None:
            turn.exception()  # nobody else is told of it
        self._socket.close()
        close_chunks(self._chunks)

    def _check(self) -> None:
        if self._stopped or self._body.is_gone:
            raise ClientStopped

    async def _wait_for_head(self) -> None:
        """Wait until uvicorn has sent what comes before."""
        pause = 0.0
        self.waits = True
        while self._body.unsent:
            self._check()
            await asyncio.sleep(pause)
            pause = min(pause + 0.001, 0.05)
        self.waits = False
        self._check()

    async def _wait_for_client(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the socket takes more, or is looked at again."""
        has_room: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._socket, lambda: None if has_room.done() else has_room.set_result(None))
        self.waits = True
        try:
            while not has_room.done():
                await asyncio.wait([has_room], timeout=LOOK_SECONDS)
                self._check()
        finally:
            self.waits = False
            loop.remove_writer(self._socket)

    # -- in a thread -----------------------------------------------------------------------------------------------

    def _take_turn(self) -> Turn:
        deadline = time.monotonic() + TURN_SECONDS
        while not self._stopped:
            if not self._pending and not self._fetch():
                return Turn.DONE
            try:
                self._send_some()
            except BlockingIOError:
                if not self._poll.poll(WAIT_MS):
                    return Turn.BLOCKED
            if time.monotonic() >= deadline:
                break
        return Turn.OVER

    def _fetch(self) -> bool:
        """Have the next chunk pending; False where none is left."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        size = chunk.length if isinstance(chunk, FileRange) else len(chunk)
        if not size:
            return self._fetch()
        piece = chunk if isinstance(chunk, FileRange) else memoryview(chunk)
        if self._body.is_chunked:
            self._pending += (memoryview(b"%x\r\n" % size), piece, memoryview(b"\r\n"))
        else:
            self._pending.append(piece)
        return True

    def _send_some(self) -> None:
        """Send of what is pending what the socket takes. BlockingIOError: nothing; ClientStopped."""
        piece = self._pending[0]
        if isinstance(piece, FileRange):
            try:
                sent, size = self._send_range(piece), piece.length
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise
                self._pending[0] = memoryview(copy_chunk(piece))
                return
            rest: memoryview | FileRange = FileRange(piece.fd, piece.offset + sent, size - sent)
        else:
            flags = socket.MSG_MORE if len(self._pending) > 1 else 0
            try:
                sent, size = self._socket.send(piece, flags), len(piece)
            except BlockingIOError:
                raise
            except OSError as error:
                raise ClientStopped from error
            rest = piece[sent:]
        self._sent += sent
        if sent == size:
            self._pending.popleft()
        else:
            self._pending[0] = rest

    def _send_range(self, part: FileRange) -> int:
        try:
            sent = os.sendfile(self._socket.fileno(), part.fd, part.offset, part.length)
        except OSError as error:
            if error.errno in _CONNECTION_LOST:
                raise ClientStopped from error
            raise  # of the file
        if not sent:
            raise FileChanged
        return sent


def close_chunks(chunks: Iterator[Chunk]) -> None:
    """Give back what an iterator has open, wherever it was left."""
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
