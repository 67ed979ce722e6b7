"""Reading trees whose files lie in a bucket: by ranges of packs, and by blocks of what is large."""

from __future__ import annotations

import io
import threading
from bisect import bisect_left
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final, cast

from scandock.formats.parts_source import PartsSource
from scandock.store.file_access import RangeReader
from scandock.store.file_places import FilePlace, sort_key, unpack_places
from scandock.store.records import Mark, StoreEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scandock.store.bucket import Bucket
    from scandock.store.file_places import PlaceBatch
    from scandock.store.paths import RelPath, TreePath
    from scandock.store.s3_rows import ObjectRows

WHOLE: Final = 8 * 1024 * 1024
"""Bytes of a file, or of neighbors in a pack that are read one after the other, that come by one request."""
NEAR: Final = 4096
"""Bytes between two files of a pack that are neighbors."""
READ_OVER: Final = 2 * 1024 * 1024
"""Bytes of neighbors in a pack that come by one request where they are not neighbors by path: files of one folder may
be in several packs by turns, as they were read.
"""
KEPT_BATCHES: Final = 32
LARGE_BLOCK: Final = 1024 * 1024
"""Bytes of what is larger that come by one request: many who read it slowly hold little each."""
LARGE_KEPT: Final = 4


class PlaceReader:
    """Looks places up for a process, and keeps the last batches: what trees hold never changes."""

    def __init__(self, rows: ObjectRows) -> None:
        self._rows = rows
        self._batches: OrderedDict[tuple[int, bytes], list[FilePlace]] = OrderedDict()
        self._lock = threading.Lock()

    def all(self, number: int) -> Iterator[FilePlace]:
        """The places of a tree, by path."""
        for batch in self._rows.batches(number):
            yield from unpack_places(batch)

    def around(self, number: int, path: str) -> list[FilePlace]:
        """The places among which a path has its own, if the tree has it."""
        key = sort_key(path)
        with self._lock:
            for (tree, first), places in self._batches.items():
                if tree == number and first <= key <= sort_key(places[-1].path):
                    self._batches.move_to_end((tree, first))
                    return places
        batch = self._rows.batch_of(number, key)
        return [] if batch is None else self._keep(number, batch)

    def forget(self, number: int) -> bool:
        """Look the places of a tree up anew: packs may have been written anew. Whether any were kept."""
        with self._lock:
            kept = [key for key in self._batches if key[0] == number]
            for key in kept:
                del self._batches[key]
        return bool(kept)

    def _keep(self, number: int, batch: PlaceBatch) -> list[FilePlace]:
        places = unpack_places(batch)
        with self._lock:
            self._batches[number, batch.first] = places
            while len(self._batches) > KEPT_BATCHES:
                self._batches.popitem(last=False)
        return places


