"""Taking stored bytes away: one file, or a scan, session or project as a zip in the documented layout.

What is downloaded is read from a snapshot of the tree: a replace or delete meanwhile changes nothing of it. No
transaction is open while bytes flow.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import IO, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, bindparam, select

from scandock.access.principal import AccessDenied
from scandock.catalog.file_rows import FileRow
from scandock.catalog.own_resources import Holder, find_holder
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import intent, project, session
from scandock.catalog.tree_places import find_place
from scandock.catalog.trees import find_tree_file
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault, Usage
from scandock.model.patience import tries
from scandock.rules.permissions import Action
from scandock.rules.scan_ids import sort_key
from scandock.services import own_resources, rights, session_contents
from scandock.services.chunks import Chunk, FileRange, ReadAhead
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import (
    DAMAGE_SENTENCES,
    Damaged,
    check_folder,
    count_damaged_of_project,
    find_damaged_paths,
    is_folder_gone,
)
from scandock.services.download_access import DownloadAccess
from scandock.services.file_errors import FileMissing, FileUnknown, RangeUnsatisfiable
from scandock.services.file_verification import verify_soon
from scandock.services.session_errors import SessionsMissing
from scandock.services.zip_stream import CHUNK, ZipEntry, ZipStream, stored_length
from scandock.store.paths import RelPath, path_below, resource_folder, scan_folder, tree_path
from scandock.store.port import Snapshot

H = TypeVar("H", bound=Holder)
MAX_COUNTED_FILES: Final = 50_000
"""Files up to which the length of a zip is told before it is sent."""

SNAPSHOT_WAIT_SECONDS: Final = 2.0
"""How long a download waits for a session that is just being placed."""

_RANGE_BYTES: Final = 1024 * 1024
"""Of a file that goes out at once, without a question whether it still may."""
_HEAD: Final = 4_096
_UNSAFE: Final = re.compile(r'[^A-Za-z0-9._ ()+=@-]|"|\\')
_MAGIC: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDescription:
    """What is said of a stored file before its bytes."""

    name: str
    """Under what a browser saves it; empty where its address says that."""
    size: int
    sha256: str
    media_type: str
    modified: int
    """When the tree that holds it was made, in Unix milliseconds: a new label changes nothing of a file."""
    damaged: str = ""
    """How it is known to be damaged; empty: it is not."""

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDownload(FileDescription):
    """One stored file, open; who takes it closes it."""

    _snapshot: Snapshot
    _path: RelPath
    _holder: Holder
    _access: DownloadAccess
    _begin: bytes
    """Its first bytes, which were read already."""

    def chunks(self, offset: int = 0, length: int | None = None) -> Iterator[Chunk]:
        """The bytes of a range; then the file is closed."""
        size = self.size - offset if length is None else length
        with self._snapshot as snapshot:
            if snapshot.has_files:
                with snapshot.open(self._path) as stream:
                    yield from self._access.each(self._holder, _split_range(stream.fileno(), offset, size))
            else:
                yield from self._access.each(self._holder, self._read_pieces(snapshot, offset, size))

    def _read_pieces(self, snapshot: Snapshot, offset: int, length: int) -> Iterator[Chunk]:
        begin = self._begin[offset : offset + length]
        if begin:
            yield begin
        if len(begin) < length:
            with snapshot.open(self._path, offset + len(begin), length - len(begin)) as part:
                yield from iter(partial(part.read, CHUNK), b"")

    def close(self) -> None:
        self._snapshot.close()


def _split_range(fd: int, offset: int, length: int) -> Iterator[FileRange]:
    ahead = ReadAhead(fd, offset, offset + length)
    for at in range(offset, offset + length, _RANGE_BYTES):
        ahead.want(at)
        yield FileRange(fd, at, min(_RANGE_BYTES, offset + length - at))


def _nothing_to_close() -> None:
    """What is open is opened by the chunks themselves."""


@dataclass(frozen=True, slots=True)
class ZipDownload:
    """A zip that is made while it is sent."""

    name: str
    length: int | None
    chunks: Iterator[bytes | memoryview]
    """Each is good until the next is asked for."""
    damaged: int = 0
    """Files that are known to be damaged, of those that were asked for."""
    close: Callable[[], object] = _nothing_to_close
    """Lets go of what the chunks are read of, also where none was."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be read, and how it is known to be damaged (empty: it is not)."""

    holder: Holder
    row: FileRow
    path: RelPath
    created: int
    """When its tree was made, in Unix milliseconds."""
    damaged: str


