"""What a session or own resources have, as XNAT's clients list it: scans, resources, files. No statement a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from scandock.catalog.own_resources import Holder
from scandock.model import uris
from scandock.model.xnat_ids import resource_id
from scandock.rules.field_types import SUBJECT, format_float, is_float
from scandock.rules.session_fields import ADDED
from scandock.services.session_parts import FilePart, ResourcePart, ScanPart
from scandock.web.xnat.services.columns import Rows, choose_headers, make_conditions, strip_types
from scandock.web.xnat.services.experiments import ABSTRACT, ADDED_COLUMN, SCAN_COLUMN_NAMES

RESOURCE_TYPE: Final = "xnat:resourceCatalog"
Cells = Mapping[str, str]
"""A row by lower-case names."""


# -- scans -------------------------------------------------------------------------------------------------------------

SCAN_DEFAULT: Final = ("xnat_imagescandata_id", "ID", "type", "quality", "xsiType", "note", "series_description")
SCAN_ALWAYS: Final = ("ID", "URI")


def make_scan_fields(row: ScanPart) -> dict[str, str]:
    """A scan's attributes by XNAT's names (xnat-behaviour.md 4.5), with what people said of it."""
    return {
        **row.attributes,
        "ID": row.scan_id,
        "type": row.type,
        "quality": row.quality,
        "note": row.note,
        "UID": row.series_uid or "",
        "modality": row.modality,
        "frames": str(row.frames),
        "xsiType": row.xsi_type,
    }


_OF_SCANS: Final = re.compile(r"(xnat:\w+)/(.+)")


def list_scans(
    rows: Sequence[ScanPart],
    uri: str,
    session_values: Mapping[str, str],
    columns: str | None = None,
    filters: Iterable[tuple[str, str]] = (),
) -> Rows:
    """Rows of `find_scans` as a listing; `uri` is the session's, `session_values` its fields by the names of listings.

    A column of a type (`xnat:mrScanData/parameters/tr`) is empty for scans of another, and so is one of a type of
    sessions (`xnat:mrSessionData/date`) for sessions of another.
    """
    cells = [
        {
            **{name.lower(): value for name, value in make_scan_fields(row).items()},
            "xnat_imagescandata_id": str(row.n),
            "uri": uris.scan(uri, row.scan_id),
        }
        for row in rows
    ]
    session_cells = {name.lower(): value for name, value in session_values.items()}

    def cell(row: Cells, name: str) -> str:
        name = ADDED_COLUMN.sub(rf"{ADDED}\1", name)
        of_type = _OF_SCANS.fullmatch(strip_types(name.lower()))
        if of_type is None:
            return row.get(name.lower(), "")
        kind, rest = of_type.groups()
        if kind.endswith("scandata"):
            return row.get(rest, "") if kind in (row["xsitype"].lower(), "xnat:imagescandata") else ""
        if kind == "xnat:subjectdata":
            return session_cells.get(f"subject_{rest}", "")
        return session_cells.get(rest, "") if kind in (session_cells["xsitype"].lower(), *ABSTRACT) else ""

    def shown(row: Cells, name: str) -> str:
        of_type = _OF_SCANS.fullmatch(strip_types(name.lower()))
        below = name if of_type is None else of_type[2]
        if of_type is not None and of_type[1] == "xnat:subjectdata":
            below = f"{SUBJECT}{below}"
        return format_float(cell(row, name)) if is_float(below) else cell(row, name)

    return make_table(_filter_rows(cells, filters, cell, SCAN_COLUMN_NAMES), columns, SCAN_DEFAULT, SCAN_ALWAYS, shown)


# -- resources ---------------------------------------------------------------------------------------------------------

RESOURCE_DEFAULT: Final = (
    "xnat_abstractresource_id", "label", "element_name", "category", "cat_id", "cat_desc", "file_count", "file_size",
    "tags", "content", "format",
)  # fmt: skip


def list_resources(rows: Sequence[ResourcePart], uuid: str) -> Rows:
    """Rows of `find_resources` as a listing, without `ID` and `URI`: xnatpy would take a row for another thing."""
    cells = [
        {
            "xnat_abstractresource_id": resource_id(uuid, row.scan_id, row.label),
            "label": row.label,
            "element_name": RESOURCE_TYPE,
            "category": "scans" if row.scan_id is not None else "resources",
            "cat_id": row.scan_id or "",
            "cat_desc": row.scan_type or "",
            "file_count": str(row.files),
            "file_size": str(row.bytes),
            "content": row.content,
            "format": row.format,
            "tags": row.tags,
        }
        for row in rows
    ]
    return make_table(cells, None, RESOURCE_DEFAULT, ())


# -- files -------------------------------------------------------------------------------------------------------------

FILE_DEFAULT: Final = (
    "Name", "Size", "URI", "collection", "file_tags", "file_format", "file_content", "cat_ID", "digest",
)  # fmt: skip
_NUMBER: Final = "\0"
"""The cell of a file's number: no column and no filter of a request has that name."""


