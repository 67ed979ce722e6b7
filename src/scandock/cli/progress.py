"""The live display of imports and uploads, on a terminal's stderr; nothing at all anywhere else.

    reading    exam.zip  ━━━━━━━━━━━━━━━━━╸━━━━━━━━━━  62 %
    120 MB of 221 MB, 812 of 1,400 entries, 3 sessions, 84 MB/s, 4 s

It shows what the engine says and computes no total of its own: where one is unknown there is no bar.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from scandock.cli.consoles import is_terminal, make_console
from scandock.cli.text_format import format_count, format_duration, printable
from scandock.model.import_types import Progress
from scandock.model.sizes import format_size

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from scandock.cli.interrupt import Interrupt

_WINDOW: Final = 3.0
"""Seconds over which the rate is taken: long enough to be calm, short enough to be true."""
_PER_SECOND: Final = 8
_NARROW: Final = 76


@contextlib.contextmanager
def display(archive: str, interrupt: Interrupt) -> Iterator[Callable[[Progress], None] | None]:
    """While the body runs, what the yielded callback is told stands on the terminal; then it is gone without a trace.

    Yields None where stderr is no terminal: then nobody need compute progress.
    """
    if not is_terminal(sys.stderr):
        yield None
        return
    view = ProgressView(archive, interrupt)
    with live_display(lambda: view, interrupt):
        yield view.update


@contextlib.contextmanager
def live_display(render: Callable[[], RenderableType], interrupt: Interrupt) -> Iterator[None]:
    """While the body runs, what `render` gives stands on stderr, a terminal, drawn anew eight times a second."""
    from rich.live import Live

    with Live(
        get_renderable=render,
        console=make_console(sys.stderr),
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        interrupt.live = True
        try:
            yield
        finally:
            interrupt.live = False


class ProgressView:
    """The latest progress as two lines that fit the width."""

    def __init__(self, archive: str, interrupt: Interrupt | None = None) -> None:
        self._name = printable(os.path.basename(archive.rstrip("/")) or archive)
        self._interrupt = interrupt
        self._began = time.monotonic()
        self._latest: Progress = Progress(stage="opening")
        self._seen: deque[tuple[float, int]] = deque(maxlen=64)

    def update(self, progress: Progress) -> None:
        """Take what the engine says; may be called thousands of times a second."""
        self._latest = progress
        if not self._seen or progress.seconds - self._seen[-1][0] >= _WINDOW / 16:
            self._seen.append((progress.seconds, progress.bytes_done))

    @property
    def rate(self) -> float | None:
        """Bytes a second, unpacked or sent, over the last seconds; None before it can be told."""
        while len(self._seen) > 2 and self._seen[-1][0] - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        if len(self._seen) < 2:
            return None
        (first, bytes_before), (last, bytes_after) = self._seen[0], self._seen[-1]
        return (bytes_after - bytes_before) / (last - first) if last > first and bytes_after > bytes_before else None

    @property
    def fraction(self) -> float | None:
        """Part of the bytes, else of the entries, that is done; None where no total is known."""
        now = self._latest
        for done, total in ((now.bytes_done, now.bytes_total), (now.entries_done, now.entries_total)):
            if total:
                return min(done / total, 1.0)
        return None

    def facts(self, width: int = 80) -> str:
        """The second line: `120 MB of 221 MB, 812 of 1,400 entries, 3 sessions, 84 MB/s, 4 s`.

        Below 76 columns without the totals, which the bar shows anyway.
        """
        now = self._latest
        seconds = now.seconds or time.monotonic() - self._began
        words = []
        if now.bytes_done:
            is_total_known = now.bytes_total and now.bytes_done <= now.bytes_total  # archives inside unpack to more
            total = f" of {format_size(now.bytes_total or 0)}" if is_total_known and width >= _NARROW else ""
            words.append(format_size(now.bytes_done) + total)
        if now.entries_total and now.entries_done <= now.entries_total and width >= _NARROW:
            words.append(f"{now.entries_done:,} of {format_count(now.entries_total, 'entry')}")
        elif now.entries_done:
            words.append(format_count(now.entries_done, "entry"))
        if now.sessions:
            words.append(format_count(len(now.sessions), "session"))
        if now.stage in {"sending", "reading"} and (rate := self.rate):
            words.append(f"{format_size(rate)}/s")
        return ", ".join([*words, format_duration(seconds)])

    def _title(self) -> Text:
        from rich.text import Text

        cancelling = self._interrupt is not None and self._interrupt.cancelled.is_set()
        stage = Text(
            "cancelling" if cancelling else f"{self._latest.stage:<9}", style="yellow" if cancelling else "bold"
        )
        return Text("  ").join([stage, Text(self._name)])

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        fraction = self.fraction
        width = options.max_width
        first = Table.grid(padding=(0, 1, 0, 0))
        first.add_column(max_width=max(width // 2, 20), no_wrap=True, overflow="ellipsis")
        if fraction is None:
            first.add_row(self._title())
        else:
            first.add_column()
            first.add_column(no_wrap=True)
            bar = ProgressBar(total=1.0, completed=fraction, width=max(min(40, width - width // 2 - 8), 8))
            first.add_row(self._title(), bar, Text(f"{fraction * 100:3.0f} %"))
        yield first
        yield Text(self.facts(width), style="dim", no_wrap=True, overflow="ellipsis")
