"""Archived sessions written to a folder as they stand in `archive/`: PROJECT/SESSION/scans/..., plain files.

Each file is read from a snapshot of its session's tree, and gets its name once all its bytes have the sha256 of the
catalog and are on the disk; nothing is linked to the archive. What has its name already is read and compared: a whole
file is left as it is, so an export that was killed is gone on with, and another file is never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from sqlalchemy import Connection, select

from scandock.catalog.projects import find_project
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession
from scandock.catalog.tables import project, session
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.import_types import Progress
from scandock.model.xnat_ids import experiment_number
from scandock.publishing.tree_files import paths_of
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import DAMAGE_SENTENCES
from scandock.services.downloads import find_gone_reason, open_session_snapshot
from scandock.services.export_errors import ExportAmbiguous, ExportInData, ExportUnknown, ExportWaits
from scandock.services.file_verification import verify_soon
from scandock.services.output_errors import OutputExists
from scandock.services.output_folder import OutputFolder
from scandock.store.paths import ARCHIVE, RelPath, archive_path, parse_rel, path_below
from scandock.store.port import Snapshot
from scandock.web import urls

_CHUNK: Final = 1024 * 1024
_TRIES: Final = 3
_NAME_REFUSED: Final = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})
"""What a file system says of a name that it can't hold."""
_MAX_NAMED: Final = 5

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What is to be exported: the archived sessions of a project, or one of them."""

    project: str
    sessions: Mapping[str, str]
    """Their labels by their UUIDs."""
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ExportProblem:
    """A file or a session that is not in the folder as the archive should have it.

    Kinds: changed, missing, unreadable, gone (damage in the archive), occupied (something else has its name), name (it
    can't have its name there).
    """

    kind: str
    path: str
    """Below the folder."""
    message: str
    files: int = 1
    """Files that are not there for it; 0 where their number is not known."""


@dataclass(slots=True, kw_only=True)
class ExportResult:
    """What came of an export."""

    path: str
    project: str
    sessions: int = 0
    written: int = 0
    """Files that were written."""
    present: int = 0
    """Files that were there already, whole."""
    bytes: int = 0
    """Bytes that were written."""
    problems: list[ExportProblem] = field(default_factory=list)


class _Damaged(Exception):
    """The archive does not give a file as it was stored."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def choose_sessions(connection: Connection, name: str) -> ExportChoice:
    """The sessions that are named by a project's id, or the one by its id (UUID, or XNAT's), label or address.

    Usage `export_unknown`, `export_ambiguous`, `export_waits`.
    """
    address = urls.parse_stored(name) if "/" in name else None
    if address is None and "/" in name:  # PROJECT/SESSION
        project_name, _, label = name.strip("/").partition("/")
        address = {"project": project_name, **({"label": label} if label else {})}
    if address is None:
        rows = _find_sessions(connection, name)
        known_project = find_project(connection, name)
    else:
        reference = address.get("uuid") or address.get("label")
        rows = [] if reference is None else _find_sessions(connection, reference, in_project=address.get("project"))
        known_project = find_project(connection, address["project"]) if reference is None else None
    archived = [row for row in rows if row.place == "archive"]
    if not archived and known_project is None:
        raise ExportWaits(name) if rows else ExportUnknown(name)
    if len(archived) + (known_project is not None) > 1:
        which = [] if known_project is None else [f"{ARCHIVE}/{known_project.name}/"]
        which += [archive_path(row.project, row.label) for row in archived[:_MAX_NAMED]]
        which += ["..."] if len(archived) > _MAX_NAMED else []
        raise ExportAmbiguous(name, ", ".join(which))
    if known_project is not None:
        project_name = known_project.name
        query = _SESSIONS.where(project.c.name == project_name, session.c.place == "archive")
        archived = list(connection.execute(query.order_by(session.c.key)))
    else:
        project_name = archived[0].project
    return ExportChoice(
        project_name,
        {row.uuid: row.label for row in archived},
        sum(row.files for row in archived),
        sum(row.bytes for row in archived),
    )


_SESSIONS: Final = select(
    session.c.uuid, session.c.label, session.c.place, session.c.files, session.c.bytes, project.c.name.label("project")
).join(project, project.c.id == session.c.project_id)


def _find_sessions(connection: Connection, name: str, *, in_project: str | None = None) -> list[Any]:
    """The sessions of a UUID; else of XNAT's id; else those of a label, in any case."""
    number = experiment_number(name)
    conditions = [session.c.uuid == name.casefold(), session.c.key == name.casefold()]
    if number is not None:
        numbered = select(accession.c.uuid).where(accession.c.number == number)
        conditions.insert(1, session.c.uuid.in_(numbered))
    for condition in conditions:
        query = _SESSIONS.where(condition)
        if in_project is not None:
            query = query.where(project.c.key == in_project.casefold())
        if rows := list(connection.execute(query.order_by(project.c.name))):
            return rows
    return []


def export_sessions(
    context: ServiceContext, choice: ExportChoice, target: str, on_progress: ProgressCallback | None = None
) -> ExportResult:
    """Write sessions below a folder, which is made where it is missing.

    Usage `export_in_data`; Fault where the folder takes no more: then the same call goes on where this one ended.
    """
    target = os.path.abspath(target)
    if _is_within(target, context.store.path) or _is_within(context.store.path, target):
        raise ExportInData(target)
    output = OutputFolder(target, overwrite=False)
    try:
        exporter = _Exporter(context, choice, output, ExportResult(path=target, project=choice.project), on_progress)
        try:
            for uuid, label in choice.sessions.items():
                exporter.add_session(uuid, f"{choice.project}/{label}")
        except Fault:
            with contextlib.suppress(Fault):
                exporter.name_files()  # those that are whole: the next call goes on behind them
            raise
        exporter.name_files()
        output.sync()
    finally:
        output.close()
    return exporter.result


def _is_within(path: str, folder: str) -> bool:
    """Whether a path is, or would be, a folder or in it: by whatever name, link or mount."""
    try:
        outer = os.stat(folder)
    except OSError:
        return False
    path = os.path.realpath(path)
    while True:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path), outer):
                return True
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above


