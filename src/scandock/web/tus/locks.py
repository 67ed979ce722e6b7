"""One request at a time may write to an upload: among those of this process by its memory, among hosts by its row.

Beside its row a writer of one of several hosts holds the upload's spool (`Spool.hold`): another host that took the
upload over, as this one was not heard of, waits until this one writes no more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from scandock.model.errors import ScandockError
from scandock.queue.tokens import new_token
from scandock.services import upload_errors
from scandock.services.upload_writers import STALE_SECONDS
from scandock.web.errors import ServerStopping
from scandock.web.tus.errors import UploadLocked

if TYPE_CHECKING:
    from scandock.services.upload_writers import UploadWriters
    from scandock.store.port import Spool, Store

WAIT_SECONDS = 15.0
HOLD_SECONDS = 0.2
"""How often it is looked whether the one before, on another host, has let go of the bytes."""


class HeldSpool:
    """An upload's spool as a writer of one of several hosts holds it: once let go of, it takes nothing more.

    So no thread of a request that was replaced writes to it late, or takes it back.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._is_closed = False

    def hold(self) -> bool:
        """See handles.Spool. UploadLocked once it was let go of."""
        with self._lock:
            self._check()
            return self._spool.hold()

    def append(self, offset: int, data: bytes | memoryview) -> int:
        """See handles.Spool. UploadLocked once it was let go of."""
        with self._lock:
            self._check()
            return self._spool.append(offset, data)

    def sync(self) -> int:
        """See handles.Spool. UploadLocked once it was let go of."""
        with self._lock:
            self._check()
            return self._spool.sync()

    def close(self) -> None:
        """Let go of it; waits for a thread that is just writing."""
        with self._lock:
            self._is_closed = True
            self._spool.close()

    def _check(self) -> None:
        if self._is_closed:
            raise UploadLocked


class Writer:
    """A request that writes; it reports each arrival, and ends when asked to."""

    def __init__(self) -> None:
        self.seen = time.monotonic()
        self.noted = self.seen
        """When it had brought bytes last, as its row knows."""
        self.came = 0
        """Bytes of the upload that are there, also those that are not synced yet."""
        self.token = ""
        """What its row calls it; empty where writers have no rows."""
        self.spool: HeldSpool | None = None
        """What it writes to; None where writers have no rows."""
        self.stop = asyncio.Event()
        self.done = asyncio.Event()
        self.why: ScandockError = UploadLocked()

    def give_way(self, error: ScandockError) -> None:
        """End it; its client is told `error`."""
        self.why = error
        self.stop.set()

    def arrived(self) -> None:
        self.seen = time.monotonic()


class UploadLocks:
    """The uploads that are being written to."""

    def __init__(
        self,
        writers: UploadWriters | None = None,
        store: Store | None = None,
    ) -> None:
        """`writers`, `store`: those of a catalog that several hosts have."""
        self._writers: dict[str, Writer] = {}
        self._rows = writers
        self._store = store
        self._unreleased: dict[str, str] = {}
        """Tokens, by upload, of writers that are gone and whose rows could not be told."""

    def __contains__(self, upload: object) -> bool:
        return upload in self._writers

    def __len__(self) -> int:
        return len(self._writers)

    def find_receiving(self, upload: str) -> Writer | None:
        """The request that brings bytes of it now; None where none does, or one so silent that it would give way."""
        writer = self._writers.get(upload)
        return writer if writer is not None and time.monotonic() - writer.seen < STALE_SECONDS else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._writers)

    async def end_all(self, seconds: float) -> None:
        """Let every writer keep what it has and end, as the server does."""
        error = ServerStopping("The server is being stopped.", "Go on in a moment.")
        writers = list(self._writers.values())
        for writer in writers:
            writer.give_way(error)
        if writers:
            await asyncio.wait([asyncio.ensure_future(writer.done.wait()) for writer in writers], timeout=seconds)

    async def renew(self, call: Callable[[Callable[[], list[str]]], Awaitable[list[str]]]) -> None:
        """Note in their rows which writers live; those whose upload another host has taken over give way.

        `call` calls what blocks, in a thread.
        """
        if self._rows is None:
            return
        writers = {writer.token: writer for writer in self._writers.values() if writer.token}
        if not writers:
            return
        seen = {token: writer.seen > writer.noted for token, writer in writers.items()}
        times = {token: writer.seen for token, writer in writers.items()}
        rows = self._rows
        for token in await call(lambda: rows.renew(seen)):
            if writers[token].token:  # else it ended meanwhile
                writers[token].give_way(UploadLocked())
        for token, writer in writers.items():
            writer.noted = times[token]

    @asynccontextmanager
    async def write(self, upload: str, *, stop: bool = False) -> AsyncIterator[Writer]:
        """Be the one who writes. UploadLocked where another does, unless that one is stale or `stop` is set."""
        previous_writer = self._writers.get(upload)
        if previous_writer is not None:
            if not stop and time.monotonic() - previous_writer.seen < STALE_SECONDS:
                raise UploadLocked
            previous_writer.give_way(upload_errors.GivenUpMeanwhile() if stop else UploadLocked())
            try:
                await asyncio.wait_for(previous_writer.done.wait(), WAIT_SECONDS)
            except TimeoutError:
                raise UploadLocked from None
            if upload in self._writers:
                raise UploadLocked
        writer = self._writers[upload] = Writer()
        try:
            async with self._take_row(upload, writer, stop=stop):
                yield writer
        finally:
            del self._writers[upload]
            writer.done.set()

    @asynccontextmanager
    async def _take_row(self, upload: str, writer: Writer, *, stop: bool) -> AsyncIterator[None]:
        """Be the one of all hosts, too."""
        if self._rows is None or self._store is None:
            yield
            return
        rows, token = self._rows, new_token()
        previous = self._unreleased.pop(upload, "")
        is_taken = await asyncio.to_thread(rows.take, upload, token, previous=previous, stop=stop)
        if is_taken is None:
            yield
            return
        if not is_taken:
            raise UploadLocked
        writer.token = token
        writer.spool = spool = HeldSpool(self._store.spool(upload))
        try:
            await self._hold(spool)
            yield
        finally:
            writer.token = ""
            await asyncio.shield(asyncio.ensure_future(self._release(upload, token, spool)))

    async def _hold(self, spool: HeldSpool) -> None:
        """Wait until the writer before has let go: it was told by its row. UploadLocked where it does not."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not await asyncio.to_thread(spool.hold):
            if time.monotonic() > deadline:
                raise UploadLocked
            await asyncio.sleep(HOLD_SECONDS)

    async def _release(self, upload: str, token: str, spool: HeldSpool) -> None:
        rows = self._rows
        assert rows is not None
        await asyncio.to_thread(spool.close)
        try:
            await asyncio.to_thread(rows.release, token)
        except ScandockError:  # the catalog is away: others wait until it is stale, this process need not
            self._unreleased[upload] = token
