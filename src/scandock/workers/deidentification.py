"""De-identification of files: each image that is found below some paths is scrubbed and written to a folder.

Files lie where they are and are read there; archives are walked as an import walks them, under the same limits. Nothing
is kept between two files but their names in the output, so memory does not grow with what is read.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import field
from typing import Final, Literal, NoReturn, Protocol, TypedDict

from scandock.deidentification.data_set import Range
from scandock.deidentification.scrub import Failed, Rejected, Scrubbed, ScrubResult
from scandock.deidentification.sniffing import is_image
from scandock.formats.display_names import as_sizes, escape_name
from scandock.formats.ecat import looks_like_ecat
from scandock.formats.errors import EntryTooLarge, ReadFailed
from scandock.formats.kinds import ARCHIVES, HEAD_BYTES, STREAMS, Kind, explain_foreign, kind_of
from scandock.formats.meter import Meter
from scandock.formats.source import FileSource
from scandock.formats.zip_directory import ZipEntries, read_directory
from scandock.formats.zip_entry import WHOLE
from scandock.model.dataclass import dataclass
from scandock.model.entry import Container
from scandock.model.errors import BadInput, Fault, LimitExceeded
from scandock.model.import_types import Progress
from scandock.model.limits import Limits
from scandock.pipeline.entry_body import Buffer, EntryBody
from scandock.pipeline.staging import StagedFile
from scandock.pipeline.unpacker import Unpacker, open_container
from scandock.rules.filenames import HashedNames, UsedNames, make_unique, resource_path
from scandock.rules.layout import EntryLayout, split_folders, split_path
from scandock.rules.loose_files import split_levels
from scandock.rules.notices import Notice
from scandock.services.output_errors import OutputExists, OutputIsInput
from scandock.services.output_folder import OutputFolder, Part
from scandock.store.paths import INNER, path_below
from scandock.workers.archive_tasks import open_archive
from scandock.workers.scratch_files import ScratchFiles

Names = Literal["keep", "number"]
Result = Literal["ok", "reject", "error", "refused"]

HEAD: Final = 1024 * 1024
"""Bytes of an image that is not in memory that are read at once."""
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst")
_REMEDIES: Final = {
    "damaged": "Make it again.",
    "empty_archive": "Check what was packed.",
    "entry_too_large": "Leave it out, or raise SCANDOCK_MAX_ENTRY_BYTES.",
    "not_an_archive": "",
    "ratio": "Check what was packed. If the data is real, raise SCANDOCK_MAX_RATIO.",
    "too_many_bytes": "Take it in parts, or raise SCANDOCK_MAX_UNPACKED_BYTES.",
    "too_many_entries": "Take it in parts, or raise SCANDOCK_MAX_ENTRIES.",
    "truncated": "Get it again, whole.",
}
"""What to do, by code, where errors of archives say what people who upload can do."""
_PLACE: Final = EntryLayout(base="")
"""What a folder is called means nothing here: an entry is told by its content alone."""


class Scrub(Protocol):
    """The function that de-identifies, with its rules."""

    def __call__(self, head: Buffer, size: int, read: Callable[[int, int], Buffer] | None) -> ScrubResult:
        """What comes of the object of `size` bytes that begins with `head`; `read(start, end)` gives the rest."""


class OutcomeJson(TypedDict):
    """One line of --json."""

    path: str
    result: Result
    code: str
    message: str
    out: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one input."""

    path: str
    """Where it was found: the path that was named, what is below it, and behind `!` the entry of an archive."""
    result: Result
    code: str = ""
    message: str = ""
    """Of an `ok` one, what is warned of."""
    out: str | None = None
    """Where it stands below the output folder."""
    size: int = 0
    warnings: tuple[Notice, ...] = ()

    def to_json(self) -> OutcomeJson:
        return {
            "path": _as_text(self.path),
            "result": self.result,
            "code": self.code,
            "message": _as_text(self.message),
            "out": None if self.out is None else _as_text(self.out),
        }


class Cancelled(Exception):
    """The command was asked to end."""


