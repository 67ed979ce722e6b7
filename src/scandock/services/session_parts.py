"""What is in a session, or in what projects and subjects have of their own: scans, resources, files, found by name.

Names are those of addresses: ids (`1,2`), types, labels, or `ALL`. Never a statement a row.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from scandock.catalog.own_resources import Holder
from scandock.catalog.server_tables import scan_edit
from scandock.catalog.tables import resource, scan, session
from scandock.catalog.trees import files_of_resources
from scandock.catalog.verified_files import find_learned
from scandock.model.dataclass import dataclass
from scandock.model.xnat_ids import resource_id
from scandock.rules.session_fields import parameter_attributes
from scandock.services.file_errors import ResourceUnknown
from scandock.services.session_errors import ScanUnknown

T = TypeVar("T")
ALL: Final = frozenset({"ALL", "*"})
NO_TYPE: Final = "NULL"
"""What clients call the type of a scan that has none."""


def is_all(text: str) -> bool:
    """Whether a piece of an address means everything."""
    return text.upper() in ALL


def split_names(text: str) -> list[str]:
    """The different names in a piece of an address, `1,2`, in their order."""
    return [name for name in dict.fromkeys(text.split(",")) if name]


def _decode_name(name: str) -> str:
    """A name as it is: clients write signs that would part an address as words."""
    return name.replace("[SLASH]", "/").replace("[COMMA]", ",")


# Records that are tuples, of columns in their order: there may be a million files, and a document of a session asks for
# all of its scans, to show nothing but their ids.


class ScanPart(NamedTuple):
    """A scan, with what people said of it: a row of `_SCAN`."""

    n: int
    scan_id: str
    series_uid: str | None
    modality: str
    xsi_type: str
    type: str
    quality: str
    note: str
    attributes_json: str
    frames: int
    parameters_json: str

    @property
    def attributes(self) -> dict[str, str]:
        """What is said of it, with what people have added."""
        return {**json.loads(self.attributes_json), **self.added}

    @property
    def added(self) -> dict[str, str]:
        """The parameters that people have added, as attributes."""
        return parameter_attributes(self.parameters_json)


class ResourcePart(NamedTuple):
    """A resource of a scan, or (`scan_id` None) of what has the scans: a row of `_RESOURCE`."""

    n: int
    label: str
    content: str
    format: str
    files: int
    bytes: int
    tags: str
    scan_id: str | None
    scan_type: str | None


class FilePart(NamedTuple):
    """A file: a row of `find_files`."""

    n: int
    resource_n: int
    name: str
    bytes: int
    md5: builtins.bytes | None
    content: str | None
    format: str | None
    tags: str | None


# -- scans -------------------------------------------------------------------------------------------------------------

_SCAN: Final = (
    scan.c.n, scan.c.scan_id, scan.c.series_uid, scan.c.modality, scan.c.xsi_type,
    func.coalesce(scan_edit.c.type, scan.c.type).label("type"),
    func.coalesce(scan_edit.c.quality, "usable").label("quality"),
    func.coalesce(scan_edit.c.note, "").label("note"), scan.c.attributes, scan.c.frames,
    func.coalesce(scan_edit.c.parameters, "{}").label("parameters"),
)  # fmt: skip
_RESOURCE: Final = (
    resource.c.n, resource.c.label, resource.c.content, resource.c.format, resource.c.files, resource.c.bytes,
    resource.c.tags, scan.c.scan_id, func.coalesce(scan_edit.c.type, scan.c.type).label("scan_type"),
)  # fmt: skip


def find_scans(
    connection: Connection, holder: Holder, selector: str = "ALL", *, allow_missing: bool = False
) -> list[ScanPart]:
    """The scans of a session with what people said of them; those of `selector`: ids (`1,2`), types, or `ALL`.

    `NULL` are those without a type. ScanUnknown where it names one that there is not, or (`allow_missing`) where there
    is none of those that it names.
    """
    edited = and_(scan_edit.c.session_id == holder.id, scan_edit.c.scan_id == scan.c.scan_id)
    rows = connection.execute(
        select(*_SCAN)
        .outerjoin(scan_edit, edited)
        .where(scan.c.tree_id == holder.tree_id)
        .order_by(scan.c.sort_key, scan.c.n)
    )
    scans = [ScanPart._make(row) for row in rows]
    if is_all(selector):
        return scans
    by_id = {one.scan_id: one for one in scans}
    by_type: dict[str, list[ScanPart]] = {}
    for one in scans:
        by_type.setdefault(one.type or NO_TYPE, []).append(one)
    chosen: dict[int, ScanPart] = {}
    names = split_names(selector)
    unknown = "" if names else selector
    for name in map(_decode_name, names):
        matches = [by_id[name]] if name in by_id else by_type.get(name, [])
        chosen |= {one.n: one for one in matches if one.n not in chosen}
        unknown = unknown or ("" if matches else name)
    if unknown and not (allow_missing and chosen):
        raise ScanUnknown(f"The session has no scan {unknown[:128]!r}.", "GET .../scans lists them.")
    return list(chosen.values())


# -- resources ---------------------------------------------------------------------------------------------------------


def find_resources(
    connection: Connection,
    holder: Holder,
    selector: str = "ALL",
    *,
    scans: Sequence[ScanPart] | None = None,
    allow_missing: bool = False,
) -> list[ResourcePart]:
    """Resources by id or label: those of some scans, or (None) the session's own.

    ResourceUnknown where it names one that there is not, or (`allow_missing`) where there is none of those.
    """
    query = (
        select(*_RESOURCE)
        .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .outerjoin(scan_edit, and_(scan_edit.c.session_id == holder.id, scan_edit.c.scan_id == scan.c.scan_id))
        .where(resource.c.tree_id == holder.tree_id)
        .order_by(func.coalesce(scan.c.sort_key, ""), resource.c.n)
    )  # fmt: skip
    ids = None if scans is None else {one.scan_id for one in scans}
    resources = [
        one
        for one in map(ResourcePart._make, connection.execute(query))
        if (one.scan_id is None if ids is None else one.scan_id in ids)
    ]
    if is_all(selector):
        return resources
    by_label: dict[str, list[ResourcePart]] = {}
    for one in resources:
        for word in (resource_id(holder.uuid, one.scan_id, one.label), one.label.casefold()):
            by_label.setdefault(word, []).append(one)
    chosen: set[int] = set()
    names = split_names(selector)
    unknown = "" if names else selector
    for name in names:
        matches = by_label.get(name.casefold(), [])
        chosen.update(one.n for one in matches)
        unknown = unknown or ("" if matches else name)
    if unknown and not (allow_missing and chosen):
        raise ResourceUnknown(f"There is no resource {unknown[:128]!r}.", "GET .../resources lists them.")
    return [one for one in resources if one.n in chosen]


def find_parts_of_sessions(
    connection: Connection, sessions: ColumnElement[bool]
) -> tuple[dict[int, list[ScanPart]], dict[int, list[ResourcePart]]]:
    """The scans, and the resources, of the sessions that a condition holds for, by session: a statement for each."""
    of_scan = and_(scan_edit.c.session_id == session.c.id, scan_edit.c.scan_id == scan.c.scan_id)
    scans = (
        select(session.c.id.label("session_id"), *_SCAN)
        .join(scan, scan.c.tree_id == session.c.tree_id)
        .outerjoin(scan_edit, of_scan)
        .where(sessions)
        .order_by(session.c.id, scan.c.sort_key, scan.c.n)
    )
    resources = (
        select(session.c.id.label("session_id"), *_RESOURCE)
        .join(resource, resource.c.tree_id == session.c.tree_id)
        .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .outerjoin(scan_edit, of_scan)
        .where(sessions)
        .order_by(session.c.id, func.coalesce(scan.c.sort_key, ""), resource.c.n)
    )
    return _group_by_session(connection, scans, ScanPart._make), _group_by_session(
        connection, resources, ResourcePart._make
    )


def _group_by_session(
    connection: Connection, query: Select[Any], make: Callable[[Iterable[Any]], T]
) -> dict[int, list[T]]:
    rows_by_session: dict[int, list[T]] = {}
    for number, *row in connection.execute(query):
        rows_by_session.setdefault(number, []).append(make(row))
    return rows_by_session


# -- files -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder within resources: `a/b` holds `a/b/1.txt`, and, where it is meant with all below, `a/b/c/2.txt`."""

    path: str
    recursive: bool = True

    @property
    def start(self) -> str:
        """What the names of its files begin with."""
        return f"{self.path}/"

    def holds(self, name: str) -> bool:
        """Whether a file is in it, by its name in its resource."""
        return name.startswith(self.start) and (self.recursive or "/" not in name[len(self.start) :])


def find_files(
    connection: Connection,
    holder: Holder,
    resources: Sequence[ResourcePart],
    name: str | None = None,
    folder: Folder | None = None,
) -> list[FilePart]:
    """The files of some resources, in the order of these; those of a name alone, or of a folder."""
    numbers = {one.n: place for place, one in enumerate(resources)}
    rows = [
        row
        for row in files_of_resources(connection, holder.tree_id, numbers)
        if (name is None or row.name == name) and (folder is None or folder.holds(row.name))
    ]
    if not rows:
        return []
    facts = find_learned(connection, holder.tree_id, {row.n for row in rows})
    rows.sort(key=lambda row: numbers[row.resource_n])
    return [
        FilePart(row.n, row.resource_n, row.name, row.bytes, facts.md5(row.n), row.content, row.format, row.tags)
        for row in rows
    ]
