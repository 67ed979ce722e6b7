"""Parts of sessions as zips whose members XNAT's clients can take apart (xnat-clients.md 1, rule 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import IO, Final

from sqlalchemy import Connection

from scandock.catalog.own_resources import Holder, find_holder
from scandock.services import session_parts, shelves
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
from scandock.services.session_parts import FilePart, Folder, ResourcePart
from scandock.services.zip_stream import ZipEntry, ZipStream, stored_length
from scandock.store.paths import TREE_ROOT, RelPath, resource_file, resource_folder
from scandock.store.port import Snapshot

_NOT_LABEL: Final = re.compile(r"[^\w-]+")
Choice = Callable[[Connection, Holder], Sequence[ResourcePart]]
"""The resources that are wanted of a session, or of a shelf, as it stands (`session_parts.resources_of`)."""
Naming = Callable[[Holder, ResourcePart, FilePart], str]
"""What a file of a resource is called in a zip."""


def zip_of_sessions(
    desk: Desk,
    wanted: Sequence[tuple[str, Choice]],
    damaged: Damaged = Damaged.REFUSE,
    naming: Naming | None = None,
    folder: Folder | None = None,
) -> ZipDownload:
    """Resources of several sessions as one zip, or a `folder` of these; each session as it stands when its turn comes.

    Usage `file_damaged` unless files that are known to be damaged are to be included or omitted: then a session whose
    whole folder is gone is named in `not-included.txt`.

    Two sessions of one label have folders of their own; `naming` calls the files otherwise. Fault `file_missing` ends
    the zip where a session is gone, and Denied where it may not be read any more.
    """
    if len(wanted) == 1:
        return zip_of_resources(desk, *wanted[0], damaged, folder, naming)
    known = sum(len(one) for one in _known(desk, wanted, damaged, folder))
    return ZipDownload("sessions.zip", None, ZipStream().chunks(_each(desk, wanted, damaged, folder, naming)), known)


def _own_folders() -> Callable[[Holder], str]:
    """The folder of each session in a zip of several: its label, unless one before it has that."""
    folders: dict[str, str] = {}

    def folder_of(standing: Holder) -> str:
        if standing.uuid not in folders:
            taken = set(folders.values())
            base = f"{standing.label}_{standing.project}"
            names = chain((standing.label, base), (f"{base}_{number}" for number in count(2)))
            folders[standing.uuid] = next(name for name in names if name not in taken)
        return folders[standing.uuid]

    return folder_of


def _below(folder_of: Callable[[Holder], str]) -> Naming:
    """`member_name` in a session's own folder."""

    def named(standing: Holder, resource: ResourcePart, file: FilePart) -> str:
        return folder_of(standing) + member_name(standing, resource, file).removeprefix(standing.label)

    return named


def _known(
    desk: Desk, wanted: Sequence[tuple[str, Choice]], damaged: Damaged, folder: Folder | None
) -> Iterator[Mapping[RelPath, str]]:
    """The damaged files of each session that has some; one that is gone has none, which its turn will tell."""
    with desk.catalog.read() as connection:
        with_damage = holders_with_damage(connection, [uuid for uuid, _ in wanted])
        for uuid, choose in wanted:
            standing = find_holder(connection, uuid) if uuid in with_damage else None
            if standing is not None:
                if damaged is Damaged.REFUSE:
                    check_folder(connection, standing)
                elif is_folder_gone(connection, standing):
                    yield {TREE_ROOT: "folder_missing"}
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
    resources: Sequence[ResourcePart],
    damaged: Damaged,
    folder: Folder | None,
) -> Mapping[RelPath, str]:
    folders = [f"{resource_folder(one.scan_id, one.label)}/" for one in resources]

    def is_wanted(path: str) -> bool:
        names = (path[len(one) :] for one in folders if path.startswith(one))
        return any(folder is None or folder.holds(name) for name in names)

    return damaged_paths(connection, standing, damaged, is_wanted)


def _each(
    desk: Desk,
    wanted: Sequence[tuple[str, Choice]],
    damaged: Damaged,
    folder: Folder | None,
    naming: Naming | None,
) -> Iterator[ZipEntry]:
    lines: list[Line] = []
    lasting = Lasting(desk)
    folder_of = _own_folders()
    naming = naming or _below(folder_of)
    for uuid, choose in wanted:
        if damaged is not Damaged.REFUSE and (gone := _gone(desk, uuid)) is not None:
            lines.append((folder_of(gone), "", HOW["folder_missing"]))
            continue
        standing, snapshot = steady_holder(desk, uuid)
        with snapshot:
            lasting.check(standing)
            files, of, known = _listed(desk, standing, snapshot, choose, damaged, folder)
            lines += lines_of(folder_of(standing), left_out(snapshot, known, damaged))
            entries = (_entry(snapshot, standing, of[one.resource_n], one, naming) for one in files)
            yield from lasting.entries(standing, entries)
    yield from not_included(lines)


