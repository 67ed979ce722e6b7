"""Bytes of answers that wait until their clients take them: bounded over all, and fair among who asks.

An answer is made whole before it is sent, or its frame waits in a file, so a client that asks and reads nothing keeps
it here. One asker holds at most half of what the others leave, so that there is room for the next one in any case.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from types import TracebackType
from typing import IO, Final, Self

from scandock.access.throttle import network_of
from scandock.model.errors import Coded

RETRY_SECONDS: Final = 5
_PIECE: Final = 256 * 1024


def client_key(account: int | None, address: str) -> Hashable:
    """Who asks: the account, else the address; of IPv6 the /64."""
    return network_of(address) if account is None else account


class ResponseBuffersFull(Coded):
    """No room for one more answer until others are taken: 503."""

    CODE = "answers_full"
    STATUS = 503
    MEANING = (
        "The answer has no room: too many wait until their clients take them. Read those that you asked for, then ask"
        " again."
    )
    SENTENCE = "An answer of {size:,} bytes has no room: too many wait until their clients take them."
    REMEDY = "Read the answers that you asked for, then ask again; ask for less at once."
    retry_after = RETRY_SECONDS

    def __init__(self, size: int) -> None:
        self._fill({"size": size})


class BufferReservation:
    """The room of one answer; given back by `close`, once."""

    __slots__ = ("_answers", "asker", "size")

    def __init__(self, answers: ResponseBuffers, asker: Hashable, size: int) -> None:
        self._answers: ResponseBuffers | None = answers
        self.asker = asker
        self.size = size

    def close(self) -> None:
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.release(self)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class ResponseBuffers:
    """The room that all answers together have. For many threads."""

    def __init__(self, max_bytes: int, on_refused: Callable[[], None] = lambda: None) -> None:
        """`max_bytes` bytes; `on_refused` is told of each answer that had no room."""
        self._most = max_bytes
        self._refused = on_refused
        self._lock = threading.RLock()  # a hold that is forgotten gives back within whatever this thread does
        self._bytes: Counter[Hashable] = Counter()

    @property
    def bytes(self) -> int:
        with self._lock:
            return self._bytes.total()

    def hold(self, asker: Hashable, size: int) -> BufferReservation:
        """Room for an answer. ResponseBuffersFull.

        Never where nothing else is held, so that the largest one can be had too.
        """
        with self._lock:
            own_bytes, total = self._bytes[asker], self._bytes.total()
            full = total > 0 and own_bytes + size > (self._most - (total - own_bytes)) // 2
            if not full:
                self._bytes[asker] += size
        if full:
            self._refused()
            raise ResponseBuffersFull(size)
        return BufferReservation(self, asker, size)

    def release(self, hold: BufferReservation) -> None:
        """What a hold's `close` does."""
        with self._lock:
            self._bytes[hold.asker] -= hold.size
            if self._bytes[hold.asker] <= 0:
                del self._bytes[hold.asker]


class BufferedFile:
    """A body that waits in a file without a name; who takes it closes it."""

    def __init__(self, file: IO[bytes], hold: BufferReservation) -> None:
        self._file = file
        self._hold = hold

    @property
    def size(self) -> int:
        return self._hold.size

    @property
    def closed(self) -> bool:
        return self._file.closed

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, from the beginning."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def close(self) -> None:
        self._file.close()
        self._hold.close()
