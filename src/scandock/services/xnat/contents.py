"""What is in a session, or on a shelf, as XNAT's clients list it: scans, resources, files. Never a statement a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, func, select

from scandock.catalog.server_tables import scan_edit
from scandock.catalog.shelves import Holder
from scandock.catalog.tables import file, resource, scan
from scandock.model.errors import Usage
from scandock.services.xnat.columns import MAX_COLUMNS, MAX_VALUES, Rows, check_name, split
from scandock.services.xnat.ids import resource_id

ALL: Final = frozenset({"ALL", "*"})
RESOURCE_TYPE: Final = "xnat:resourceCatalog"
Cell = Callable[[RowMapping], str]


def is_all(text: str) -> bool:
    """Whether a piece of an address means everything."""
    return text.upper() in ALL


def names_of(text: str) -> list[str]:
    """The different names in a piece of an address, `1,2`, in their order."""
    return [one for one in dict.fromkeys(text.split(",")) if one]


# -- scans -------------------------------------------------------------------------------------------------------------

SCAN_DEFAULT: Final = ("xnat_imagescandata_id", "ID", "type", "quality", "xsiType", "note", "series_description")
SCAN_ALWAYS: Final = ("ID", "URI")


def scans_of(connection: Connection, standing: Holder, wanted: str = "ALL") -> list[RowMapping]:
    """The scans of a session with what people said of them; those of `wanted`: ids (`1,2`), types, or `ALL`.

    Usage `scan_unknown` where it names one that there is not.
    """
    edited = and_(scan_edit.c.session_id == standing.id, scan_edit.c.scan_id == scan.c.scan_id)
    rows = connection.execute(
        select(
            scan.c.n, scan.c.scan_id, scan.c.series_uid, scan.c.modality, scan.c.xsi_type,
            func.coalesce(scan_edit.c.type, scan.c.type).label("type"),
            func.coalesce(scan_edit.c.quality, "usable").label("quality"),
            func.coalesce(scan_edit.c.note, "").label("note"), scan.c.attributes, scan.c.frames,
        )
        .outerjoin(scan_edit, edited)
        .where(scan.c.tree_id == standing.tree_id)
        .order_by(scan.c.sort_key, scan.c.n)
    ).mappings().all()  # fmt: skip
    if is_all(wanted):
        return list(rows)
    by_id = {row["scan_id"]: row for row in rows}
    by_type: dict[str, list[RowMapping]] = {}
    for row in rows:
        by_type.setdefault(row["type"], []).append(row)
    chosen: dict[int, RowMapping] = {}
    for name in names_of(wanted):
        found = [by_id[name]] if name in by_id else by_type.get(name)
        if found is None:
            raise Usage("scan_unknown", f"The session has no scan {name[:128]!r}.", "GET .../scans lists them.")
        chosen |= {row["n"]: row for row in found if row["n"] not in chosen}
    return list(chosen.values())


def scan_fields(row: RowMapping) -> dict[str, str]:
    """A scan's attributes by XNAT's names (xnat-behaviour.md 4.5), with what people said of it."""
    return {
        **json.loads(row["attributes"]),
        "ID": row["scan_id"],
        "type": row["type"],
        "quality": row["quality"],
        "note": row["note"],
        "UID": row["series_uid"] or "",
        "modality": row["modality"],
        "frames": str(row["frames"]),
        "xsiType": row["xsi_type"],
    }


def list_scans(
    rows: Sequence[RowMapping], uri: str, columns: str | None = None, filters: Iterable[tuple[str, str]] = ()
) -> Rows:
    """Rows of `scans_of` as a listing; `uri` is the session's."""
    cells = [
        {
            **{name.lower(): value for name, value in scan_fields(row).items()},
            "xnat_imagescandata_id": str(row["n"]),
            "uri": f"{uri}/scans/{row['scan_id']}",
        }
        for row in rows
    ]
    return table_of(_narrowed(cells, filters), columns, SCAN_DEFAULT, SCAN_ALWAYS)


# -- resources ---------------------------------------------------------------------------------------------------------

RESOURCE_DEFAULT: Final = (
    "xnat_abstractresource_id", "label", "element_name", "category", "cat_id", "cat_desc", "file_count", "file_size",
    "tags", "content", "format",
)  # fmt: skip