def _listed(
    desk: Desk, standing: Holder, snapshot: Snapshot, choose: Choice, damaged: Damaged, folder: Folder | None
) -> tuple[list[FilePart], dict[int, ResourcePart], Mapping[RelPath, str]]:
    """The files of what is wanted, their resources by number, and which are damaged and how; noted in the trail.

    Damaged files have the size that they have now.
    """
    with desk.catalog.read() as connection:
        resources = list(choose(connection, standing))
        known = _damaged(connection, standing, resources, damaged, folder)
        files: list[FilePart] = []
        of = {row.n: row for row in resources}
        for found in session_parts.files_of(connection, standing, resources, folder=folder):
            path = path_of(of[found.resource_n], found)
            if path not in known:
                files.append(found)
            elif damaged is Damaged.INCLUDE and (size := snapshot.size(path)) is not None:
                files.append(found._replace(bytes=size))
    with desk.catalog.write() as connection:
        said = {"files": len(files), "bytes": sum(one.bytes for one in files)}
        shelves.note(desk, connection, "download", standing, said)
    return files, of, known


def zip_of_resources(
    desk: Desk,
    uuid: str,
    choose: Choice,
    damaged: Damaged = Damaged.REFUSE,
    folder: Folder | None = None,
    naming: Naming | None = None,
) -> ZipDownload:
    """Resources of a session, whose right to be read was checked, as a zip that is made while it is sent."""
    with desk.catalog.read() as connection:
        found = find_holder(connection, uuid)
        if found is not None:
            check_folder(connection, found)
    named = naming or member_name
    standing, snapshot = steady_holder(desk, uuid)
    try:
        files, of, known = _listed(desk, standing, snapshot, choose, damaged, folder)
        told = not_included(lines_of(standing.label, left_out(snapshot, known, damaged)))
        length = None
        if len(files) <= COUNTED:
            members = ((named(standing, of[one.resource_n], one), one.bytes) for one in files)
            length = stored_length(chain(members, ((entry.name, entry.size) for entry in told)))
    except BaseException:
        snapshot.close()
        raise
    chunks = _chunks(desk, snapshot, standing, files, of, told, named)
    return ZipDownload(f"{standing.label}.zip", length, chunks, len(known))


def zip_of_nothing(label: str) -> ZipDownload:
    """The zip of what has no files, and nothing in the store."""
    return ZipDownload(f"{label}.zip", stored_length(()), ZipStream().chunks(()))


def member_name(standing: Holder, resource: ResourcePart, file: FilePart) -> str:
    """`{label}/scans/{id}-{type}/resources/{resource}/files/{name}`; without scans for the session's own."""
    scan = ""
    if resource.scan_id is not None:
        scan = f"scans/{scan_folder(resource.scan_id, resource.scan_type)}/"
    return f"{standing.label}/{scan}resources/{resource.label}/files/{file.name}"


def scan_folder(scan_id: str, scan_type: str | None) -> str:
    """`{id}-{type}`, or the id alone where there is no type."""
    kind = _NOT_LABEL.sub("_", scan_type or "").strip("_")
    return f"{scan_id}-{kind}" if kind else scan_id


def _chunks(
    desk: Desk,
    snapshot: Snapshot,
    standing: Holder,
    files: Sequence[FilePart],
    of: dict[int, ResourcePart],
    told: Sequence[ZipEntry],
    naming: Naming,
) -> Iterator[bytes]:
    with snapshot:
        made = ZipStream(moment=moment_of(standing))
        entries = (_entry(snapshot, standing, of[one.resource_n], one, naming) for one in files)
        yield from made.chunks(chain(Lasting(desk).entries(standing, entries), told))


def _entry(snapshot: Snapshot, standing: Holder, resource: ResourcePart, file: FilePart, naming: Naming) -> ZipEntry:
    path = path_of(resource, file)

    def opened() -> IO[bytes]:
        return snapshot.open(path)

    return ZipEntry(naming(standing, resource, file), file.bytes, opened)


def path_of(resource: ResourcePart, file: FilePart) -> RelPath:
    """Where a file stands in its session's tree."""
    return resource_file(resource.scan_id, resource.label, file.name)
