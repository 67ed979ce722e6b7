"""What readers that died left in the stage: files that they had written, but not told of any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.store.paths import IMAGES

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.store.paths import RelPath
    from scandock.store.port import Stage


def drop_untold(stage: Stage, ledger: Ledger) -> int:
    """Remove every staged image that no entry of the ledger stands for; how many they were.

    Once all reading is over: before, readers that live have written what they are yet to tell of. Images alone, since
    their folders are placed whole; all else is placed file by file.
    """
    ledger.run("CREATE INDEX IF NOT EXISTS entry_staged ON entry (staged)")
    untold = [found.rel for found in stage.walk(IMAGES) if not _told(ledger, found.rel)]
    for rel in untold:
        stage.remove(rel)
    return len(untold)


def _told(ledger: Ledger, rel: RelPath) -> bool:
    return bool(ledger.rows("SELECT 1 FROM entry WHERE staged = ? LIMIT 1", (rel,)))
