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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import IO, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, select

from scandock.access.principal import AccessDenied
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import find_session
from scandock.catalog.own_resources import Holder, find_holder
from scandock.catalog.tables import intent, project, session, tree
from scandock.model.errors import Fault, Usage
from scandock.model.patience import tries
from scandock.rules.permissions import Action
from scandock.rules.scan_ids import sort_key
from scandock.services import contents, rights, shelves
from scandock.services.damaged_files import (
    HOW,
    Damaged,
    check_folder,
    damaged_of_project,
    damaged_paths,
    is_folder_gone,
)
from scandock.services.file_errors import FileMissing, RangeUnsatisfiable
from scandock.services.lasting import Lasting
from scandock.services.moving import Desk
from scandock.services.session_errors import SessionsMissing
from scandock.services.verifying import verify_soon
from scandock.services.zip_stream import CHUNK, ZipEntry, ZipStream, stored_length
from scandock.store.paths import RelPath, scan_folder, tree_path
from scandock.store.port import Snapshot

H = TypeVar("H", bound=Holder)
COUNTED: Final = 50_000
"""Files up to which the length of a zip is told before it is sent."""

STEADY_SECONDS: Final = 2.0
"""How long a download waits for a session that is just being placed."""

_HEAD: Final = 4_096
_UNSAFE: Final = re.compile(r'[^A-Za-z0-9._ ()+=@-]|"|\\')
_MAGIC: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
)


