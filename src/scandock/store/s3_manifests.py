"""Copies of manifests: for each published tree of a bucket an object that says what it is and where its files lie.

With them the bucket can be read without any database (docs/design/0015-object-store.md). Rows decide what there is; a
copy is read by nobody but who has lost them.
"""

from __future__ import annotations

import json
import os
import zlib
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scandock.store.bucket import Bucket
    from scandock.store.file_places import FilePlace
    from scandock.store.paths import RelPath
    from scandock.store.s3_rows import ObjectRows
    from scandock.store.s3_trees import PlaceReader

_GZIP: Final = 31
PLACES_AT_ONCE: Final = 50_000
"""Files whose places and checksums are in memory together: some 30 MB."""
WRITING_MS: Final = 60 * 60 * 1000
"""How long a copy may take to be written; one that no row names by then is deleted."""
_NO_FILES: Final[tuple[list[FilePlace], Mapping[RelPath, tuple[int, bytes]]]] = ([], {})


def store_manifest(
    bucket: Bucket,
    rows: ObjectRows,
    places: PlaceReader,
    number: int,
    name: str,
    head: Mapping[str, object],
    files: Callable[[RelPath, RelPath], Mapping[RelPath, tuple[int, bytes]]],
) -> bool:
    """Store a copy for a published tree: `head` as its first line, then a line for each file.

    `files` gives size and sha256 by path, from one path to another; those that the bucket has lost are left out. False
    where the tree has others, or has changed meanwhile. Fault `store_failed`.
    """
    batches = _read_batches(places, number, files)
    part, known = next(batches, _NO_FILES)
    if not _agree(part, known):  # before anything is sent: most trees have no more files
        return False
    shard = sha256(str(number).encode()).hexdigest()[:2]
    key = f"v1/m/{shard}/{number}-{os.urandom(6).hex()}.jsonl.gz"
    rows.begin_manifest(key, WRITING_MS)
    writer = bucket.open_writer(key)
    packer = zlib.compressobj(6, wbits=_GZIP)
    writer.write(packer.compress(_line(head)))
    objects: set[str] = set()
    while part:
        objects.update(place.object for place in part)
        for place in part:
            if packed := packer.compress(_file_line(place, known[place.path][1])):
                writer.write(packed)
        part, known = next(batches, _NO_FILES)
        if not _agree(part, known):
            return False
    writer.write(packer.flush())
    writer.close()
    return rows.keep_manifest(number, name, key, objects)


def _read_batches(
    places: PlaceReader, number: int, files: Callable[[RelPath, RelPath], Mapping[RelPath, tuple[int, bytes]]]
) -> Iterator[tuple[list[FilePlace], Mapping[RelPath, tuple[int, bytes]]]]:
    """Where some files of a tree are, and what `files` knows of them."""
    left = places.all(number)
    while part := list(islice(left, PLACES_AT_ONCE)):
        yield part, files(part[0].path, part[-1].path)


def _agree(part: Iterable[FilePlace], known: Mapping[RelPath, tuple[int, bytes]]) -> bool:
    return all(place.path in known and known[place.path][0] == place.length for place in part)


def copy_all(
    rows: ObjectRows, make: Callable[[int, str], bool], stop: Callable[[], bool], *, at_once: int = 100
) -> int:
    """Have `make` store copies of the trees that have none, by number and name; how many it did.

    Where that fails for some, the others are done first, and the first of these errors is raised.
    """
    done = 0
    failure: Exception | None = None
    for number, name in _waiting(rows, at_once):
        if stop():
            break
        try:
            done += make(number, name)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one tree, the others get their copies
            failure = failure or error
    if failure is not None:
        raise failure
    return done


def _waiting(rows: ObjectRows, at_once: int) -> Iterator[tuple[int, str]]:
    after = 0
    while trees := rows.without_manifest(after, at_once):
        yield from trees
        after = trees[-1][0]


def _file_line(place: FilePlace, digest: bytes) -> bytes:
    return _line(
        {
            "path": place.path,
            "bytes": place.length,
            "sha256": digest.hex(),
            "object": place.object,
            "offset": place.offset,
        }
    )


def _line(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"
