"""An archive that is read while it comes: what of it can be read by now, and at its end the proof and the rest.

See docs/design/0016-follow.md.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from scandock.formats.kinds import STREAMS, Kind, kind_of
from scandock.formats.tar_header import BLOCK
from scandock.formats.zip_entries import RawEntry, ZipEntries
from scandock.formats.zip_walk import ReadAt, ZipWalk
from scandock.model.entry import Container
from scandock.model.limits import Limits
from scandock.workers.archive_tasks import ArchiveTasks, open_archive, range_tasks, stream_task
from scandock.workers.pool import Task

BATCH_BYTES: Final = 2_000_000
BATCH_ENTRIES: Final = 64
"""So much is given to the readers at least, so that a message costs little beside what it tells of."""
STALL_SECONDS: Final = 20.0
"""Without a byte; then following is given up: a resumable upload may go on tomorrow."""
RATE_SECONDS: Final = 10.0
RATE_BYTES: Final = 10_000_000
"""What comes in that time, at least, where another upload could be followed instead."""
HEAD: Final = BLOCK
"""Bytes that tell a zip from a tar and from what is compressed; the proof looks at all."""


class FollowVoid(Exception):
    """What was read ahead is not to be used; the upload is read in the ordinary way, once it is whole."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Ahead(Protocol):
    """What can be read of one kind of archive before all of it is here."""

    def next_tasks(self, here: int) -> list[Task]:
        """What is to be read, now that so many bytes are here."""

    def other_tasks(self, opened: ArchiveTasks) -> list[Task]:
        """What is left to read, now that all is here. Raises FollowVoid where what was read is not of this archive."""


class _ZipAhead:
    """A zip: its entries, by their local headers; the directory has to say the same of them."""

    def __init__(self, container: Container, read_at: ReadAt, limits: Limits, readers: int) -> None:
        self._container = container
        self._readers = readers
        self._walk = ZipWalk(read_at, limits)
        self._given = self._given_bytes = 0

    def next_tasks(self, here: int) -> list[Task]:
        walk = self._walk
        walk.advance(here)
        if walk.stopped and not len(walk):
            raise FollowVoid("nothing that can be followed")
        if walk.unpacked - self._given_bytes < BATCH_BYTES and len(walk) - self._given < BATCH_ENTRIES:
            return []
        entries = walk.entries(self._given)
        self._given, self._given_bytes = len(walk), walk.unpacked
        return range_tasks(self._container._replace(size=here), entries, entries.sums(), self._readers)

    def other_tasks(self, opened: ArchiveTasks) -> list[Task]:
        if any(task.kind != "zip" for task in opened.tasks):
            raise FollowVoid("it is something else than a zip")
        if not self._walk.is_start_of(_list_raw(opened.tasks)):
            raise FollowVoid("its directory says something else than its entries")
        return list(_skip(opened.tasks, self._given))


class _StreamAhead:
    """A tar, or what is compressed as one stream: one reader has all of it, and waits for bytes."""

    def __init__(self, task: Task) -> None:
        """`task`: what it would be read by if it were here."""
        self._task = task
        self._is_given = False

    def next_tasks(self, here: int) -> list[Task]:  # noqa: ARG002  its reader sees that for itself
        if self._is_given:
            return []
        self._is_given = True
        return [Task("coming", self._task.container, self._task.payload)]

    def other_tasks(self, opened: ArchiveTasks) -> list[Task]:
        container = self._task.container._replace(size=opened.received)
        if opened.tasks != [Task(self._task.kind, container, self._task.payload)]:
            raise FollowVoid("it is something else than it began as")
        return [] if self._is_given else opened.tasks


class FollowedSpool:
    """The archive in a spool that grows (`workers.archive_reader.ComingArchive`). For one thread."""

    def __init__(
        self,
        path: str,
        name: str,
        size: int,
        limits: Limits,
        readers: int,
        look: Callable[[], tuple[int, int]],
        others_wait: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`size`: what the sender has stated, which may be more than it is.

        `look`: bytes that have come and stay as they are, and the size as far as it is known by now; it may raise.
        `others_wait`: whether another upload could be followed instead.
        """
        self.size = size
        self._path = path
        self._name = name
        self._limits = limits
        self._readers = readers
        self._look_up = look
        self._others_wait = others_wait
        self._clock = clock
        self._fd = -1
        self._ahead: _Ahead | None = None
        self._here = 0
        self._grown = clock()
        self._measured = (self._grown, 0)
        """When its rate was looked at, and how much was here."""
        self.is_proven = False
        """Whether all of it is here, and is what was read ahead."""

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
        self.check_ratio(totals()[1])
        if self._fd < 0 and self._here == self.size:
            raise FollowVoid("it has no bytes that can be read")
        if self._fd < 0 or self._here < min(HEAD, self.size):
            return []
        ahead = self._ahead = self._ahead or self._begin()
        return self._prove(ahead, on_whole) if self._here == self.size else ahead.next_tasks(self._here)

    def _begin(self) -> _Ahead:
        head = self._read_at(0, min(HEAD, self._here))
        kind = kind_of(head, len(head))
        if kind in STREAMS or kind is Kind.TAR:
            return _StreamAhead(stream_task(self._path, self._name, self.size, kind))
        container = Container(b"", "", self._path, 0, self._here, Kind.ZIP, 1, self._name)
        return _ZipAhead(container, self._read_at, self._limits, self._readers)

    def _look(self) -> None:
        """See how far it is."""
        (here, self.size), now = self._look_up(), self._clock()
        if not self._here <= here <= self.size:
            raise FollowVoid("bytes that had come are gone")
        if here > self._here:
            self._here, self._grown = here, now
        elif now - self._grown > STALL_SECONDS:
            raise FollowVoid("no byte came for too long")
        self._check_rate(now)
        if self._fd < 0 and here:
            with contextlib.suppress(FileNotFoundError):
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def _check_rate(self, now: float) -> None:
        """Give up one that comes slowly where another waits: beside its own time the reading takes none."""
        since, before = self._measured
        if now - since < RATE_SECONDS:
            return
        self._measured = (now, self._here)
        if self._here - before < RATE_BYTES and self._here < self.size and self._others_wait():
            raise FollowVoid("it comes slowly, and another can be followed")

    def check_ratio(self, unpacked: int) -> None:
        """The readers' limit is by the size that was stated; here what is here counts, once read the size that it has.

        Raises FollowVoid.
        """
        limits = self._limits
        if unpacked > max(limits.ratio_from_bytes, limits.max_ratio * self._here):
            raise FollowVoid("it unpacks to more than what has come allows")

    def _prove(self, ahead: _Ahead, on_whole: Callable[[ArchiveTasks], None]) -> list[Task]:
        """Hold what was read ahead against the whole archive; the tasks that are left."""
        ours, standing = os.fstat(self._fd), os.stat(self._path)
        if (ours.st_ino, ours.st_dev, standing.st_size) != (standing.st_ino, standing.st_dev, self.size):
            raise FollowVoid("its file is another one")
        opened = open_archive(self._path, self._limits, self._readers, self._name)
        others = ahead.other_tasks(opened)
        self.is_proven = True
        on_whole(opened)
        return others

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