def list_files(
    files: Sequence[FilePart],
    resources: Sequence[ResourcePart],
    holder: Holder,
    uri: str,
    filters: Iterable[tuple[str, str]] = (),
) -> Rows:
    """Rows of `find_files` as a listing; each URI is the same whatever address was asked (rule 9). It has no `ID`."""
    cells = _filter_rows(_make_file_cells(files, resources, holder, uri), filters)
    return make_table(cells, None, FILE_DEFAULT, ())


def list_file_numbers(
    files: Sequence[FilePart],
    resources: Sequence[ResourcePart],
    holder: Holder,
    uri: str,
    filters: Iterable[tuple[str, str]] = (),
) -> list[int]:
    """The numbers of the files that `list_files` lists, in its order."""
    return [int(row[_NUMBER]) for row in _filter_rows(_make_file_cells(files, resources, holder, uri), filters)]


def _make_file_cells(
    files: Sequence[FilePart], resources: Sequence[ResourcePart], holder: Holder, uri: str
) -> list[dict[str, str]]:
    resource_cells = {row.n: _make_resource_cells(row, holder, uri) for row in resources}
    cells = []
    for row in files:
        n, number, name, size, md5, content, file_format, tags = row
        folder, common = resource_cells[number]
        file_cells = {
            **common,
            "name": name.rpartition("/")[2],
            "size": str(size),
            "uri": f"{folder}/{_escape_path(name)}",
            "digest": md5.hex() if md5 else "",
            _NUMBER: str(n),
        }
        if content is not None or file_format is not None or tags is not None:
            file_cells |= _make_own_cells(row)
        cells.append(file_cells)
    return cells


def _make_resource_cells(row: ResourcePart, holder: Holder, uri: str) -> tuple[str, dict[str, str]]:
    """The address below which the files of a resource stand, and the cells that they share."""
    number = resource_id(holder.uuid, row.scan_id, row.label)
    return uris.files(uri, row.scan_id, number), {
        "collection": row.label,
        "file_format": row.format,
        "file_content": row.content,
        "file_tags": row.tags,
        "cat_id": number,
    }


def _make_own_cells(row: FilePart) -> dict[str, str]:
    """The cells of what was said of one file itself: those that it has not are its resource's."""
    return {
        name: text
        for name, text in (("file_content", row.content), ("file_format", row.format), ("file_tags", row.tags))
        if text is not None
    }


def _escape_path(name: str) -> str:
    """A file's path as a piece of an address: what would end it there is escaped, all else is as it is."""
    return name.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def _get_cell(row: Cells, name: str) -> str:
    """A cell by its name, or by a path from a type."""
    lowered = name.lower()
    return row.get(lowered.rpartition(":")[2].partition("/")[2] or lowered, "")


def _filter_rows(
    cells: Sequence[Cells],
    filters: Iterable[tuple[str, str]],
    cell: Callable[[Cells, str], str] = _get_cell,
    columns: Iterable[str] = (),
) -> list[Cells]:
    """Rows whose columns are what a request says, as other listings compare them; `columns` that no row may have."""
    known_names = {*columns, *(name for row in cells for name in row)}
    used_filters = [(name, text) for name, text in filters if text and (name.lower() in known_names or "/" in name)]
    conditions = make_conditions(used_filters)
    return [row for row in cells if all(fits(cell(row, name)) for name, fits in conditions)]


def make_table(
    cells: Sequence[Cells],
    columns: str | None,
    default: Sequence[str],
    always: Sequence[str],
    cell: Callable[[Cells, str], str] = _get_cell,
) -> Rows:
    """Rows by lower-case names as a listing of the columns that were asked for; what nobody knows is empty.

    `cell` gives a row's value by a column's name.
    """
    names: dict[str, str] = {name.lower(): name for name in (*default, *always)}
    scan_prefix = "xnat:imagescandata/"
    chosen_headers = choose_headers(
        columns, default, always, lambda name: names.get(name.lower().removeprefix(scan_prefix), "")
    )
    return Rows(
        [name for name, _ in chosen_headers], [[cell(row, name) for _, name in chosen_headers] for row in cells]
    )
