"""How much a bucket holds, and how much of it no file has any more, by its rows."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from scandock.catalog.store_tables import IS_SPARSE, spool_part, stored_object
from scandock.model.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBytes:
    """What a bucket holds, but for receipts and copies of manifests, whose sizes are not noted."""

    objects: int
    """What files of sessions lie in."""
    bytes: int
    dead: int
    """Bytes of them that no file has any more, and that go as their packs are written anew."""
    uncounted: int
    """Objects of which that is not known yet."""
    going: int
    """Other objects, which nothing names any more, and which are deleted when their time has come."""
    going_bytes: int
    """Of those of them that files lay in."""
    parts: int
    """Objects with the bytes of uploads."""
    part_bytes: int


def read_stored_bytes(connection: Connection) -> StoredBytes:
    """Count all of them: a second for millions."""
    is_going = stored_object.c.due.is_not(None)
    row = connection.execute(
        select(
            func.count().filter(~is_going),
            func.coalesce(func.sum(stored_object.c.bytes).filter(~is_going), 0),
            func.count().filter(~is_going, stored_object.c.live.is_(None)),
            func.count().filter(is_going),
            func.coalesce(func.sum(stored_object.c.bytes).filter(is_going, stored_object.c.bytes > 0), 0),
        )
    ).one()
    parts = connection.execute(select(func.count(), func.coalesce(func.sum(spool_part.c.bytes), 0))).one()
    return StoredBytes(
        objects=row[0],
        bytes=int(row[1]),
        dead=count_dead_bytes(connection),
        uncounted=row[2],
        going=row[3],
        going_bytes=int(row[4]),
        parts=parts[0],
        part_bytes=int(parts[1]),
    )


def count_dead_bytes(connection: Connection) -> int:
    """Bytes of packs that no file has any more, until these are written anew."""
    dead = func.coalesce(func.sum(stored_object.c.bytes - stored_object.c.live), 0)
    return int(connection.execute(select(dead).where(IS_SPARSE)).scalar_one())
