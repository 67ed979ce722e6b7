"""Where the files of a tree stand: its resources with the scans that they are of, as readers of files need them."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, select

from scandock.catalog.tables import resource, scan


class FilePlace(NamedTuple):
    """A resource, with what files need of its scan: None of one that is of no scan."""

    n: int
    label: str
    content: str
    format: str
    tags: str
    scan_n: int | None
    scan_id: str | None
    series_uid: str | None
    sort_key: str | None
    """By which scans are sorted."""


_PLACES: Final = (
    select(
        resource.c.n, resource.c.label, resource.c.content, resource.c.format, resource.c.tags, scan.c.n,
        scan.c.scan_id, scan.c.series_uid, scan.c.sort_key,
    )
    .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
    .where(resource.c.tree_id == bindparam("tree"))
)  # fmt: skip


def read_places(connection: Connection, tree_id: int) -> dict[int, FilePlace]:
    """The resources of a tree, by number."""
    return {row[0]: FilePlace(*row) for row in connection.execute(_PLACES, {"tree": tree_id})}


_PLACE: Final = _PLACES.where(resource.c.n == bindparam("n"))


def find_place(connection: Connection, tree_id: int, n: int) -> FilePlace | None:
    """The resource of a number of a tree; None where it has none."""
    row = connection.execute(_PLACE, {"tree": tree_id, "n": n}).first()
    return None if row is None else FilePlace(*row)
