"""What a person sees while archives go up: each one that is under way, with its bar, and what is said of it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from scandock.cli.consoles import is_terminal, print_line
from scandock.cli.interrupt import Interrupt
from scandock.cli.progress import ProgressView, live_display
from scandock.model.import_types import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType


class TransferDisplay:
    """The transfers that are under way; threads tell it how far they are.

    On a terminal they stand there until they are done. Elsewhere only what `say` is told appears, a line each.
    """

    def __init__(self, archives: list[str]) -> None:
        self._names = [os.path.basename(archive.rstrip("/")) or archive for archive in archives]
        self._views: dict[int, ProgressView] = {}
        self._notes: dict[int, str] = {}
        self._lock = threading.Lock()
        self._interrupt: Interrupt | None = None

    @contextlib.contextmanager
    def display(self, _archive: str, interrupt: Interrupt) -> Iterator[Callable[[Progress], None] | None]:
        """While the body runs, all that is under way is shown; for `CommandRun`, which needs nothing more."""
        self._interrupt = interrupt
        if not is_terminal(sys.stderr):
            yield None
            return
        with live_display(self._shown, interrupt):
            yield None

    def begin(self, number: int, archive: str) -> Callable[[Progress], None]:
        """An archive's turn has come: what hears how far it is."""
        view = ProgressView(archive, self._interrupt)
        with self._lock:
            self._views[number] = view

        def update(moment: Progress) -> None:
            if moment.stage != "waiting":
                self._notes.pop(number, None)
            view.update(moment)

        return update

    def done(self, number: int) -> None:
        with self._lock:
            self._views.pop(number, None)
            self._notes.pop(number, None)

    def say(self, number: int, text: str) -> None:
        """A sentence about an archive: below its bar on a terminal, else a line on stderr."""
        if self._interrupt is not None and self._interrupt.live:
            self._notes[number] = text
            return
        print_line(f"{self._names[number]}: {text}" if len(self._names) > 1 else text)

    def _shown(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        from scandock.cli.text_format import printable

        with self._lock:
            rows: list[RenderableType] = []
            for number, view in sorted(self._views.items()):
                rows.append(view)
                if note := self._notes.get(number):
                    rows.append(Text(printable(note), style="yellow"))
        return Group(*rows)
