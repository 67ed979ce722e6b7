"""One upload's bytes from the event loop to the spool: gathered into blocks, written and synced by a thread.

While a block is being written the next one fills, so an upload holds two blocks of memory, however fast its client and
slow the disk. Every 64 MB, and every few seconds, what has come is synced and its row told of (`mark`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

from scandock.model.errors import Fault
from scandock.services import upload_errors
from scandock.services.spool_writer import Digest, Sink, SpoolWriter

BLOCK = 1024 * 1024
MARK_SECONDS = 5.0
QUIET_SECONDS = 60.0
"""So long what came may wait for the rest of its block: then it is written, so that a slow upload is seen to go on."""

P = ParamSpec("P")
T = TypeVar("T")


class Spooler:
    """Takes bytes for one spool from `offset` on. For one task at a time.

    `most` bytes are taken in all (Usage `upload_too_large` beyond). `mark` is called in the writing thread with each
    offset that is on disk; where it returns False, the upload was ended by somebody else, and what `ended` gives is
    raised.
    """

    def __init__(
        self,
        threads: Executor,
        spool: Sink,
        *,
        offset: int = 0,
        max_bytes: int,
        mark: Callable[[int], bool] | None = None,
        digest: Digest | None = None,
        clock: Callable[[], float] = time.monotonic,
        ended: Callable[[], Exception] = upload_errors.CancelledMeanwhile,
    ) -> None:
        self._clock = clock
        self._flushed_at = clock()
        self.received = offset
        self._threads = threads
        self._writer = SpoolWriter(
            spool, offset=offset, mark=mark, every_seconds=MARK_SECONDS, digest=digest, clock=clock,
            ended=ended,
        )  # fmt: skip
        self._most = max_bytes
        self._digest = digest
        self._filling, self._spare = bytearray(BLOCK), bytearray(BLOCK)
        self._fill = 0
        self._writing: asyncio.Future[None] | None = None

    async def feed(self, data: bytes | memoryview) -> None:
        """Take what has come; waits where the disk is slower than the client."""
        self.received += len(data)
        if self.received > self._most:
            raise upload_errors.BytesTooMany(self._most)
        view = memoryview(data)
        while view.nbytes:
            part = view[: BLOCK - self._fill]
            self._filling[self._fill : self._fill + part.nbytes] = part
            self._fill += part.nbytes
            view = view[part.nbytes :]
            if self._fill == BLOCK:
                await self._flush()
        if self._fill and self._clock() - self._flushed_at >= QUIET_SECONDS:
            await self._flush()

    async def finish(self) -> int:
        """Write what is left and sync all of it; gives the bytes that the spool then has."""
        await self._flush()
        await self.settle()
        return await self._run(self._writer.sync)

    async def sync_written(self) -> int:
        """Sync what was written, and write nothing more, as after a Fault; gives the bytes that the spool then has."""
        with contextlib.suppress(Fault):
            await self.settle()
        return await self._run(self._writer.sync)

    async def settle(self) -> None:
        """Wait until no thread writes."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def keep(self) -> int:
        """As `finish`, whatever happened before: keeps what came, for who goes on later."""
        return await asyncio.shield(asyncio.ensure_future(self.finish()))

    def matches(self, expected: bytes) -> bool:
        """Whether the digest of all that was fed is this one."""
        return self._digest is not None and self._digest.digest() == expected

    def digest(self) -> bytes | None:
        """The digest of all that was fed and written; None where none was wanted."""
        return None if self._digest is None else self._digest.digest()

    async def _flush(self) -> None:
        await self.settle()
        self._flushed_at = self._clock()
        if not self._fill:
            return
        block, self._filling, self._spare = self._filling, self._spare, self._filling
        count, self._fill = self._fill, 0
        self._writing = asyncio.ensure_future(self._run(self._writer.write, memoryview(block)[:count]))

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *args, **kwargs))
