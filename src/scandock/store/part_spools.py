"""Spools of an object store: an upload is a row of part objects, of any size each, whichever host took them.

What is noted of a part is noted by the caller, in the catalog: a part without a row is garbage of the upload's prefix.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.formats.parts_source import PartsSource
from scandock.store import paths
from scandock.store.memory_budget import MemoryBudget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scandock.store.bucket import Bucket
    from scandock.store.memory_budget import MemoryShare

PART: Final = 8 * 1024 * 1024
"""Bytes of a part: one fills while one is being sent, so that an upload takes twice this of memory."""
SMALL_PART: Final = 512 * 1024
"""Bytes of a part that any upload may fill and send, however many others have all of the memory that is to be had."""
WAIT_SECONDS: Final = 0.25
"""For memory for a part of full size: whoever has it may send it soon, or fill it slowly."""


class Part(NamedTuple):
    """A part of an upload that the store has for certain."""

    at: int
    length: int
    """From the beginning of its object, which holds more where the client began again within it."""
    key: str
    sha256: bytes
    """Of the whole object."""


def spool_prefix(upload: str) -> str:
    """Below which the parts of an upload are."""
    return f"v1/s/{paths.label(upload)}"


def end_of(parts: Sequence[Part]) -> int:
    """Bytes of an upload that these are the parts of, by offset and without a gap."""
    return parts[-1].at + parts[-1].length if parts else 0


def put_part(bucket: Bucket, upload: str, at: int, content: bytes | bytearray) -> Part:
    """Store bytes of an upload as an object of their own, which is still to be noted. Fault `store_failed`."""
    key = f"{spool_prefix(upload)}/{at}-{os.urandom(8).hex()}"
    bucket.put(key, memoryview(content))
    return Part(at, len(content), key, hashlib.sha256(content).digest())


class PartSpool:
    """The bytes of one upload; `parts` are those that were noted. For one thread at a time.

    Where its client stalls, and others find no memory, what it has is sent by one of their threads.

    After a Fault it is to be opened anew, with what was noted: nothing is known of what was not.
    """

    def __init__(
        self,
        bucket: Bucket,
        upload: str,
        parts: Sequence[Part] = (),
        *,
        part_bytes: int = PART,
        memory: MemoryBudget | None = None,
    ) -> None:
        """`memory`: what it shares with others; None: as much as it can use."""
        self.upload = paths.label(upload)
        self._bucket = bucket
        self._parts = sorted(parts)
        self._part_bytes = part_bytes
        self._memory = MemoryBudget(2 * part_bytes) if memory is None else memory
        self._share: MemoryShare | None = None
        """That of the part that is being filled, where it is larger than a small one."""
        self._buffer = bytearray()
        self._filling = threading.Lock()
        """Held by who changes the buffer."""
        self._flying: Future[Part] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._sent = self.stored
        """Where the buffer begins: all before it is sent, or on its way."""
        at = 0
        for part in self._parts:
            if part.at != at:
                raise ValueError(f"the parts of upload {upload} have a gap at {at}")
            at += part.length

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts that the store has, without gaps from the beginning on."""
        return tuple(self._parts)

    @property
    def stored(self) -> int:
        """Bytes that the store has."""
        return end_of(self._parts)

    def size(self) -> int:
        """Bytes received so far, durable or not."""
        return self._sent + len(self._buffer)

    def append(self, offset: int, data: bytes | memoryview) -> int:
        """Take `data` at `offset` and give the new size; what was beyond `offset` is dropped (sent again).

        ValueError where `offset` would leave a gap. A full part is sent while the next one fills. Fault.
        """
        with self._filling:
            size = self.size()
            if not 0 <= offset <= size:
                raise ValueError(f"a spool of {size} bytes can't go on at {offset}")
            if offset < size:
                self._cut(offset)
            view = memoryview(data).cast("B")
            while view:
                count = min(len(view), self._find_room())
                self._buffer += view[:count]
                view = view[count:]
                if len(self._buffer) == self._part_bytes:
                    self._send()
            if self._share is not None:
                self._share.use()
            return self.size()

    def _find_room(self) -> int:
        """Bytes by which the part may grow now; a small one is sent where there is no memory for more."""
        if self._share is None and len(self._buffer) >= SMALL_PART:
            self._share = self._memory.take(self._part_bytes, WAIT_SECONDS, self._give_memory_back)
            if self._share is None:
                self._send()
        most = self._part_bytes if self._share is not None else min(SMALL_PART, self._part_bytes)
        return most - len(self._buffer)

    def _give_memory_back(self) -> None:
        """Send what there is, unless somebody is at it, or the part before is still under way, or has failed."""
        if not self._filling.acquire(blocking=False):
            return
        try:
            share, flying = self._share, self._flying
            is_free = flying is None or (flying.done() and flying.exception() is None)
            if share is not None and share.is_idle and is_free:
                self._send()
        finally:
            self._filling.release()

    def sync(self) -> int:
        """Send what is left, and wait until the store has all of it; the durable offset. Fault."""
        with self._filling:
            if self._buffer:
                self._send()
            self._wait()
            return self._sent

    def source(self) -> PartsSource:
        """What the store has, to be read in any process; the caller closes it."""
        return PartsSource([(part.key, part.length) for part in self._parts], self._bucket.get_range)

    def close(self) -> None:
        """Let go of the thread and of the memory; what is being sent ends first."""
        with self._filling:
            share, self._share = self._share, None
            if share is not None:
                share.release()
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None

    def _send(self) -> None:
        """Let the buffer fly, once what flew before has come down: one at a time, in order."""
        self._wait()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="part")
        at, content, share = self._sent, self._buffer, self._share
        self._buffer, self._share = bytearray(), None
        self._sent += len(content)
        self._flying = self._pool.submit(self._put, at, content, share)

    def _put(self, at: int, content: bytearray, share: MemoryShare | None) -> Part:
        """Send a part; its memory is free then, whoever waits for it in whatever thread."""
        try:
            return put_part(self._bucket, self.upload, at, content)
        finally:
            if share is not None:
                share.release()

    def _wait(self) -> None:
        if self._flying is not None:
            flying, self._flying = self._flying, None
            self._parts.append(flying.result())

    def _cut(self, offset: int) -> None:
        """Begin again at `offset`: within the buffer, or within parts, of which the one that holds it gets shorter."""
        if offset >= self._sent:
            del self._buffer[offset - self._sent :]
            return
        self._wait()
        self._buffer = bytearray()
        self._parts = [
            part._replace(length=min(part.length, offset - part.at)) for part in self._parts if part.at < offset
        ]
        self._sent = offset
