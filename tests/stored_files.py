"""The files that a catalog has, for tests to look at, and trees as older versions had them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true, update

from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import RowState, file, manifest, object_block, resource, scan, session, tree
from scandock.catalog.trees import files_of
from scandock.rules.sop_hashes import sop_hash


def all_files(connection: Connection) -> list[tuple[int, FileRow]]:
    """The files of all trees, each with its tree's id."""
    trees = connection.execute(select(tree.c.id).order_by(tree.c.id)).scalars().all()
    return [(tree_id, row) for tree_id in trees for row in files_of(connection, tree_id)]


class PlacedFile(NamedTuple):
    """A file of a scan or a resource of a session."""

    session_id: int
    place: str
    study_uid: str | None
    tree_id: int
    series_uid: str | None
    """None also where it is of no scan."""
    scan_n: int | None
    label: str
    """Of its resource."""
    row: FileRow


def session_files(connection: Connection, where: ColumnElement[bool] | None = None) -> list[PlacedFile]:
    """The files of sessions for which a condition holds."""
    query = select(session.c.id, session.c.place, session.c.study_uid, session.c.tree_id)
    files = []
    for found in connection.execute(query.where(true() if where is None else where).order_by(session.c.id)).all():
        resources = (
            select(resource.c.n, resource.c.scan_n, resource.c.label, scan.c.series_uid)
            .outerjoin(scan, (scan.c.tree_id == resource.c.tree_id) & (scan.c.n == resource.c.scan_n))
            .where(resource.c.tree_id == found.tree_id)
        )
        places = {row.n: row for row in connection.execute(resources)}
        for row in files_of(connection, found.tree_id):
            place = places[row.resource_n]
            files.append(PlacedFile(*found, place.series_uid, place.scan_n, place.label, row))
    return files


def write_rows(connection: Connection, tree_id: int, rows: list[FileRow], *, hashed: bool = True) -> None:
    """Give a tree rows of files, and nothing else, as older versions did. `hashed`: with the hashes of their UIDs."""
    connection.execute(delete(manifest).where(manifest.c.tree_id == tree_id))
    connection.execute(update(tree).where(tree.c.id == tree_id).values(file_rows=RowState.READ))
    for row in rows:
        number = sop_hash(row.sop_uid) if hashed and row.sop_uid is not None else None
        connection.execute(insert(file).values(tree_id=tree_id, **row._asdict(), sop_hash=number))


def make_all_old(connection: Connection, *, hashed: bool = True) -> None:
    """Have all trees as older versions had them."""
    for tree_id in connection.execute(select(tree.c.id)).scalars().all():
        write_rows(connection, tree_id, list(files_of(connection, tree_id)), hashed=hashed)
    connection.execute(delete(object_block))
