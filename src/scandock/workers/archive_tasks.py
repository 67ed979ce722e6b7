"""What lies at the door: an archive, a folder or one object, as the first tasks of its readers."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import field

from scandock.formats.display_names import decode_file_name, quote
from scandock.formats.errors import ArchiveEmpty, ArchiveUnsupported, FolderUnreadable, NotAnArchive
from scandock.formats.kinds import STREAMS, Kind, explain_foreign, kind_of
from scandock.formats.source import Source
from scandock.formats.zip_directory import ZipEntries, read_directory
from scandock.model.dataclass import dataclass
from scandock.model.entry import Container
from scandock.model.errors import BadInput
from scandock.model.limits import Limits
from scandock.store.sources import open_source
from scandock.workers.pool import Task

PARTS = 8
"""Tasks for each reader, at least: few enough to cost nothing."""
LAST_PARTS = 2
"""Tasks for each reader that what is left makes at least, down to MIN_BYTES and MIN_ENTRIES."""
MIN_BYTES = 4 * 1024 * 1024
MIN_ENTRIES = 64
MAX_ENTRIES = 2_000
"""Of a zip in one task: some 300 kB, which its reader holds twice as it is told."""
LIST_FILES = 256
EMPTY_TAR = 1024 * 1024
"""Bytes that an empty tar may have: tar pads it to a record, 10 kB by default."""


@dataclass(slots=True)
class ArchiveTasks:
    """The first tasks, and what is known of the whole; totals are None where only the reading tells."""

    tasks: list[Task]
    received: int
    entries_total: int | None = None
    bytes_total: int | None = None
    notes: list[str] = field(default_factory=list)
    specials: list[tuple[int, str]] = field(default_factory=list)
    """Links and devices of a folder: index among its entries, path below it."""


def open_archive(path: str, limits: Limits, readers: int, name: str | None = None) -> ArchiveTasks:
    """Look at what was brought; `name` is what it is called, where the path does not say it.

    Raises BadInput where it can't be taken as a whole.
    """
    if os.path.isdir(path):
        return _folder_tasks(path, readers)
    name = name or decode_file_name(os.path.basename(path))
    with open_source(path) as source:
        size = source.size
        kind = kind_of(source)
        if kind is Kind.EMPTY:
            raise ArchiveEmpty(f"{quote(name)} is empty.", "Send it again; the transfer was probably cut.")
        if kind in (Kind.ZIP, Kind.DOCUMENT):
            container = Container(b"", "", path, 0, size, Kind.ZIP, 1, name)
            return zip_tasks(container, source, limits, readers)
    if kind in STREAMS or kind is Kind.TAR:
        return ArchiveTasks([stream_task(path, name, size, kind)], size, None, size if kind is Kind.TAR else None)
    if kind in (Kind.DICOM, Kind.ECAT) or _is_maybe_object(path, size):
        container = Container(b"", "", path, 0, size, kind, 1, name)
        return ArchiveTasks([Task("files", container, [(0, name, size)])], size, 1, size)
    if _is_empty_tar(path, size):
        raise ArchiveEmpty(f"{quote(name)} is an empty tar.", "Check what was packed, then send it again.")
    raise _unsupported(name, kind)


def stream_task(path: str, name: str, size: int, kind: Kind) -> Task:
    """A tar, or what is compressed as one stream, which one reader reads from its beginning to its end."""
    return Task("stream", Container(b"", "", path, 0, size, kind, 1, name), name)


def _is_empty_tar(path: str, size: int) -> bool:
    """Whether a file is what tar makes of nothing: blocks of zeros alone."""
    if size % 512 or not 1024 <= size <= EMPTY_TAR:
        return False
    with open_source(path) as source:
        return not any(source.read_at(0, size))


def _is_maybe_object(path: str, size: int) -> bool:
    from scandock.formats.dicom_sniff import looks_like_dicom

    with open_source(path) as source:
        return looks_like_dicom(source.read_at(0, min(size, 64 * 1024)), size)


def _unsupported(name: str, kind: Kind) -> BadInput:
    other = explain_foreign(kind)
    if kind is Kind.HTML and other is not None:
        return NotAnArchive(f"{quote(name)} is no archive but {other[0]}.", other[1])
    if other is not None:
        return ArchiveUnsupported(f"{quote(name)} is {other[0]}, which is not taken.", other[1])
    return NotAnArchive(
        f"{quote(name)} is neither an archive nor an image: damaged, or something else.",
        "Upload a .zip or .tar.gz of a session, a folder, or one DICOM or ECAT 7 file.",
    )


def zip_tasks(container: Container, source: Source, limits: Limits, readers: int) -> ArchiveTasks:
    """A zip's entries in ranges of about the same work."""
    directory = read_directory(source, limits)
    entries = directory.entries
    sums = entries.sums()
    tasks = range_tasks(container, entries, sums, readers)
    return ArchiveTasks(tasks, container.size, len(entries), sums[-1] if sums else 0, list(directory.notes))


def range_tasks(container: Container, entries: ZipEntries, sums: Sequence[int], readers: int) -> list[Task]:
    """Entries of a zip in ranges of about the same work; `sums` are theirs (`ZipEntries.sums`)."""
    return [Task("zip", container, part.__reduce__()[1]) for part in _ranges(entries, sums, readers)]


def _ranges(entries: ZipEntries, sums: Sequence[int], readers: int) -> Iterator[ZipEntries]:
    """Smaller ones towards the end, so that readers end together."""
    count, total = len(entries), sums[-1] if sums else 0
    most = most_now = max(MIN_BYTES, total // (readers * PARTS))
    many = many_now = max(MIN_ENTRIES, min(MAX_ENTRIES, count // (readers * PARTS)))
    start = before = 0
    while start < count:
        end = min(bisect_left(sums, before + most_now, start) + 1, start + many_now, count)
        yield entries[start:end]
        start, before = end, sums[end - 1]
        most_now = max(MIN_BYTES, min(most, (total - before) // (readers * LAST_PARTS)))
        many_now = max(MIN_ENTRIES, min(many, (count - start) // (readers * LAST_PARTS)))


def _folder_tasks(path: str, readers: int) -> ArchiveTasks:
    """The files of a folder, sorted by path; links and devices are named, never followed."""
    files: list[tuple[int, str, int]] = []
    specials: list[tuple[int, str]] = []
    for index, relative in enumerate(walk_folder(path)):
        full = os.path.join(path, relative)
        if os.path.islink(full) or not os.path.isfile(full):
            specials.append((index, relative))
        else:
            files.append((index, relative, os.path.getsize(full)))
    total = sum(size for _, _, size in files)
    container = Container(
        b"", "", path, 0, total, "folder", 1, decode_file_name(os.path.basename(os.path.abspath(path)))
    )
    count = max(1, min(LIST_FILES, -(-len(files) // (readers * PARTS))))
    tasks = [Task("files", container, files[at : at + count]) for at in range(0, len(files), count)]
    if not files:
        raise ArchiveEmpty(
            f"The folder {quote(container.name)} holds no files.",
            "Name the folder that holds the session.",
        )
    return ArchiveTasks(tasks, total, len(files), total, specials=specials)


def walk_folder(path: str) -> Iterator[str]:
    """All that is no folder below a folder, links to folders too; relative to it. BadInput where one can't be read."""

    def stop(error: OSError) -> None:
        name = quote(decode_file_name(os.path.relpath(error.filename, path)))
        raise FolderUnreadable(name) from error

    for root, folders, names in os.walk(path, onerror=stop):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted(names + links):
            yield os.path.relpath(os.path.join(root, name), path)
