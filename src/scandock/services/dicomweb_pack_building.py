"""Packs of sessions that nobody has asked for yet: made in the background, so that the first look finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import session
from scandock.model.errors import ScandockError
from scandock.services.context import ServiceContext
from scandock.services.decoding import Pictures
from scandock.services.dicomweb_objects import (
    DicomwebCache,
    FoundObject,
    ObjectReader,
    Selection,
    read_damage,
    read_tree,
)
from scandock.services.dicomweb_packs import COMPLETE, pack_tree

PAGE: Final = 200


def sessions_after(connection: Connection, tree_id: int) -> Sequence[SessionRecord]:
    """The next sessions by the numbers of their trees: new trees have higher ones."""
    query = session_rows().where(session.c.tree_id > tree_id).order_by(session.c.tree_id).limit(PAGE)
    return [SessionRecord.from_row(row) for row in connection.execute(query).mappings()]


def needs_packs(cache: DicomwebCache, record: SessionRecord) -> bool:
    """Whether a session's tree may have packs yet to be made."""
    return cache.packs.cache.stamp(pack_tree(record.tree_id, record.uuid), COMPLETE) is None


def build_packs(
    context: ServiceContext, pictures: Pictures, cache: DicomwebCache, record: SessionRecord, stop: Callable[[], bool]
) -> None:
    """Make the packs that a session's tree lacks; what can't be made now is left to who asks for it.

    Of what is damaged or gone nothing is told: once it is whole again, its pack is made anew for who asks.
    """
    with context.catalog.read() as connection:
        tree = read_tree(connection, record)
        damaged = read_damage(connection, [record.tree_id])
    if tree.objects:
        objects = [FoundObject(record, stored) for stored in tree.objects]
        selection = Selection("", objects, {record.tree_id: tree}, damaged)
        try:
            reader = ObjectReader(context, pictures, cache, selection)
        except ScandockError:  # it was moved, replaced or deleted just now, or nothing of it can be read
            return
        try:
            for stored in [objects[0] for objects in tree.chunks.values()]:
                if stop():
                    return
                pictures.work(lambda first=stored: reader.pack(FoundObject(record, first)))  # type: ignore[misc]
        finally:
            reader.close()
    cache.packs.cache.keep(pack_tree(record.tree_id, record.uuid), COMPLETE, b"")
