"""What is known of each session of a bucket, written into the bucket: for who has lost the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from scandock.catalog.own_resources import Holder, OwnResources, stored_own_resources
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import intent, project, session
from scandock.catalog.trees import resources_of, scans_of
from scandock.publishing.tree_files import paths_between
from scandock.store.paths import tree_parts

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.store.paths import RelPath, TreePath
    from scandock.store.port import Store, TreeDescription

FORMAT: Final = 1


def copy_manifests(catalog: Catalog, store: Store, stop: Callable[[], bool]) -> int:
    """Write what the bucket has no copy of yet, until `stop` says so; how many. Fault where the catalog or it fails."""

    def describe(name: TreePath) -> TreeDescription | None:
        with catalog.read() as connection:
            if _is_being_placed(connection, name):
                return None  # first: the catalog may show the tree before
            holder = _find_holder(connection, name)
            if holder is None:
                return None
            head = _describe(connection, name, holder) | {"written": catalog.read_now(connection)}
            return head, partial(_files_between, catalog, holder.tree_id)

    return store.copy_manifests(describe, stop)


def _files_between(
    catalog: Catalog, tree_id: int, first: RelPath, last: RelPath
) -> Mapping[RelPath, tuple[int, bytes]]:
    with catalog.read() as connection:
        return paths_between(connection, tree_id, first, last)


def _is_being_placed(connection: Connection, name: TreePath) -> bool:
    return connection.execute(select(intent.c.id).where(intent.c.name == name).limit(1)).first() is not None


def _find_holder(connection: Connection, name: TreePath) -> Holder | None:
    """The session, or the own resources, of a tree's path."""
    parts = tree_parts(name)
    if parts.area == "resources":
        return stored_own_resources(connection, parts.project, parts.session)
    where = (
        project.c.name == parts.project,
        session.c.place == parts.area,
        session.c.timestamp == parts.timestamp,
        session.c.label == parts.session,
    )
    row = connection.execute(session_rows().where(*where)).mappings().first()
    return None if row is None else SessionRecord.from_row(row)


def _describe(connection: Connection, name: TreePath, holder: Holder) -> dict[str, Any]:
    head: dict[str, Any] = {"format": FORMAT, "name": name, "uuid": holder.uuid, "project": holder.project}
    if isinstance(holder, OwnResources):
        head["subject"] = None if holder.subject_id is None else holder.label
    else:
        head |= {
            "subject": holder.subject,
            "label": holder.label,
            "place": holder.place,
            "state": holder.state,
            "xsi_type": holder.xsi_type,
            "study_uid": holder.study_uid,
            "attributes": holder.attributes,
            "received": holder.received,
        }
    head["scans"] = [
        {
            "number": row.n,
            "id": row.scan_id,
            "series_uid": row.series_uid,
            "modality": row.modality,
            "xsi_type": row.xsi_type,
            "type": row.type,
            "attributes": row.attributes,
        }
        for row in scans_of(connection, holder.tree_id)
    ]
    head["resources"] = [
        {"scan": row.scan_n, "label": row.label, "content": row.content, "format": row.format}
        for row in resources_of(connection, holder.tree_id)
    ]
    return head