def find_file(
    context: ServiceContext, connection: Connection, uuid: str, n: int, on_damage: Damaged = Damaged.REFUSE
) -> FoundFile:
    """A file of a session, or own resources, by its number.

    AccessDenied, Usage `file_unknown`, `file_damaged` unless it is to be included.
    """
    holder = own_resources.find_holder_for(
        connection, context.principal, uuid, Action.SESSION_READ, prearchive_action=Action.PREARCHIVE_READ
    )
    file = find_tree_file(connection, holder.tree_id, n)
    if file.is_damaged:
        check_folder(connection, holder)
    folder = None if file.row is None else _find_folder(context, connection, holder, file.row.resource_n)
    if file.row is None or folder is None:
        raise FileUnknown(f"The session has no file {n}.")
    path = path_below(folder, file.row.name)
    kinds: Mapping[RelPath, str] = {}
    if file.is_damaged:
        policy = on_damage if on_damage is Damaged.INCLUDE else Damaged.REFUSE
        kinds = find_damaged_paths(connection, holder, policy, lambda damaged: damaged == path)
    return FoundFile(holder, file.row, path, file.created, kinds.get(path, ""))


def _find_folder(context: ServiceContext, connection: Connection, holder: Holder, resource_n: int) -> RelPath | None:
    """The folder of a resource's files in a tree; None where the tree has no such resource."""
    folder = context.trees.find_folder(holder, resource_n)
    if folder is None:
        place = find_place(connection, holder.tree_id, resource_n)
        if place is not None:
            folder = resource_folder(place.scan_id, place.label)
            context.trees.keep_folder(holder, resource_n, folder)
    return folder


def open_file(
    context: ServiceContext, uuid: str, n: int, *, audited: bool = True, on_damage: Damaged = Damaged.REFUSE
) -> FileDownload:
    """Open a file of a session, or own resources, by its number. As `find_file` and `open_found_file`."""
    with context.catalog.read() as connection:
        found = find_file(context, connection, uuid, n, on_damage)
    return open_found_file(context, found, audited=audited, on_damage=on_damage)


def open_found_file(
    context: ServiceContext,
    found: FoundFile,
    *,
    audited: bool = True,
    whole: bool = False,
    on_damage: Damaged = Damaged.REFUSE,
) -> FileDownload:
    """Open a file that was just found. Fault `file_missing`; as `find_file` where its tree was replaced meanwhile.

    `audited`: the audit trail tells of it (not where only its headers are asked for). `whole`: all of it is to be read,
    which a bucket is asked for at once where that is not much.
    """
    uuid, n = found.holder.uuid, found.row.n
    access = DownloadAccess(context)
    access.note_asked(found.holder)
    snapshot = open_tree(context, found.holder)
    while snapshot is None:
        with context.catalog.read() as connection:
            found = find_file(context, connection, uuid, n, on_damage)
        snapshot = open_tree(context, found.holder)
    row = found.row
    try:
        count = _RANGE_BYTES if whole and not snapshot.has_files else _HEAD
        with snapshot.open(found.path, 0, count) as stream:
            begin = stream.read(count)
        size = (snapshot.size(found.path) or 0) if found.damaged else row.bytes
        if audited:
            with context.catalog.write() as connection:
                details = {"file": n, "bytes": row.bytes}
                own_resources.record_in_audit(context, connection, "download", found.holder, details)
    except FileNotFoundError as error:
        snapshot.close()
        raise _file_missing(context, uuid) from error
    except BaseException:
        snapshot.close()
        raise
    return FileDownload(
        name=row.name.rpartition("/")[2],
        size=size,
        sha256=row.sha256.hex(),
        media_type=media_type(begin[:_HEAD]),
        modified=found.created,
        damaged=found.damaged,
        _snapshot=snapshot,
        _path=found.path,
        _holder=found.holder,
        _access=access,
        _begin=begin,
    )


