"""The files of a tree by their paths: what the catalog's rows say, beside what stands in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final

from sqlalchemy import Connection, bindparam, select

from scandock.catalog.errors import CatalogDamaged
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import scan
from scandock.catalog.trees import ResourceRow, damaged_files, files_of, files_of_resources, find_files, resources_of
from scandock.store.file_places import sort_key
from scandock.store.paths import RelPath, path_below, resource_folder

_SCAN_IDS: Final = select(scan.c.n, scan.c.scan_id).where(scan.c.tree_id == bindparam("tree"))


def paths_of(connection: Connection, tree_id: int) -> dict[RelPath, tuple[int, bytes]]:
    """Size and sha256 of every file of a tree, by its path there. Fault `catalog_damaged` where rows of it are lost."""
    with _rows_complete(), closing(files_of(connection, tree_id)) as files:
        folders = _folders_of(connection, tree_id)
        return {path_below(folders[row.resource_n], row.name): (row.bytes, row.sha256) for row in files}


def paths_between(
    connection: Connection, tree_id: int, first: RelPath, last: RelPath
) -> dict[RelPath, tuple[int, bytes]]:
    """As `paths_of`, of the files from one path to another, in the order of their bytes."""
    ends = sort_key(first), sort_key(last)
    known = {}
    with _rows_complete():
        for number, folder in _folders_of(connection, tree_id).items():
            if not _has_between(folder, *ends):
                continue
            for row in files_of_resources(connection, tree_id, {number}):
                path = path_below(folder, row.name)
                if ends[0] <= sort_key(path) <= ends[1]:
                    known[path] = (row.bytes, row.sha256)
    return known


def _has_between(folder: RelPath, first: bytes, last: bytes) -> bool:
    """Whether paths below a folder may lie between two."""
    prefix = sort_key(path_below(folder, ""))
    return prefix <= last and (first <= prefix or first.startswith(prefix))


def file_paths(connection: Connection, tree_id: int, rows: Iterable[FileRow]) -> dict[int, RelPath]:
    """Where some files of a tree are in it, by their numbers. Fault as from `paths_of`."""
    with _rows_complete():
        folders = _folders_of(connection, tree_id)
        return {row.n: path_below(folders[row.resource_n], row.name) for row in rows}


def damaged_paths_of(connection: Connection, tree_id: int) -> set[RelPath]:
    """The paths of the files of a tree that are known to be damaged. Fault as from `paths_of`."""
    rows = find_files(connection, tree_id, damaged_files(connection, tree_id))
    with _rows_complete():
        folders = _folders_of(connection, tree_id) if rows else {}
        return {path_below(folders[row.resource_n], row.name) for row in rows}


def folders_of(scan_ids: Mapping[int, str], resources: Iterable[ResourceRow]) -> dict[int, RelPath]:
    """Resource number -> the folder of its files in the tree, by the ids of its scans. KeyError for one of no scan."""
    return {
        resource_row.n: resource_folder(
            scan_ids[resource_row.scan_n] if resource_row.scan_n is not None else None, resource_row.label
        )
        for resource_row in resources
    }


def _folders_of(connection: Connection, tree_id: int) -> dict[int, RelPath]:
    scans = connection.execute(_SCAN_IDS, {"tree": tree_id})
    return folders_of({row.n: row.scan_id for row in scans}, resources_of(connection, tree_id))


@contextmanager
def _rows_complete() -> Iterator[None]:
    """Tell of a row that names one which is not there: a catalog that was put together from a damaged file is so."""
    try:
        yield
    except KeyError as error:
        raise CatalogDamaged(
            "The catalog has lost rows of a session's scans or resources.",
            "scandock check names the sessions. Serve another copy of the catalog.",
        ) from error
