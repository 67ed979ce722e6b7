"""Where the files of a tree lie in a bucket: object, offset and length of each, packed a thousand at a time.

A batch is zlib's of a JSON document: keys of objects, paths by how much of the one before they repeat, and columns of
numbers. Files of one pack lie behind each other, so their offsets are told as the gap behind the file before, which is
the same nearly always. Some 15 bytes a file.
"""

from __future__ import annotations

import json
import zlib
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.store.paths import unchecked_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from scandock.store.paths import RelPath

BATCH: Final = 1000
_VERSION: Final = 1


class PlaceBatch(NamedTuple):
    """Places of up to a thousand files of a tree, packed, the next ones by path."""

    first: bytes
    """The path of the first."""
    files: int
    body: bytes


class FilePlace(NamedTuple):
    """Where one file of a tree lies."""

    path: RelPath
    object: str
    offset: int
    length: int


class MovedBatch(NamedTuple):
    """A batch of places, and the objects that it names."""

    batch: PlaceBatch
    objects: set[str]


def sort_key(path: str) -> bytes:
    """What files of a tree are sorted by: the bytes of their paths."""
    return path.encode("utf-8", "surrogateescape")


def pack_places(places: Iterable[FilePlace]) -> Iterator[PlaceBatch]:
    """Batches of places that are sorted by `sort_key`."""
    left = iter(places)
    while part := list(islice(left, BATCH)):
        yield PlaceBatch(sort_key(part[0].path), len(part), _pack(part))


def _pack(places: list[FilePlace]) -> bytes:
    keys: dict[str, int] = {}
    ends: dict[str, int] = {}
    same, rests, objects, gaps, lengths = [], [], [], [], []
    before = ""
    for path, key, offset, length in places:
        shared = before.rfind("/") + 1
        if not path.startswith(before[:shared]):
            shared = 0
        for old, new in zip(before[shared:], path[shared:], strict=False):
            if old != new:
                break
            shared += 1
        same.append(shared)
        rests.append(path[shared:])
        objects.append(keys.setdefault(key, len(keys)))
        gaps.append(offset - ends.get(key, 0))
        lengths.append(length)
        ends[key], before = offset + length, path
    document = [_VERSION, list(keys), same, rests, objects, gaps, lengths]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"), 6)


def move_places(batch: PlaceBatch, old: Set[str], moved: Mapping[tuple[str, int], tuple[str, int]]) -> MovedBatch:
    """A batch whose files that lie in `old` objects are elsewhere now: object and offset by those of before.

    KeyError where one of them was not moved. A batch without such a file is not unpacked: most are so, and locks wait.
    """
    objects = _objects_of(batch)
    if old.isdisjoint(objects):
        return MovedBatch(batch, objects)
    places = [
        place._replace(object=target[0], offset=target[1])
        if place.object in old and (target := moved[place.object, place.offset])
        else place
        for place in unpack_places(batch)
    ]
    return MovedBatch(batch._replace(body=_pack(places)), {place.object for place in places})


def _objects_of(batch: PlaceBatch) -> set[str]:
    document = zlib.decompress(batch.body).decode("ascii")
    keys, _ = json.JSONDecoder().raw_decode(document, document.index("[", 1))
    return set(keys)


def unpack_places(batch: PlaceBatch) -> list[FilePlace]:
    """The places of a batch, by path. ValueError where it is none."""
    try:
        version, keys, same, rests, objects, gaps, lengths = json.loads(zlib.decompress(batch.body))
    except zlib.error as error:
        raise ValueError(f"not a batch of places: {error}") from error
    if version != _VERSION:
        raise ValueError(f"places of version {version}")
    places, ends = [], [0] * len(keys)
    path = ""
    for shared, rest, at, gap, length in zip(same, rests, objects, gaps, lengths, strict=True):
        path = path[:shared] + rest
        offset = ends[at] + gap
        ends[at] = offset + length
        places.append(FilePlace(unchecked_path(path), keys[at], offset, length))
    return places
