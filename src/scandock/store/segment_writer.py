"""Segments: files of a stage to which a reader appends images one behind the other, instead of making a file of each.

For stores that pack what is staged: a file of its own would be made, opened, read once and deleted again. Whoever puts
the tree together is told where each image is, and knows it by a path as any other file (`segment_files.py`). A reader
that dies has told of images that are there for certain; those behind them are nobody's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from scandock.store.paths import IMAGES, segment_path

if TYPE_CHECKING:
    from scandock.store.handles import Stage, Writer
    from scandock.store.paths import RelPath

NO_OFFSET: Final = -1
"""Of a file that is in no segment."""
_IMAGES: Final = f"{IMAGES}/"


class SegmentWriter:
    """A reader's view of its stage, with a segment of its own for images that are in memory; for one thread.

    No path of these is ever taken here: another reader's images, or an earlier one of this, may have it.
    """

    def __init__(self, stage: Stage, most_files: int) -> None:
        """Beyond `most_files` each image is a file of its own: whoever hears of those in segments remembers each."""
        self.name = os.urandom(6).hex()
        self._stage = stage
        self._left = most_files
        self._writer: Writer | None = None
        self._end = 0
        self._last: tuple[str, int] = ("", NO_OFFSET)

    def put_whole(self, rel: RelPath, data: bytes | memoryview) -> object:
        """As Stage.put_whole."""
        if self._left <= 0 or not rel.startswith(_IMAGES):
            return self._stage.put_whole(rel, data)
        if self._writer is None:
            self._writer = self._stage.put(segment_path(self.name))
        self._last = (rel, self._end)
        self._left -= 1
        self._end += self._writer.write(data)
        return None

    def take_offset(self, rel: str) -> int:
        """Where in the segment the file is that was put there last; NO_OFFSET where that was no `rel`."""
        (last, offset), self._last = self._last, ("", NO_OFFSET)
        return offset if rel and last == rel else NO_OFFSET

    def close(self) -> None:
        """Let go of the segment; the stage stays open."""
        if self._writer is not None:
            self._writer.close()

    def put(self, rel: RelPath) -> Writer:
        return self._stage.put(rel)

    def move(self, old: RelPath, new: RelPath) -> None:
        self._stage.move(old, new)

    def remove(self, rel: RelPath) -> None:
        self._stage.remove(rel)

    def read_at(self, rel: RelPath, offset: int, length: int) -> bytes:
        return self._stage.read_at(rel, offset, length)

    def local_path(self, rel: RelPath) -> str | None:
        return self._stage.local_path(rel)