def zip_session(
    context: ServiceContext,
    uuid: str,
    *,
    scan_id: str | None = None,
    deflate: bool = False,
    on_damage: Damaged = Damaged.REFUSE,
) -> ZipDownload:
    """A session, or one scan of it, as a zip that is a valid upload again. AccessDenied, Usage `scan_unknown`,
    `file_damaged` unless the damaged files are to be included or omitted.
    """
    with context.catalog.read() as connection:
        check_folder(connection, session_contents.find_readable_session(connection, context.principal, uuid))
        if scan_id is not None:
            session_contents.find_scan(connection, context.principal, uuid, scan_id)
    under = f"{scan_folder(scan_id)}/" if scan_id is not None else ""
    record, snapshot = open_session_snapshot(context, uuid)
    try:
        with context.catalog.read() as connection:
            damaged_kinds = find_damaged_paths(connection, record, on_damage, lambda path: path.startswith(under))
        omitted = find_omitted(snapshot, damaged_kinds, on_damage)
        length = None
        if not deflate and record.files <= MAX_COUNTED_FILES:
            omissions = make_omissions_entry(make_omission_lines(record.label, omitted))
            entries = chain(_session_entries(snapshot, record, under, omitted), omissions)
            length = stored_length((entry.name, entry.size) for entry in entries)
        with context.catalog.write() as connection:
            details = {"files": record.files, "bytes": record.bytes, "scan": scan_id}
            context.note(connection, "download", uuid, record.project, details)
    except BaseException:
        snapshot.close()
        raise
    name = f"{record.label}_{scan_id}.zip" if scan_id is not None else f"{record.label}.zip"
    chunks = _session_chunks(context, snapshot, record, under, omitted, deflate=deflate)
    return ZipDownload(name, length, chunks, len(damaged_kinds), snapshot.close)


def _session_chunks(
    context: ServiceContext,
    snapshot: Snapshot,
    record: SessionRecord,
    under: str,
    omitted: Mapping[RelPath, str],
    *,
    deflate: bool,
) -> Iterator[bytes | memoryview]:
    with snapshot:
        stream = ZipStream(deflate=deflate, moment=zip_time(record))
        entries = DownloadAccess(context).entries(record, _session_entries(snapshot, record, under, omitted))
        yield from stream.chunks(chain(entries, make_omissions_entry(make_omission_lines(record.label, omitted))))


def _session_entries(
    snapshot: Snapshot, record: SessionRecord, under: str = "", omitted: Collection[str] = ()
) -> Iterator[ZipEntry]:
    """The files of a tree as the layout has them, scans as people count them."""
    for entry in snapshot.walk(_folder_sort_key):
        if entry.kind == "file" and entry.rel.startswith(under) and entry.rel not in omitted:

            def opened(rel: RelPath = entry.rel) -> IO[bytes]:
                return snapshot.open(rel)

            yield ZipEntry(f"{record.label}/{entry.rel}", entry.size, opened)


def _folder_sort_key(folder: str) -> str:
    """What sorts the folders of a tree's folder."""
    above, _, name = folder.rpartition("/")
    return sort_key(name) if above == "scans" else name


def zip_project(
    context: ServiceContext, name: str, *, deflate: bool = False, on_damage: Damaged = Damaged.REFUSE
) -> ZipDownload:
    """All archived sessions of a project as one zip, one folder each. Usage `file_damaged` as `zip_session`.

    Each session is as it stands when its turn comes; one that is gone by then, that may not be read any more or was
    found to be damaged (unless such files are included or omitted) is named in `not-included.txt`. What ends within one
    ends the zip.
    """
    with context.catalog.read() as connection:
        rights.check(connection, context.principal, Action.SESSION_READ, name)
        rows = connection.execute(
            select(session.c.uuid, session.c.label, project.c.name)
            .join(project, project.c.id == session.c.project_id)
            .where(project.c.key == name.casefold(), session.c.place == "archive")
            .order_by(session.c.key)
        ).all()
        if not rows:
            raise SessionsMissing("The project has no archived session.")
        damaged_count = count_damaged_of_project(connection, name, on_damage)
    sessions, title = [(row.uuid, row.label) for row in rows], rows[0].name
    with context.catalog.write() as connection:
        context.note(connection, "download", title, title, {"sessions": len(sessions)}, kind="project")
    stream = ZipStream(deflate=deflate)
    return ZipDownload(
        f"{title}.zip", None, stream.chunks(_project_entries(context, sessions, on_damage)), damaged_count
    )