@dataclass
class _Archive:
    """The archive that is being walked: its own path, its folder in the output, and the names there."""

    path: str
    relative: str
    """Its path below the input that was named."""
    folder: str
    single: str | None = None
    """What the one object in it is called, should it be no archive but a compressed object."""
    names: UsedNames = field(default_factory=UsedNames)
    inner_numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    deep_numbers: dict[tuple[str, ...], int] = field(default_factory=dict)

    def deep_name(self, folders: Sequence[str]) -> str:
        """What stands for folders that are too deep: a number, as a hash would tell who guesses their names."""
        return f"deep-{self.deep_numbers.setdefault(tuple(folders), len(self.deep_numbers) + 1)}"


class DeidentificationRun:
    """One run over some paths. Single thread; `tell` hears of each input as soon as it is done."""

    def __init__(
        self,
        scrub: Scrub,
        output: OutputFolder,
        limits: Limits,
        tell: Callable[[Outcome], None],
        cancelled: threading.Event,
        *,
        names: Names = "keep",
    ) -> None:
        self.on_progress: Callable[[Progress], None] | None = None
        self._scrub = scrub
        self._output = output
        self._limits = limits
        self._tell = tell
        self._cancelled = cancelled
        self._names: Names = names
        self._taken = UsedNames(files=HashedNames())
        self._told = 0
        self._archives = 0
        self._failed = False
        self._bytes = 0
        self._began = time.monotonic()
        self._totals: tuple[int | None, int | None] = (None, None)

    def take(self, path: str) -> None:
        """Take a file, a folder or an archive.

        Raises Cancelled, and Fault for a fault of the machine, of which the input that met it was told.
        """
        if not os.path.isdir(path):
            self._take_file(path, os.path.basename(path))
            return
        if self.on_progress is not None:
            self._totals = _count_files(path)
        for relative, kind in self._files_below(path):
            full = os.path.join(path, relative)
            if kind == "file":
                self._take_file(full, relative)
            else:
                self.check()
                self.tell_link(full)

    def check(self) -> None:
        """Raise Cancelled where the command was asked to end."""
        if self._cancelled.is_set():
            raise Cancelled

    # -- files -------------------------------------------------------------------------------------------------------

    def _files_below(self, folder: str) -> Iterator[tuple[str, str]]:
        """All below a folder that is no folder, by relative path, one folder's names in memory at a time."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(os.path.join(folder, below)) as entries:
                    listing = sorted(((entry.name, _entry_kind(entry)) for entry in entries), key=lambda one: one[0])
            except OSError as error:
                message = f"The folder can't be read: {_reason(error)}."
                self.emit_error(os.path.join(folder, below), "folder_unreadable", message)
                continue
            folders = []
            for name, kind in listing:
                relative = os.path.join(below, name)
                if kind == "folder":
                    folders.append(relative)
                else:
                    yield relative, kind
            waiting.extend(reversed(folders))

    def _take_file(self, full: str, relative: str) -> None:
        self.check()
        try:
            fd = os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self.emit_error(full, "unreadable", f"The file can't be read: {_reason(error)}.")
            return
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                self.tell_link(full)
                return
            size = status.st_size
            data = self._read(fd, min(size, WHOLE), full)
            head = data[:HEAD_BYTES]
            if not is_image(head, size):
                self._take_other(full, relative, head, size)
                return
            out = self._plain_name(relative, ecat=looks_like_ecat(head))
            if size > self._limits.max_entry_bytes:
                has, most = as_sizes(size, self._limits.max_entry_bytes)
                message = f"It has {has}; at most {most} are taken for one file. Raise SCANDOCK_MAX_ENTRY_BYTES."
                self.emit_error(full, EntryTooLarge.CODE, message)
            elif size <= WHOLE:
                self.write_image(full, out, data)
            else:
                self.write_file(full, out, fd, size)
        finally:
            os.close(fd)

    def _read(self, fd: int, count: int, full: str) -> bytes:
        try:
            return _read_range(fd, 0, count)
        except Fault as error:
            self._fail(full, error)

    def _take_other(self, full: str, relative: str, head: bytes, size: int) -> None:
        """A file that is no image: an archive, or nothing for us."""
        kind = kind_of(head, size)
        try:
            if kind is Kind.OTHER:
                with FileSource(full) as source:
                    kind = kind_of(source)
        except OSError as error:
            self.emit_error(full, "unreadable", f"The file can't be read: {_reason(error)}.")
            return
        except Fault as error:
            self._fail(full, error)
        if kind in ARCHIVES or kind in STREAMS:
            self._take_archive(full, relative)
        else:
            self.tell_no_image(full, head if size else b"")

    def _plain_name(self, relative: str, *, ecat: bool) -> str:
        if self._names == "number":
            return f"#{self._told + 1}{'.v' if ecat else '.dcm'}"
        return make_unique(self._taken, relative)

    # -- archives ----------------------------------------------------------------------------------------------------

    def _take_archive(self, full: str, relative: str) -> None:
        self._archives += 1
        folder = f"archive {self._archives}" if self._names == "number" else make_unique(self._taken, relative)
        archive = _Archive(full, relative, folder)
        told = self._told
        with closing(ScratchFiles(self._output)) as stage:
            walk = _ArchiveWalk(self, archive, stage, self._limits)
            try:
                walk.run()
            except BadInput as error:
                code = "not_an_image" if error.code == "not_an_archive" else error.code
                self.emit_error(full, code, _archive_message(error))
            except Fault as error:
                if self._failed:
                    raise
                self._fail(full, error)
            except OSError as error:
                self.emit_error(full, "unreadable", f"The file can't be read: {_reason(error)}.")
        if self._told == told:
            self.emit_error(full, "not_an_image", "It is an archive without files.")

    def entry_name(self, archive: _Archive, number: bytes, path: str, *, ecat: bool, unpacked: bool) -> str:
        """Where an entry stands below the output folder."""
        if unpacked and path == archive.single:
            return self._single_name(archive, ecat=ecat)
        levels = split_levels(path, len(number) // 4)
        if self._names == "number":
            folder = archive.folder
            for depth in range(1, len(levels.outer) + 1):
                own = archive.inner_numbers.setdefault(levels.outer[:depth], len(archive.inner_numbers) + 1)
                folder += f"/inner {own}"
            return f"{folder}/#{self._told + 1}{'.v' if ecat else '.dcm'}"
        folders: list[str] = []
        for outer in levels.outer:
            above, base = split_path(outer)
            folders += [*split_folders(above), base or "archive"]
        above, base = split_path(levels.path)
        if unpacked:
            base = _without_compression(base)
        cleaned = resource_path([*folders, *split_folders(above)], base, deep_name=archive.deep_name)
        return f"{archive.folder}/{make_unique(archive.names, cleaned)}"

    def _single_name(self, archive: _Archive, *, ecat: bool) -> str:
        """Of one object that was compressed: beside other files, without the suffix of its compression."""
        if self._names == "number":
            return f"#{self._told + 1}{'.v' if ecat else '.dcm'}"
        return make_unique(self._taken, _without_compression(archive.relative))

    # -- one image ---------------------------------------------------------------------------------------------------

    def write_image(self, path: str, out: str, data: Buffer) -> None:
        """Scrub an image that is in memory, and write what comes of it."""
        if self._is_free(path, out):
            result = self._run_scrub(path, lambda: self._scrub(data, len(data), None))
            self._conclude(path, out, result, lambda scrubbed: _whole_parts(scrubbed, data), -1, len(data))

    def write_file(self, path: str, out: str, fd: int, size: int) -> None:
        """Scrub an image that is in a file, of which its header alone comes into memory."""

        def read(start: int, end: int) -> bytes:
            return _read_range(fd, start, end)

        if size <= WHOLE:
            self.write_image(path, out, self._read(fd, size, path))
        elif self._is_free(path, out):
            result = self._run_scrub(path, lambda: self._scrub(read(0, min(HEAD, size)), size, read))
            self._conclude(path, out, result, lambda scrubbed: scrubbed.parts, fd, size)

    def _is_free(self, path: str, out: str) -> bool:
        try:
            self._output.check_free(out)
        except (OutputExists, OutputIsInput) as error:
            self._emit(Outcome(path=path, result="refused", code=error.code, message=str(error)))
            return False
        except Fault as error:
            self._fail(path, error)
        return True

    def _run_scrub(self, path: str, scrub: Callable[[], ScrubResult]) -> ScrubResult:
        try:
            return scrub()
        except Fault as error:
            self._fail(path, error)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing of this object is written, and others go on
            if os.environ.get("SCANDOCK_DEBUG") == "1":
                traceback.print_exception(error, file=sys.stderr)
            return Failed("internal", f"An unexpected error ({type(error).__name__}); nothing of it was written.")

    def _conclude(
        self,
        path: str,
        out: str,
        result: ScrubResult,
        parts: Callable[[Scrubbed], Iterable[Part]],
        fd: int,
        size: int,
    ) -> None:
        self._bytes += size
        if isinstance(result, Failed):
            self.emit_error(path, result.code, result.message)
            return
        if isinstance(result, Rejected):
            self._emit(Outcome(path=path, result="reject", code=result.code, message=result.message))
            return
        try:
            written = self._output.write(out, parts(result), fd)
        except (OutputExists, OutputIsInput) as error:
            self._emit(Outcome(path=path, result="refused", code=error.code, message=str(error)))
            return
        except Fault as error:
            self._fail(path, error)
        warnings = result.warnings
        code = warnings[0].code if warnings else ""
        message = " ".join(warning.message for warning in warnings)
        self._emit(
            Outcome(path=path, result="ok", code=code, message=message, out=out, size=written, warnings=warnings)
        )

    # -- telling -----------------------------------------------------------------------------------------------------

    def tell_no_image(self, path: str, head: Buffer) -> None:
        message = "It is neither DICOM nor ECAT 7."
        other = explain_foreign(kind_of(head))
        if not len(head):
            message = "It is empty."
        elif other is not None:
            message = f"It is {other[0]}. {_without_sending(other[1])}"
        self.emit_error(path, "not_an_image", message)

    def tell_link(self, path: str) -> None:
        self.emit_error(path, "ignored_link", "It is a link, a device or a pipe: these are not followed.")

    def emit_error(self, path: str, code: str, message: str) -> None:
        self._emit(Outcome(path=path, result="error", code=code, message=message))

    def _emit(self, outcome: Outcome) -> None:
        self._told += 1
        self._tell(outcome)
        if self.on_progress is not None:
            entries, size = self._totals
            seconds = time.monotonic() - self._began
            self.on_progress(
                Progress(
                    stage="reading",
                    entries_done=self._told,
                    entries_total=entries,
                    bytes_done=self._bytes,
                    bytes_total=size,
                    seconds=seconds,
                )
            )

    def _fail(self, path: str, error: Fault) -> NoReturn:
        """Tell of the input that met a fault of the machine, and end."""
        self._failed = True
        self.emit_error(path, error.code, str(error))
        raise error


class _ArchiveWalk:
    """Handler and control of the walker over one archive."""

    def __init__(self, run: DeidentificationRun, archive: _Archive, stage: ScratchFiles, limits: Limits) -> None:
        self.stage = stage
        self.emitted = 0
        self.others = 0
        self._run = run
        self._archive = archive
        self._limits = limits
        self._unpacker: Unpacker
        self._meter: Meter

    def run(self) -> None:
        opened = open_archive(self._archive.path, self._limits, 1)
        self._meter = Meter(self._limits, opened.received)
        self._unpacker = Unpacker(self, self._meter, self._limits, self)
        for task in opened.tasks:
            if task.container.kind in STREAMS:
                self._archive.single = task.container.name
            with open_container(task.container) as source:
                if task.kind == "zip":
                    self._unpacker.zip_entries(task.container, source, ZipEntries(*task.payload))
                else:
                    self._unpacker.stream(task.container, source, None)

    # what the walker asks of a handler

    def place(self, name: str) -> EntryLayout:  # noqa: ARG002
        return _PLACE

    def is_image(self, head: Buffer) -> bool:
        return is_image(head, 1 << 62)

    def take(
        self,
        number: bytes,
        prefix: str,
        name: str,
        body: EntryBody,
        container: bytes,  # noqa: ARG002
        *,
        unpacked: bool = False,
    ) -> None:
        path = self._shown(prefix + name)
        head = body.head()
        self.emitted += 1
        if not is_image(head, len(head) if body.whole is not None else 1 << 62):
            self._run.tell_no_image(path, head)
            return
        ecat = looks_like_ecat(head)
        if body.whole is not None:
            self._meter.entry_bytes(path, len(body.whole))
            out = self._run.entry_name(self._archive, number, prefix + name, ecat=ecat, unpacked=unpacked)
            self._run.write_image(path, out, body.whole)
            return
        with self.stage.spool(body, lambda size: self._meter.entry_bytes(path, size)) as (fd, size):
            out = self._run.entry_name(self._archive, number, prefix + name, ecat=ecat, unpacked=unpacked)
            self._run.write_file(path, out, fd, size)

    def special(self, number: bytes, path: str, name: str) -> None:  # noqa: ARG002
        self._run.tell_link(self._shown(path))

    def refuse(self, number: bytes, path: str, size: int, code: str, message: str) -> None:  # noqa: ARG002
        self._run.emit_error(self._shown(path), code, message)

    def refuse_inner(self, number: bytes, path: str, body: EntryBody, code: str, message: str) -> None:  # noqa: ARG002
        self._run.emit_error(self._shown(path), code, message)

    def keep_inner_archive(
        self,
        number: bytes,  # noqa: ARG002
        prefix: str,  # noqa: ARG002
        name: str,  # noqa: ARG002
        body: EntryBody | StagedFile,  # noqa: ARG002
        container: bytes,  # noqa: ARG002
    ) -> bool:
        return False

    # what it tells its process

    def begin(self, number: bytes, path: str) -> bool:  # noqa: ARG002
        self._run.check()
        return True

    def wants_inside(self, number: bytes) -> bool:  # noqa: ARG002
        return False

    def announce(self, container: Container) -> None:
        """A large inner zip: nobody shares it, so it is walked at once."""
        with open_container(container) as source:
            self._unpacker.zip_entries(container, source, read_directory(source, self._limits).entries)
        self.stage.remove(path_below(INNER, container.ordinal.hex()))

    def damaged(self, container: bytes, code: str, message: str) -> None:  # noqa: ARG002
        self._run.emit_error(self._archive.path, code, message)

    def note(self, code: str, message: str) -> None: ...

    def _shown(self, path: str) -> str:
        return f"{self._archive.path}!{path}"


def _as_text(name: str) -> str:
    """A name for JSON: one with bytes that are no UTF-8, which JSON can't hold, with these as escapes."""
    return name if name.isascii() or not _SURROGATE.search(name) else escape_name(name)


