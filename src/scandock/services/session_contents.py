"""Looking into a session: its scans, resources and files, as lists and one by one. Never a statement a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import nlargest, nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, select

from scandock.access.principal import Principal
from scandock.catalog.file_rows import FileHead, FileRow
from scandock.catalog.own_resources import Holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import resource, scan
from scandock.catalog.tree_places import FilePlace, read_places
from scandock.catalog.trees import damaged_files, files_of, files_of_resources, find_files, heads_of
from scandock.catalog.verified_files import find_learned
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.file_errors import FileUnknown
from scandock.services.pagination import Page, PageStart, Sorting, begin_page, read_page
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
FILE_SORTS: Final[Mapping[str, Callable[[FileHead | FileRow], Any]]] = {
    "n": attrgetter("n"),
    "name": attrgetter("name"),
    "bytes": attrgetter("bytes"),
}
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
    start = begin_page(FILE_SORTS, sorting)
    places = read_places(connection, holder.tree_id)
    chosen = {
        place.n
        for place in places.values()
        if (scan_id is None or place.scan_id == scan_id)
        and (resource_label is None or place.label.lower() == resource_label.lower())
    }
    wanted = search.lower()
    value = FILE_SORTS[start.name]
    matches = (
        head
        for head in _read_heads(connection, holder.tree_id, start, chosen, every=len(chosen) == len(places))
        if head.resource_n in chosen and wanted in head.name.lower() and start.is_behind(value(head), head.n)
    )
    if start.name == "n":
        heads = list(islice(matches, start.limit + 1))
    else:
        first = nlargest if start.downwards else nsmallest
        heads = first(start.limit + 1, matches, key=lambda head: (value(head), head.n))
    page = start.cut(heads, value, lambda head: head.n)
    rows = {head.n: head for head in page.items if isinstance(head, FileRow)}
    lacking = {head.n for head in page.items} - rows.keys()
    if lacking:
        rows = {row.n: row for row in find_files(connection, holder.tree_id, lacking)}
    return Page(make_files(connection, holder, [rows[head.n] for head in page.items], places), page.next)


def _read_heads(
    connection: Connection, tree_id: int, start: PageStart, resources: Collection[int], *, every: bool
) -> Iterable[FileHead | FileRow]:
    """The files among which those of a page are: in its order where that is of numbers."""
    if start.name != "n":
        return heads_of(connection, tree_id) if every else files_of_resources(connection, tree_id, resources)
    if not every:
        return files_of_resources(connection, tree_id, resources, downwards=start.downwards)
    if start.number is None:
        return files_of(connection, tree_id, downwards=start.downwards)
    if start.downwards:
        return files_of(connection, tree_id, last=start.number, downwards=True)
    return files_of(connection, tree_id, start.number)


def find_file(connection: Connection, principal: Principal, uuid: str, n: int) -> File:
    """One file of a session, by its number. AccessDenied, or Usage `file_unknown`."""
    return read_file(connection, find_readable_session(connection, principal, uuid), n)


def read_file(connection: Connection, holder: Holder, n: int) -> File:
    """As `find_file`, of a session or own resources that may be read."""
    files = make_files(connection, holder, find_files(connection, holder.tree_id, {n}))
    if not files:
        raise FileUnknown(f"The session has no file {n}.")
    return files[0]


def make_files(
    connection: Connection, holder: Holder, rows: Sequence[FileRow], places: Mapping[int, FilePlace] | None = None
) -> list[File]:
    """Files of a tree as records, with what verification learned of them."""
    if not rows:
        return []
    if places is None:
        places = read_places(connection, holder.tree_id)
    facts = find_learned(connection, holder.tree_id, {row.n for row in rows})
    kinds = damaged_files(connection, holder.tree_id)
    return [
        File.make(row, places[row.resource_n], holder, facts, kinds.get(row.n))
        for row in rows
        if row.resource_n in places
    ]
