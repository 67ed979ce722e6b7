"""A zip that is read while it comes: the ranges of entries that are here, and at its end the proof and the rest.

See docs/design/0016-follow.md.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

from scandock.formats.kinds import Kind
from scandock.formats.zip_entries import RawEntry, ZipEntries
from scandock.formats.zip_walk import ZipWalk
from scandock.model.entry import Container
from scandock.model.limits import Limits
from scandock.workers.archive_tasks import ArchiveTasks, open_archive, range_tasks
from scandock.workers.pool import Task

BATCH_BYTES: Final = 2_000_000
BATCH_ENTRIES: Final = 64
"""So much is given to the readers at least, so that a message costs little beside what it tells of."""
STALL_SECONDS: Final = 20.0
"""Without a byte; then following is given up: a resumable upload may go on tomorrow."""


class FollowVoid(Exception):
    """What was read ahead is not to be used; the upload is read in the ordinary way, once it is whole."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class FollowedSpool:
    """The zip in a spool that grows (`workers.archive_reader.ComingArchive`). For one thread."""

    def __init__(
        self,
        path: str,
        name: str,
        size: int,
        limits: Limits,
        readers: int,
        count_here: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size`: what the sender has stated. `count_here`: bytes that have come and stay as they are; it may raise."""
        self.size = size
        self._path = path
        self._name = name
        self._limits = limits
        self._readers = readers
        self._count_here = count_here
        self._clock = clock
        self._fd = -1
        self._walk = ZipWalk(self._read_at, limits)
        self._here = 0
        self._grown = clock()
        self._given = self._given_bytes = 0
        self.is_proven = False
        """Whether all of it is here, and the directory says what was read ahead."""

    @property
    def missing(self) -> int:
        return self.size - self._here

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def next_tasks(
        self, on_whole: Callable[[ArchiveTasks], None], totals: Callable[[], tuple[int, int]]
    ) -> list[Task] | None:
        """See `ComingArchive`. Raises FollowVoid, and BadInput where the whole archive can't be opened."""
        if self.is_proven:
            return None
        self._look()
        self._check_ratio(totals()[1])
        if self._fd < 0:
            if self._here == self.size:
                raise FollowVoid("it has no bytes that can be read")
            return []
        self._walk.advance(self._here)
        if self._walk.stopped and not len(self._walk):
            raise FollowVoid("no zip that can be followed")
        if self._here == self.size:
            return self._prove(on_whole)
        if self._walk.unpacked - self._given_bytes < BATCH_BYTES and len(self._walk) - self._given < BATCH_ENTRIES:
            return []
        entries, total = self._walk.entries(self._given), self._walk.unpacked - self._given_bytes
        self._given, self._given_bytes = len(self._walk), self._walk.unpacked
        container = Container(b"", "", self._path, 0, self._here, Kind.ZIP, 1, self._name)
        return range_tasks(container, entries, total, self._readers)

    def _look(self) -> None:
        """See how far it is."""
        here, now = self._count_here(), self._clock()
        if not self._here <= here <= self.size:
            raise FollowVoid("bytes that had come are gone")
        if here > self._here:
            self._here, self._grown = here, now
        elif now - self._grown > STALL_SECONDS:
            raise FollowVoid("no byte came for too long")
        if self._fd < 0 and here:
            with contextlib.suppress(FileNotFoundError):
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def _check_ratio(self, unpacked: int) -> None:
        """The readers' limit is by the size that was stated; until as much is here, what is here counts."""
        limits = self._limits
        if unpacked > max(limits.ratio_from_bytes, limits.max_ratio * self._here):
            raise FollowVoid("it unpacks to more than what has come allows")

    def _prove(self, on_whole: Callable[[ArchiveTasks], None]) -> list[Task]:
        """Hold what was read ahead against the directory; the tasks that are left."""
        ours, standing = os.fstat(self._fd), os.stat(self._path)
        if (ours.st_ino, ours.st_dev, standing.st_size) != (standing.st_ino, standing.st_dev, self.size):
            raise FollowVoid("its file is another one")
        opened = open_archive(self._path, self._limits, self._readers, self._name)
        if any(task.kind != "zip" for task in opened.tasks):
            raise FollowVoid("it is something else than a zip")
        if not self._walk.is_start_of(_list_raw(opened.tasks)):
            raise FollowVoid("its directory says something else than its entries")
        self.is_proven = True
        on_whole(opened)
        return list(_skip(opened.tasks, self._given))

    def _read_at(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        if len(data) < length:
            raise FollowVoid("bytes that had come can't be read")
        return data


def _list_raw(tasks: list[Task]) -> Iterator[RawEntry]:
    for task in tasks:
        yield from ZipEntries(*task.payload).raw_entries()


def _skip(tasks: list[Task], count: int) -> Iterator[Task]:
    """Tasks without the first `count` of their entries."""
    for task in tasks:
        entries = ZipEntries(*task.payload)
        if count < len(entries):
            yield Task(task.kind, task.container, entries[count:].__reduce__()[1])
        count = max(0, count - len(entries))
