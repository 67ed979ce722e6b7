"""The index of objects over all trees: in which manifests a SOP Instance UID is (docs/design/0014-manifests.md).

A block is a sorted list of entries: the first bits of a hash, and the id of a manifest that may have an object of it.
Who shows a tree adds a few blocks to the part of all hashes. A chore merges the blocks of a part that has many of
them, leaves out manifests that are gone, and divides the rest among the parts below, by the next bits of the hashes.
So a UID is in one of a few blocks of each of a few parts, and what is found is compared with the manifest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from scandock.catalog.engine import Catalog, split_values
from scandock.catalog.errors import CatalogDamaged
from scandock.catalog.file_manifests import MAX_NUMBER
from scandock.catalog.file_rows import FileRow
from scandock.catalog.manifest_bodies import unpack_rows
from scandock.catalog.tables import RowState, manifest, object_block, tree
from scandock.rules.sop_hashes import sop_digest, sop_hash

BLOCKS: Final = 16
"""Blocks of a part that are merged: a part has no more for long."""
MERGED_AT_ONCE: Final = 64
"""Blocks, for the memory of a merge and the time of its transaction."""
ENTRIES: Final = 1_000
"""Of a block that is added."""
FEW: Final = 64
"""Entries of a block for which a part is divided: with fewer it stays as it is."""
LEVELS: Final = (0, 7, 11, 15, 19, 23, 27)
"""Bits with which all hashes of a part begin, by how deep it is. Enough for 10^11 objects."""
ROOT: Final = 1
"""The part of all hashes."""
_VERSION: Final = 1
_HASH: Final = 5
_HASH_BITS: Final = 8 * _HASH
_HEAD: Final = 2
"""Bytes before the entries: the version, and how many of an entry are the id."""
_PARTS_AT_ONCE: Final = 500
"""Whose blocks are fetched at once: up to 10 MB where all are full."""
_MANIFESTS_AT_ONCE: Final = 50
"""Which are fetched at once: some 2 MB."""
_MANY: Final = 100
"""Hashes from which on reading a whole block is faster than seeking each."""

_NEW_BLOCKS: Final = insert(object_block)

_Entry = tuple[bytes, int]
"""The first bytes of a hash, and the id of a manifest."""


def index_files(connection: Connection, files: Iterable[tuple[int, FileRow]]) -> None:
    """Add files with the ids of their manifests, by the UIDs of their objects, now and before de-identification."""
    entries = (entry for manifest_id, row in files for entry in _entries_of(manifest_id, row))
    blocks = []
    while some := sorted(islice(entries, ENTRIES)):
        blocks.append({"part": ROOT, "body": _pack(some)})
    if blocks:
        connection.execute(_NEW_BLOCKS, blocks)


def index_manifests(connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER) -> None:
    """Add the files of those manifests of a tree that have numbers from `first` to `last`.

    A manifest that was added before, and is there no more, does no harm: nobody finds anything in it.
    """
    with connection.execute(_MANIFESTS, {"tree": tree_id, "first": first, "last": last}) as manifests:
        index_files(connection, ((manifest_id, row) for manifest_id, body in manifests for row in unpack_rows(body)))


def find_rows(
    connection: Connection, uids: Iterable[str], keys: Iterable[int] = (), tree_id: int | None = None
) -> Iterator[tuple[int, FileRow]]:
    """The files, with their trees, that have objects by their UIDs or by the keys of those that they had before.

    `tree_id`: of this tree alone.
    """
    wanted, wanted_keys = frozenset(uids), frozenset(keys)
    hashes = {_bits_of(number) for number in (*map(sop_hash, wanted), *wanted_keys)}
    ids = sorted(_find_manifests(connection, hashes))
    query = _BODIES if tree_id is None else _BODIES_OF_TREE
    for at in range(0, len(ids), _MANIFESTS_AT_ONCE):
        values = {"ids": ids[at : at + _MANIFESTS_AT_ONCE], "tree": tree_id}
        for found_tree, body in connection.execute(query, values):
            for row in unpack_rows(body):
                if row.sop_uid in wanted or (row.sop_key is not None and row.sop_key in wanted_keys):
                    yield found_tree, row


def merge_blocks(catalog: Catalog, stop: Callable[[], bool]) -> bool:
    """Merge the blocks of parts that have many, each in a short transaction; whether something is left."""
    with catalog.read() as connection:  # most often there is nothing to do, and no writer is to wait for that
        count = connection.execute(_COUNT, {"part": ROOT}).scalar_one()
    parts = [ROOT] if count >= BLOCKS else []
    while parts:
        part = parts.pop()
        with catalog.write() as connection:
            parts += _merge(connection, part)
        if parts and stop():
            return True
    return False


def _merge(connection: Connection, part: int) -> Sequence[int]:
    """Merge the blocks of a part, if they are many; the parts that have many now."""
    rows = connection.execute(_BLOCKS_OF_PART, {"part": part, "most": MERGED_AT_ONCE}).all()
    if len(rows) < BLOCKS:
        return ()
    entries = sorted({entry for row in rows for entry in _unpack(row.body)})
    known = _known_manifests(connection, {manifest_id for _, manifest_id in entries})
    entries = [entry for entry in entries if entry[1] in known]
    merged = [{"merged": row.id} for row in rows]
    connection.execute(delete(object_block).where(object_block.c.id == bindparam("merged")), merged)
    level = LEVELS.index(part.bit_length() - 1)
    bits = LEVELS[level + 1] - LEVELS[level] if level + 1 < len(LEVELS) else 0
    divided: dict[int, list[_Entry]] = defaultdict(list)
    if bits and len(entries) >= FEW << bits:
        for entry in entries:
            divided[_part_of(int.from_bytes(entry[0], "big"), LEVELS[level + 1])].append(entry)
    elif entries:
        divided[part] = entries
    if divided:
        blocks = [{"part": number, "body": _pack(some)} for number, some in divided.items()]
        connection.execute(_NEW_BLOCKS, blocks)
    below = {"first": part << bits, "last": ((part + 1) << bits) - 1, "many": BLOCKS}
    return [part, *connection.execute(_FULL, below).scalars()] if bits else ()


def _known_manifests(connection: Connection, ids: Iterable[int]) -> set[int]:
    known: set[int] = set()
    for some in split_values(sorted(ids)):
        known.update(connection.execute(_KNOWN, {"ids": some}).scalars())
    return known


def _find_manifests(connection: Connection, hashes: set[int]) -> set[int]:
    """The ids of manifests that may have objects of some hashes."""
    of_parts: dict[int, list[int]] = defaultdict(list)
    for bits in LEVELS:
        for number in hashes:
            of_parts[_part_of(number, bits)].append(number)
    found: set[int] = set()
    parts = sorted(of_parts)  # downwards, as entries go, so that none is missed
    for at in range(0, len(parts), _PARTS_AT_ONCE):
        for part, body in connection.execute(_BLOCKS, {"parts": parts[at : at + _PARTS_AT_ONCE]}):
            found.update(_seek(body, of_parts[part]))
    return found


def _seek(body: bytes, hashes: Sequence[int]) -> Iterator[int]:
    """The ids that a block has of some hashes."""
    if len(hashes) >= _MANY:
        texts = {number.to_bytes(_HASH, "big") for number in hashes}
        yield from (manifest_id for text, manifest_id in _unpack(body) if text in texts)
        return
    size, count = _measure(body)
    for number in hashes:
        text = number.to_bytes(_HASH, "big")
        at = bisect_left(range(count), text, key=lambda n: body[_HEAD + n * size : _HEAD + n * size + _HASH])
        for start in range(_HEAD + at * size, len(body), size):
            if body[start : start + _HASH] != text:
                break
            yield int.from_bytes(body[start + _HASH : start + size], "big")


def _bits_of(number: int) -> int:
    """The first bits of a signed hash of 64."""
    return (number & (1 << 64) - 1) >> (64 - _HASH_BITS)


def _part_of(number: int, bits: int) -> int:
    return 1 << bits | number >> (_HASH_BITS - bits)


def _entries_of(manifest_id: int, row: FileRow) -> list[_Entry]:
    entries = [] if row.sop_uid is None else [(sop_digest(row.sop_uid)[:_HASH], manifest_id)]
    if row.sop_key is not None:
        entries.append((_bits_of(row.sop_key).to_bytes(_HASH, "big"), manifest_id))
    return entries


def _pack(entries: Sequence[_Entry]) -> bytes:
    """Sorted entries as a block: ids take as many bytes as the largest one needs."""
    ids = {manifest_id for _, manifest_id in entries}
    width = (max(ids).bit_length() + 7) // 8
    packed_ids = {manifest_id: manifest_id.to_bytes(width, "big") for manifest_id in ids}
    return b"".join((bytes((_VERSION, width)), *(text + packed_ids[manifest_id] for text, manifest_id in entries)))


def _unpack(body: bytes) -> Iterator[_Entry]:
    size, _ = _measure(body)
    return (
        (body[at : at + _HASH], int.from_bytes(body[at + _HASH : at + size], "big"))
        for at in range(_HEAD, len(body), size)
    )


def _measure(body: bytes) -> tuple[int, int]:
    """Bytes of an entry, and how many there are. Fault `catalog_damaged` for what is no block that is known here."""
    size = _HASH + body[1] if len(body) >= _HEAD else 0
    if size == 0 or body[0] != _VERSION or (len(body) - _HEAD) % size:
        raise CatalogDamaged(
            "The catalog has its index of objects in a form that this version of Scandock does not know.",
            "Serve the catalog with the version that wrote it, or a copy of it from before.",
        )
    return size, (len(body) - _HEAD) // size


_MANIFESTS: Final = (
    select(manifest.c.id, manifest.c.body)
    .where(
        manifest.c.tree_id == bindparam("tree"),
        manifest.c.first_n <= bindparam("last"),
        manifest.c.last_n >= bindparam("first"),
    )
    .order_by(manifest.c.first_n)
    .execution_options(yield_per=4)
)
_BODIES: Final = (
    select(manifest.c.tree_id, manifest.c.body)
    .join(tree, tree.c.id == manifest.c.tree_id)
    .where(manifest.c.id.in_(bindparam("ids", expanding=True)), tree.c.file_rows != RowState.READ)
    .order_by(manifest.c.tree_id, manifest.c.first_n)
)
_BODIES_OF_TREE: Final = _BODIES.where(manifest.c.tree_id == bindparam("tree"))
_KNOWN: Final = select(manifest.c.id).where(manifest.c.id.in_(bindparam("ids", expanding=True)))
_BLOCKS: Final = select(object_block.c.part, object_block.c.body).where(
    object_block.c.part.in_(bindparam("parts", expanding=True))
)
_BLOCKS_OF_PART: Final = (
    select(object_block.c.id, object_block.c.body)
    .where(object_block.c.part == bindparam("part"))
    .order_by(object_block.c.id)
    .limit(bindparam("most"))
    .with_for_update()
)
_COUNT: Final = select(func.count()).where(object_block.c.part == bindparam("part"))
_FULL: Final = (
    select(object_block.c.part)
    .where(object_block.c.part.between(bindparam("first"), bindparam("last")))
    .group_by(object_block.c.part)
    .having(func.count() >= bindparam("many"))
)
