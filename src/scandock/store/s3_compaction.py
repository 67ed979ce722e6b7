"""Compaction: packs of a bucket that hold files of trees which are gone are written anew, without these.

What is alive of an object is counted from the places of all trees that name it, those in the trash included. Then the
live files of a few packs that trees have in common go into new packs, and these trees are made to name them, by one
transaction or, where they are many, by some (`ObjectRows.move_places`). The old packs stay for as long as whoever reads
them, and a catalog that was restored, may want them. Killed at any moment, it leaves packs that no row names, below a
prefix of its own, which are swept, or packs of which trees have a part, which are counted anew.
"""

from __future__ import annotations

import os
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.store.errors import StoreFailed
from scandock.store.file_places import unpack_places
from scandock.store.packs import NAME_BYTES, PackWriter, pack_size
from scandock.store.records import CompactionResult
from scandock.store.s3_deletion import check_owner
from scandock.store.s3_rows import LiveBytes, ObjectMove, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set

    from scandock.store.bucket import Bucket
    from scandock.store.s3_rows import ObjectRows, SparseObject

COMPACTION: Final = "compaction"
"""What the work of it is called where imports have the id of their upload."""
AT_ONCE: Final = 32
"""Objects that are counted, or written anew, together: all their places are in memory."""
GROUP_BYTES: Final = 128 * 1024 * 1024
"""Bytes that one transaction moves at most, unless one pack has more."""
GROUP_BATCHES: Final = 50
"""Batches of places that one transaction writes anew at most, unless one tree has more: a second at most."""


def compact(
    bucket: Bucket,
    rows: ObjectRows,
    unreadable: set[str],
    *,
    most_bytes: int,
    grace_ms: int,
    stop: Callable[[], bool],
) -> CompactionResult:
    """See port.Store.compact. Old packs are due `grace_ms` after their files have moved. Fault as `check_owner`.

    `unreadable`: packs that the bucket refused in this turn or one before; they come once there are no others.
    """
    check_owner(bucket, rows)  # else new packs would be named by nobody who has the bucket
    packs = copied = 0
    while copied < most_bytes and not stop():
        uncounted = rows.uncounted(AT_ONCE)
        _count(rows, uncounted)  # turn about: deletions that go on must not keep packs from being written anew
        group = _next_group(rows, min(GROUP_BYTES, most_bytes - copied), unreadable)
        if not group and not uncounted:
            unreadable.clear()
            break
        if not group:
            continue
        done = _rewrite(bucket, rows, group, unreadable, grace_ms)
        if done is None:
            break
        packs += len(done)
        copied += sum(each.live for each in done)
    return CompactionResult(packs, copied)


def _count(rows: ObjectRows, keys: Sequence[str]) -> None:
    """Note how much of these objects files of trees have."""
    if not keys:
        return
    trees = rows.trees_of(keys)
    live = _find_live(rows, keys, frozenset().union(*trees.values())).ranges
    rows.note_live({key: LiveBytes(pack_size(live[key].values()), trees[key]) for key in keys})


class _Live(NamedTuple):
    """What is alive of objects, by their keys."""

    ranges: dict[str, dict[int, int]]
    """Lengths of the ranges that files of trees have, by their offsets."""
    batches: dict[str, set[tuple[int, bytes]]]
    """The batches of places that name it: tree, and path of the first file."""


def _find_live(rows: ObjectRows, keys: Sequence[str], trees: Iterable[int]) -> _Live:
    """What files of these trees have of objects."""
    live = _Live({key: {} for key in keys}, {key: set() for key in keys})
    for number in trees:
        for batch in rows.batches(number):
            for place in unpack_places(batch):
                if place.object in live.ranges:
                    live.ranges[place.object][place.offset] = place.length
                    live.batches[place.object].add((number, batch.first))
    return live


