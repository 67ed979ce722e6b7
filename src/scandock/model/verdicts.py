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
