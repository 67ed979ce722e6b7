"""One request at a time may write to an upload; there is one web process, so that its memory is enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from scandock.model.errors import ScandockError
from scandock.services import upload_errors
from scandock.web.errors import ServerStopping
from scandock.web.tus.errors import UploadLocked

STALE_SECONDS = 10.0
"""A writer that has brought nothing for so long gives way: its connection is probably dead."""
WAIT_SECONDS = 15.0


class Writer:
    """A request that writes; it reports each arrival, and ends when asked to."""

    def __init__(self) -> None:
        self.seen = time.monotonic()
        self.came = 0
        """Bytes of the upload that are there, also those that are not synced yet."""
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

    def __init__(self) -> None:
        self._writers: dict[str, Writer] = {}

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
            yield writer
        finally:
            del self._writers[upload]
            writer.done.set()
