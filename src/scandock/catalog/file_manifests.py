"""The files of trees as manifests: rows of up to 1,000 files each (docs/design/0014-manifests.md).

Trees of older versions have rows of `file` until a worker has brought them over (`tree.file_rows`). Manifests of one
tree don't overlap, and follow one another by their numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, literal, select, update

from scandock.catalog.file_rows import FileHead, FileRow
from scandock.catalog.manifest_bodies import pack_rows, unpack_heads, unpack_rows
from scandock.catalog.tables import RowState, manifest, tree

FILES: Final = 1_000
"""How many a manifest has at most."""
FEW: Final = 100
"""A manifest with fewer takes up what is added to the tree."""
SPLIT_AT: Final = 500
"""A manifest with fewer goes on with the next resource: bodies of a few kB waste a quarter of PostgreSQL's pages."""
MAX_NUMBER: Final = 2**31 - 1
"""Above all numbers of files."""
_READ_AT_ONCE: Final = 4
"""Manifests that are fetched at once: some 200 kB."""


def has_manifests(connection: Connection, tree_id: int) -> bool:
    """Whether all files of a tree are in manifests."""
    return connection.execute(_STATE, {"tree": tree_id}).scalar() != RowState.READ


def read_files(
    connection: Connection, tree_id: int, first: int = 0, last: int = MAX_NUMBER, *, downwards: bool = False
) -> Generator[FileRow, None, None]:
    """The files of a tree with manifests that have numbers from `first` to `last`, by number, streamed."""
    query = _BODIES_DOWNWARDS if downwards else _BODIES
    with connection.execute(query, {"tree": tree_id, "first": first, "last": last}) as bodies:
        for (body,) in bodies:
            rows = unpack_rows(body)
            if rows[0].n < first or rows[-1].n > last:
                rows = [row for row in rows if first <= row.n <= last]
            yield from reversed(rows) if downwards else rows


def read_heads(connection: Connection, tree_id: int) -> Iterator[FileHead]:
    """What lists are sorted and searched by of the files of a tree with manifests, by number."""
    with connection.execute(_BODIES, {"tree": tree_id, "first": 0, "last": MAX_NUMBER}) as bodies:
        for (body,) in bodies:
            yield from unpack_heads(body)


def read_resource_files(
    connection: Connection, tree_id: int, resources: Collection[int], *, downwards: bool = False
) -> Iterator[FileRow]:
    """The files of some resources of a tree with manifests, by number, streamed."""
    values = {"tree": tree_id, "first": min(resources, default=0), "last": max(resources, default=-1)}
    query = _BODIES_OF_RESOURCES_DOWNWARDS if downwards else _BODIES_OF_RESOURCES
    with connection.execute(query, values) as bodies:
        for (body,) in bodies:
            rows = unpack_rows(body)
            yield from (row for row in (reversed(rows) if downwards else rows) if row.resource_n in resources)


def find_files(connection: Connection, tree_id: int, numbers: Collection[int]) -> Iterator[FileRow]:
    """The files of some numbers of a tree with manifests, by number."""
    if not numbers:
        return
    ends = {"tree": tree_id, "first": min(numbers), "last": max(numbers)}
    for part in parts_with(connection.execute(_PARTS, ends).all(), numbers):
        yield from (row for row in read_files(connection, tree_id, part.first_n, part.last_n) if row.n in numbers)


def add_files(connection: Connection, tree_id: int, rows: Sequence[FileRow]) -> Iterator[tuple[int, Sequence[FileRow]]]:
    """Add files to a tree, behind those that it has; the ids of the manifests that are written, with their files.

    Files that were there may be among them: manifests with few files are written anew, with other ids.
    """
    new = sorted(rows)
    while new:
        last = connection.execute(_LAST, {"tree": tree_id}).first()
        if last is None or (last.last_n < new[0].n and last.files >= FEW):
            break
        connection.execute(delete(manifest).where(manifest.c.tree_id == tree_id, manifest.c.first_n == last.first_n))
        new = sorted([*unpack_rows(last.body), *new])
    parts = list(_split(new))
    _insert(connection, tree_id, parts)
    ends = {"tree": tree_id, "first": new[0].n, "last": new[-1].n}
    return zip(connection.execute(_IDS, ends).scalars().all(), parts, strict=True)


def copy_files(
    connection: Connection, old: int, new: int, numbers: tuple[int, int], dropped: Collection[int] = ()
) -> None:
    """Let a new tree hold the files of an old one, but for the dropped ones: manifests that begin with `numbers`."""
    in_range = (manifest.c.tree_id == old, manifest.c.first_n.between(*numbers))
    parts = connection.execute(select(manifest.c.first_n, manifest.c.last_n).where(*in_range)).all()
    touched = [part.first_n for part in parts_with(parts, dropped)]
    columns = [column for column in manifest.c if column.name not in ("id", "tree_id")]
    source = select(literal(new), *columns).where(*in_range)
    if not touched:
        connection.execute(insert(manifest).from_select(["tree_id", *(c.name for c in columns)], source))
        return
    for part in parts:
        where = (manifest.c.tree_id == old, manifest.c.first_n == part.first_n)
        if part.first_n not in touched:
            source = select(literal(new), *columns).where(*where)
            connection.execute(insert(manifest).from_select(["tree_id", *(c.name for c in columns)], source))
            continue
        rows = unpack_rows(connection.execute(select(manifest.c.body).where(*where)).scalar_one())
        kept = [row for row in rows if row.n not in dropped]
        _insert(connection, new, [kept] if kept else [])