def _whole_parts(scrubbed: Scrubbed, data: Buffer) -> Iterator[Part]:
    """The parts, with ranges of what is in memory as slices of it."""
    view = memoryview(data)
    for part in scrubbed.parts:
        yield view[part.start : part.end] if isinstance(part, Range) else part


def _entry_kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _count_files(folder: str) -> tuple[int, int]:
    """How many files are below a folder, and their bytes: for the bar alone."""
    count = size = 0
    for root, _, names in os.walk(folder):
        count += len(names)
        for name in names:
            try:
                size += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return count, size


def _archive_message(error: BadInput) -> str:
    """What an error of an archive says, in words for files of one's own."""
    sentence = error.message
    if isinstance(error, LimitExceeded):
        sentence = re.sub(r"^The upload\b", "The archive", sentence)
    return f"{sentence} {_REMEDIES.get(error.code, _without_sending(error.remedy))}".strip()


def _without_sending(remedy: str) -> str:
    return remedy.replace(" and send that.", ".").replace(" and send the whole.", ".")


def _without_compression(name: str) -> str:
    for suffix in _COMPRESSED:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _read_range(fd: int, start: int, end: int) -> bytes:
    """Bytes of a file; Fault where the disk does not give them, or the file has become shorter."""
    data = b""
    try:
        while len(data) < end - start and (more := os.pread(fd, end - start - len(data), start + len(data))):
            data += more
    except OSError as error:
        raise ReadFailed(f"A file could not be read from disk: {_reason(error)}.", "Look at the disk.") from error
    if len(data) < end - start:
        raise ReadFailed("A file became shorter while it was read.", "Run it again once the file is complete.")
    return data


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
