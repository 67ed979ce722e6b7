"""Bytes that lie in many objects, one behind the other, read by blocks: as fast as a file, in bounded memory."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import Final

from scandock.formats.errors import ReadFailed
from scandock.formats.source import AGAIN
from scandock.model.errors import Fault

BLOCK: Final = 8 * 1024 * 1024
KEPT: Final = 6
"""Blocks that are kept: an archive's directory and what is read beside it."""
AHEAD: Final = 2
"""Blocks that are fetched before they are asked for, where reading goes forward."""

Fetch = Callable[[str, int, int], bytes]
"""Reads a range of an object: key, offset, length."""


class PartsSource:
    """The `Source` of parts: (key, bytes) each. Readers of several threads share its blocks."""

    def __init__(self, parts: Sequence[tuple[str, int]], fetch: Fetch, *, block: int = BLOCK, kept: int = KEPT) -> None:
        """`kept`: blocks, more than those that are fetched ahead."""
        self._parts = [(key, size) for key, size in parts if size]
        self._starts = [0, *accumulate(size for _, size in self._parts)]
        self._fetch = fetch
        self._block = block
        self._kept = kept
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._last = -1

    def __reduce__(self) -> tuple[object, ...]:
        return (_reopen, (self._parts, self._fetch, self._block, self._kept))

    @property
    def size(self) -> int:
        return self._starts[-1]

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`. Raises what fetching raises."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        pieces = []
        while offset < end:
            number, at = divmod(offset, self._block)
            piece = self._get(number)[at : at + end - offset]
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto_at(self, offset: int, view: memoryview) -> int:
        """See `Source.readinto_at`. Raises what fetching raises."""
        flat = view.cast("B")
        end = min(offset + flat.nbytes, self.size)
        done = 0
        while offset + done < end:
            number, at = divmod(offset + done, self._block)
            piece = memoryview(self._get(number))[at : at + end - offset - done]
            flat[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def close(self) -> None:
        """Let go of blocks and threads; what is being fetched ends first."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._blocks.clear()

    def cut(self) -> Fault:
        """The Fault for parts that are shorter than they were when they were listed."""
        return ReadFailed("The upload became shorter while it was read.", AGAIN)

    def __enter__(self) -> PartsSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, number: int) -> bytes:
        with self._lock:
            goes_on = number in (self._last, self._last + 1)
            self._last = number
            future = self._begin(number)
            if goes_on:
                for next_number in range(number + 1, number + 1 + AHEAD):
                    if next_number * self._block < self.size:
                        self._begin(next_number)
            while len(self._blocks) > self._kept:
                self._blocks.popitem(last=False)
        try:
            return future.result()
        except BaseException:
            with self._lock:
                if self._blocks.get(number) is future:  # the next to ask tries again
                    del self._blocks[number]
            raise

    def _begin(self, number: int) -> Future[bytes]:
        """The block, fetched or about to be; it is the newest of those that are kept."""
        future = self._blocks.get(number)
        if future is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AHEAD + 1, thread_name_prefix="parts")
            future = self._blocks[number] = self._pool.submit(self._fetch_block, number)
        self._blocks.move_to_end(number)
        return future

    def _fetch_block(self, number: int) -> bytes:
        offset, end = number * self._block, min((number + 1) * self._block, self.size)
        pieces = []
        index = bisect_right(self._starts, offset) - 1
        while offset < end:
            key, _ = self._parts[index]
            start, stop = self._starts[index], self._starts[index + 1]
            pieces.append(self._fetch(key, offset - start, min(stop, end) - offset))
            offset = min(stop, end)
            index += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _reopen(parts: Sequence[tuple[str, int]], fetch: Fetch, block: int, kept: int) -> PartsSource:
    return PartsSource(parts, fetch, block=block, kept=kept)
