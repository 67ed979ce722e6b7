"""A worker's sign of life: memory that the supervisor shares with it and with the web process, and nothing on a disk.

A thread that does nothing else beats each second, so that neither a slow disk nor a long import keeps it from that; a
process that is stopped, or hangs with all its threads, is silent.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable

from scandock.model.ticker import Ticker
from scandock.workers import receiver_figures
from scandock.workers.receiver_figures import ReceiverFigures
from scandock.workers.worker_figures import SIZE, SlotCount, WorkerFigures

BEAT_SECONDS = 1.0
MISSED_SECONDS = 5.0
"""After which a worker that was not heard of counts as away."""
HUNG_SECONDS = 30.0
"""After which the supervisor kills it: its imports go on in the next one."""

_RECORD = struct.Struct("2d")
_ALL_BYTES = _RECORD.size + SIZE + receiver_figures.SIZE


class WorkerLiveness:
    """When a worker was last alive, in seconds of the machine's monotonic clock, and whether it takes imports."""

    def __init__(self, fd: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _ALL_BYTES)
        self.figures = WorkerFigures(self._memory, _RECORD.size)
        """What the worker counts."""
        self.receiver = ReceiverFigures(self._memory, _RECORD.size + SIZE)
        """What the receiver process counts."""
        self._clock = clock
        self._ticker = Ticker("beats", BEAT_SECONDS, self.beat)

    @classmethod
    def make(cls, clock: Callable[[], float] = time.monotonic) -> WorkerLiveness:
        """Fresh memory; `fd` is to be passed to the processes that share it."""
        fd = os.memfd_create("scandock-beats", os.MFD_CLOEXEC)
        os.ftruncate(fd, _ALL_BYTES)
        return cls(fd, clock)

    # -- in the worker -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Beat from now on, in a thread."""
        self.clear()
        self.beat()
        self._ticker.start()

    def beat(self) -> None:
        struct.pack_into("d", self._memory, 0, self._clock())

    def say(self, *, ready: bool) -> None:
        """Whether imports are taken."""
        struct.pack_into("d", self._memory, 8, float(ready))

    def end(self) -> None:
        """Beat no more, as the process ends."""
        self._ticker.stop()
        self.say(ready=False)

    # -- in the others -------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """There is no worker. What the last one has counted stays."""
        _RECORD.pack_into(self._memory, 0, 0.0, 0.0)
        self.figures.set_slots(SlotCount(0, 0))
        self.figures.set_damaged(is_damaged=False)

    def last(self) -> float:
        """When it last beat; 0 where it never did."""
        return float(_RECORD.unpack_from(self._memory)[0])

    def trouble(self) -> str:
        """Why no worker takes imports; empty where one does."""
        last, ready = _RECORD.unpack_from(self._memory)
        silent = self._clock() - last
        if not last or not ready:
            return "no worker listens"
        if self.figures.damage:
            from scandock.catalog.engine import DAMAGED_REMEDY  # SQLAlchemy: the receiver process has none

            return f"the worker found the catalog damaged. {DAMAGED_REMEDY}"
        return f"the worker was not heard of for {silent:.0f} seconds" if silent > MISSED_SECONDS else ""

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)
