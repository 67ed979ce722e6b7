"""Looking into a session: its scans, resources and files, as lists and one by one. Never a statement a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, ScalarSelect, Select, and_, func, select

from scandock.access.principal import Principal
from scandock.catalog.own_resources import Holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import damage, scan_edit
from scandock.catalog.tables import file, resource, scan
from scandock.catalog.verified_files import find_moment, read_digests, read_spans
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.file_errors import FileUnknown
from scandock.services.pagination import Page, Sorting, like_pattern, read_page, read_rows
from scandock.services.records import File, Resource, Scan
from scandock.services.session_errors import ScanUnknown

SCAN_SORTS = {
    "id": scan.c.sort_key,
    "n": scan.c.n,
    "type": scan.c.type,
    "modality": scan.c.modality,
    "files": scan.c.files,
    "bytes": scan.c.bytes,
}
FILE_SORTS = {"n": file.c.n, "name": file.c.name, "bytes": file.c.bytes}
RESOURCE_SORTS = {"n": resource.c.n, "label": resource.c.label, "files": resource.c.files, "bytes": resource.c.bytes}


def find_readable_session(connection: Connection, principal: Principal, uuid: str) -> SessionRecord:
    """A session whose content the principal may read. AccessDenied."""
    return rights.find_session_for(
        connection, principal, uuid, Action.SESSION_READ, prearchive_action=Action.PREARCHIVE_READ
    )


def list_scans(connection: Connection, principal: Principal, uuid: str, sorting: Sorting) -> Page[Scan]:
    """The scans of a session, with what people said of them."""
    holder = find_readable_session(connection, principal, uuid)
    return read_page(
        connection, scan_rows(holder), SCAN_SORTS, scan.c.n, sorting, lambda row: Scan.from_row(row, holder)
    )


def find_scan(connection: Connection, principal: Principal, uuid: str, scan_id: str) -> Scan:
    """One scan of a session, with its resources. AccessDenied, or Usage `scan_unknown`."""
    holder = find_readable_session(connection, principal, uuid)
    row = connection.execute(scan_rows(holder).where(scan.c.scan_id == scan_id)).mappings().first()
    if row is None:
        raise ScanUnknown(f"The session has no scan {scan_id[:128]!r}.")
    rows = connection.execute(resource_rows(holder).where(scan.c.scan_id == scan_id).order_by(resource.c.n)).mappings()
    return Scan.from_row(row, holder, [Resource.from_row(resource_row, holder) for resource_row in rows])


def find_pictured_scans(connection: Connection, trees: Sequence[int]) -> dict[int, str]:
    """By tree, the first of its scans that has images: whose picture stands for the session."""
    if not trees:
        return {}
    first = (
        select(scan.c.tree_id, func.min(scan.c.n).label("n"))
        .where(scan.c.tree_id.in_(trees), scan.c.frames > 0)
        .group_by(scan.c.tree_id)
        .subquery()
    )
    query = select(scan.c.tree_id, scan.c.scan_id).join(
        first, and_(scan.c.tree_id == first.c.tree_id, scan.c.n == first.c.n)
    )
    return {row.tree_id: row.scan_id for row in connection.execute(query)}


def scan_rows(holder: SessionRecord) -> Select[Any]:
    """The scans of a session's tree, with what people said of them."""
    edited = and_(scan_edit.c.session_id == holder.id, scan_edit.c.scan_id == scan.c.scan_id)
    return (
        select(
            scan.c.n, scan.c.scan_id, scan.c.series_uid, scan.c.modality, scan.c.xsi_type, scan.c.type,
            scan.c.attributes, scan.c.frames, scan.c.files, scan.c.bytes, scan_edit.c.type.label("said_type"),
            scan_edit.c.quality, scan_edit.c.note, scan_edit.c.modified, scan_edit.c.parameters,
        )
        .outerjoin(scan_edit, edited)
        .where(scan.c.tree_id == holder.tree_id)
    )  # fmt: skip


