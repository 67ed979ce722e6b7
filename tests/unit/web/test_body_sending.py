"""Bodies that threads put on their socket, without a server: what comes out, who waits, and what is given back."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scandock.model.errors import Fault
from scandock.services.chunks import Chunk, FileRange, copy_chunk
from scandock.services.file_errors import FileChanged
from scandock.web.body_sending import BodySender, ClientStopped

MB = 1024 * 1024
BYTES = bytes(n % 251 for n in range(1000)) * 5_000


class Body:
    """An answer of a server, at one end of a pair of sockets."""

    def __init__(self, *, is_chunked: bool = False) -> None:
        self.ours, self.client = socket.socketpair()
        self.ours.setblocking(False)
        self.client.setblocking(False)
        self.is_chunked = is_chunked
        self.is_gone = False
        self.unsent = 0
        self.counted = 0
        self.has_ended = False

    def copy_descriptor(self) -> int:
        return self.ours.dup().detach()

    def count(self, size: int) -> None:
        self.counted += size

    def end(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.ours.close()
        self.client.close()

    async def read(self, most: int) -> bytes:
        """So many bytes of what the client gets, or more."""
        loop, got = asyncio.get_running_loop(), bytearray()
        async with asyncio.timeout(10):
            while len(got) < most and (data := await loop.sock_recv(self.client, MB)):
                got += data
        return bytes(got)


@asynccontextmanager
async def sending(
    body: Body, chunks: Iterator[Chunk], threads: ThreadPoolExecutor
) -> AsyncIterator[tuple[BodySender, asyncio.Task[None]]]:
    sender = BodySender(body, chunks, lambda: None)
    task = asyncio.ensure_future(sender.send(threads))
    try:
        yield sender, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        sender.close()
        body.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(BYTES)
    with path.open("rb") as stream:
        yield stream.fileno()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


class Chunks:
    """An iterator that notes what is done with it."""

    def __init__(self, *chunks: Chunk | BaseException) -> None:
        self._chunks = iter(chunks)
        self.given = 0
        self.closed: list[str] = []

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Chunk:
        chunk = next(self._chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        self.given += 1
        return chunk

    def close(self) -> None:
        self.closed.append(threading.current_thread().name)


def test_memory_and_ranges_of_files_come_out_in_their_order(threads, file) -> None:
    async def scene() -> None:
        chunks = Chunks(
            b"begin", FileRange(file, 3, len(BYTES) - 3), b"", memoryview(BYTES)[:MB], FileRange(file, 0, 5)
        )
        body = Body()
        async with sending(body, chunks, threads) as (sender, task):
            whole = b"begin" + BYTES[3:] + BYTES[:MB] + BYTES[:5]
            assert await body.read(len(whole)) == whole
            await task
            assert (body.counted, sender.waits) == (len(whole), False)
        assert len(chunks.closed) == 1

    asyncio.run(scene())


def test_chunks_bear_their_lengths_where_the_head_says_so(threads, file) -> None:
    async def scene() -> None:
        body = Body(is_chunked=True)
        async with sending(body, Chunks(b"begin", b"", FileRange(file, 0, 300)), threads) as (_, task):
            await task
            assert await body.read(317) == b"5\r\nbegin\r\n12c\r\n" + BYTES[:300] + b"\r\n"

    asyncio.run(scene())


def test_the_head_goes_before(threads) -> None:
    async def scene() -> None:
        body, chunks = Body(), Chunks(b"x")
        body.unsent = 100
        async with sending(body, chunks, threads) as (sender, task):
            await until(lambda: sender.waits)
            assert chunks.given == 0
            body.unsent = 0
            assert await body.read(1) == b"x"
            await task

    asyncio.run(scene())


def test_a_client_that_takes_nothing_keeps_no_thread(threads) -> None:
    """There is one: another download goes on by it, and this one where it stopped once the client reads."""

    async def scene() -> None:
        many = [memoryview(BYTES)] * 4
        slow, other = Body(), Body()
        async with sending(slow, Chunks(*many), threads) as (sender, task):
            await until(lambda: sender.waits)
            async with sending(other, Chunks(b"quick"), threads) as (_, quick):
                await asyncio.wait_for(quick, 10)
                assert await other.read(5) == b"quick"
            assert (sender.waits, task.done()) == (True, False)
            assert await slow.read(len(BYTES) * 4) == BYTES * 4
            await task

    asyncio.run(scene())


@pytest.mark.parametrize("ends", ["client", "server", "watcher"])
def test_a_connection_that_ends_ends_the_body(threads, file, ends, monkeypatch) -> None:
    monkeypatch.setattr("scandock.web.body_sending.LOOK_SECONDS", 0.01)

    async def scene() -> None:
        body, chunks = Body(), Chunks(*[FileRange(file, 0, len(BYTES))] * 4)
        async with sending(body, chunks, threads) as (sender, task):
            await until(lambda: sender.waits)
            if ends == "client":
                body.client.close()
            elif ends == "server":
                body.is_gone = True
            else:
                sender.abort()
            with pytest.raises(ClientStopped):
                await asyncio.wait_for(task, 10)
            assert body.has_ended
            sender.close()
            assert len(chunks.closed) == 1

    asyncio.run(scene())


def test_of_a_connection_that_has_ended_nothing_is_read(threads) -> None:
    body, chunks = Body(), Chunks(b"x")
    body.is_gone = True
    with pytest.raises(ClientStopped):
        BodySender(body, chunks, lambda: None)
    assert (chunks.given, body.has_ended) == (0, True)
    body.close()


@pytest.mark.parametrize("failure", [Fault("store_failed", "It fails."), OSError(5, "It fails.")])
def test_what_reading_raises_is_told(threads, failure) -> None:
    async def scene() -> None:
        body, chunks = Body(), Chunks(b"x", failure)
        async with sending(body, chunks, threads) as (_, task):
            with pytest.raises(type(failure)) as caught:
                await task
            assert caught.value is failure

    asyncio.run(scene())


def test_a_file_that_has_shrunk_is_told(threads, file) -> None:
    async def scene() -> None:
        body = Body()
        async with sending(body, Chunks(FileRange(file, len(BYTES) - 5, 6)), threads) as (_, task):
            with pytest.raises(FileChanged):
                await task

    asyncio.run(scene())
    with pytest.raises(FileChanged):
        copy_chunk(FileRange(file, len(BYTES) - 5, 6))
    assert copy_chunk(FileRange(file, len(BYTES) - 5, 5)) == BYTES[-5:]


def test_files_that_can_only_be_read_are_read(threads, file, monkeypatch) -> None:
    def refuse(*_: int) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", refuse)

    async def scene() -> None:
        body = Body()
        async with sending(body, Chunks(FileRange(file, 5, MB), FileRange(file, 0, 3)), threads) as (_, task):
            assert await body.read(MB + 3) == BYTES[5 : MB + 5] + BYTES[:3]
            await task

    asyncio.run(scene())


def test_what_a_thread_is_reading_is_closed_once_it_has_read_it(threads) -> None:
    async def scene() -> None:
        reads, may_go_on = threading.Event(), threading.Event()

        class Held(Chunks):
            def __next__(self) -> Chunk:
                reads.set()
                assert may_go_on.wait(10)
                return super().__next__()

        body, chunks = Body(), Held(b"x")
        async with sending(body, chunks, threads) as (sender, task):
            await until(reads.is_set)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            sender.close()
            assert chunks.closed == []
            may_go_on.set()
            await until(lambda: chunks.closed)
            assert chunks.closed == ["MainThread"]

    asyncio.run(scene())
