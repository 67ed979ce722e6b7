"""The live display: what it says, and that it says nothing where nobody looks."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from scandock.cli.interrupt import Interrupt
from scandock.cli.progress import ProgressView, display
from scandock.model.import_types import Progress


def drawn(view, width=80):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(view)
    return stream.getvalue()


def reading(seconds, done, total=None, **changes):
    return Progress(stage="reading", bytes_done=done, bytes_total=total, seconds=seconds, **changes)


def test_without_totals_there_is_no_bar_and_no_percentage():
    view = ProgressView("exam.zip")
    view.update(reading(2.0, 120_000_000, entries_done=812))
    text = drawn(view)
    assert view.fraction is None
    assert "%" not in text
    assert "━" not in text
    for word in ("reading", "exam.zip", "120 MB", "812 entries", "2.0 s"):
        assert word in text


def test_with_totals_there_is_a_bar():
    view = ProgressView("exam.zip")
    view.update(reading(2.0, 50, 200, entries_done=3, entries_total=4, sessions=("A", "B")))
    text = drawn(view)
    assert view.fraction == 0.25
    for word in ("25 %", "━", "50 B of 200 B", "3 of 4 entries", "2 sessions"):
        assert word in text


def test_more_than_the_total_is_never_more_than_all():
    view = ProgressView("exam.zip")
    view.update(reading(1.0, 300, 200))
    assert view.fraction == 1.0


def test_entries_tell_where_bytes_do_not():
    view = ProgressView("exam.zip")
    view.update(reading(1.0, 300, None, entries_done=1, entries_total=2))
    assert view.fraction == 0.5


def test_the_rate_is_that_of_the_last_seconds():
    view = ProgressView("exam.zip")
    for tenth in range(101):  # 1 MB/s for 5 s, then 10 MB/s for 5 s
        seconds = tenth / 10
        view.update(reading(seconds, int(1e6 * seconds if seconds < 5 else 5e6 + 1e7 * (seconds - 5))))
    assert view.rate == pytest.approx(1e7, rel=0.05)


def test_no_rate_before_it_can_be_told():
    view = ProgressView("exam.zip")
    view.update(reading(0.5, 1000))
    assert view.rate is None


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_it_keeps_to_the_width_with_the_longest_and_rudest_names(width):
    view = ProgressView("a\x1b[31m[red]" + "x" * 300 + ".zip")
    view.update(reading(3.0, 120_000_000, 556_000_000, entries_done=812, entries_total=4000, sessions=("A",) * 300))
    text = drawn(view, width)
    assert "\x1b[31m" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert len(text.splitlines()) == 2


def test_cancelling_is_said():
    interrupt = Interrupt()
    view = ProgressView("exam.zip", interrupt)
    interrupt.cancelled.set()
    assert "cancelling" in drawn(view)


def test_in_a_pipe_nobody_computes_progress_and_nothing_is_written(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with display("exam.zip", Interrupt()) as on_progress:
        assert on_progress is None
    assert stream.getvalue() == ""


def test_on_a_terminal_it_is_gone_without_a_trace_afterwards(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    interrupt = Interrupt()
    with display("exam.zip", interrupt) as on_progress:
        assert interrupt.live
        assert on_progress is not None
        on_progress(reading(1.0, 5, 10))
    assert not interrupt.live
    assert stream.getvalue().endswith(("\x1b[2K", "\x1b[1A\x1b[2K"))
    assert "\x1b[?25h" in stream.getvalue()
