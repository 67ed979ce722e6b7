"""Thumbnails of sessions that nobody has looked at yet: made in the background, so that the first look finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, select

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session, session_rows
from scandock.catalog.tables import scan, session
from scandock.model.errors import Fault, ScandockError
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import find_damaged_holders
from scandock.services.decoding import Pictures
from scandock.services.file_errors import FileMissing
from scandock.services.pictures import VERSION, ScanView, make_thumbnail, make_tree_key, read_reading

MOST_SESSIONS: Final = 500
"""That are looked at at once: those which changed last."""
COMPLETE: Final = f"{VERSION}-thumbnails"
"""The name under which it is kept that a tree has all the thumbnails that can be made of it."""


def sessions_since(connection: Connection, modified: int) -> Sequence[SessionRecord]:
    """Sessions that changed from that moment on, the newest first."""
    query = (
        session_rows()
        .where(session.c.place.in_(("archive", "prearchive")), session.c.modified >= modified)
        .order_by(session.c.modified.desc(), session.c.id.desc())
        .limit(MOST_SESSIONS)
    )
    return [SessionRecord.from_row(row) for row in connection.execute(query).mappings()]


def make_thumbnails(
    context: ServiceContext, pictures: Pictures, record: SessionRecord, stop: Callable[[], bool]
) -> bool:
    """Make the thumbnails that a session's tree lacks; False where `stop` said so before all were there.

    Fault where something is away that comes back; what can't be made else is left to who asks for it. Of a session
    with damage there is none: what is kept of it is not shown. The audit trail tells of people who look, and of nobody
    here.
    """
    with context.catalog.read() as connection:
        if find_damaged_holders(connection, [record.uuid]):
            return True
        scans = connection.execute(
            select(scan.c.n).where(scan.c.tree_id == record.tree_id).order_by(scan.c.n)
        ).scalars().all()  # fmt: skip
        reading = read_reading(connection, record.tree_id)
    tree = make_tree_key(record.tree_id, record.uuid, reading.doubted)
    if pictures.cache.stamp(tree, COMPLETE) is not None:
        return True
    for scan_n in scans:
        if stop():
            return False
        view = ScanView(context, pictures, record, scan_n, {}, reading)
        try:
            pictures.work(lambda view=view: make_thumbnail(view))  # type: ignore[misc]
        except FileMissing:
            with context.catalog.read() as connection:
                found = find_session(connection, record.uuid)
            if found is not None and found.tree_id == record.tree_id:
                raise
            return True  # it was replaced or deleted just now
        except Fault:
            raise
        except ScandockError:  # it can't be read
            return True
    pictures.cache.keep(tree, COMPLETE, b"")
    return True
