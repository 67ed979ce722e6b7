"""What an import hears of its readers: entries into the ledger, tallies, damage, and progress for those who watch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from scandock.formats.display_names import decode_file_name
from scandock.model.entry import Container, Content, Entry, ordinal
from scandock.model.import_types import STAGES, Progress, Stage
from scandock.model.limits import Limits
from scandock.pipeline.tallies import Tallies
from scandock.rules.labels import clean_label, person_label
from scandock.rules.notices import Notice
from scandock.rules.upload_privacy import UNLIMITED
from scandock.store.handles import ReadFile, SegmentPlace
from scandock.store.segment_writer import NO_OFFSET
from scandock.store.sources import open_source
from scandock.workers.archive_tasks import ArchiveTasks, zip_tasks
from scandock.workers.pool import Task

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.store.paths import RelPath

TELL_SECONDS = 0.1
SPACE_SECONDS = 1.0
WRITE_BACK_SECONDS: Final = 0.3
"""How often the disk is told to begin with what was staged. 0.2 and 0.5 made no difference."""
SHOWN_SESSIONS = 1_000


_REMEDIES: Final = {
    "archive_note": "Nothing is to be done, unless files are missing: then make the archive again.",
    "inner_empty": "Check what was packed there.",
    "right_lost": "Look at it and archive it, and set the receiver right, which takes nothing more until then.",
}


def _list_images(entries: list[Entry], segment: str, offsets: Sequence[int]) -> dict[int, ReadFile]:
    """The images among these entries that were kept, by their places there."""
    images = {}
    for index, (entry, offset) in enumerate(zip(entries, chain(offsets, repeat(NO_OFFSET)), strict=False)):
        if entry.content == Content.DICOM and entry.staged:
            place = None if offset == NO_OFFSET else SegmentPlace(segment, offset)
            images[index] = ReadFile(entry.staged, entry.size, entry.sha256, entry.study, place)
    return images


def make_note(code: str, message: str) -> Notice:
    return Notice(code=code, message=message, remedy=_REMEDIES.get(code, ""))


class ImportProgress:
    """How far an import is, and what its readers have found beside entries; from its beginning to its end."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self.on_progress = on_progress
        self.tallies = Tallies()
        self.damages: list[tuple[bytes, str, str]] = []
        self.notes: list[Notice] = []
        self.labels: dict[str, str] = {}
        self.privacy = UNLIMITED
        """What may be told of studies as long as they have no project."""
        self.received = 0
        """Bytes of the archive, once it is opened."""
        self.totals: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Entries that have a verdict or are being read past, and their unpacked bytes."""
        self.entries_total: int | None = None
        self.bytes_total: int | None = None
        self._begun = time.monotonic()
        self._stage: Stage = "opening"
        self._since = self._begun
        self._spent: dict[str, float] = {}
        self._told = 0.0

    def adopt(self, other: ImportProgress) -> None:
        """Take over what the readers of another one have found, by which the archive was read."""
        self.tallies, self.labels, self.totals = other.tallies, other.labels, other.totals
        self.damages.extend(other.damages)
        self.notes.extend(other.notes)
        self.received, self.entries_total, self.bytes_total = other.received, other.entries_total, other.bytes_total
        self.tell(now=True)

    def stage(self, stage: Stage) -> None:
        """Enter a stage; the time of the one before is noted."""
        now = time.monotonic()
        self._spent[self._stage] = self._spent.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now
        self.tell(now=True)

    def seconds(self) -> dict[str, float]:
        """Seconds in all and of each stage so far."""
        now = time.monotonic()
        spent: dict[str, float] = dict(self._spent)
        spent[self._stage] = self._spent.get(self._stage, 0.0) + now - self._since
        stages: dict[str, float] = {stage: round(spent[stage], 3) for stage in STAGES if stage in spent}
        return {"total": round(now - self._begun, 3), **stages}

    def tell(self, *, now: bool = False) -> None:
        """Tell those who watch, at most ten times a second."""
        if self.on_progress is None:
            return
        clock = time.monotonic()
        if not now and clock - self._told < TELL_SECONDS:
            return
        self._told = clock
        entries, unpacked = self.totals()
        self.on_progress(
            Progress(
                stage=self._stage,
                entries_done=entries,
                entries_total=self.entries_total,
                bytes_done=unpacked,
                bytes_total=self.bytes_total,
                sessions=tuple(self.labels.values()),
                seconds=clock - self._begun,
            )
        )


class EntryListener:
    """The listener of an import's pool (`scandock.workers.pool.ReaderListener`), while its archive is read."""

    def __init__(
        self,
        listening: ImportProgress,
        ledger: Ledger,
        opened: ArchiveTasks,
        *,
        limits: Limits,
        readers: int,
        check_space: Callable[[], object],
        write_back: Callable[[], None] | None,
        send_ahead: Callable[[Iterable[ReadFile]], None] | None,
        name_read: Callable[[Sequence[tuple[ReadFile, bytes]]], list[RelPath]] | None = None,
    ) -> None:
        """`write_back` has the disk begin with what is staged; None where most of that goes again. `send_ahead` hears
        of files that are likely to be stored as they are; None where there are none. `name_read` gives images their
        paths in the stage, where readers put them into segments.
        """
        self.listening = listening
        self.ledger = ledger
        self.limits = limits
        self.readers = readers
        self.check_space = check_space
        self.write_back = write_back
        self.send_ahead = send_ahead
        self.name_read = name_read
        self._checked = self._written_back = time.monotonic()
        self.open(opened)
        nothing = hashlib.sha256().digest()
        self.entries(
            [
                Entry(ordinal(b"", index), decode_file_name(name), 0, nothing, Content.SPECIAL, "", "ignored_link", "")
                for index, name in opened.specials
            ]
        )

    def open(self, opened: ArchiveTasks) -> None:
        """What is known of the archive as a whole; once more where that comes while it is read."""
        listening = self.listening
        listening.received = opened.received
        listening.entries_total, listening.bytes_total = opened.entries_total, opened.bytes_total
        listening.notes.extend(make_note("archive_note", note) for note in opened.notes)

    def entries(self, entries: list[Entry], segment: str = "", offsets: Sequence[int] = ()) -> None:
        """Take note of what a reader has found. `offsets`: where each entry is in the reader's segment, if it is."""
        read = {} if self.send_ahead is None else _list_images(entries, segment, offsets)
        if self.name_read is not None and read:
            names = self.name_read([(file, entries[index].ordinal) for index, file in read.items()])
            for index, rel in zip(list(read), names, strict=True):
                if rel != read[index].rel:
                    read[index] = read[index]._replace(rel=rel)
                    entries[index] = entries[index]._replace(staged=rel)
        self.ledger.add(entries)
        if self.send_ahead is not None:
            self.send_ahead(file for index, file in read.items() if not entries[index].left_out_by)

    def study(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None:
        labels = self.listening.labels
        if study_uid not in labels and len(labels) < SHOWN_SESSIONS:
            if self.listening.privacy.policy.changes_objects:
                labels[study_uid] = f"study {len(labels) + 1}"
                return
            from scandock.formats.dicom_text import decode_value  # readers begin before it is loaded

            label = clean_label(decode_value(patient_id, "LO", None, big_endian=False))
            labels[study_uid] = label or person_label(decode_value(patient_name, "PN", None, big_endian=False)) or "?"

    def container(self, container: Container) -> list[Task]:
        """An inner zip that is big enough to share."""
        with open_source(container.file) as source:
            opened = zip_tasks(container, source, self.limits, self.readers)
        listening = self.listening
        name = self.ledger.names.path(container.ordinal, container.name)
        listening.notes.extend(make_note("archive_note", f"{name}: {note}") for note in opened.notes)
        if listening.entries_total is not None and opened.entries_total is not None:
            listening.entries_total += opened.entries_total
        if listening.bytes_total is not None and opened.bytes_total is not None:
            listening.bytes_total += opened.bytes_total
        return opened.tasks

    def damaged(self, container: bytes, code: str, message: str) -> None:
        self.listening.damages.append((container, code, message))

    def note(self, code: str, message: str) -> None:
        self.listening.notes.append(make_note(code, message))

    def tally(self, container: bytes, values: tuple[Any, ...]) -> None:
        self.listening.tallies.add(container, values)

    def scrubbed(self, outcomes: list[tuple[Any, ...]], counted: list[tuple[Any, ...]]) -> None:
        self.ledger.add_early(outcomes, counted)

    def tick(self) -> None:
        self.listening.tell()
        now = time.monotonic()
        if now - self._checked > SPACE_SECONDS:
            self._checked = now
            self.check_space()
        if self.write_back is not None and now - self._written_back > WRITE_BACK_SECONDS:
            self._written_back = now
            self.write_back()
