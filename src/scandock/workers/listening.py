"""What an import hears of its readers: entries into the ledger, tallies, damage, and progress for those who watch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from scandock.formats.dicom_text import decode
from scandock.formats.shown import file_text
from scandock.formats.source import FileSource
from scandock.model.entry import Container, Content, Entry, ordinal
from scandock.model.importing import STAGES, Progress, Stage
from scandock.model.limits import Limits
from scandock.pipeline.tallies import Tallies
from scandock.rules.labels import clean, person
from scandock.rules.notices import Notice
from scandock.workers.opening import Opened, zip_tasks
from scandock.workers.pool import Task

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.workers.board import Board

TELL_SECONDS = 0.1
SPACE_SECONDS = 1.0
SHOWN_SESSIONS = 1_000


_REMEDIES: Final = {
    "archive_note": "Nothing is to be done, unless files are missing: then make the archive again.",
    "inner_empty": "Check what was packed there.",
}


def _note(code: str, message: str) -> Notice:
    return Notice(code=code, message=message, remedy=_REMEDIES.get(code, ""))


class Listening:
    """The listener of an import's pool (`scandock.workers.pool.Listener`)."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self.on_progress = on_progress
        self.ledger: Ledger | None = None
        self.board: Board | None = None
        self.space: Callable[[], object] | None = None
        self.tallies = Tallies()
        self.damages: list[tuple[bytes, str, str]] = []
        self.notes: list[Notice] = []
        self.labels: dict[str, str] = {}
        self.limits = Limits()
        self.readers = 1
        self.entries_total: int | None = None
        self.bytes_total: int | None = None
        self._begun = time.monotonic()
        self._stage: Stage = "opening"
        self._since = self._begun
        self._spent: dict[str, float] = {}
        self._told = 0.0
        self._checked = self._begun

    # -- stages and progress -------------------------------------------------------------------------------------

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

    def begin(self, opened: Opened, limits: Limits, readers: int, board: Board) -> None:
        """The archive is open and its readers begin."""
        self.stage("reading")
        self.limits, self.readers, self.board = limits, readers, board
        self.entries_total, self.bytes_total = opened.entries_total, opened.bytes_total
        self.notes.extend(_note("archive_note", note) for note in opened.notes)
        nothing = hashlib.sha256().digest()
        self.entries(
            [
                Entry(ordinal(b"", index), file_text(name), 0, nothing, Content.SPECIAL, "", "ignored_link", "")
                for index, name in opened.specials
            ]
        )

    def tell(self, *, now: bool = False) -> None:
        """Tell those who watch, at most ten times a second."""
        if self.on_progress is None:
            return
        clock = time.monotonic()
        if not now and clock - self._told < TELL_SECONDS:
            return
        self._told = clock
        entries, unpacked = self.board.totals() if self.board is not None else (0, 0)
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

    # -- the pool's listener -------------------------------------------------------------------------------------

    def entries(self, entries: list[Entry]) -> None:
        assert self.ledger is not None
        self.ledger.add(entries)

    def study(self, study_uid: str, patient_id: bytes, patient_name: bytes) -> None:
        if study_uid not in self.labels and len(self.labels) < SHOWN_SESSIONS:
            label = clean(decode(patient_id, "LO", None, big_endian=False))
            self.labels[study_uid] = label or person(decode(patient_name, "PN", None, big_endian=False)) or "?"

    def container(self, container: Container) -> list[Task]:
        """An inner zip that is big enough to share."""
        with FileSource(container.file) as source:
            opened = zip_tasks(container, source, self.limits, self.readers)
        self.notes.extend(_note("archive_note", f"{container.name}: {note}") for note in opened.notes)
        if self.entries_total is not None and opened.entries_total is not None:
            self.entries_total += opened.entries_total
        if self.bytes_total is not None and opened.bytes_total is not None:
            self.bytes_total += opened.bytes_total
        return opened.tasks

    def damaged(self, container: bytes, code: str, message: str) -> None:
        self.damages.append((container, code, message))

    def note(self, code: str, message: str) -> None:
        self.notes.append(_note(code, message))

    def tally(self, container: bytes, values: tuple[Any, ...]) -> None:
        self.tallies.add(container, values)

    def tick(self) -> None:
        self.tell()
        now = time.monotonic()
        if self.space is not None and now - self._checked > SPACE_SECONDS:
            self._checked = now
            self.space()
