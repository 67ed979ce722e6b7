"""Archives one after another through an engine (the import, or the inspection), told as they go."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from scandock.cli import errors
from scandock.cli.consoles import print_line, tolerate_closed_pipe
from scandock.cli.interrupt import IMPORTING, Interrupt
from scandock.cli.progress import display
from scandock.cli.receipt_file import Format, ReceiptFile
from scandock.cli.summary import SummaryContext, headline, print_summary
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError, Usage
from scandock.model.import_types import Progress
from scandock.model.verdicts import EXIT_CODES, WITHOUT_RECEIPT, ImportState
from scandock.rules.shown_names import ALL_SHOWN, ShownNames

if TYPE_CHECKING:
    from scandock.model.import_report import ReportJson

_STORED: Final = frozenset({ImportState.PLACED, ImportState.HELD, ImportState.PARTLY})
_WORST_FIRST: Final = (130, 1, 4, 3, 0)


class Result(Protocol):
    """What an engine returns for one archive (workers.importing.ImportResult)."""

    @property
    def report(self) -> ReportJson: ...
    @property
    def state(self) -> ImportState: ...
    def write_receipt(self, fileobj: TextIO, fmt: Format = "jsonl") -> None: ...


ArchiveEngine = Callable[[str, Callable[[Progress], None] | None, threading.Event, int], Result]
"""Takes an archive, who is told of progress, what cancels it, and which of the command's archives it is, from 1."""
ProgressDisplay = Callable[[str, Interrupt], contextlib.AbstractContextManager[Callable[[Progress], None] | None]]


@dataclass
class CommandRun:
    """One command over one or more archives."""

    engine: ArchiveEngine
    story: SummaryContext
    as_json: bool = False
    receipt: ReceiptFile | None = None
    display: ProgressDisplay = display
    words: tuple[str, str] = IMPORTING
    """What is said after the first Ctrl-C, and after the second."""
    ahead: bool = False
    """The engine begins with later archives too: after Ctrl-C it is asked what became of them."""
    names: Callable[[int], ShownNames] = lambda _: ALL_SHOWN
    """What may be shown of the names of an archive of a number of which the engine told nothing."""
    codes: list[int] = field(default_factory=list)
    reports: list[ReportJson] = field(default_factory=list)

    def run(self, archives: Sequence[str]) -> int:
        """Take every archive, print what became of it, and return the worst exit code: 130, 1, 4, 3, 0.

        Usage errors of the engine leave the rest alone and are the caller's to say.
        """
        with Interrupt(self.words) as interrupt:
            for number, archive in enumerate(archives, start=1):
                if interrupt.cancelled.is_set() and not (self.ahead and number > 1):
                    name = self.names(number).archive(archive)
                    self._tell(_not_stored_report(name, ImportState.CANCELLED, "cancelled", "Not begun."), 130)
                else:
                    self._take(archive, number, interrupt)
                if len(archives) > 1:
                    print_line(f"[{number}/{len(archives)}] {headline(self.reports[-1], self.story)}")
            if not self.as_json:
                with self._output():
                    written = self.receipt is not None and self.receipt.written
                    context = self.story if written else replace(self.story, receipt=None)
                    print_summary(self.reports, context, sys.stdout)
        return worst_code(self.codes)

    def _take(self, archive: str, number: int, interrupt: Interrupt) -> None:
        try:
            with self.display(archive, interrupt) as on_progress:
                result = self.engine(archive, on_progress, interrupt.cancelled, number)
        except Usage:
            raise
        except ScandockError as error:
            code = errors.exit_code(error)
            state = ImportState.REFUSED if code == errors.REFUSED else ImportState.FAILED
            name = self.names(number).archive(archive)
            report = _not_stored_report(name, state, error.code, errors.error_sentence(error))
            self._tell(report, code)
            return
        except Exception as error:  # noqa: BLE001 -- the last fence: the other archives go on, and this one is said
            names = self.names(number)
            message = errors.describe_unexpected(error, quotes=not names.hides_anything)
            report = _not_stored_report(names.archive(archive), ImportState.FAILED, "internal", message)
            self._tell(report, errors.FAULT)
            return
        self._tell(result.report, EXIT_CODES[result.state])
        self._write_receipt(result)

    def _write_receipt(self, result: Result) -> None:
        if self.receipt is None or result.state in WITHOUT_RECEIPT:
            return
        try:
            self.receipt.add(result)
        except ScandockError as error:
            self.codes.append(errors.print_error(error))

    @contextlib.contextmanager
    def _output(self) -> Iterator[None]:
        """An output that takes no more is said, and ends nothing: the other archives are still to be taken."""
        try:
            yield
        except ScandockError as error:
            stored = not self.story.planned and all(report["state"] in _STORED for report in self.reports)
            error.remedy = "The import itself is done." if stored else ""
            self.codes.append(errors.print_error(error))

    def _tell(self, report: ReportJson, code: int) -> None:
        self.reports.append(report)
        self.codes.append(code)
        if self.as_json:
            with self._output(), tolerate_closed_pipe(sys.stdout):
                sys.stdout.write(json.dumps(report, separators=(", ", ": ")) + "\n")


def worst_code(codes: Iterable[int]) -> int:
    """The exit code of several archives."""
    return min(codes, key=_WORST_FIRST.index, default=0)


def _not_stored_report(archive: str, state: ImportState, code: str, message: str) -> ReportJson:
    """The object of an archive for which the engine has none; the same keys as all others (design: fixed surface)."""
    from scandock.model.import_report import ImportReport

    return ImportReport(upload=None, archive=archive, state=state, code=code, message=message).to_json()