def resource_rows(holder: SessionRecord) -> Select[Any]:
    """The resources of a session's tree with the ids of their scans."""
    return (
        select(
            resource.c.n, resource.c.scan_n, resource.c.label, resource.c.content, resource.c.format,
            resource.c.tags, resource.c.files, resource.c.bytes, scan.c.scan_id,
        )
        .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .where(resource.c.tree_id == holder.tree_id)
    )  # fmt: skip


def list_resources(
    connection: Connection, principal: Principal, uuid: str, sorting: Sorting, *, scan_id: str | None = None
) -> Page[Resource]:
    """The resources of a session (those of its scans too), or of one scan."""
    holder = find_readable_session(connection, principal, uuid)
    query = resource_rows(holder)
    if scan_id is not None:
        query = query.where(scan.c.scan_id == scan_id)
    return read_page(
        connection, query, RESOURCE_SORTS, resource.c.n, sorting, lambda row: Resource.from_row(row, holder)
    )


def list_files(
    connection: Connection,
    principal: Principal,
    uuid: str,
    sorting: Sorting,
    *,
    scan_id: str | None = None,
    resource_label: str | None = None,
    search: str = "",
) -> Page[File]:
    """The files of a session, or those of one scan or resource."""
    holder = find_readable_session(connection, principal, uuid)
    query = select_files(holder)
    if scan_id is not None:
        query = query.where(scan.c.scan_id == scan_id)
    if resource_label is not None:
        query = query.where(func.lower(resource.c.label) == resource_label.lower())
    if search:
        query = query.where(func.lower(file.c.name).like(like_pattern(search.lower()), escape="\\"))
    rows, following = read_rows(connection, query, FILE_SORTS, file.c.n, sorting)
    return Page(make_files(connection, holder, rows), following)


def find_file(connection: Connection, principal: Principal, uuid: str, n: int) -> File:
    """One file of a session, by its number. AccessDenied, or Usage `file_unknown`."""
    return read_file(connection, find_readable_session(connection, principal, uuid), n)


def read_file(connection: Connection, holder: Holder, n: int) -> File:
    """As `find_file`, of a session or own resources that may be read."""
    rows = connection.execute(select_files(holder).where(file.c.n == n)).mappings().all()
    if not rows:
        raise FileUnknown(f"The session has no file {n}.")
    return make_files(connection, holder, rows)[0]


def make_files(connection: Connection, holder: Holder, rows: Sequence[RowMapping]) -> list[File]:
    """Rows of `select_files` as records, with what verification learned of them."""
    if not rows:
        return []
    first, last = min(row["n"] for row in rows), max(row["n"] for row in rows)
    digests = read_digests(connection, holder.tree_id, first, last)
    spans = read_spans(connection, holder.tree_id, first, last)
    return [
        File.from_row(row, holder, digests.get(row["n"], row["md5"]), find_moment(spans, row["n"]) or row["verified"])
        for row in rows
    ]


def select_files(holder: Holder) -> Select[Any]:
    """The files of a session's tree with where they stand in it."""
    return (
        select(
            file.c.n, file.c.resource_n, file.c.name, file.c.bytes, file.c.sha256, file.c.md5, file.c.verified,
            file.c.sop_uid, file.c.frames, resource.c.label.label("resource"), resource.c.format, scan.c.scan_id,
            *_annotation_columns(), _damage_kind().label("damaged"),
        )
        .join(resource, and_(resource.c.tree_id == file.c.tree_id, resource.c.n == file.c.resource_n))
        .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .where(file.c.tree_id == holder.tree_id)
    )  # fmt: skip


def _annotation_columns() -> list[ColumnElement[str]]:
    """What people said of a file; where they said nothing, what its resource has."""
    columns = (file.c.content, file.c.format, file.c.tags)
    return [func.coalesce(column, resource.c[column.name]).label(f"file_{column.name}") for column in columns]


def _damage_kind() -> ScalarSelect[Any]:
    """How a file is known to be damaged; NULL where it is not."""
    where = (damage.c.tree_id == file.c.tree_id, damage.c.file_n == file.c.n)
    return select(damage.c.kind).where(*where).correlate(file).scalar_subquery()
