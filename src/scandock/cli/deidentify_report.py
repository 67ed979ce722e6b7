"""What `scandock deidentify` prints: a line for each input as JSON; or for people a line for each failure, and sums."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from scandock.cli import errors
from scandock.cli.consoles import is_terminal, make_console, print_line, tolerate_closed_pipe
from scandock.cli.text_format import format_count, format_duration, printable
from scandock.model.sizes import format_size

if TYPE_CHECKING:
    from scandock.rules.notices import Notice
    from scandock.workers.deidentification import Outcome

_WORDS: Final = {"reject": "Rejected", "error": "Error", "refused": "Refused"}
_MOST: Final = 200
"""Lines that wait while the progress of one PATH stands on the terminal, and warnings that say different things."""


class DeidentificationReport:
    """Hears of each input, and counts."""

    def __init__(self, out: str, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._is_live = is_terminal(sys.stderr) and is_terminal(sys.stdout)
        self._counts: Counter[str] = Counter()
        self._size = 0
        self._waiting: list[Outcome] = []
        self._hidden = 0
        self._warnings: dict[Notice, tuple[str, int]] = {}
        """By what they say: the first input that is warned of, and how many there are."""
        self._other_warnings: Counter[str] = Counter()
        """By code: how many there are that say something else than those, of which there are enough."""
        self._began = time.monotonic()

    @property
    def exit_code(self) -> int:
        """3 where an input has no output that should have one."""
        return errors.FINDINGS if self._counts["error"] or self._counts["refused"] else 0

    @property
    def told(self) -> int:
        """How many inputs there have been."""
        return self._counts.total()

    def tell(self, outcome: Outcome) -> None:
        """Print or count what became of one input."""
        self._counts[outcome.result] += 1
        self._size += outcome.size
        if self._as_json:
            with tolerate_closed_pipe(sys.stdout):
                sys.stdout.write(json.dumps(outcome.to_json(), separators=(", ", ": ")) + "\n")
        elif outcome.result == "ok":
            for notice in outcome.warnings:
                self._count_warning(outcome.path, notice)
        elif not self._is_live:
            print_line(f"{_WORDS[outcome.result].lower()}: {_describe(outcome)}", sys.stdout)
        elif len(self._waiting) < _MOST:
            self._waiting.append(outcome)
        else:
            self._hidden += 1

    def _count_warning(self, path: str, notice: Notice) -> None:
        if notice not in self._warnings and len(self._warnings) >= _MOST:
            self._other_warnings[notice.code] += 1
            return
        first, count = self._warnings.get(notice, (path, 0))
        self._warnings[notice] = (first, count + 1)

    def flush(self) -> None:
        """Print what has waited for the progress to go from the terminal."""
        if not self._waiting:
            return
        from rich.text import Text

        console = make_console(sys.stdout)
        with tolerate_closed_pipe(sys.stdout):
            for outcome in self._waiting:
                style = "yellow" if outcome.result == "reject" else "red"
                console.print(Text.assemble((_WORDS[outcome.result], style), ": ", _describe(outcome)), soft_wrap=True)
            if self._hidden:
                console.print(Text(f"... and {self._hidden:,} more; --json lists them all", style="dim"))
        self._waiting, self._hidden = [], 0

    def end(self) -> None:
        """Print warnings and sums."""
        self.flush()
        if self._as_json:
            return
        with tolerate_closed_pipe(sys.stdout):
            for notice, (path, count) in self._warnings.items():
                others = f" and {format_count(count - 1, 'other')}" if count > 1 else ""
                print_line(f"warning: {path}{others}: {notice.message} {notice.remedy} [{notice.code}]", sys.stdout)
            for code, count in self._other_warnings.items():
                print_line(f"... and {format_count(count, 'warning')} more [{code}]; --json lists them all", sys.stdout)
            print_line(self._sums(), sys.stdout)

    def _sums(self) -> str:
        counts = self._counts
        written = format_count(counts["ok"], "file")
        words = [f"{written} written to {self._out} ({format_size(self._size)})" if counts["ok"] else "No file written"]
        if counts["reject"]:
            words.append(f"{counts['reject']:,} rejected")
        if counts["error"]:
            words.append(format_count(counts["error"], "error"))
        if counts["refused"]:
            words.append(f"{counts['refused']:,} refused")
        return f"{', '.join(words)}, in {format_duration(time.monotonic() - self._began)}"


def _describe(outcome: Outcome) -> str:
    code = f" [{outcome.code}]" if outcome.code else ""
    message = outcome.message.removeprefix(f"{os.path.basename(outcome.path)}, ")  # as of scripts
    return f"{printable(outcome.path)}: {printable(message)}{code}"
