"""Where the crash suite kills an import: at a named point, or a reader at an entry. Tests alone set the variables.

`SCANDOCK_CRASH_AT=point`, `SCANDOCK_CRASH_ENTRY=end-of-path` (as it is read) or `SCANDOCK_CRASH_SCRUBBED=end-of-path`,
`SCANDOCK_CRASH_BY=SIGKILL` (or SIGSTOP, SIGSEGV ...);
with `SCANDOCK_CRASH_ONCE=file` one dies only where that file is not there yet, and makes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading

POINTS = (
    "began",
    "recorded",
    "read",
    "reserved",
    "scrubbed",
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

DELETION_POINTS = ("marked", "left_one", "left_all", "deleted")
"""In the order in which the deletion of a project passes them, beside those of each of its sessions."""

BUCKET_POINTS = ("pack_sent",)
"""Passed beside those of an import into a bucket: each time that the bucket has got a pack or a large file."""

_POINT = os.environ.get("SCANDOCK_CRASH_AT", "")
ENTRY = os.environ.get("SCANDOCK_CRASH_ENTRY", "")
"""End of the path of the entry at which a reader is to die; empty for none."""
SCRUBBED_ENTRY = os.environ.get("SCANDOCK_CRASH_SCRUBBED", "")
"""The same of a reader that de-identifies entries."""
_ONCE = os.environ.get("SCANDOCK_CRASH_ONCE", "")
_SIGNAL = (
    signal.Signals[os.environ.get("SCANDOCK_CRASH_BY", "SIGKILL")]
    if _POINT or ENTRY or SCRUBBED_ENTRY
    else signal.SIGKILL
)
NOT_STOPPED = threading.Lock()
"""Held while another thread than the import's writes: stopped within it, a process would keep the catalog's lock."""


def is_armed() -> bool:
    """Whether this process is to die at a point of an import."""
    return bool(_POINT)


def reach(point: str) -> None:
    """Pass a named point; dies (or stops, by SCANDOCK_CRASH_BY) there where the crash suite asked for it."""
    if point == _POINT and _first_time():
        _send_signal()


def reach_entry(path: str) -> None:
    """Begin to read an entry; a reader dies there where the crash suite asked for it."""
    if path.endswith(ENTRY) and _first_time():
        _send_signal()


def reach_scrubbed(path: str) -> None:
    """Begin to de-identify an entry; a reader dies there where the crash suite asked for it."""
    if path.endswith(SCRUBBED_ENTRY) and _first_time():
        _send_signal()


def _send_signal() -> None:
    with NOT_STOPPED if _SIGNAL == signal.SIGSTOP else contextlib.nullcontext():
        os.kill(os.getpid(), _SIGNAL)


def _first_time() -> bool:
    if _ONCE:
        try:
            os.close(os.open(_ONCE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
    return True
