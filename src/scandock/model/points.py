"""Named points of an import at which the crash suite kills it (`SCANDOCK_CRASH_AT=name`, tests alone set it)."""

from __future__ import annotations

import os
import signal

POINTS = (
    "began",
    "recorded",
    "read",
    "reserved",
    "arranged",
    "rows",
    "sealed",
    "intent",
    "switched_one",
    "switched",
    "receipt",
    "published",
    "retired",
    "finished",
    "swept",
)
"""In the order in which an import passes them; docs/design/0003-placing.md says what holds at each."""

_WANTED = os.environ.get("SCANDOCK_CRASH_AT", "")
_SIGNAL = signal.Signals[os.environ.get("SCANDOCK_CRASH_BY", "SIGKILL")] if _WANTED else signal.SIGKILL


def reach(point: str) -> None:
    """Pass a named point; dies (or stops, by SCANDOCK_CRASH_BY) there where the crash suite asked for it."""
    if point == _WANTED:
        os.kill(os.getpid(), _SIGNAL)