class S3Snapshot:
    """A published tree by its number: it stays readable until its objects are deleted, long after it was replaced."""

    has_files = False
    __slots__ = ("_blocks", "_bucket", "_end", "_next", "_number", "_places", "mark", "name")

    def __init__(self, bucket: Bucket, places: PlaceReader, name: TreePath, number: int) -> None:
        self.name = name
        self.mark = Mark(number)
        self._bucket = bucket
        self._places = places
        self._number = number
        self._blocks: list[tuple[str, int, bytes]] = []
        """Object, offset and bytes of neighbors that were read at once, the last used last; WHOLE bytes in all."""
        self._end: tuple[str, int] = ("", 0)
        """Where the file ended that was read last: its neighbor is likely to be next."""
        self._next: str | None = None
        """Or the next by path is; "" where that is the first of other places."""

    def open(self, rel: RelPath, offset: int = 0, length: int | None = None) -> IO[bytes]:
        if offset < 0 or (length is not None and length < 0):
            raise ValueError(f"not a range: {offset}, {length}")
        try:
            return self._open(rel, offset, length)
        except FileNotFoundError:
            if not self._places.forget(self._number):
                raise
            return self._open(rel, offset, length)  # it may lie elsewhere since its place was looked up

    def _open(self, rel: RelPath, offset: int, length: int | None) -> IO[bytes]:
        places, at = self._find(rel)
        place = places[at] if at >= 0 else None
        if place is None:
            raise FileNotFoundError(2, "No such file", rel)
        left = max(0, place.length - offset)
        count = left if length is None else min(length, left)
        if count > WHOLE and place.offset == 0:
            return open_object(self._bucket, place, offset, count)
        is_whole = count == place.length
        block = self._read_block(places, at) if is_whole else None
        data = self._bucket.get_range(place.object, place.offset + offset, count) if block is None else block
        if is_whole:
            self._end = (place.object, place.offset + place.length)
            self._next = places[at + 1].path if at + 1 < len(places) else ""
        return io.BytesIO(data)

    def _read_block(self, places: list[FilePlace], at: int) -> bytes | None:
        """A file's bytes out of what is read with its neighbors; None where it is read alone."""
        place = places[at]
        for number, (key, start, data) in enumerate(self._blocks):
            if key == place.object and start <= place.offset and place.offset + place.length <= start + len(data):
                self._blocks.append(self._blocks.pop(number))
                return data[place.offset - start : place.offset - start + place.length]
        is_behind = place.object == self._end[0] and 0 <= place.offset - self._end[1] <= NEAR
        if not is_behind and self._next != (place.path if at else ""):
            return None
        data = self._bucket.get_range(place.object, place.offset, _find_end(places, at) - place.offset)
        self._blocks.append((place.object, place.offset, data))
        while sum(len(data) for _, _, data in self._blocks) > WHOLE and len(self._blocks) > 1:
            del self._blocks[0]
        return data[: place.length]

    def size(self, rel: RelPath) -> int | None:
        places, at = self._find(rel)
        return places[at].length if at >= 0 else None

    def lost(self, rels: Iterable[RelPath]) -> Iterator[RelPath]:
        wanted = set(rels)
        if not wanted:
            return
        objects = sorted({place.object for place in self._places.all(self._number) if place.path in wanted})
        sizes = {key: self._bucket.size(key) or 0 for key in objects}
        for place in self._places.all(self._number):
            if place.object in sizes and place.offset + place.length > sizes[place.object]:
                yield place.path

    def _find(self, rel: RelPath) -> tuple[list[FilePlace], int]:
        places = self._places.around(self._number, rel)
        at = bisect_left(places, sort_key(rel), key=lambda place: sort_key(place.path))
        return places, at if at < len(places) and places[at].path == rel else -1

    def walk(self, order: Callable[[str], str] | None = None) -> Iterator[StoreEntry]:
        return walk_places(self.name, self._places.all(self._number), order)

    def close(self) -> None:
        self._blocks.clear()

    def __enter__(self) -> S3Snapshot:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _find_end(places: list[FilePlace], at: int) -> int:
    """Where what is read with a file ends: behind its neighbors by path, or else behind those in its pack."""
    place = places[at]
    end = _extend(place, places[at + 1 :], WHOLE)
    if end - place.offset >= READ_OVER:
        return end
    behind = sorted(
        (other for other in places if other.object == place.object and other.offset > place.offset),
        key=lambda other: other.offset,
    )
    return max(end, _extend(place, behind, READ_OVER))


def _extend(place: FilePlace, others: list[FilePlace], most: int) -> int:
    """Where the last of these files ends of which each is the neighbor of the one before, at `most` bytes at most."""
    end = place.offset + place.length
    for other in others:
        if other.object != place.object or not 0 <= other.offset - end <= NEAR:
            break
        if other.offset + other.length - place.offset > most:
            break
        end = other.offset + other.length
    return end


def walk_places(
    name: str, places: Iterator[FilePlace], order: Callable[[str], str] | None = None
) -> Iterator[StoreEntry]:
    """The files of a tree as the walk of a folder has them: those of a folder, then what is in its folders."""
    files: dict[str, list[FilePlace]] = {"": []}
    folders: dict[str, list[str]] = {}
    for place in places:
        folder = place.path.rpartition("/")[0]
        while folder not in files:
            files[folder] = []
            above = folder.rpartition("/")[0]
            folders.setdefault(above, []).append(folder)
            if above in files:
                break
            folder = above
        files[place.path.rpartition("/")[0]].append(place)
    waiting = [""]
    while waiting:
        here = waiting.pop()
        for place in sorted(files[here], key=lambda place: place.path):
            yield StoreEntry(name, place.path, place.length, 0, "file")
        waiting.extend(sorted(folders.get(here, ()), key=order, reverse=True))


def open_object(bucket: Bucket, place: FilePlace, offset: int, length: int) -> IO[bytes]:
    """A seekable reader of a range of a file that is an object of its own. FileNotFoundError where that is gone."""
    parts = [(place.object, offset + length)]  # nothing behind the range is fetched
    source = PartsSource(parts, bucket.get_range, block=LARGE_BLOCK, kept=LARGE_KEPT)
    try:
        source.read_at(offset, 1)
    except BaseException:
        source.close()
        raise
    reader = RangeReader(source.readinto_at, source.close, offset, length)
    return cast("IO[bytes]", io.BufferedReader(reader, LARGE_BLOCK))
