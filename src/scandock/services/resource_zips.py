"""Parts of sessions as zips whose members XNAT's clients can take apart (xnat-clients.md 1, rule 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import IO, Final

from sqlalchemy import Connection

from scandock.catalog.own_resources import Holder, find_holder
from scandock.services import own_resources, session_parts
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import (
    DAMAGE_SENTENCES,
    Damaged,
    check_folder,
    find_damaged_holders,
    find_damaged_paths,
    is_folder_gone,
)
from scandock.services.download_access import DownloadAccess
from scandock.services.downloads import (
    MAX_COUNTED_FILES,
    OmissionLine,
    ZipDownload,
    find_omitted,
    make_omission_lines,
    make_omissions_entry,
    open_holder_snapshot,
    zip_time,
)
from scandock.services.session_parts import FilePart, Folder, ResourcePart
from scandock.services.zip_stream import ZipEntry, ZipStream, stored_length
from scandock.store.paths import TREE_ROOT, RelPath, resource_file, resource_folder
from scandock.store.port import Snapshot

_NOT_LABEL: Final = re.compile(r"[^\w-]+")
ResourceChoice = Callable[[Connection, Holder], Sequence[ResourcePart]]
"""The resources that are wanted of a session, or of own resources, as it stands (`session_parts.find_resources`)."""
MemberNaming = Callable[[Holder, ResourcePart, FilePart], str]
"""What a file of a resource is called in a zip."""


def zip_sessions(
    context: ServiceContext,
    choices: Sequence[tuple[str, ResourceChoice]],
    on_damage: Damaged = Damaged.REFUSE,
    naming: MemberNaming | None = None,
    folder: Folder | None = None,
) -> ZipDownload:
    """Resources of several sessions as one zip, or a `folder` of these; each session as it stands when its turn comes.

    Usage `file_damaged` unless files that are known to be damaged are to be included or omitted: then a session whose
    whole folder is gone is named in `not-included.txt`.

    Two sessions of one label have folders of their own; `naming` calls the files otherwise. Fault `file_missing` ends
    the zip where a session is gone, and AccessDenied where it may not be read any more.
    """
    if len(choices) == 1:
        return zip_resources(context, *choices[0], on_damage, folder, naming)
    damaged_count = sum(len(damaged_files) for damaged_files in _find_damaged(context, choices, on_damage, folder))
    return ZipDownload(
        "sessions.zip",
        None,
        ZipStream().chunks(_session_entries(context, choices, on_damage, folder, naming)),
        damaged_count,
    )


def _assign_folders() -> Callable[[Holder], str]:
    """The folder of each session in a zip of several: its label, unless one before it has that."""
    folders: dict[str, str] = {}

    def folder_of(holder: Holder) -> str:
        if holder.uuid not in folders:
            used_names = set(folders.values())
            base = f"{holder.label}_{holder.project}"
            names = chain((holder.label, base), (f"{base}_{number}" for number in count(2)))
            folders[holder.uuid] = next(name for name in names if name not in used_names)
        return folders[holder.uuid]

    return folder_of


def _name_in_folder(folder_of: Callable[[Holder], str]) -> MemberNaming:
    """`member_name` in a session's own folder."""

    def named(holder: Holder, resource: ResourcePart, file: FilePart) -> str:
        return folder_of(holder) + member_name(holder, resource, file).removeprefix(holder.label)

    return named


def _find_damaged(
    context: ServiceContext, choices: Sequence[tuple[str, ResourceChoice]], on_damage: Damaged, folder: Folder | None
) -> Iterator[Mapping[RelPath, str]]:
    """The damaged files of each session that has some; one that is gone has none, which its turn will tell."""
    with context.catalog.read() as connection:
        with_damage = find_damaged_holders(connection, [uuid for uuid, _ in choices])
        for uuid, choose in choices:
            holder = find_holder(connection, uuid) if uuid in with_damage else None
            if holder is not None:
                if on_damage is Damaged.REFUSE:
                    check_folder(connection, holder)
                elif is_folder_gone(connection, holder):
                    yield {TREE_ROOT: "folder_missing"}
                    continue
                yield _find_damaged_in(connection, holder, choose(connection, holder), on_damage, folder)


def _find_gone(context: ServiceContext, uuid: str) -> Holder | None:
    """The session, or shelf, if its whole folder is known to be gone."""
    with context.catalog.read() as connection:
        holder = find_holder(connection, uuid)
        return holder if holder is not None and is_folder_gone(connection, holder) else None


def _find_damaged_in(
    connection: Connection,
    holder: Holder,
    resources: Sequence[ResourcePart],
    on_damage: Damaged,
    folder: Folder | None,
) -> Mapping[RelPath, str]:
    folders = [f"{resource_folder(resource_row.scan_id, resource_row.label)}/" for resource_row in resources]

    def is_wanted(path: str) -> bool:
        names = (path[len(resource_row) :] for resource_row in folders if path.startswith(resource_row))
        return any(folder is None or folder.holds(name) for name in names)

    return find_damaged_paths(connection, holder, on_damage, is_wanted)


