"""Objects of a study by their UIDs: where each is stored, and its bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, select

from scandock.access.principal import raise_denied
from scandock.catalog.records import SessionRecord
from scandock.catalog.tables import file, resource, scan
from scandock.services.context import ServiceContext
from scandock.services.dicomweb import DicomwebScope, find_study_sessions
from scandock.services.download_access import DownloadAccess
from scandock.services.downloads import open_session_snapshot
from scandock.services.session_errors import ChangedMeanwhile
from scandock.store.paths import RelPath, resource_file
from scandock.store.port import Snapshot

CHUNK: Final = 256 * 1024


class StoredObject(NamedTuple):
    """An object of a session's tree."""

    n: int
    scan_n: int
    series_uid: str
    sop_uid: str
    path: RelPath
    bytes: int
    frames: int
    dataset_at: int


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object with the session in which it is."""

    session: SessionRecord
    stored: StoredObject


def find_objects(
    connection: Connection, scope: DicomwebScope, study: str, series: str | None = None, instance: str | None = None
) -> list[FoundObject]:
    """The objects of a study, a series or of one UID, in the order of series and files; never none.

    AccessDenied where there is none that may be read.
    """
    found: dict[str, FoundObject] = {}
    for record in find_study_sessions(connection, scope, study):
        for stored in _read_objects(connection, record):
            if series in (None, stored.series_uid) and instance in (None, stored.sop_uid):
                found.setdefault(stored.sop_uid, FoundObject(record, stored))
    if not found:
        raise_denied(scope.unknown)
    return list(found.values())


def _read_objects(connection: Connection, record: SessionRecord) -> Iterator[StoredObject]:
    query = (
        select(
            file.c.n, scan.c.n.label("scan_n"), scan.c.series_uid, file.c.sop_uid, scan.c.scan_id,
            resource.c.label, file.c.name, file.c.bytes, file.c.frames, file.c.dataset_at,
        )
        .join(resource, and_(resource.c.tree_id == file.c.tree_id, resource.c.n == file.c.resource_n))
        .join(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .where(file.c.tree_id == record.tree_id, file.c.sop_uid.is_not(None), scan.c.series_uid.is_not(None))
        .order_by(scan.c.sort_key, scan.c.n, file.c.n)
    )  # fmt: skip
    for row in connection.execute(query):
        yield StoredObject(
            row.n, row.scan_n, row.series_uid, row.sop_uid, resource_file(row.scan_id, row.label, row.name),
            row.bytes, row.frames, row.dataset_at,
        )  # fmt: skip


class ObjectReader:
    """Reads objects from snapshots of their sessions' trees; closed by whoever made it.

    While they are sent it is asked again whether they may still be read.
    """

    def __init__(self, context: ServiceContext, objects: Iterable[FoundObject]) -> None:
        """ChangedMeanwhile where a tree was replaced since the objects were found; Fault `file_missing`."""
        self._access = DownloadAccess(context)
        self._snapshots: dict[str, Snapshot] = {}
        self._exits = contextlib.ExitStack()
        try:
            for record in {one.session.uuid: one.session for one in objects}.values():
                current, snapshot = open_session_snapshot(context, record.uuid)
                self._exits.enter_context(snapshot)
                if current.tree_id != record.tree_id:
                    raise ChangedMeanwhile("The session has just changed.", "Ask again.")
                self._snapshots[record.uuid] = snapshot
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._exits.close()

    def chunks(self, found: FoundObject) -> Iterator[bytes]:
        """The bytes of an object as it is stored."""
        with self._snapshots[found.session.uuid].open(found.stored.path) as stream:
            yield from self._access.each(found.session, iter(partial(stream.read, CHUNK), b""))


def read_parts(reader: ObjectReader, objects: Sequence[FoundObject]) -> Iterator[Iterator[bytes]]:
    """The bytes of each object in turn; at the end the reader is closed."""
    try:
        for found in objects:
            yield reader.chunks(found)
    finally:
        reader.close()