def resources_of(
    connection: Connection, standing: Holder, wanted: str = "ALL", *, scans: Sequence[RowMapping] | None = None
) -> list[RowMapping]:
    """Resources by id or label: those of some scans, or (None) the session's own.

    Usage `resource_unknown` where it names one that there is not.
    """
    query = (
        select(
            resource.c.n, resource.c.label, resource.c.content, resource.c.format, resource.c.files, resource.c.bytes,
            resource.c.tags,
            scan.c.scan_id, func.coalesce(scan_edit.c.type, scan.c.type).label("scan_type"),
        )
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
    for name in names_of(wanted):
        found = called.get(name.casefold())
        if found is None:
            raise Usage("resource_unknown", f"There is no resource {name[:128]!r}.", "GET .../resources lists them.")
        chosen.update(row["n"] for row in found)
    return [row for row in rows if row["n"] in chosen]


def list_resources(rows: Sequence[RowMapping], uuid: str) -> Rows:
    """Rows of `resources_of` as a listing. It has neither `ID` nor `URI`: xnatpy would take a row for another thing."""
    cells = [
        {
            "xnat_abstractresource_id": resource_id(uuid, row["scan_id"], row["label"]),
            "label": row["label"],
            "element_name": RESOURCE_TYPE,
            "category": "scans" if row["scan_id"] is not None else "resources",
            "cat_id": row["scan_id"] or "",
            "cat_desc": row["scan_type"] or "",
            "file_count": str(row["files"]),
            "file_size": str(row["bytes"]),
            "content": row["content"],
            "format": row["format"],
            "tags": row["tags"],
        }
        for row in rows
    ]
    return table_of(cells, None, RESOURCE_DEFAULT, ())


# -- files -------------------------------------------------------------------------------------------------------------

FILE_DEFAULT: Final = (
    "Name", "Size", "URI", "collection", "file_tags", "file_format", "file_content", "cat_ID", "digest",
)  # fmt: skip


def files_of(
    connection: Connection, standing: Holder, resources: Sequence[RowMapping], name: str | None = None
) -> list[RowMapping]:
    """The files of some resources, in their order; those of a name alone."""
    numbers = {row["n"]: row for row in resources}
    query = (
        select(file.c.n, file.c.resource_n, file.c.name, file.c.bytes, file.c.md5, file.c.sha256)
        .where(file.c.tree_id == standing.tree_id)
        .order_by(file.c.resource_n, file.c.n)
    )
    if name is not None:
        query = query.where(file.c.name == name)
    if len(numbers) == 1:
        query = query.where(file.c.resource_n == next(iter(numbers)))
    return [row for row in connection.execute(query).mappings() if row["resource_n"] in numbers]


def list_files(
    files: Sequence[RowMapping],
    resources: Sequence[RowMapping],
    standing: Holder,
    uri: str,
    filters: Iterable[tuple[str, str]] = (),
) -> Rows:
    """Rows of `files_of` as a listing; each URI is the same whatever address was asked (rule 9). It has no `ID`."""
    of = {row["n"]: row for row in resources}
    cells = []
    for row in files:
        where = of[row["resource_n"]]
        number = resource_id(standing.uuid, where["scan_id"], where["label"])
        path = f"/scans/{where['scan_id']}" if where["scan_id"] is not None else ""
        cells.append(
            {
                "name": row["name"].rpartition("/")[2],
                "size": str(row["bytes"]),
                "uri": f"{uri}{path}/resources/{number}/files/{_escaped(row['name'])}",
                "collection": where["label"],
                "file_format": where["format"],
                "file_content": where["content"],
                "file_tags": where["tags"],
                "cat_id": number,
                "digest": row["md5"].hex() if row["md5"] else "",
            }
        )
    return table_of(_narrowed(cells, filters), None, FILE_DEFAULT, ())


def _escaped(name: str) -> str:
    """A file's path as a piece of an address: what would end it there is escaped, all else is as it is."""
    return name.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def _narrowed(cells: Sequence[dict[str, str]], filters: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Rows whose columns are what a request says: several values with commas between."""
    known = set().union(*cells) if cells else set()
    named = [(name.lower(), said.lower()) for name, said in filters]
    wanted = [(name, set(split(said, "values", MAX_VALUES))) for name, said in named if name in known]
    return [row for row in cells if all(row.get(name, "").lower() in said for name, said in wanted)]


def table_of(
    cells: Sequence[dict[str, Any]], columns: str | None, default: Sequence[str], always: Sequence[str]
) -> Rows:
    """Rows by lower-case names as a listing of the columns that were asked for; what nobody knows is empty."""
    names: dict[str, str] = {name.lower(): name for name in (*default, *always)}
    asked: list[str] = []
    for name in split(columns or "DEFAULT", "columns", MAX_COLUMNS):
        asked += default if name.strip().upper() == "DEFAULT" else [name.strip()]
    chosen: dict[str, str] = {}
    for name in (*asked, *always):
        if name:
            check_name(name)
            low = name.lower()
            chosen.setdefault(low.rpartition(":")[2].partition("/")[2] or low, names.get(low, name))
    return Rows(list(chosen.values()), [[str(row.get(low, "")) for low in chosen] for row in cells])
