"""Parts of sessions as zips whose members XNAT's clients can take apart (xnat-clients.md 1, rule 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO, Final

from sqlalchemy import Connection, RowMapping

from scandock.catalog.shelves import Holder
from scandock.services import shelves
from scandock.services.downloads import COUNTED, ZipDownload, moment_of, steady_holder
from scandock.services.lasting import Lasting
from scandock.services.moving import Desk
from scandock.services.xnat import contents
from scandock.services.zip_stream import ZipEntry, ZipStream, stored_length
from scandock.store.port import Snapshot

_NOT_LABEL: Final = re.compile(r"[^\w-]+")
Choice = Callable[[Connection, Holder], Sequence[RowMapping]]
"""The resources that are wanted of a session, or of a shelf, as it stands (rows of `contents.resources_of`)."""


def zip_of_sessions(desk: Desk, wanted: Sequence[tuple[str, Choice]]) -> ZipDownload:
    """Resources of several sessions as one zip, each session as it stands when its turn comes.

    Two sessions of one label have folders of their own. Fault `file_missing` ends the zip where a session is gone, and
    Denied where it may not be read any more.
    """
    if len(wanted) == 1:
        return zip_of_resources(desk, *wanted[0])
    return ZipDownload("sessions.zip", None, ZipStream().chunks(_each(desk, wanted)))


def _each(desk: Desk, wanted: Sequence[tuple[str, Choice]]) -> Iterator[ZipEntry]:
    taken: set[str] = set()
    lasting = Lasting(desk)
    for uuid, choose in wanted:
        standing, snapshot = steady_holder(desk, uuid)
        with snapshot:
            lasting.check(standing)
            files, of = _listed(desk, standing, choose)
            folder = standing.label if standing.label not in taken else f"{standing.label}_{standing.project}"
            taken.add(folder)
            entries = (_entry(snapshot, standing, of[one["resource_n"]], one) for one in files)
            for entry in lasting.entries(standing, entries):
                yield replace(entry, name=folder + entry.name.removeprefix(standing.label))


def _listed(desk: Desk, standing: Holder, choose: Choice) -> tuple[Sequence[RowMapping], dict[int, RowMapping]]:
    """The files of what is wanted, with their resources by number; the download is noted in the trail."""
    with desk.catalog.read() as connection:
        resources = list(choose(connection, standing))
        files = contents.files_of(connection, standing, resources)
    with desk.catalog.write() as connection:
        said = {"files": len(files), "bytes": sum(one["bytes"] for one in files)}
        shelves.note(desk, connection, "download", standing, said)
    return files, {row["n"]: row for row in resources}


def zip_of_resources(desk: Desk, uuid: str, choose: Choice) -> ZipDownload:
    """Resources of a session, whose right to be read was checked, as a zip that is made while it is sent."""
    standing, snapshot = steady_holder(desk, uuid)
    try:
        files, of = _listed(desk, standing, choose)
        length = None
        if len(files) <= COUNTED:
            length = stored_length((member_name(standing, of[one["resource_n"]], one), one["bytes"]) for one in files)
    except BaseException:
        snapshot.close()
        raise
    return ZipDownload(f"{standing.label}.zip", length, _chunks(desk, snapshot, standing, files, of))


def zip_of_nothing(label: str) -> ZipDownload:
    """The zip of what has no files, and nothing in the store."""
    return ZipDownload(f"{label}.zip", stored_length(()), ZipStream().chunks(()))


def member_name(standing: Holder, resource: RowMapping, file: RowMapping) -> str:
    """`{label}/scans/{id}-{type}/resources/{resource}/files/{name}`; without scans for the session's own."""
    scan = ""
    if resource["scan_id"] is not None:
        kind = _NOT_LABEL.sub("_", resource["scan_type"] or "").strip("_")
        scan = f"scans/{resource['scan_id']}{f'-{kind}' if kind else ''}/"
    return f"{standing.label}/{scan}resources/{resource['label']}/files/{file['name']}"


def _chunks(
    desk: Desk, snapshot: Snapshot, standing: Holder, files: Sequence[RowMapping], of: dict[int, RowMapping]
) -> Iterator[bytes]:
    with snapshot:
        made = ZipStream(moment=moment_of(standing))
        entries = (_entry(snapshot, standing, of[one["resource_n"]], one) for one in files)
        yield from made.chunks(Lasting(desk).entries(standing, entries))


def _entry(snapshot: Snapshot, standing: Holder, resource: RowMapping, file: RowMapping) -> ZipEntry:
    path = path_of(resource, file)

    def opened() -> IO[bytes]:
        return snapshot.open(path)

    return ZipEntry(member_name(standing, resource, file), file["bytes"], opened)


def path_of(resource: RowMapping, file: RowMapping) -> str:
    """Where a file stands in its session's tree."""
    scan = f"scans/{resource['scan_id']}/" if resource["scan_id"] is not None else ""
    return f"{scan}resources/{resource['label']}/files/{file['name']}"
