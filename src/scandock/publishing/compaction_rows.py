"""Rows of compaction, within the transactions of `object_rows.PostgresObjectRows`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from scandock.catalog.store_tables import IS_SPARSE, file_place, stored_object, stored_tree, tree_object
from scandock.publishing.object_row_changes import NOW, add_objects, drop_manifests, lock_objects, lock_trees
from scandock.store.file_places import PlaceBatch, move_places
from scandock.store.s3_rows import LiveBytes, ObjectMove, SparseObject


class _LockedObjects(NamedTuple):
    old: Sequence[int]
    new: Mapping[str, int]
    """The number of each, by its key."""


def trees_of(connection: Connection, keys: Collection[str]) -> dict[str, frozenset[int]]:
    """The trees that name each of these objects."""
    query = (
        select(stored_object.c.key, tree_object.c.tree_number)
        .join(tree_object, tree_object.c.object_id == stored_object.c.id)
        .where(stored_object.c.key.in_(keys))
    )
    trees: dict[str, set[int]] = {key: set() for key in keys}
    for row in connection.execute(query):
        trees[row.key].add(row.tree_number)
    return {key: frozenset(numbers) for key, numbers in trees.items()}


def list_uncounted(connection: Connection, most: int) -> list[str]:
    where = (stored_object.c.live.is_(None), stored_object.c.due.is_(None))
    query = select(stored_object.c.key).where(*where).order_by(stored_object.c.id).limit(most)
    return list(connection.execute(query).scalars())


def list_sparse(connection: Connection, most: int) -> list[SparseObject]:
    columns = (stored_object.c.key, stored_object.c.bytes, stored_object.c.live)
    query = select(*columns).where(IS_SPARSE).order_by(stored_object.c.live * 1.0 / stored_object.c.bytes)
    return [SparseObject(*row) for row in connection.execute(query.limit(most))]


def note_live(connection: Connection, counts: Mapping[str, LiveBytes]) -> None:
    lock_objects(connection, stored_object.c.key.in_(counts))
    now = trees_of(connection, list(counts))
    for key, counted in counts.items():
        if now[key] == counted.trees:
            live = func.least(stored_object.c.bytes, counted.live)
            connection.execute(update(stored_object).where(stored_object.c.key == key).values(live=live))


def move_some(connection: Connection, move: ObjectMove, trees: Collection[int], grace_ms: int) -> bool:
    """See `ObjectRows.move_trees`. KeyError where one of them has a file in an old object that was not moved."""
    numbers = lock_trees(connection, stored_tree.c.number.in_(trees))
    locked = _lock(connection, move)
    if locked is None:
        return False
    _move(connection, move, numbers, locked, grace_ms)
    ids = [*locked.old, *locked.new.values()]  # of both the others have some
    connection.execute(update(stored_object).where(stored_object.c.id.in_(ids)).values(live=None))
    return True


def move_rest(connection: Connection, move: ObjectMove, grace_ms: int) -> bool:
    """See `ObjectRows.move_places`. KeyError where a tree has a file in an old object that was not moved."""
    # Trees first, as whoever forgets them does; then nobody can begin to share the objects.
    trees = frozenset().union(*trees_of(connection, move.old).values())
    numbers = lock_trees(connection, stored_tree.c.number.in_(trees))
    locked = _lock(connection, move)
    if locked is None or frozenset().union(*trees_of(connection, move.old).values()) != frozenset(numbers):
        return False
    _move(connection, move, numbers, locked, grace_ms)
    connection.execute(update(stored_object).where(stored_object.c.id.in_(locked.old)).values(due=NOW + grace_ms))
    unnamed = ~exists().where(tree_object.c.object_id == stored_object.c.id)  # of trees that went meanwhile
    connection.execute(
        update(stored_object).where(stored_object.c.id.in_(locked.new.values()), unnamed).values(due=NOW)
    )
    return True


def _lock(connection: Connection, move: ObjectMove) -> _LockedObjects | None:
    """Lock the objects, behind their trees, and note the new ones; None where one of them goes, or has gone."""
    new = [each.key for each in move.objects]
    mine = stored_object.c.key.in_(new)
    there = {row.key: row.id for row in connection.execute(select(stored_object.c.key, stored_object.c.id).where(mine))}
    keys = stored_object.c.key.in_({*move.old, *there})
    ids = lock_objects(connection, keys & stored_object.c.due.is_(None))
    is_gone = move.has_rows and len(there) < len(new)
    if is_gone or len(ids) != len(move.old) + len(there):
        return None
    added = add_objects(connection, [each for each in move.objects if each.key not in there])
    return _LockedObjects([each for each in ids if each not in there.values()], there | added)


def _move(
    connection: Connection, move: ObjectMove, numbers: Sequence[int], locked: _LockedObjects, grace_ms: int
) -> None:
    """Have trees that are locked name the new objects in place of the old ones."""
    drop_manifests(connection, stored_tree.c.number.in_(numbers), grace_ms)
    for number in numbers:
        named = _move_places(connection, number, move)
        gone = (tree_object.c.tree_number == number) & tree_object.c.object_id.in_(locked.old)
        connection.execute(delete(tree_object).where(gone))
        if rows := [{"tree_number": number, "object_id": locked.new[key]} for key in sorted(named & locked.new.keys())]:
            connection.execute(insert(tree_object), rows)


def _move_places(connection: Connection, number: int, move: ObjectMove) -> set[str]:
    """Write the places of a tree anew whose files lie elsewhere now; the objects that these batches name."""
    columns = (file_place.c.first, file_place.c.files, file_place.c.body)
    mine = file_place.c.tree_number == number
    named: set[str] = set()
    for row in connection.execute(select(*columns).where(mine)).all():
        changed = move_places(PlaceBatch(*row), move.old, move.places)
        named |= changed.objects
        if changed.batch.body != row.body:
            this = (mine, file_place.c.first == row.first)
            connection.execute(update(file_place).where(*this).values(body=changed.batch.body))
    return named
