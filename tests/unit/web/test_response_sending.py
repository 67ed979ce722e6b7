"""How answers go out, without a server: clients that read, pause, trickle or take nothing, by a clock of the test's."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message

from scandock.model.errors import ScandockError
from scandock.services.response_buffers import BufferedFile, ResponseBuffers
from scandock.web.response_sending import (
    LARGE_SECONDS,
    PIECE,
    STREAM_BYTES,
    TRANSPORT,
    BufferedResponse,
    ResponseRegistry,
    SendingMiddleware,
    ThreadedResponse,
)

MB = 1024 * 1024
IDLE = 600
HIGH, LOW = 64 * 1024, 16 * 1024


class Connection:
    """A connection as uvicorn has it: a message waits until little is left of those before it."""

    def __init__(self) -> None:
        self.buffer = 0
        self.messages: list[Message] = []
        self.aborted = False
        self._taken = asyncio.Event()

    async def send(self, message: Message) -> None:
        if self.buffer > HIGH:
            while self.buffer > LOW and not self.aborted:
                self._taken.clear()
                await self._taken.wait()
        if not self.aborted:
            self.messages.append(message)
            self.buffer += len(message.get("body", b""))

    def take(self, many: int | None = None) -> None:
        """The client reads some bytes, or all that there are."""
        self.buffer -= self.buffer if many is None else min(many, self.buffer)
        self._taken.set()

    def abort(self) -> None:
        self.aborted, self.buffer = True, 0
        self._taken.set()

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return self.buffer

    def get_extra_info(self, name: str) -> Any:
        return None

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


class Scene:
    """A server with a clock."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.response_buffers = ResponseBuffers(most)
        self.answers = ResponseRegistry(IDLE, self.ended.append, lambda: self.now)

    @asynccontextmanager
    async def asked(self, app: ASGIApp, **more: Any) -> AsyncIterator[tuple[Connection, asyncio.Task[None]]]:
        """An answer that is on its way; the client takes nothing by itself."""
        connection = more.pop("connection", None) or Connection()
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": "/", "headers": [], "client": ("198.51.100.7", 1), "state": {},
            "app": SimpleNamespace(state=SimpleNamespace(server=self)), "extensions": {TRANSPORT: connection}, **more,
        }  # fmt: skip

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        task = asyncio.ensure_future(SendingMiddleware(app, refuse)(scope, receive, connection.send))
        await settle()
        try:
            yield connection, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def after(self, seconds: float) -> None:
        """Let time pass, looking each second."""
        for _ in range(int(seconds)):
            self.now += 1
            self.answers.look()


