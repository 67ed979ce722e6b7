"""What work with a ledger costs, by what SQLite does for it."""

from __future__ import annotations

from collections.abc import Callable

from scandock.pipeline.ledger import Ledger


def steps(ledger: Ledger, work: Callable[[], object]) -> int:
    """Hundreds of SQLite's own instructions that some work takes: no clock, so no flaky test."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    ledger.db.set_progress_handler(tick, 100)
    work()
    ledger.db.set_progress_handler(None, 100)
    return count