def _session_entries(
    context: ServiceContext,
    choices: Sequence[tuple[str, ResourceChoice]],
    on_damage: Damaged,
    folder: Folder | None,
    naming: MemberNaming | None,
) -> Iterator[ZipEntry]:
    lines: list[OmissionLine] = []
    access = DownloadAccess(context)
    folder_of = _assign_folders()
    naming = naming or _name_in_folder(folder_of)
    for uuid, choose in choices:
        if on_damage is not Damaged.REFUSE and (gone_holder := _find_gone(context, uuid)) is not None:
            lines.append((folder_of(gone_holder), "", DAMAGE_SENTENCES["folder_missing"]))
            continue
        holder, snapshot = open_holder_snapshot(context, uuid)
        with snapshot:
            access.check(holder)
            files, resources_by_number, damaged_kinds = _list_files(
                context, holder, snapshot, choose, on_damage, folder
            )
            lines += make_omission_lines(folder_of(holder), find_omitted(snapshot, damaged_kinds, on_damage))
            entries = (
                _entry(snapshot, holder, resources_by_number[file_row.resource_n], file_row, naming)
                for file_row in files
            )
            yield from access.entries(holder, entries)
    yield from make_omissions_entry(lines)


def _list_files(
    context: ServiceContext,
    holder: Holder,
    snapshot: Snapshot,
    choose: ResourceChoice,
    on_damage: Damaged,
    folder: Folder | None,
) -> tuple[list[FilePart], dict[int, ResourcePart], Mapping[RelPath, str]]:
    """The files of what is wanted, their resources by number, and which are damaged and how; noted in the trail.

    Damaged files have the size that they have now.
    """
    with context.catalog.read() as connection:
        resources = list(choose(connection, holder))
        damaged_kinds = _find_damaged_in(connection, holder, resources, on_damage, folder)
        files: list[FilePart] = []
        resources_by_number = {row.n: row for row in resources}
        for file_row in session_parts.find_files(connection, holder, resources, folder=folder):
            path = path_of(resources_by_number[file_row.resource_n], file_row)
            if path not in damaged_kinds:
                files.append(file_row)
            elif on_damage is Damaged.INCLUDE and (size := snapshot.size(path)) is not None:
                files.append(file_row._replace(bytes=size))
    with context.catalog.write() as connection:
        details = {"files": len(files), "bytes": sum(each_row.bytes for each_row in files)}
        own_resources.record_in_audit(context, connection, "download", holder, details)
    return files, resources_by_number, damaged_kinds


def zip_resources(
    context: ServiceContext,
    uuid: str,
    choose: ResourceChoice,
    on_damage: Damaged = Damaged.REFUSE,
    folder: Folder | None = None,
    naming: MemberNaming | None = None,
) -> ZipDownload:
    """Resources of a session, whose right to be read was checked, as a zip that is made while it is sent."""
    with context.catalog.read() as connection:
        current = find_holder(connection, uuid)
        if current is not None:
            check_folder(connection, current)
    member_naming = naming or member_name
    holder, snapshot = open_holder_snapshot(context, uuid)
    try:
        files, resources_by_number, damaged_kinds = _list_files(context, holder, snapshot, choose, on_damage, folder)
        omissions = make_omissions_entry(
            make_omission_lines(holder.label, find_omitted(snapshot, damaged_kinds, on_damage))
        )
        length = None
        if len(files) <= MAX_COUNTED_FILES:
            members = (
                (member_naming(holder, resources_by_number[file_row.resource_n], file_row), file_row.bytes)
                for file_row in files
            )
            length = stored_length(chain(members, ((entry.name, entry.size) for entry in omissions)))
    except BaseException:
        snapshot.close()
        raise
    chunks = _chunks(context, snapshot, holder, files, resources_by_number, omissions, member_naming)
    return ZipDownload(f"{holder.label}.zip", length, chunks, len(damaged_kinds), snapshot.close)


def make_empty_zip(label: str) -> ZipDownload:
    """The zip of what has no files, and nothing in the store."""
    return ZipDownload(f"{label}.zip", stored_length(()), ZipStream().chunks(()))


def member_name(holder: Holder, resource: ResourcePart, file: FilePart) -> str:
    """`{label}/scans/{id}-{type}/resources/{resource}/files/{name}`; without scans for the session's own."""
    scan = ""
    if resource.scan_id is not None:
        scan = f"scans/{scan_folder(resource.scan_id, resource.scan_type)}/"
    return f"{holder.label}/{scan}resources/{resource.label}/files/{file.name}"


def scan_folder(scan_id: str, scan_type: str | None) -> str:
    """`{id}-{type}`, or the id alone where there is no type."""
    kind = _NOT_LABEL.sub("_", scan_type or "").strip("_")
    return f"{scan_id}-{kind}" if kind else scan_id


def _chunks(
    context: ServiceContext,
    snapshot: Snapshot,
    holder: Holder,
    files: Sequence[FilePart],
    resources_by_number: dict[int, ResourcePart],
    omissions: Sequence[ZipEntry],
    naming: MemberNaming,
) -> Iterator[bytes | memoryview]:
    with snapshot:
        stream = ZipStream(moment=zip_time(holder))
        entries = (
            _entry(snapshot, holder, resources_by_number[file_row.resource_n], file_row, naming) for file_row in files
        )
        yield from stream.chunks(chain(DownloadAccess(context).entries(holder, entries), omissions))


def _entry(
    snapshot: Snapshot, holder: Holder, resource: ResourcePart, file: FilePart, naming: MemberNaming
) -> ZipEntry:
    path = path_of(resource, file)

    def opened() -> IO[bytes]:
        return snapshot.open(path)

    return ZipEntry(naming(holder, resource, file), file.bytes, opened)


def path_of(resource: ResourcePart, file: FilePart) -> RelPath:
    """Where a file stands in its session's tree."""
    return resource_file(resource.scan_id, resource.label, file.name)
