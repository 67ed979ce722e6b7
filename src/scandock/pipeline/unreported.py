"""Files that readers have written and not told of, since they died: the next one has written them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.store.paths import RelPath
    from scandock.store.port import Stage


def drop_unreported(stage: Stage, ledger: Ledger, folder: RelPath) -> int:
    """Remove every staged image below a folder that no entry of the ledger stands for; how many they were.

    Once all reading is over: before, readers that live have written what they are yet to tell of. Images alone, since
    their folders are placed whole; all else is placed file by file.
    """
    ledger.run("CREATE INDEX IF NOT EXISTS entry_staged ON entry (staged)")
    unreported = [entry.rel for entry in stage.walk(folder) if not _is_reported(ledger, entry.rel)]
    for rel in unreported:
        stage.remove(rel)
    return len(unreported)


def _is_reported(ledger: Ledger, rel: RelPath) -> bool:
    return bool(ledger.rows("SELECT 1 FROM entry WHERE staged = ? LIMIT 1", (rel,)))
