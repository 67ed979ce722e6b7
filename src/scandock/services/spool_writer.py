"""One upload's bytes into its spool, in order: synced now and then, and its row told of what is on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

MARK_BYTES: Final = 64 * 1024 * 1024


class Digest(Protocol):
    """What hashlib's objects do."""

    def update(self, data: memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


class Sink(Protocol):
    """What takes the bytes: a spool (`scandock.store.port.Spool`)."""

    def append(self, offset: int, data: bytes | memoryview) -> int: ...
    def sync(self) -> int: ...


class SpoolWriter:
    """Writes to one spool from `offset` on. For one thread at a time.

    `mark` is called with what is on disk, every 64 MB, and `every_seconds` where that is named; where it returns False,
    the upload was ended by somebody else, and `ended` says what to raise.
    """

    def __init__(
        self,
        spool: Sink,
        *,
        ended: Callable[[], Exception],
        offset: int = 0,
        mark: Callable[[int], bool] | None = None,
        every_seconds: float | None = None,
        digest: Digest | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._ended = ended
        self._mark = mark
        self._every_seconds = every_seconds
        self._digest = digest
        self._clock = clock
        self.written = offset
        """Bytes that the spool has."""
        self._marked = offset
        self._marked_at = clock()

    def write(self, block: memoryview) -> None:
        """Write what comes next."""
        if self._digest is not None:
            self._digest.update(block)
        self._spool.append(self.written, block)
        self.written += block.nbytes
        if self._mark is not None and self._is_due():
            self.sync()
            if not self._mark(self.written):
                raise self._ended()

    def sync(self) -> int:
        """Make it durable; the bytes that the spool has."""
        self.written = min(self.written, self._spool.sync())  # less, where what had come was lost meanwhile
        self._marked = self.written
        self._marked_at = self._clock()
        return self.written

    def _is_due(self) -> bool:
        if self.written - self._marked >= MARK_BYTES:
            return True
        return self._every_seconds is not None and self._clock() - self._marked_at >= self._every_seconds