def _next_group(rows: ObjectRows, most_bytes: int, unreadable: Set[str]) -> list[SparseObject]:
    """The pack of which the most is dead, and others that a tree of it has."""
    sparse = [each for each in rows.sparse(AT_ONCE + len(unreadable)) if each.key not in unreadable]
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


def _bound(group: Sequence[SparseObject], live: _Live) -> list[SparseObject]:
    """The first packs of a group, for as long as not too many batches name them, and at least one."""
    touched: set[tuple[int, bytes]] = set()
    for count, each in enumerate(group):
        touched |= live.batches[each.key]
        if count and len(touched) > GROUP_BATCHES:
            return list(group[:count])
    return list(group)


def _rewrite(
    bucket: Bucket, rows: ObjectRows, group: Sequence[SparseObject], unreadable: set[str], grace_ms: int
) -> list[SparseObject] | None:
    """Move the live files of packs into new ones: of which packs, or None where somebody was quicker.

    Packs that the bucket refuses are left out, and are `unreadable` then.
    """
    token = os.urandom(8).hex()
    rows.begin(COMPACTION, token)
    keys = [each.key for each in group]
    trees = rows.trees_of(keys)
    live = _find_live(rows, keys, frozenset().union(*trees.values()))
    group = _bound(group, live)
    packs = PackWriter(bucket, COMPACTION, token, "pack")
    copies: dict[str, dict[Place, Place] | None] = {}
    try:
        for each in group:
            ranges = live.ranges[each.key]
            content = _read(bucket, each.key, unreadable) if ranges else b""
            copies[each.key] = None if content is None else _copy(packs, each.key, memoryview(content), ranges)
        objects = packs.seal()
    finally:
        packs.close()
    done = [each for each in group if each.key not in unreadable]
    damaged = {each.key: LiveBytes(each.bytes, trees[each.key]) for each in done if copies[each.key] is None}
    if damaged:  # they stay as they are: check and verification tell of their files
        rows.note_live(damaged)
    sound = frozenset(each.key for each in done if each.key not in damaged)
    places = {old: new for copied in copies.values() if copied for old, new in copied.items()}
    move = ObjectMove(sound, places, objects)
    for some in _split_trees(set().union(*(live.batches[key] for key in sound))):
        if not rows.move_trees(COMPACTION, token, move, some, grace_ms=grace_ms):
            return None
        move = move._replace(has_rows=True)
    return done if rows.move_places(COMPACTION, token, move, grace_ms=grace_ms) else None


def _split_trees(batches: Iterable[tuple[int, bytes]]) -> list[list[int]]:
    """Trees by as many as one transaction may move, but for the last of these, in which others may come."""
    groups: list[list[int]] = [[]]
    size = 0
    for number, count in sorted(Counter(number for number, _ in batches).items()):
        if groups[-1] and size + count > GROUP_BATCHES:
            groups.append([])
            size = 0
        groups[-1].append(number)
        size += count
    return groups[:-1]


def _read(bucket: Bucket, key: str, unreadable: set[str]) -> bytes | None:
    """A pack; None where it is gone, or where the bucket refuses it: then it is `unreadable`."""
    try:
        return bucket.get(key)
    except FileNotFoundError:
        return None
    except StoreFailed:
        unreadable.add(key)
        return None


def _copy(packs: PackWriter, key: str, content: memoryview, ranges: dict[int, int]) -> dict[Place, Place] | None:
    """Copy files of a pack, proven by their names; where each is now. None where one is damaged."""
    files = [(offset, content[offset : offset + ranges[offset]]) for offset in sorted(ranges)]
    digests = [sha256(data).digest() for _, data in files]
    if any(
        bytes(content[offset - NAME_BYTES : offset]) != digest.hex().encode() or len(data) != ranges[offset]
        for (offset, data), digest in zip(files, digests, strict=True)
    ):
        return None
    blobs = [packs.put(COMPACTION, data, digest) for (_, data), digest in zip(files, digests, strict=True)]
    return {(key, offset): (blob.object, blob.offset) for (offset, _), blob in zip(files, blobs, strict=True)}
