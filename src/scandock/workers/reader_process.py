"""A reader process: takes ranges of an archive's entries, writes their bytes to the stage, sends back what it found.

Forked by the fork server of readers (`reader_server.py`), or started as
`python -m scandock.workers.reader_process PARENT FD`. It holds no database connection and dies with its import.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from scandock.formats.dicom_tally import OBJECTS, Tally
from scandock.formats.display_names import display_names_by
from scandock.formats.meter import Meter
from scandock.formats.source import ComingSource
from scandock.formats.zip_directory import ZipEntries
from scandock.model.crash_points import ENTRY, reach_entry
from scandock.model.entry import Container, Entry
from scandock.model.errors import BadInput, Fault, LimitExceeded
from scandock.model.limits import Limits
from scandock.pipeline.entry_reader import EntryReader
from scandock.pipeline.unpacker import Unpacker, open_container
from scandock.store.opening import open_store
from scandock.store.segment_writer import SegmentWriter
from scandock.workers.reader_counters import ReaderCounters
from scandock.workers.wire import Wire

if TYPE_CHECKING:
    from scandock.pipeline.staging import StageFiles
    from scandock.workers.entry_names import EntryNames
    from scandock.workers.scrub_task import EarlyScrubber, ScrubTasks

AHEAD_NICE = 5
"""Of a reader that reads what is still being received."""
BATCH_ENTRIES = OBJECTS
BATCH_SECONDS = 0.25
MEMORY_BYTES = 2 * 1024**3


class ReaderProcess:
    """Sink and overseer of the reading step: batches what is found, says where it is."""

    def __init__(self, wire: Wire, board: ReaderCounters, index: int) -> None:
        self.wire = wire
        self.board = board
        self.index = index
        self.entries: list[tuple[Any, ...]] = []
        self.sent = time.monotonic()
        self.tallies: dict[tuple[bytes, str], Tally] = {}
        """By container, and by the projects that would leave its objects out."""
        self.studies: set[str] = set()
        self.resume = b""
        self.avoid: frozenset[bytes] = frozenset()
        self.wanted: frozenset[int] = frozenset()
        self.names: EntryNames | None = None
        """What messages call entries, where their names may not be known."""
        self.reader: EntryReader
        self.early: EarlyScrubber | None = None
        self.segment: SegmentWriter | None = None
        self.offsets: list[int] = []
        """Of each entry where it is in the segment."""

    def entry(self, entry: Entry) -> None:
        self.entries.append(tuple(entry))
        if self.segment is not None:
            self.offsets.append(self.segment.take_offset(entry.staged))
        if len(self.entries) >= BATCH_ENTRIES or time.monotonic() - self.sent > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Tell of entries and of what was counted over them, in one message: both survive this process, or neither."""
        if self.entries:
            early = self.early.drain() if self.early is not None else ()
            segment = "" if self.segment is None else self.segment.name
            self.wire.send(("entries", self.entries, self._counted(), segment, self.offsets, *early))
            self.entries, self.offsets = [], []
        self.sent = time.monotonic()

    def _counted(self) -> list[tuple[Any, ...]]:
        return [
            (
                container, series.study_uid, series.series_uid, series.objects, series.frames, series.values,
                series.nested, list(series.overfull), left_out_by,
            )
            for (container, left_out_by), tally in self.tallies.items()
            for series in tally.drain()
        ]  # fmt: skip

    def tally_of(self, container: bytes, left_out_by: str = "") -> Tally:
        tally = self.tallies.get((container, left_out_by))
        if tally is None:
            tally = self.tallies[container, left_out_by] = Tally()
        return tally

    def patient(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None:
        if study_uid not in self.studies:
            self.studies.add(study_uid)
            self.wire.send(("study", study_uid, patient_id[:256], patient_name[:256]))

    def begin(self, number: bytes, path: str) -> bool:
        if self.names is not None:
            self.names.enter(number, path)
        if self.resume and number <= self.resume:
            return False
        if number in self.avoid:
            message = "Reading it killed the reader twice; it was left out."
            self.entry(Entry(number, path, 0, b"", "unparseable", "", "reader_died", message))
            return False
        self.board.set_current(self.index, number)
        if ENTRY:
            reach_entry(path)
        return True

    def wants_inside(self, number: bytes) -> bool:
        return bool(self.resume) and self.resume.startswith(number) and self.resume != number

    def announce(self, container: Container) -> None:
        self.flush()
        self.wire.send(("container", tuple(container)))

    def damaged(self, container: bytes, code: str, message: str) -> None:
        self.flush()
        self.wire.send(("damaged", container, code, message))

    def note(self, code: str, message: str) -> None:
        self.wire.send(("note", code, message))

    def done(self) -> None:
        self.flush()
        self.tallies = {}
        self.board.set_current(self.index, b"")
        self.wire.send(("done",))


def _run(process: ReaderProcess, unpacker: Unpacker, task: tuple[Any, ...]) -> None:
    kind, container_values, payload, process.resume, avoid = task
    process.avoid = frozenset(avoid)
    container = Container(*container_values)
    if kind == "files":
        unpacker.files(container, payload)
        return
    if kind == "coming":
        with ComingSource(container.file, container.size, process.board.wait_for) as source:
            unpacker.stream(container, source, None)
        return
    with open_container(container) as source:
        if kind == "zip":
            unpacker.zip_entries(container, source, ZipEntries(*payload))
        else:
            unpacker.stream(container, source, None)


def _make_scrub_tasks(
    process: ReaderProcess, stage: StageFiles, rules: list[tuple[tuple[object, ...], bytes]]
) -> ScrubTasks:
    """What de-identifies entries; nothing of it is loaded by a reader that has no such task."""
    from scandock.workers.scrub_task import ScrubTasks

    return ScrubTasks(process.wire, process.board, process.index, stage, rules)


def _make_early_scrubber(tasks: ScrubTasks, variables: dict[str, str]) -> EarlyScrubber:
    from scandock.workers.scrub_task import EarlyScrubber

    return EarlyScrubber(tasks, variables)


def _send_error(wire: Wire, error: BaseException) -> None:
    if isinstance(error, LimitExceeded):
        wire.send(("limit", error.code, error.message, error.remedy))
    elif isinstance(error, Fault):
        wire.send(("fault", error.quotes, error.code, error.message, error.remedy))
    elif isinstance(error, BadInput):
        wire.send(("bad", error.code, error.message, error.remedy))
    elif isinstance(error, MemoryError):
        wire.send(
            (
                "fault",
                False,
                "out_of_memory",
                "A reader ran out of memory.",
                "Give the machine more memory or use fewer workers.",
            )
        )
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message = f"No space left on the disk: {error.strerror}."
        wire.send(("fault", True, "disk_full", message, "Free some space and import again."))
    elif isinstance(error, OSError):
        message = f"Reading or writing failed: {error.strerror or 'the system does not say why'}."
        wire.send(("fault", True, "read_failed", message, "Look at the disk and import again."))
    else:
        import traceback

        wire.send(
            ("crash", traceback.format_exception_only(error)[-1].strip(), "".join(traceback.format_exception(error)))
        )


def confine_reader(parent: int, name: str = "reader") -> None:
    """Die with the parent, leave Ctrl-C to it, be the first to go when memory runs out."""
    import resource

    from scandock.model.process import confine

    confine(parent, name, oom=500, limits={resource.RLIMIT_AS: MEMORY_BYTES})


def main(parent: int, fd: int) -> None:
    """Be a reader process: confined, then serving tasks at the end `fd` of the wire."""
    confine_reader(parent)
    serve(Wire(socket.socket(fileno=fd)))


def serve(wire: Wire, board_fds: tuple[int, int] | None = None) -> None:
    """Serve tasks until the import closes its end. `board_fds`: its board's, where not inherited by their numbers."""
    setup = wire.receive()
    if setup == ("expect scrub",):  # it will need that, and has a moment until it is told by which rules
        import_module("scandock.workers.scrub_task")
        setup = wire.receive()
    if setup is None:
        return
    (
        root, upload, token, slots, currents, index, limits, received, tags, keep_images, keep_loose, filters, hashes,
        rules, names, early, is_ahead, segment_files,
    ) = setup  # fmt: skip
    if is_ahead:
        os.nice(AHEAD_NICE)
    board = ReaderCounters.attach(*(board_fds or (slots, currents)))
    bounds = Limits(**limits)
    meter = Meter(bounds, received, board.slots, index)
    process = ReaderProcess(wire, board, index)
    process.wanted = frozenset(tags)
    if names:
        from scandock.workers.entry_names import EntryNames

        process.names = EntryNames.from_plain(names)
    folder = open_store(root).stage(upload, token)
    stage: StageFiles = folder
    if segment_files:
        stage = process.segment = SegmentWriter(folder, segment_files)
    entry_filter = None
    if filters is not None:
        from scandock.pipeline.entry_filter import EntryFilter

        entry_filter = EntryFilter(filters)
    reader = EntryReader(
        stage,
        process,
        meter,
        process.wanted,
        keep_images=keep_images,
        keep_loose=keep_loose,
        entry_filter=entry_filter,
        hash_datasets=hashes,
    )
    scrub_tasks: ScrubTasks | None = None
    if early is not None:
        scrub_tasks = _make_scrub_tasks(process, stage, rules)
        process.early = reader.early = _make_early_scrubber(scrub_tasks, early)
    unpacker = Unpacker(reader, meter, bounds, process)
    try:
        with display_names_by(process.names):
            while (task := wire.receive()) is not None:
                try:
                    if task[0] == "scrub":
                        scrub_tasks = scrub_tasks or _make_scrub_tasks(process, stage, rules)
                        scrub_tasks.run(task[2], task[3], frozenset(task[4]))
                    else:
                        _run(process, unpacker, task)
                    process.done()
                except BaseException as error:  # noqa: BLE001  whatever it is, the import must hear of it
                    _send_error(wire, error)
    finally:
        if scrub_tasks is not None:
            scrub_tasks.close()
        if process.segment is not None:
            process.segment.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
