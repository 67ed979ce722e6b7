"""What is in a session, or in what projects and subjects have of their own: scans, resources, files, found by name.

Names are those of addresses: ids (`1,2`), types, labels, or `ALL`. Never a statement a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select

from scandock.catalog.server_tables import scan_edit
from scandock.catalog.shelves import Holder
from scandock.catalog.tables import file, resource, scan, session
from scandock.model.xnat_ids import resource_id
from scandock.services.file_errors import ResourceUnknown
from scandock.services.session_errors import ScanUnknown

ALL: Final = frozenset({"ALL", "*"})
NO_TYPE: Final = "NULL"
"""What clients call the type of a scan that has none."""


def is_all(text: str) -> bool:
    """Whether a piece of an address means everything."""
    return text.upper() in ALL


def names_of(text: str) -> list[str]:
    """The different names in a piece of an address, `1,2`, in their order."""
    return [one for one in dict.fromkeys(text.split(",")) if one]


def _spelled(name: str) -> str:
    """A name as it is: clients write signs that would part an address as words."""
    return name.replace("[SLASH]", "/").replace("[COMMA]", ",")


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


def scans_of(connection: Connection, standing: Holder, wanted: str = "ALL", *, some: bool = False) -> list[RowMapping]:
    """The scans of a session with what people said of them; those of `wanted`: ids (`1,2`), types, or `ALL`.

    `NULL` are those without a type. ScanUnknown where it names one that there is not, or (`some`) where there
    is none of those that it names.
    """
    edited = and_(scan_edit.c.session_id == standing.id, scan_edit.c.scan_id == scan.c.scan_id)
    rows = connection.execute(
        select(*_SCAN)
        .outerjoin(scan_edit, edited)
        .where(scan.c.tree_id == standing.tree_id)
        .order_by(scan.c.sort_key, scan.c.n)
    ).mappings().all()  # fmt: skip
    if is_all(wanted):
        return list(rows)
    by_id = {row["scan_id"]: row for row in rows}
    by_type: dict[str, list[RowMapping]] = {}
    for row in rows:
        by_type.setdefault(row["type"] or NO_TYPE, []).append(row)
    chosen: dict[int, RowMapping] = {}
    named = names_of(wanted)
    unknown = "" if named else wanted
    for name in map(_spelled, named):
        found = [by_id[name]] if name in by_id else by_type.get(name, [])
        chosen |= {row["n"]: row for row in found if row["n"] not in chosen}
        unknown = unknown or ("" if found else name)
    if unknown and not (some and chosen):
        raise ScanUnknown(f"The session has no scan {unknown[:128]!r}.", "GET .../scans lists them.")
    return list(chosen.values())


# -- resources ---------------------------------------------------------------------------------------------------------


def resources_of(
    connection: Connection,
    standing: Holder,
    wanted: str = "ALL",
    *,
    scans: Sequence[RowMapping] | None = None,
    some: bool = False,
) -> list[RowMapping]:
    """Resources by id or label: those of some scans, or (None) the session's own.

    ResourceUnknown where it names one that there is not, or (`some`) where there is none of those.
    """
    query = (
        select(*_RESOURCE)
        .outerjoin(scan, and_(scan.c.tree_id == resource.c.tree_id, scan.c.n == resource.c.scan_n))
        .outerjoin(scan_edit, and_(scan_edit.c.session_id == standing.id, scan_edit.c.scan_id == scan.c.scan_id))
        .where(resource.c.tree_id == standing.tree_id)
        .order_by(func.coalesce(scan.c.sort_key, ""), resource.c.n)
    )  # fmt: skip
    ids = None if scans is None else {row["scan_id"] for row in scans}
    rows = [
        row
        for row in connection.execute(query).mappings()
        if (row["scan_id"] is None if ids is None else row["scan_id"] in ids)
    ]
    if is_all(wanted):
        return rows
    called: dict[str, list[RowMapping]] = {}
    for row in rows:
        for word in (resource_id(standing.uuid, row["scan_id"], row["label"]), row["label"].casefold()):
            called.setdefault(word, []).append(row)
    chosen: set[int] = set()
    named = names_of(wanted)
    unknown = "" if named else wanted
    for name in named:
        found = called.get(name.casefold(), [])
        chosen.update(row["n"] for row in found)
        unknown = unknown or ("" if found else name)
    if unknown and not (some and chosen):
        raise ResourceUnknown(f"There is no resource {unknown[:128]!r}.", "GET .../resources lists them.")
    return [row for row in rows if row["n"] in chosen]


def parts_of_sessions(
    connection: Connection, sessions: ColumnElement[bool]
) -> tuple[dict[int, list[RowMapping]], dict[int, list[RowMapping]]]:
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
    return _by_session(connection, scans), _by_session(connection, resources)


def _by_session(connection: Connection, query: Select[Any]) -> dict[int, list[RowMapping]]:
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["session_id"], []).append(row)
    return found


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


def files_of(
    connection: Connection,
    standing: Holder,
    resources: Sequence[RowMapping],
    name: str | None = None,
    folder: Folder | None = None,
) -> list[RowMapping]:
    """The files of some resources, in the order of these; those of a name alone, or of a folder."""
    numbers = {row["n"]: place for place, row in enumerate(resources)}
    query = (
        select(
            file.c.n, file.c.resource_n, file.c.name, file.c.bytes, file.c.md5, file.c.content, file.c.format,
            file.c.tags,
        )
        .where(file.c.tree_id == standing.tree_id)
        .order_by(file.c.resource_n, file.c.n)
    )  # fmt: skip
    if name is not None:
        query = query.where(file.c.name == name)
    if folder is not None:
        query = query.where(func.substr(file.c.name, 1, len(folder.start)) == folder.start)
    if len(numbers) == 1:
        query = query.where(file.c.resource_n == next(iter(numbers)))
    found = [row for row in connection.execute(query).mappings() if row["resource_n"] in numbers]
    found.sort(key=lambda row: numbers[row["resource_n"]])
    return found if folder is None else [row for row in found if folder.holds(row["name"])]