def _project_entries(
    context: ServiceContext, sessions: list[tuple[str, str]], on_damage: Damaged
) -> Iterator[ZipEntry]:
    lines: list[OmissionLine] = []
    access = DownloadAccess(context)
    for uuid, label in sessions:
        try:
            record, snapshot = open_session_snapshot(context, uuid)
        except Fault:
            lines.append((label, "", find_gone_reason(context, uuid)))
            continue
        with snapshot:
            try:
                access.check(record)
                with context.catalog.read() as connection:
                    damaged_kinds = find_damaged_paths(connection, record, on_damage)
            except AccessDenied:
                lines.append((label, "", "you may not read it any more"))
                continue
            except Usage as error:
                lines.append((label, "", error.message.rstrip(".")))
                continue
            omitted = find_omitted(snapshot, damaged_kinds, on_damage)
            lines += make_omission_lines(record.label, omitted)
            yield from access.entries(record, _session_entries(snapshot, record, omitted=omitted))
    yield from make_omissions_entry(lines)


def find_gone_reason(context: ServiceContext, uuid: str) -> str:
    """Why a session has no snapshot when its turn comes."""
    with context.catalog.read() as connection:
        record = find_session(connection, uuid)
        if record is None:
            return "it was deleted meanwhile"
        is_gone = is_folder_gone(connection, record)
    return DAMAGE_SENTENCES["folder_missing"] if is_gone else "its folder can't be read"


OmissionLine = tuple[str, str, str]
"""What `not-included.txt` tells of: a session's folder in the zip, which is its label unless another session's is, a
path in it (empty: all of it), and why it is left out."""


def make_omissions_entry(lines: Iterable[OmissionLine]) -> list[ZipEntry]:
    """The file of a zip that names what it should hold and does not; none where it holds all."""
    text = "".join("\t".join(line) + "\r\n" for line in lines).encode()
    return [ZipEntry("not-included.txt", len(text), lambda: io.BytesIO(text))] if text else []


def make_omission_lines(folder: str, omitted: Mapping[RelPath, str]) -> list[OmissionLine]:
    """What is told of the files of a session that are left out, by path and kind of damage; `folder` is its own."""
    return [(folder, path, DAMAGE_SENTENCES[kind]) for path, kind in sorted(omitted.items())]


def find_omitted(snapshot: Snapshot, damaged_kinds: Mapping[RelPath, str], on_damage: Damaged) -> Mapping[RelPath, str]:
    """Which of the damaged files a zip does not hold: also where they are wanted, those that are gone."""
    if on_damage is Damaged.OMIT:
        return damaged_kinds
    return {path: kind for path, kind in damaged_kinds.items() if snapshot.size(path) is None}


def media_type(head: bytes) -> str:
    """What the first bytes of a file are; never anything that a browser runs."""
    if head[128:132] == b"DICM":
        return "application/dicom"
    for magic, detected in _MAGIC:
        if head.startswith(magic):
            return detected
    if head and b"\0" not in head:
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder("utf-8")().decode(head)
            return "text/plain; charset=utf-8"
    return "application/octet-stream"


