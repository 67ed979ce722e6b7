"""Staged files that lie in segments (`segment_writer.py`), by the paths that they have now."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, TYPE_CHECKING, cast

from scandock.store.file_access import RangeReader
from scandock.store.known_files import KnownFile, KnownFiles
from scandock.store.paths import TREE_ROOT, segment_path
from scandock.store.records import StoreEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scandock.store.handles import ReadFile, SegmentPlace
    from scandock.store.paths import RelPath
    from scandock.store.stages import LocalStage


class SegmentReader:
    """Reads the segments of a stage, each of which stays open; for one thread. `close` leaves the stage open."""

    def __init__(self, stage: LocalStage) -> None:
        self._stage = stage
        self._files: dict[str, IO[bytes]] = {}

    def read_into(self, place: SegmentPlace, view: memoryview, skip: int = 0) -> int:
        """Fill `view` with what is at a place, `skip` bytes behind its beginning; how many bytes there were."""
        fd = self._open_segment(place.segment).fileno()
        count = 0
        while count < len(view) and (more := os.preadv(fd, [view[count:]], place.offset + skip + count)):
            count += more
        return count

    def _open_segment(self, name: str) -> IO[bytes]:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._stage.open(segment_path(name))
        return file

    def open(self, place: SegmentPlace, size: int, offset: int = 0, length: int | None = None) -> IO[bytes]:
        """See handles.Stage."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError(f"not a range: {offset}, {length}")
        left = max(0, size - offset)

        def read(at: int, view: memoryview) -> int:
            return self.read_into(place, view, at)

        ranged = RangeReader(read, lambda: None, offset, left if length is None else min(length, left))
        return cast("IO[bytes]", io.BufferedReader(ranged))

    def close(self) -> None:
        """Let go of the segments' files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then the system closes what is open
            self.close()


class SegmentFiles:
    """The files of a stage that lie in segments: they move and go as others do, and no byte of them moves."""

    def __init__(self, stage: LocalStage) -> None:
        self._files = KnownFiles()
        self._reader = SegmentReader(stage)

    def add(self, rel: str, file: ReadFile) -> None:
        """Note a file that is in a segment, at a path that is free."""
        self._files.add(rel, KnownFile(file.size, file.sha256, None, file.place))

    def find(self, rel: str) -> KnownFile | None:
        """What is known of a file; None where it is no file in a segment."""
        return self._files.find(rel)

    def has(self, rel: str) -> bool:
        """Whether it is one of them, or a folder in which one is."""
        return self._files.has(rel)

    def move(self, old: str, new: str) -> None:
        """Follow a file, or a folder with all that is in it."""
        self._files.move(old, new)

    def remove(self, rel: str) -> None:
        """Forget a file, or a folder with all that is in it."""
        self._files.remove(rel)

    def clear(self) -> None:
        """Forget all of them."""
        self._files = KnownFiles()
        self._reader.close()

    def list(self, rel: str) -> set[str]:
        """Names in a folder."""
        start = len(rel) + 1 if rel else 0
        return {path[start:].partition("/")[0] for path, _ in self._files.below(rel)}

    def walk(self, rel: str = TREE_ROOT) -> Iterator[StoreEntry]:
        """As Stage.walk."""
        for path, known in self._files.below(rel):
            yield StoreEntry("", path, known.size, 0, "file")

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes] | None:
        """As Stage.open; None where it is no file in a segment."""
        known = self.find(rel)
        if known is None or known.place is None:
            return None
        return self._reader.open(known.place, known.size, offset, length)

    @property
    def reader(self) -> SegmentReader:
        """What reads them."""
        return self._reader

    def close(self) -> None:
        self._reader.close()
