"""Parts of sessions as zips whose members XNAT's clients can take apart (xnat-clients.md 1, rule 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import IO, Any, Final

from sqlalchemy import Connection, RowMapping

from scandock.catalog.shelves import Holder, find_holder
from scandock.services import shelves
from scandock.services.damaged_files import (
    HOW,
    Damaged,
    check_folder,
    damaged_paths,
    holders_with_damage,
    is_folder_gone,
)
from scandock.services.downloads import (
    COUNTED,
    Line,
    ZipDownload,
    left_out,
    lines_of,
    moment_of,
    not_included,
    steady_holder,
)
from scandock.services.lasting import Lasting
from scandock.services.moving import Desk
from scandock.services.xnat import contents
from scandock.services.xnat.contents import Folder
from scandock.services.zip_stream import ZipEntry, ZipStream, stored_length
from scandock.store.port import Snapshot

_NOT_LABEL: Final = re.compile(r"[^\w-]+")
Choice = Callable[[Connection, Holder], Sequence[RowMapping]]
"""The resources that are wanted of a session, or of a shelf, as it stands (rows of `contents.resources_of`)."""


def zip_of_sessions(
    desk: Desk,
    wanted: Sequence[tuple[str, Choice]],
    damaged: Damaged = Damaged.REFUSE,
    folder: Folder | None = None,
) -> ZipDownload:
    """Resources of several sessions as one zip, or a `folder` of these; each session as it stands when its turn comes.

    Usage `file_damaged` unless files that are known to be damaged are to be included or omitted: then a session whose
    whole folder is gone is named in `not-included.txt`.

    Two sessions of one label have folders of their own. Fault `file_missing` ends the zip where a session is gone, and
    Denied where it may not be read any more.
    """
    if len(wanted) == 1:
        return zip_of_resources(desk, *wanted[0], damaged, folder)
    known = sum(len(one) for one in _known(desk, wanted, damaged, folder))
    return ZipDownload("sessions.zip", None, ZipStream().chunks(_each(desk, wanted, damaged, folder)), known)


def _known(
    desk: Desk, wanted: Sequence[tuple[str, Choice]], damaged: Damaged, folder: Folder | None
) -> Iterator[Mapping[str, str]]:
    """The damaged files of each session that has some; one that is gone has none, which its turn will tell."""
    with desk.catalog.read() as connection:
        with_damage = holders_with_damage(connection, [uuid for uuid, _ in wanted])
        for uuid, choose in wanted:
            standing = find_holder(connection, uuid) if uuid in with_damage else None
            if standing is not None:
                if damaged is Damaged.REFUSE:
                    check_folder(connection, standing)
                elif is_folder_gone(connection, standing):
                    yield {"": "folder_missing"}
                    continue
                yield _damaged(connection, standing, choose(connection, standing), damaged, folder)


def _gone(desk: Desk, uuid: str) -> Holder | None:
    """The session, or shelf, if its whole folder is known to be gone."""
    with desk.catalog.read() as connection:
        standing = find_holder(connection, uuid)
        return standing if standing is not None and is_folder_gone(connection, standing) else None


def _damaged(
    connection: Connection,
    standing: Holder,
    resources: Sequence[RowMapping],
    damaged: Damaged,
    folder: Folder | None,
) -> Mapping[str, str]:
    folders = [_folder(one) for one in resources]

    def is_wanted(path: str) -> bool:
        names = (path[len(one) :] for one in folders if path.startswith(one))
        return any(folder is None or folder.holds(name) for name in names)

    return damaged_paths(connection, standing, damaged, is_wanted)


def _each(
    desk: Desk, wanted: Sequence[tuple[str, Choice]], damaged: Damaged, folder: Folder | None
) -> Iterator[ZipEntry]:
    taken: set[str] = set()
    lines: list[Line] = []
    lasting = Lasting(desk)
    for uuid, choose in wanted:
        if damaged is not Damaged.REFUSE and (gone := _gone(desk, uuid)) is not None:
            lines.append((gone.label, "", HOW["folder_missing"]))
            continue
        standing, snapshot = steady_holder(desk, uuid)
        with snapshot:
            lasting.check(standing)
            files, of, known = _listed(desk, standing, snapshot, choose, damaged, folder)
            lines += lines_of(standing, left_out(snapshot, known, damaged))
            first = standing.label if standing.label not in taken else f"{standing.label}_{standing.project}"
            taken.add(first)
            entries = (_entry(snapshot, standing, of[one["resource_n"]], one) for one in files)
            for entry in lasting.entries(standing, entries):
                yield replace(entry, name=first + entry.name.removeprefix(standing.label))
    yield from not_included(lines)


def _listed(
    desk: Desk, standing: Holder, snapshot: Snapshot, choose: Choice, damaged: Damaged, folder: Folder | None
) -> tuple[list[Mapping[str, Any]], dict[int, RowMapping], Mapping[str, str]]:
    """The files of what is wanted, their resources by number, and which are damaged and how; noted in the trail.

    Damaged files have the size that they have now.
    """
    with desk.catalog.read() as connection:
        resources = list(choose(connection, standing))
        known = _damaged(connection, standing, resources, damaged, folder)
        files: list[Mapping[str, Any]] = []
        of = {row["n"]: row for row in resources}
        for found in contents.files_of(connection, standing, resources, folder=folder):
            row: dict[str, Any] = {**found}
            path = path_of(of[row["resource_n"]], row)
            if path not in known:
                files.append(row)
            elif damaged is Damaged.INCLUDE and (size := snapshot.size(path)) is not None:
                files.append({**row, "bytes": size})
    with desk.catalog.write() as connection:
        said = {"files": len(files), "bytes": sum(one["bytes"] for one in files)}
        shelves.note(desk, connection, "download", standing, said)
    return files, of, known


def zip_of_resources(
    desk: Desk, uuid: str, choose: Choice, damaged: Damaged = Damaged.REFUSE, folder: Folder | None = None
) -> ZipDownload:
    """Resources of a session, whose right to be read was checked, as a zip that is made while it is sent."""
    with desk.catalog.read() as connection:
        found = find_holder(connection, uuid)
        if found is not None:
            check_folder(connection, found)
    standing, snapshot = steady_holder(desk, uuid)
    try:
        files, of, known = _listed(desk, standing, snapshot, choose, damaged, folder)
        told = not_included(lines_of(standing, left_out(snapshot, known, damaged)))
        length = None
        if len(files) <= COUNTED:
            members = ((member_name(standing, of[one["resource_n"]], one), one["bytes"]) for one in files)
            length = stored_length(chain(members, ((entry.name, entry.size) for entry in told)))
    except BaseException:
        snapshot.close()
        raise
    return ZipDownload(f"{standing.label}.zip", length, _chunks(desk, snapshot, standing, files, of, told), len(known))


def zip_of_nothing(label: str) -> ZipDownload:
    """The zip of what has no files, and nothing in the store."""
    return ZipDownload(f"{label}.zip", stored_length(()), ZipStream().chunks(()))


def member_name(standing: Holder, resource: RowMapping, file: Mapping[str, Any]) -> str:
    """`{label}/scans/{id}-{type}/resources/{resource}/files/{name}`; without scans for the session's own."""
    scan = ""
    if resource["scan_id"] is not None:
        kind = _NOT_LABEL.sub("_", resource["scan_type"] or "").strip("_")
        scan = f"scans/{resource['scan_id']}{f'-{kind}' if kind else ''}/"
    return f"{standing.label}/{scan}resources/{resource['label']}/files/{file['name']}"


def _chunks(
    desk: Desk,
    snapshot: Snapshot,
    standing: Holder,
    files: Sequence[Mapping[str, Any]],
    of: dict[int, RowMapping],
    told: Sequence[ZipEntry],
) -> Iterator[bytes]:
    with snapshot:
        made = ZipStream(moment=moment_of(standing))
        entries = (_entry(snapshot, standing, of[one["resource_n"]], one) for one in files)
        yield from made.chunks(chain(Lasting(desk).entries(standing, entries), told))


def _entry(snapshot: Snapshot, standing: Holder, resource: RowMapping, file: Mapping[str, Any]) -> ZipEntry:
    path = path_of(resource, file)

    def opened() -> IO[bytes]:
        return snapshot.open(path)

    return ZipEntry(member_name(standing, resource, file), file["bytes"], opened)


def path_of(resource: RowMapping, file: Mapping[str, Any]) -> str:
    """Where a file stands in its session's tree."""
    return _folder(resource) + str(file["name"])


def _folder(resource: RowMapping) -> str:
    scan = f"scans/{resource['scan_id']}/" if resource["scan_id"] is not None else ""
    return f"{scan}resources/{resource['label']}/files/"
