"""What carries the news that an upload waits, and whom it is carried to; `engines.py` has both kinds of it.

An engine's message is leave to claim one import, and no more: which one that is, and that nobody else has it, is the
lease's to say (`claim.py`). So a message that is lost costs some seconds (the worker looks by itself), a doubled one a
look.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Protocol

from sqlalchemy import Connection

POLL_SECONDS = 1.0
"""How often a worker looks by itself, where nothing but this machine's socket wakes it."""
NET_SECONDS = 5.0
"""How often it does where the database wakes the workers of all hosts, unless something that waits is due before: for
messages that were lost, and leases that ran out."""


class WorkerSlots(Protocol):
    """What a worker offers its engine."""

    size: int

    def offer(self) -> Future[bool]:
        """Claim an import as soon as a slot is free, and run it. Done when it has ended; False where none waited."""

    def look(self) -> None:
        """Let every free slot look for something to claim."""

    def seconds_to_due(self) -> float | None:
        """Seconds until something may be claimed that waits for its time; None where nothing does. Raises Fault."""


class QueueEngine(Protocol):
    """Brings what is enqueued to the workers."""

    def prepare(self) -> None:
        """Make what the engine needs in the database; idempotent, beside other processes too. CatalogFailed."""

    def defer(self, connection: Connection, upload_id: int) -> None:
        """Announce an upload, in effect once the caller's transaction commits."""

    def run(self, data: str, slots: WorkerSlots, stop: threading.Event) -> None:
        """Let the slots know whatever is announced, until `stop` is set and `end` called; blocks."""

    def end(self) -> None:
        """Let `run` see at once that it is to stop; from any thread, or a signal's handler."""