def change_files(
    connection: Connection, tree_id: int, changes: Mapping[int, Mapping[str, Any]]
) -> dict[int, list[FileRow]]:
    """Change single files of a tree, by number: columns and their values. Who asks holds the lock of its row.

    Returns the changed files, by the ids of their manifests.
    """
    changed_rows: dict[int, list[FileRow]] = {}
    if not changes:
        return changed_rows
    ends = {"tree": tree_id, "first": min(changes), "last": max(changes)}
    for part in parts_with(connection.execute(_PARTS, ends).all(), changes):
        where = (manifest.c.tree_id == tree_id, manifest.c.first_n == part.first_n)
        stored = connection.execute(select(manifest.c.id, manifest.c.body).where(*where)).one()
        rows = [row._replace(**changes.get(row.n, {})) for row in unpack_rows(stored.body)]
        connection.execute(update(manifest).where(*where).values(body=pack_rows(rows)))
        changed_rows[stored.id] = [row for row in rows if row.n in changes]
    return changed_rows


def parts_with(parts: Sequence[Row[Any, Any]], numbers: Collection[int]) -> list[Row[Any, Any]]:
    """Those manifests, or other rows from `first_n` to `last_n`, that have one of some numbers."""
    ordered = sorted(numbers)
    return [part for part in parts if _has_between(ordered, part.first_n, part.last_n)]


def _has_between(ordered: Sequence[int], first: int, last: int) -> bool:
    at = bisect_left(ordered, first)
    return at < len(ordered) and ordered[at] <= last


def _split(rows: Sequence[FileRow]) -> Iterator[Sequence[FileRow]]:
    """Rows as manifests have them: not too many, and of one resource where that has enough."""
    start = 0
    for at, row in enumerate(rows):
        if at - start == FILES or (at - start >= SPLIT_AT and row.resource_n != rows[at - 1].resource_n):
            yield rows[start:at]
            start = at
    if start < len(rows):
        yield rows[start:]


def _insert(connection: Connection, tree_id: int, parts: Iterable[Sequence[FileRow]]) -> None:
    values = [
        {
            "tree_id": tree_id,
            "first_n": rows[0].n,
            "last_n": rows[-1].n,
            "first_resource": min(row.resource_n for row in rows),
            "last_resource": max(row.resource_n for row in rows),
            "files": len(rows),
            "body": pack_rows(rows),
        }
        for rows in parts
    ]
    if values:
        connection.execute(_NEW, values)


_NEW: Final = insert(manifest)
_STATE: Final = select(tree.c.file_rows).where(tree.c.id == bindparam("tree"))
_BETWEEN: Final = (
    select(manifest.c.body)
    .where(
        manifest.c.tree_id == bindparam("tree"),
        manifest.c.first_n <= bindparam("last"),
        manifest.c.last_n >= bindparam("first"),
    )
    .execution_options(yield_per=_READ_AT_ONCE)
)
_BODIES: Final = _BETWEEN.order_by(manifest.c.first_n)
_BODIES_DOWNWARDS: Final = _BETWEEN.order_by(manifest.c.first_n.desc())
_OF_RESOURCES: Final = (
    select(manifest.c.body)
    .where(
        manifest.c.tree_id == bindparam("tree"),
        manifest.c.first_resource <= bindparam("last"),
        manifest.c.last_resource >= bindparam("first"),
    )
    .execution_options(yield_per=_READ_AT_ONCE)
)
_BODIES_OF_RESOURCES: Final = _OF_RESOURCES.order_by(manifest.c.first_n)
_BODIES_OF_RESOURCES_DOWNWARDS: Final = _OF_RESOURCES.order_by(manifest.c.first_n.desc())
_PARTS: Final = (
    select(manifest.c.first_n, manifest.c.last_n)
    .where(
        manifest.c.tree_id == bindparam("tree"),
        manifest.c.first_n <= bindparam("last"),
        manifest.c.last_n >= bindparam("first"),
    )
    .order_by(manifest.c.first_n)
)
_IDS: Final = (
    select(manifest.c.id)
    .where(
        manifest.c.tree_id == bindparam("tree"),
        manifest.c.first_n >= bindparam("first"),
        manifest.c.last_n <= bindparam("last"),
    )
    .order_by(manifest.c.first_n)
)
_LAST: Final = (
    select(manifest).where(manifest.c.tree_id == bindparam("tree")).order_by(manifest.c.first_n.desc()).limit(1)
)