@dataclass(frozen=True, slots=True)
class FileDownload:
    """One stored file, open; who takes it closes it."""

    name: str
    size: int
    sha256: str
    media_type: str
    modified: int
    """When the tree that holds it was made, in Unix milliseconds: a new label changes nothing of a file."""
    _snapshot: Snapshot
    _path: RelPath
    _holder: Holder
    _lasting: Lasting
    damaged: str = ""
    """How it is known to be damaged; empty: it is not."""

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    def chunks(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of a range; then the file is closed."""
        with self._snapshot as snapshot, snapshot.open(self._path, offset, length) as stream:
            yield from self._lasting.each(self._holder, iter(partial(stream.read, CHUNK), b""))

    def close(self) -> None:
        self._snapshot.close()


@dataclass(frozen=True, slots=True)
class ZipDownload:
    """A zip that is made while it is sent."""

    name: str
    length: int | None
    chunks: Iterator[bytes]
    damaged: int = 0
    """Files that are known to be damaged, of those that were asked for."""


def open_file(desk: Desk, uuid: str, n: int, *, noted: bool = True, damaged: Damaged = Damaged.REFUSE) -> FileDownload:
    """Open a file of a session, or a shelf, by its number.

    Denied, Usage `file_unknown`, `file_damaged` unless it is to be included, Fault `file_missing`.

    `noted`: the audit trail tells of it (not where only its headers are asked for).
    """
    wanted = damaged if damaged is Damaged.INCLUDE else Damaged.REFUSE
    with desk.catalog.read() as connection:
        holder = shelves.holder_for(
            connection, desk.principal, uuid, Action.SESSION_READ, waiting=Action.PREARCHIVE_READ
        )
        check_folder(connection, holder)
    standing, snapshot = steady_holder(desk, uuid)
    try:
        with desk.catalog.read() as connection:
            item = contents.file_of(connection, standing, n)
            known = damaged_paths(connection, standing, wanted, lambda path: path == item.path)
            made = connection.execute(select(tree.c.created).where(tree.c.id == standing.tree_id)).scalar_one()
        with snapshot.open(item.path, 0, _HEAD) as stream:
            head = stream.read(_HEAD)
        size = (snapshot.size(item.path) or 0) if known else item.bytes
        if noted:
            with desk.catalog.write() as connection:
                shelves.note(desk, connection, "download", standing, {"file": n, "bytes": item.bytes})
    except FileNotFoundError as error:
        snapshot.close()
        raise _missing(desk, uuid) from error
    except BaseException:
        snapshot.close()
        raise
    return FileDownload(
        name=item.name.rpartition("/")[2],
        size=size,
        sha256=item.sha256,
        media_type=media_type(head),
        modified=made,
        _snapshot=snapshot,
        _path=item.path,
        _holder=standing,
        _lasting=Lasting(desk),
        damaged=known.get(item.path, ""),
    )


def zip_of_session(
    desk: Desk, uuid: str, *, scan_id: str | None = None, deflate: bool = False, damaged: Damaged = Damaged.REFUSE
) -> ZipDownload:
    """A session, or one scan of it, as a zip that is a valid upload again. Denied, Usage `scan_unknown`,
    `file_damaged` unless the damaged files are to be included or omitted.
    """
    with desk.catalog.read() as connection:
        check_folder(connection, contents.readable(connection, desk.principal, uuid))
        if scan_id is not None:
            contents.find_scan(connection, desk.principal, uuid, scan_id)
    under = f"{scan_folder(scan_id)}/" if scan_id is not None else ""
    standing, snapshot = steady(desk, uuid)
    try:
        with desk.catalog.read() as connection:
            known = damaged_paths(connection, standing, damaged, lambda path: path.startswith(under))
        omitted = left_out(snapshot, known, damaged)
        length = None
        if not deflate and standing.files <= COUNTED:
            told = not_included(lines_of(standing.label, omitted))
            entries = chain(_entries(snapshot, standing, under, omitted), told)
            length = stored_length((entry.name, entry.size) for entry in entries)
        with desk.catalog.write() as connection:
            said = {"files": standing.files, "bytes": standing.bytes, "scan": scan_id}
            desk.note(connection, "download", uuid, standing.project, said)
    except BaseException:
        snapshot.close()
        raise
    name = f"{standing.label}_{scan_id}.zip" if scan_id is not None else f"{standing.label}.zip"
    chunks = _zip_one(desk, snapshot, standing, under, omitted, deflate=deflate)
    return ZipDownload(name, length, chunks, len(known))


def _zip_one(
    desk: Desk,
    snapshot: Snapshot,
    standing: SessionRecord,
    under: str,
    omitted: Mapping[RelPath, str],
    *,
    deflate: bool,
) -> Iterator[bytes]:
    with snapshot:
        made = ZipStream(deflate=deflate, moment=moment_of(standing))
        entries = Lasting(desk).entries(standing, _entries(snapshot, standing, under, omitted))
        yield from made.chunks(chain(entries, not_included(lines_of(standing.label, omitted))))


def _entries(
    snapshot: Snapshot, standing: SessionRecord, under: str = "", omitted: Collection[str] = ()
) -> Iterator[ZipEntry]:
    """The files of a tree as the layout has them, scans as people count them."""
    for found in snapshot.walk(_order_of):
        if found.kind == "file" and found.rel.startswith(under) and found.rel not in omitted:

            def opened(rel: RelPath = found.rel) -> IO[bytes]:
                return snapshot.open(rel)

            yield ZipEntry(f"{standing.label}/{found.rel}", found.size, opened)


def _order_of(folder: str) -> str:
    """What sorts the folders of a tree's folder."""
    above, _, name = folder.rpartition("/")
    return sort_key(name) if above == "scans" else name


def zip_of_project(desk: Desk, name: str, *, deflate: bool = False, damaged: Damaged = Damaged.REFUSE) -> ZipDownload:
    """All archived sessions of a project as one zip, one folder each. Usage `file_damaged` as `zip_of_session`.

    Each session is as it stands when its turn comes; one that is gone by then, that may not be read any more or was
    found to be damaged (unless such files are included or omitted) is named in `not-included.txt`. What ends within one
    ends the zip.
    """
    with desk.catalog.read() as connection:
        rights.check(connection, desk.principal, Action.SESSION_READ, name)
        rows = connection.execute(
            select(session.c.uuid, session.c.label, project.c.name)
            .join(project, project.c.id == session.c.project_id)
            .where(project.c.key == name.casefold(), session.c.place == "archive")
            .order_by(session.c.key)
        ).all()
        if not rows:
            raise SessionsMissing("The project has no archived session.")
        known = damaged_of_project(connection, name, damaged)
    sessions, title = [(row.uuid, row.label) for row in rows], rows[0].name
    with desk.catalog.write() as connection:
        desk.note(connection, "download", title, title, {"sessions": len(sessions)}, kind="project")
    made = ZipStream(deflate=deflate)
    return ZipDownload(f"{title}.zip", None, made.chunks(_every(desk, sessions, damaged)), known)


def _every(desk: Desk, sessions: list[tuple[str, str]], damaged: Damaged) -> Iterator[ZipEntry]:
    lines: list[Line] = []
    lasting = Lasting(desk)
    for uuid, label in sessions:
        try:
            standing, snapshot = steady(desk, uuid)
        except Fault:
            lines.append((label, "", _why_gone(desk, uuid)))
            continue
        with snapshot:
            try:
                lasting.check(standing)
                with desk.catalog.read() as connection:
                    known = damaged_paths(connection, standing, damaged)
            except AccessDenied:
                lines.append((label, "", "you may not read it any more"))
                continue
            except Usage as error:
                lines.append((label, "", error.message.rstrip(".")))
                continue
            omitted = left_out(snapshot, known, damaged)
            lines += lines_of(standing.label, omitted)
            yield from lasting.entries(standing, _entries(snapshot, standing, omitted=omitted))
    yield from not_included(lines)


def _why_gone(desk: Desk, uuid: str) -> str:
    """Why a session of a project has no snapshot when its turn comes."""
    with desk.catalog.read() as connection:
        standing = find_session(connection, uuid)
        if standing is None:
            return "it was deleted meanwhile"
        known = is_folder_gone(connection, standing)
    return HOW["folder_missing"] if known else "its folder can't be read"


Line = tuple[str, str, str]
"""What `not-included.txt` tells of: a session's folder in the zip, which is its label unless another session's is, a
path in it (empty: all of it), and why it is left out."""


def not_included(lines: Iterable[Line]) -> list[ZipEntry]:
    """The file of a zip that names what it should hold and does not; none where it holds all."""
    text = "".join("\t".join(line) + "\r\n" for line in lines).encode()
    return [ZipEntry("not-included.txt", len(text), lambda: io.BytesIO(text))] if text else []


def lines_of(folder: str, omitted: Mapping[RelPath, str]) -> list[Line]:
    """What is told of the files of a session that are left out, by path and kind of damage; `folder` is its own."""
    return [(folder, path, HOW[kind]) for path, kind in sorted(omitted.items())]


def left_out(snapshot: Snapshot, known: Mapping[RelPath, str], damaged: Damaged) -> Mapping[RelPath, str]:
    """Which of the damaged files a zip does not hold: also where they are wanted, those that are gone."""
    if damaged is Damaged.OMIT:
        return known
    return {path: kind for path, kind in known.items() if snapshot.size(path) is None}


def media_type(head: bytes) -> str:
    """What the first bytes of a file are; never anything that a browser runs."""
    if head[128:132] == b"DICM":
        return "application/dicom"
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head and b"\0" not in head:
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder("utf-8")().decode(head)
            return "text/plain; charset=utf-8"
    return "application/octet-stream"


def disposition(name: str) -> str:
    """The Content-Disposition that lets a browser save it under this name, whatever stands in it (RFC 6266)."""
    plain = _UNSAFE.sub("_", name) or "file"
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
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


def steady(desk: Desk, uuid: str) -> tuple[SessionRecord, Snapshot]:
    """A session with a snapshot of the very tree that the catalog speaks of. Fault `file_missing`.

    Between the switch of a tree and its publication the folder is newer than the catalog: then this waits.
    """
    return _steady(desk, uuid, find_session)


def steady_holder(desk: Desk, uuid: str) -> tuple[Holder, Snapshot]:
    """The same of a session or a shelf."""
    return _steady(desk, uuid, find_holder)


def _steady(desk: Desk, uuid: str, find: Callable[[Connection, str], H | None]) -> tuple[H, Snapshot]:
    for _ in tries(STEADY_SECONDS, 0.02):
        before, pending = _stands(desk, uuid, find)
        if before is not None and not pending:
            with contextlib.suppress(FileNotFoundError):
                snapshot = desk.store.snapshot(tree_path(before.parts))
                after, pending = _stands(desk, uuid, find)
                if after is not None and not pending and (after.tree_id, after.parts) == (before.tree_id, before.parts):
                    return after, snapshot
                snapshot.close()
        if before is None:
            break
    raise _missing(desk, uuid)


def _stands(desk: Desk, uuid: str, find: Callable[[Connection, str], H | None]) -> tuple[H | None, bool]:
    """A session, or a shelf, and whether another tree is just being put in its place."""
    with desk.catalog.read() as connection:
        found = find(connection, uuid)
        if found is None:
            return None, False
        waiting = connection.execute(
            select(intent.c.id).where(intent.c.name == tree_path(found.parts), intent.c.state == "intent").limit(1)
        ).first()
    return found, waiting is not None


def moment_of(standing: Holder) -> datetime:
    """The time that entries of a session's zip bear."""
    return datetime.fromtimestamp(standing.created / 1000, UTC)


def _missing(desk: Desk, uuid: str) -> Fault:
    """What is said of a file that is gone. Its session is verified next: then the list of damage tells of it."""
    verify_soon(desk.catalog, uuid)
    return FileMissing()