def content_disposition(name: str) -> str:
    """The Content-Disposition that lets a browser save it under this name, whatever stands in it (RFC 6266)."""
    plain = _UNSAFE.sub("_", name) or "file"
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def parse_byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Offset and length of a Range header with one range; None where the whole is to be sent (RFC 9110 14.2).

    Raises Usage `range_unsatisfiable` where nothing of the file lies in it.
    """
    if header is None:
        return None
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start = int(match[1])
        end = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(size - int(match[2]), 0), size - 1
    if start >= size or start > end:
        raise RangeUnsatisfiable(size)
    return start, end - start + 1


def open_session_snapshot(context: ServiceContext, uuid: str) -> tuple[SessionRecord, Snapshot]:
    """A session with a snapshot of the very tree that the catalog speaks of. Fault `file_missing`.

    Between the switch of a tree and its publication the folder is newer than the catalog: then this waits.
    """
    return _open_snapshot(context, uuid, find_session)


def open_holder_snapshot(context: ServiceContext, uuid: str) -> tuple[Holder, Snapshot]:
    """The same of a session or own resources."""
    return _open_snapshot(context, uuid, find_holder)


def _open_snapshot(
    context: ServiceContext, uuid: str, find: Callable[[Connection, str], H | None]
) -> tuple[H, Snapshot]:
    for _ in tries(SNAPSHOT_WAIT_SECONDS, 0.02):
        before, pending = _find_with_pending(context, uuid, find)
        if before is not None and not pending:
            with contextlib.suppress(FileNotFoundError):
                snapshot = context.store.snapshot(tree_path(before.parts))
                after, pending = _find_with_pending(context, uuid, find)
                if after is not None and not pending and (after.tree_id, after.parts) == (before.tree_id, before.parts):
                    context.trees.keep_mark(after, snapshot.mark)
                    return after, snapshot
                snapshot.close()
        if before is None:
            break
    raise _file_missing(context, uuid)


def open_tree(context: ServiceContext, holder: Holder) -> Snapshot | None:
    """A snapshot of the very tree that a record which was just read speaks of; None where another one has come.

    Fault `file_missing`.
    """
    snapshot = _open_known_tree(context, holder)
    if snapshot is not None:
        return snapshot
    current, snapshot = open_holder_snapshot(context, holder.uuid)
    if (current.tree_id, current.parts) == (holder.tree_id, holder.parts):
        return snapshot
    snapshot.close()
    return None


def _open_known_tree(context: ServiceContext, holder: Holder) -> Snapshot | None:
    """The same without a question, where its mark is known; None too where its folder is gone."""
    mark = context.trees.find_mark(holder)
    if mark is not None:
        with contextlib.suppress(FileNotFoundError):
            return context.store.snapshot(tree_path(holder.parts), mark)
    return None


def try_snapshot(context: ServiceContext, record: SessionRecord) -> Snapshot | None:
    """A snapshot of the very tree that a record which was just read speaks of; None where another one comes, or has
    come, in its place, or its folder is gone.
    """
    snapshot = _open_known_tree(context, record)
    if snapshot is not None:
        return snapshot
    name = tree_path(record.parts)
    try:
        snapshot = context.store.snapshot(name)
    except FileNotFoundError:
        return None
    try:
        with context.catalog.read() as connection:
            row = connection.execute(_PLACE, {"uuid": record.uuid, "of_tree": name}).first()
    except BaseException:
        snapshot.close()
        raise
    here = (record.tree_id, record.place, record.timestamp, record.label, record.project, False)
    if row is not None and tuple(row) == here:
        context.trees.keep_mark(record, snapshot.mark)
        return snapshot
    snapshot.close()
    return None


_PLACE: Final = (
    select(
        session.c.tree_id, session.c.place, session.c.timestamp, session.c.label, project.c.name,
        select(intent.c.id).where(intent.c.name == bindparam("of_tree"), intent.c.state == "intent").exists(),
    )
    .join(project, project.c.id == session.c.project_id)
    .where(session.c.uuid == bindparam("uuid"))
)  # fmt: skip
"""Where a session's tree is, and whether another one is just being put there."""

_PENDING: Final = (
    select(intent.c.id).where(intent.c.name == bindparam("of_tree"), intent.c.state == "intent").limit(1)
)  # fmt: skip


def _find_with_pending(
    context: ServiceContext, uuid: str, find: Callable[[Connection, str], H | None]
) -> tuple[H | None, bool]:
    """A session, or own resources, and whether another tree is just being put in its place."""
    with context.catalog.read() as connection:
        holder = find(connection, uuid)
        if holder is None:
            return None, False
        pending_intent = connection.execute(_PENDING, {"of_tree": tree_path(holder.parts)}).first()
    return holder, pending_intent is not None


def zip_time(record: Holder) -> datetime:
    """The time that entries of a session's zip bear."""
    return datetime.fromtimestamp(record.created / 1000, UTC)


def _file_missing(context: ServiceContext, uuid: str) -> Fault:
    """What is said of a file that is gone. Its session is verified next: then the list of damage tells of it."""
    verify_soon(context.catalog, uuid)
    return FileMissing()
