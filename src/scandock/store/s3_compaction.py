"""Compaction: packs of a bucket that hold files of trees which are gone are written anew, without these.

What is alive of an object is counted from the places of all trees that name it, those in the trash included. Then the
live files of a few packs that trees have in common go into new packs, and one transaction has these trees name them
(`ObjectRows.move_places`). The old packs stay for as long as whoever reads them, and a catalog that was restored, may
want them. Killed at any moment, it leaves packs that no row names, below a prefix of its own, which are swept.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from scandock.store.file_places import unpack_places
from scandock.store.packs import NAME_BYTES, PackWriter, pack_size
from scandock.store.records import CompactionResult
from scandock.store.s3_deletion import check_owner
from scandock.store.s3_rows import LiveBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scandock.store.bucket import Bucket
    from scandock.store.s3_rows import ObjectRows, SparseObject

COMPACTION: Final = "compaction"
"""What the work of it is called where imports have the id of their upload."""
AT_ONCE: Final = 32
"""Objects that are counted, or written anew, together: all their places are in memory."""
GROUP_BYTES: Final = 128 * 1024 * 1024
"""Bytes that one transaction moves at most, unless one pack has more."""


Place = tuple[str, int]
"""Object and offset."""


def compact(
    bucket: Bucket, rows: ObjectRows, *, most_bytes: int, grace_ms: int, stop: Callable[[], bool]
) -> CompactionResult:
    """See port.Store.compact. Old packs are due `grace_ms` after their files have moved. Fault as `check_owner`."""
    check_owner(bucket, rows)  # else new packs would be named by nobody who has the bucket
    packs = copied = 0
    while copied < most_bytes and not stop():
        if uncounted := rows.uncounted(AT_ONCE):
            _count(rows, uncounted)
            continue
        group = _next_group(rows, min(GROUP_BYTES, most_bytes - copied))
        if not group or not _rewrite(bucket, rows, group, grace_ms):
            break
        packs += len(group)
        copied += sum(each.live for each in group)
    return CompactionResult(packs, copied)


def _count(rows: ObjectRows, keys: Sequence[str]) -> None:
    """Note how much of these objects files of trees have."""
    trees = rows.trees_of(keys)
    live = _live_ranges(rows, keys, frozenset().union(*trees.values()))
    rows.note_live({key: LiveBytes(pack_size(live[key].values()), trees[key]) for key in keys})


def _live_ranges(rows: ObjectRows, keys: Sequence[str], trees: Iterable[int]) -> dict[str, dict[int, int]]:
    """Of each object the ranges that files of these trees have: their lengths by their offsets."""
    live: dict[str, dict[int, int]] = {key: {} for key in keys}
    for number in trees:
        for batch in rows.batches(number):
            for place in unpack_places(batch):
                if place.object in live:
                    live[place.object][place.offset] = place.length
    return live


def _next_group(rows: ObjectRows, most_bytes: int) -> list[SparseObject]:
    """The pack of which the most is dead, and others that a tree of it has."""
    sparse = rows.sparse(AT_ONCE)
    if not sparse:
        return []
    trees = rows.trees_of([each.key for each in sparse])
    first, *others = sparse
    group, size = [first], first.live
    for each in others:
        if trees[each.key] & trees[first.key] and size + each.live <= most_bytes:
            group.append(each)
            size += each.live
    return group


def _rewrite(bucket: Bucket, rows: ObjectRows, group: Sequence[SparseObject], grace_ms: int) -> bool:
    """Move the live files of packs into new ones; False where somebody was quicker."""
    token = os.urandom(8).hex()
    rows.begin(COMPACTION, token)
    keys = [each.key for each in group]
    trees = rows.trees_of(keys)
    live = _live_ranges(rows, keys, frozenset().union(*trees.values()))
    packs = PackWriter(bucket, COMPACTION, token, "pack")
    moved: dict[Place, Place] = {}
    damaged: dict[str, LiveBytes] = {}
    try:
        for each in group:
            copied = _copy(bucket, packs, each.key, live[each.key])
            if copied is None:
                damaged[each.key] = LiveBytes(each.bytes, trees[each.key])
            else:
                moved.update(copied)
        objects = packs.seal()
    finally:
        packs.close()
    if damaged:  # they stay as they are: check and verification tell of their files
        rows.note_live(damaged)
    sound = [key for key in keys if key not in damaged]
    return rows.move_places(COMPACTION, token, sound, moved, objects, grace_ms=grace_ms)


def _copy(bucket: Bucket, packs: PackWriter, key: str, ranges: dict[int, int]) -> dict[Place, Place] | None:
    """Copy files of a pack, proven by their names; where each is now. None where it is gone, or one is damaged."""
    try:
        content = memoryview(bucket.get(key) if ranges else b"")
    except FileNotFoundError:
        return None
    files = [(offset, content[offset : offset + ranges[offset]]) for offset in sorted(ranges)]
    digests = [sha256(data).digest() for _, data in files]
    if any(
        bytes(content[offset - NAME_BYTES : offset]) != digest.hex().encode() or len(data) != ranges[offset]
        for (offset, data), digest in zip(files, digests, strict=True)
    ):
        return None
    blobs = [packs.put(COMPACTION, data, digest) for (_, data), digest in zip(files, digests, strict=True)]
    return {(key, offset): (blob.object, blob.offset) for (offset, _), blob in zip(files, blobs, strict=True)}
