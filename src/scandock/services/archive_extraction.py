"""`extract=true`: the files of a zip, a tar or a compressed tar that came by hand, as files of a resource.

All of it or nothing. What an archive is tells its content, never its name; links, devices and paths that lead out of
the resource refuse it, with the entry's name. Archives within archives stay files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from scandock.formats.display_names import quote
from scandock.formats.kinds import HEAD_BYTES, STREAMS, Kind, kind_of
from scandock.formats.meter import Meter
from scandock.formats.source import FileSource, Source
from scandock.formats.stream import open_stream
from scandock.formats.tar import TarKind, read_members
from scandock.formats.zip_directory import read_directory
from scandock.formats.zip_entry import ZipEntryReader
from scandock.model.errors import Usage
from scandock.model.limits import Limits
from scandock.services.file_errors import EntryRefused, FileNotAnArchive
from scandock.services.resource_uploads import Chunk, StagedUpload
from scandock.store.errors import ScratchMissing
from scandock.store.paths import RelPath, parse_rel

_LINK: Final = "Pack the files themselves (tar --dereference), or upload them one by one."


def extract_archive(
    staged: StagedUpload, rel: RelPath, folder: str, limits: Limits, on_growth: Callable[[int], None]
) -> None:
    """Take the archive at `rel` in the stage apart into files below `folder` (empty, or with a slash behind it).

    `on_growth` hears of each piece's size and may refuse it. Raises BadInput, LimitExceeded, Usage `not_an_archive` and
    `entry_refused`.
    """
    path = staged.stage.local_path(rel)
    if path is None:
        raise ScratchMissing
    paths: set[str] = set()
    with FileSource(path) as source:
        meter = Meter(limits, source.size)
        for name, chunks in _entries(source, limits, meter):
            target_path = _entry_path(folder, name)
            if target_path in paths:
                raise _entry_refused(name, "it is in the archive twice", "Pack it once.")
            paths.add(target_path)
            _store_file(staged, meter, target_path, name, chunks, on_growth)
    staged.stage.remove(rel)


def _store_file(
    staged: StagedUpload, meter: Meter, path: str, name: str, chunks: Iterator[Chunk], on_growth: Callable[[int], None]
) -> None:
    size = 0

    def counted(count: int) -> None:
        nonlocal size
        size += count
        meter.entry_bytes(name, size)
        on_growth(count)

    staged.keep(path, chunks, counted)


def _entries(source: Source, limits: Limits, meter: Meter) -> Iterator[tuple[str, Iterator[Chunk]]]:
    """Name and bytes of each file, in order; the bytes are to be taken before the next is asked for."""
    head = source.read_at(0, HEAD_BYTES)
    kind = kind_of(head, len(head))
    if kind is Kind.ZIP:
        yield from _zip_entries(source, limits, meter)
    elif kind is Kind.TAR or kind in STREAMS:
        yield from _tar_entries(source, kind, limits, meter)
    else:
        raise not_an_archive()


def not_an_archive() -> Usage:
    """Why something can't be extracted."""
    return FileNotAnArchive()


def _zip_entries(source: Source, limits: Limits, meter: Meter) -> Iterator[tuple[str, Iterator[Chunk]]]:
    reader = ZipEntryReader(limits)
    for entry in read_directory(source, limits).entries:
        meter.entry()
        if entry.is_dir:
            continue
        if entry.special:
            raise _entry_refused(entry.name, f"it is a {entry.special}", _LINK)
        meter.entry_bytes(entry.name, entry.usize)
        yield entry.name, _count_chunks(reader.stream(source, entry), meter)


def _count_chunks(chunks: Iterator[memoryview], meter: Meter) -> Iterator[Chunk]:
    for chunk in chunks:
        meter.unpacked(len(chunk))
        yield chunk


def _tar_entries(source: Source, kind: Kind, limits: Limits, meter: Meter) -> Iterator[tuple[str, Iterator[Chunk]]]:
    stream = open_stream(source, kind, limits, meter.unpacked)
    if kind in STREAMS:
        head = stream.peek(HEAD_BYTES)
        if kind_of(head, len(head)) is not Kind.TAR:
            raise not_an_archive()
    for member in read_members(stream, limits):
        meter.entry()
        if member.kind is TarKind.DIR:
            continue
        if member.kind is TarKind.SPECIAL:
            raise _entry_refused(member.name, f"it is a {member.special}", _LINK)
        meter.entry_bytes(member.name, member.size)
        yield member.name, member.chunks()


def _entry_path(folder: str, name: str) -> str:
    """Where an entry's file stands in the resource. Usage `entry_refused`."""
    pieces = [piece for piece in name.replace("\\", "/").split("/") if piece not in ("", ".")]
    try:
        if name.startswith("/") or ".." in pieces or not pieces:
            raise ValueError
        return parse_rel(folder + "/".join(pieces))
    except ValueError:
        raise _entry_refused(name, "its path can't stand in a resource", "Pack it with plain relative paths.") from None


def _entry_refused(name: str, why: str, remedy: str) -> Usage:
    return EntryRefused(f"The entry {quote(name)} can't be taken: {why}. Nothing was taken.", remedy)
