"""What became of an entry, and the words that counts and receipts use for it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """One for every file entry; the sums over an upload equal what it holds."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    RESOURCE = "resource"
    JUNK = "junk"
    IGNORED = "ignored"
    FILTERED = "filtered"
    """Left out by a rule of the site or the project: an import filter, or a script."""
    UNPARSEABLE = "unparseable"
    CONFLICT = "conflict"
    REFUSED = "refused"


class ImportState(StrEnum):
    """States of an import (design: fixed surface). The last six are final."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    RUNNING = "running"
    PLACED = "placed"
    HELD = "held"
    PARTLY = "partly"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


NEXT_STATES: dict[ImportState, tuple[ImportState, ...]] = {
    ImportState.RECEIVING: (ImportState.RECEIVED, ImportState.CANCELLED),
    ImportState.RECEIVED: (ImportState.RUNNING, ImportState.CANCELLED),
    ImportState.RUNNING: (
        ImportState.RUNNING,  # another worker takes it over
        ImportState.RECEIVED,
        ImportState.PLACED,
        ImportState.HELD,
        ImportState.PARTLY,
        ImportState.REFUSED,
        ImportState.FAILED,
        ImportState.CANCELLED,
    ),
    ImportState.PLACED: (),
    ImportState.HELD: (),
    ImportState.PARTLY: (),
    ImportState.REFUSED: (),
    ImportState.FAILED: (ImportState.RECEIVED,),  # a person has it tried again
    ImportState.CANCELLED: (),
}
"""The states that may follow each one. A state is changed by `scandock.queue.states` alone, which asks this table."""

UNFINISHED = (ImportState.RECEIVING, ImportState.RECEIVED, ImportState.RUNNING)
"""States of an import that goes on by itself."""

QUEUED = (ImportState.RECEIVED, ImportState.RUNNING)
"""Those among them of an upload that was accepted."""

FINAL = tuple(state for state in ImportState if state not in UNFINISHED)
"""States of an import that has ended."""

KEEPS_BYTES = tuple(state for state in ImportState if NEXT_STATES[state])
"""States from which an import may still go on, for which the bytes of its upload are kept."""

WITHOUT_RECEIPT = (ImportState.FAILED, ImportState.CANCELLED)
"""Final states of an import of whose entries nothing was decided."""

WITH_RECEIPT = tuple(state for state in FINAL if state not in WITHOUT_RECEIPT)
"""Final states of an import whose receipt accounts for every entry."""


EXIT_CODES: dict[ImportState, int] = {
    ImportState.PLACED: 0,
    ImportState.HELD: 3,
    ImportState.PARTLY: 3,
    ImportState.REFUSED: 4,
    ImportState.FAILED: 1,
    ImportState.CANCELLED: 130,
}
"""Exit code of the command line for each final state; usage errors are 2."""


class SessionState(StrEnum):
    """Where a session of an import ended."""

    PREARCHIVE = "prearchive"
    ARCHIVE = "archive"
    CONFLICT = "conflict"
    REFUSED = "refused"