class _Exporter:
    def __init__(
        self,
        context: ServiceContext,
        choice: ExportChoice,
        output: OutputFolder,
        result: ExportResult,
        on_progress: ProgressCallback | None,
    ) -> None:
        self.result = result
        self._context = context
        self._choice = choice
        self._output = output
        self._on_progress = on_progress
        self._begun = time.monotonic()
        self._files = self._bytes = 0
        self._labels: list[str] = []
        self._unnamed: dict[str, tuple[int, bytes]] = {}
        """Size and sha256 of files that are written and have no names yet."""
        self._obstacles: dict[str, int] = {}
        """By path of what is in the way of a folder, the number of its problem."""

    def add_session(self, uuid: str, folder: str) -> None:
        """Write one session as it is now; `folder` is where it was expected."""
        for _ in range(_TRIES):
            try:
                record, snapshot = open_session_snapshot(self._context, uuid)
            except Fault:
                self._add_problem("gone", folder, find_gone_reason(self._context, uuid), files=0)
                return
            except ValueError:
                self._add_problem("name", folder, "no folder can be called so", files=0)
                return
            with snapshot:
                if record.place != "archive":
                    self._add_problem("gone", folder, "it is no longer in the archive", files=0)
                    return
                folder = archive_path(record.project, record.label).partition("/")[2]
                paths = self._read_paths(record)
                if paths is not None and len(paths) == record.files:
                    self._write_session(record, snapshot, folder, paths)
                    return
        message = "the catalog does not have all of its files; scandock check says more"
        self._add_problem("unreadable", folder, message, files=0)

    def _read_paths(self, record: SessionRecord) -> Mapping[RelPath, tuple[int, bytes]] | None:
        """The files of a session; None where rows are lost, or go as another tree has taken its place."""
        try:
            with self._context.catalog.read() as connection:
                return paths_of(connection, record.tree_id)
        except (Fault, ValueError):  # ValueError: a label that no path can have
            return None

    def _write_session(
        self, record: SessionRecord, snapshot: Snapshot, folder: str, paths: Mapping[RelPath, tuple[int, bytes]]
    ) -> None:
        with self._context.catalog.write() as connection:
            details = {"export": True, "files": record.files, "bytes": record.bytes}
            self._context.note(connection, AuditAction.DOWNLOAD, record.uuid, record.project, details)
        self._labels.append(record.label)
        known_problems = len(self.result.problems)
        for path, (size, sha256) in paths.items():
            self._write_file(snapshot, folder, path, size, sha256)
            self._files += 1
            self._tell_progress()
        self.result.sessions += 1
        if any(problem.kind in DAMAGE_SENTENCES for problem in self.result.problems[known_problems:]):
            verify_soon(self._context.catalog, record.uuid)

    def _write_file(self, snapshot: Snapshot, folder: str, path: RelPath, size: int, sha256: bytes) -> None:
        try:
            relative = path_below(parse_rel(folder), parse_rel(path))
        except ValueError:
            self._add_problem("name", folder, f"no file may be called {path[:200]!r}")
            return
        try:
            is_present = self._compare(relative, size, sha256)
            if is_present is None:
                is_batch_full = self._output.write_unnamed(relative, self._read_file(snapshot, path, size, sha256))
                self._unnamed[relative] = size, sha256
                if is_batch_full:
                    self.name_files()
                return
        except _Damaged as damage:
            self._add_problem(damage.kind, relative, DAMAGE_SENTENCES[damage.kind])
            return
        except (OutputExists, Fault) as error:
            self._refuse(relative, size, sha256, error)
            return
        if is_present:
            self.result.present += 1
            self._bytes += size
        else:
            self._add_obstacle(relative, size)

    def name_files(self) -> None:
        """Give the files that were written their names."""
        refusals = self._output.name_files()
        unnamed, self._unnamed = self._unnamed, {}
        for relative, (size, sha256) in unnamed.items():
            if relative in refusals:
                self._refuse(relative, size, sha256, refusals[relative])
            else:
                self.result.written += 1
                self.result.bytes += size

    def _refuse(self, relative: str, size: int, sha256: bytes, error: OutputExists | Fault) -> None:
        """Note that a file can't have its name; raises a Fault that is not about the name."""
        if isinstance(error, OutputExists):
            with contextlib.suppress(OutputExists):
                if self._compare(relative, size, sha256):  # another export was quicker
                    self.result.present += 1
                    return
            self._add_obstacle(relative, size)
        elif isinstance(error.__cause__, OSError) and error.__cause__.errno in _NAME_REFUSED:
            self._add_problem("name", relative, "the folder can't hold a file of that name")
        else:
            raise error

    def _add_obstacle(self, relative: str, size: int) -> None:
        """Note what has the name of a file or of a folder above it: once, however many files belong below."""
        path, status = self._output.find_obstacle(relative)
        if path == relative:
            self._add_problem("occupied", path, _describe_obstacle(status, size))
            return
        if path not in self._obstacles:
            self._obstacles[path] = len(self.result.problems)
            self._add_problem("occupied", path, "", files=0)
        number = self._obstacles[path]
        files = self.result.problems[number].files + 1
        below = "1 file below it is" if files == 1 else f"{files:,} files below it are"
        message = f"{_file_kind(status)}, where a folder belongs: {below} not written"
        self.result.problems[number] = ExportProblem("occupied", path, message, files)

    def _compare(self, relative: str, size: int, sha256: bytes) -> bool | None:
        """Whether a file is there whole; None where it is not there. OutputExists where something else is."""
        fd = self._output.open_existing(relative)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            return os.fstat(fd).st_size == size and hashlib.file_digest(file, "sha256").digest() == sha256

    def _read_file(self, snapshot: Snapshot, path: RelPath, size: int, sha256: bytes) -> Iterator[bytes]:
        """The bytes of a file of the archive; _Damaged, at their end, where they are not those that were stored."""
        digest = hashlib.sha256()
        count = 0
        for chunk in _read_chunks(snapshot, path):
            digest.update(chunk)
            count += len(chunk)
            self._bytes += len(chunk)
            self._tell_progress()
            yield chunk
        if count != size or digest.digest() != sha256:
            raise _Damaged("changed")

    def _add_problem(self, kind: str, path: str, message: str, files: int = 1) -> None:
        self.result.problems.append(ExportProblem(kind, path, message, files))

    def _tell_progress(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    stage="reading",
                    entries_done=self._files,
                    entries_total=self._choice.files,
                    bytes_done=self._bytes,
                    bytes_total=self._choice.bytes,
                    sessions=tuple(self._labels),
                    seconds=time.monotonic() - self._begun,
                )
            )


def _file_kind(status: os.stat_result | None) -> str:
    if status is None:
        return "nothing by now"
    kinds = {stat.S_ISREG: "a file", stat.S_ISDIR: "a folder", stat.S_ISLNK: "a link"}
    return next((word for is_kind, word in kinds.items() if is_kind(status.st_mode)), "a special file")


def _describe_obstacle(status: os.stat_result | None, size: int) -> str:
    """What has the name of a file that should have so many bytes."""
    if status is None or not stat.S_ISREG(status.st_mode):
        return f"{_file_kind(status)}, where a file of the archive belongs"
    if status.st_size == size:
        return f"another file of {_byte_count(size)}, which are not those of the archive's file"
    return f"a file of {_byte_count(status.st_size)}, where the archive's file has {_byte_count(size)}"


def _byte_count(count: int) -> str:
    return "1 byte" if count == 1 else f"{count:,} bytes"


def _read_chunks(snapshot: Snapshot, path: RelPath) -> Iterator[bytes]:
    """A stored file, piece by piece; _Damaged where it is gone or the disk does not give it."""
    try:
        with snapshot.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (FileNotFoundError, NotADirectoryError):
        raise _Damaged("missing") from None
    except (OSError, Fault) as error:
        raise _Damaged("unreadable") from error