async def refuse(request: Request, error: ScandockError) -> Response:
    return JSONResponse({"code": error.code}, 503)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def whole(size: int) -> Response:
    return Response(bytes(n % 251 for n in range(1000)) * (size // 1000))


def stream(pieces: int, media_type: str = "application/zip", size: int = STREAM_BYTES) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"z" * size

    return StreamingResponse(body(), media_type=media_type)


def play(scene: Callable[[Scene], Awaitable[None]], most: int = 64 * MB) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scene(Scene(most)), 60)

    asyncio.run(bounded())


def test_a_body_goes_out_in_pieces_as_far_as_it_is_taken():
    async def scene(at: Scene) -> None:
        answer = whole(2_000_000)
        async with at.asked(answer) as (connection, task):
            assert connection.status == 200
            assert 0 < connection.buffer <= HIGH + PIECE
            while not task.done():
                connection.take()
                await settle()
            assert connection.body == answer.body
            assert max(len(message.get("body", b"")) for message in connection.messages) == PIECE
            assert not connection.messages[-1].get("more_body")
        connection.take()
        at.answers.look()
        assert (len(at.answers), at.response_buffers.bytes, at.ended) == (0, 0, [])

    play(scene)


def test_who_takes_nothing_of_a_large_answer_is_let_go_after_a_minute():
    async def scene(at: Scene) -> None:
        async with at.asked(whole(2_000_000)) as (connection, task):
            assert at.response_buffers.bytes == 2_000_000
            at.after(LARGE_SECONDS)
            assert not connection.aborted
            at.after(1)
            assert connection.aborted
            with pytest.raises(ClientDisconnect):
                await task
        assert (at.ended, at.response_buffers.bytes, len(at.answers)) == (["large"], 0, 0)

    play(scene)


def test_a_byte_a_minute_is_nothing_and_a_slow_line_is_not():
    async def scene(at: Scene) -> None:
        async with at.asked(whole(2_000_000)) as (trickling, _), at.asked(whole(2_000_000)) as (slow, _):
            for _ in range(10):
                trickling.take(1)
                slow.take(20_000)
                await settle()
                at.after(50)
            assert (trickling.aborted, slow.aborted) == (True, False)

    play(scene)


def test_a_download_that_is_paused_for_five_minutes_goes_on():
    async def scene(at: Scene) -> None:
        async with at.asked(stream(8)) as (connection, task):
            for _ in range(3):
                at.after(300)
                connection.take()
                await settle()
            while not task.done():
                connection.take()
                await settle()
            assert connection.body == b"z" * 8 * STREAM_BYTES
        assert at.ended == []

    play(scene)


def test_a_download_that_nobody_takes_ends_after_the_setting():
    async def scene(at: Scene) -> None:
        async with at.asked(stream(8)) as (connection, _):
            at.after(IDLE)
            assert not connection.aborted
            at.after(1)
            assert connection.aborted
        assert at.ended == ["other"]

    play(scene)


def test_event_streams_go_on_whoever_reads_them():
    async def scene(at: Scene) -> None:
        async with at.asked(stream(1000, "text/event-stream; charset=utf-8", 1000)) as (connection, _):
            at.after(3 * IDLE)
            assert not connection.aborted
            assert (at.response_buffers.bytes, at.ended) == (0, [])

    play(scene)


def test_the_last_bytes_of_an_answer_are_looked_after_as_well():
    """They are in the server's own buffer, and a connection that is closed waits for them without an end."""

    async def scene(at: Scene) -> None:
        async with at.asked(whole(60_000)) as (connection, task):
            await task
            assert at.response_buffers.bytes == 0
            at.after(IDLE + 1)
            assert connection.aborted
        assert (at.ended, len(at.answers)) == (["other"], 0)

    play(scene)


def test_the_next_answer_of_a_connection_takes_the_place_of_the_one_before():
    async def scene(at: Scene) -> None:
        async with at.asked(whole(60_000)) as (connection, first):
            await first
            async with at.asked(stream(1000, "text/event-stream", 1000), connection=connection):
                assert len(at.answers) == 1
                at.after(3 * IDLE)
                assert not connection.aborted

    play(scene)


def test_what_has_no_room_is_refused_and_what_is_small_is_not():
    async def scene(at: Scene) -> None:
        async with at.asked(whole(2_000_000), client=("198.51.100.8", 1)), at.asked(whole(3_000_000)) as (first, task):
            await settle()
            async with at.asked(whole(3_000_000)) as (second, _):
                assert (second.status, second.body) == (503, b'{"code":"answers_full"}')
            async with at.asked(stream(40)) as (third, refused):
                assert third.status == 503
                assert isinstance(refused.exception(), ClientDisconnect)  # nothing more of it is made
            async with at.asked(whole(PIECE // 1000 * 1000)) as (small, _):
                assert small.status == 200
            while not task.done():
                first.take()
                await settle()
            assert len(first.body) == 3_000_000
            async with at.asked(whole(3_000_000)) as (again, _):
                assert again.status == 200

    play(scene, most=8_000_000)


def test_a_file_that_waits_counts_as_large_and_is_closed_whatever_happens():
    async def scene(at: Scene) -> None:
        for taken in (True, False):
            file = io.BytesIO(b"x" * 2 * MB)
            answer = BufferedResponse(
                BufferedFile(file, at.response_buffers.hold(1, 2 * MB)), {}, "application/octet-stream"
            )
            async with at.asked(answer) as (connection, task):
                assert at.response_buffers.bytes == 2 * MB
                while taken and not task.done():
                    connection.take()
                    await asyncio.sleep(0.001)  # it is read in a thread
                while not taken and not connection.buffer:
                    await asyncio.sleep(0.001)
                if not taken:
                    at.after(LARGE_SECONDS + 1)
                    assert connection.aborted
                else:
                    assert len(connection.body) == 2 * MB
            assert (file.closed, at.response_buffers.bytes) == (True, 0)
        assert at.ended == ["large"]

    play(scene)


def test_an_answer_without_a_body_goes_out():
    async def scene(at: Scene) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": []})

        async with at.asked(app) as (connection, task):
            await task
            assert connection.status == 204

    play(scene)


@pytest.mark.parametrize("case", ["taken", "refused", "left"])
def test_what_is_read_in_threads_is_closed_once_no_thread_reads_it(case: str) -> None:
    """Taken to its end, refused at its first bytes, or left by its client while the next ones are read."""
    reads, go = threading.Event(), threading.Event()
    ends: list[str] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield b"first"
            reads.set()
            assert go.wait(20)
            yield b"second"
        finally:
            ends.append("chunks")

    sent: list[bytes] = []

    async def send(message: Message) -> None:
        if case == "refused" and "body" in message:
            raise ClientDisconnect
        sent.append(message.get("body", b""))

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def scene() -> None:
        with ThreadPoolExecutor(1) as threads:
            response = ThreadedResponse(chunks(), threads, lambda: ends.append("end"), media_type="a/b")
            scope: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.3"}}
            task = asyncio.create_task(response(scope, receive, send))
            if case == "left":
                await asyncio.to_thread(reads.wait, 20)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert ends == []  # a thread is within it
            go.set()
            if case == "refused":
                with pytest.raises((ClientDisconnect, ExceptionGroup)):
                    await task
            elif case == "taken":
                await task
            while "end" not in ends:
                await asyncio.sleep(0.001)
        assert ends == ["chunks", "end"]
        assert sent[1:] == {"taken": [b"first", b"second", b""], "refused": [], "left": [b"first"]}[case]

    asyncio.run(asyncio.wait_for(scene(), 20))
