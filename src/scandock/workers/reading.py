"""The reading of one archive by a pool of readers into a ledger: what import and inspect share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from scandock.formats.zip_entries import ZipEntries
from scandock.model.entry import Entry, ordinal
from scandock.model.importing import Progress
from scandock.model.tags import WANTED
from scandock.pipeline.keep import scratch
from scandock.pipeline.ledger import Ledger
from scandock.store.local import LocalStore
from scandock.workers.listening import Listening
from scandock.workers.opening import open_archive
from scandock.workers.pool import Pool, Setup, Task
from scandock.workers.untold import drop_untold

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.port import Stage

MOST_READERS = 4


def default_readers(request: ImportRequest, settings: Settings) -> int:
    """Reader processes: as asked, else the setting, else the cores, at most 4."""
    wanted = request.workers or settings.workers
    return max(1, wanted) if wanted else max(1, min(MOST_READERS, len(os.sched_getaffinity(0))))


class Reading:
    """Readers over one archive. `start` early (they take a moment to come up), `read`, and `close` in any case."""

    def __init__(
        self,
        archive: str,
        request: ImportRequest,
        settings: Settings,
        on_progress: Callable[[Progress], None] | None,
        cancelled: threading.Event,
        name: str | None = None,
    ) -> None:
        self.archive = archive
        self.name = name
        """What the archive is called, where its path does not say it (a spool)."""
        self.request = request
        self.settings = settings
        self.cancelled = cancelled
        self.listening = Listening(on_progress)
        self.readers = default_readers(request, settings)
        self.received = 0
        self.ledger: Ledger | None = None
        self._pool: Pool | None = None
        self._tasks: list[Task] = []

    def start(self) -> None:
        self.listening.stage("opening")
        self._pool = Pool(self.readers)
        self._pool.start()

    def read(
        self, store: LocalStore, stage: Stage, tags: frozenset[int], stop: Callable[[], bool], *, keep: bool
    ) -> None:
        """Read it all into the ledger, `keep`ing the bytes in the stage.

        `tags` are wanted beside the usual ones. Raises BadInput, LimitExceeded or Fault, or InterruptedError once
        `stop` says so.
        """
        assert self._pool is not None
        ledger = self.ledger = Ledger(scratch(stage, "ledger.db"))
        listening, settings, pool = self.listening, self.settings, self._pool
        listening.ledger = ledger
        self.received = os.path.getsize(self.archive) if os.path.isfile(self.archive) else 0
        opened = open_archive(self.archive, settings.limits, self.readers, self.name)
        self.received, self._tasks = opened.received, list(opened.tasks)
        if keep:
            store.reserve(
                opened.bytes_total or opened.received,
                files=opened.entries_total or 0,
                min_free=settings.min_free_bytes,
            )
        listening.begin(opened, settings.limits, self.readers, pool.board)
        listening.space = lambda: store.reserve(0, min_free=settings.min_free_bytes)
        pool.setup(
            Setup(
                root=store.path,
                upload=stage.upload,
                token=stage.token,
                limits=settings.limits,
                received=opened.received,
                wanted=frozenset(WANTED) | tags,
                keep_images=keep,
                keep_loose=self.request.resources == "keep",
            )
        )
        pool.run(opened.tasks, listening, lambda: self.cancelled.is_set() or stop())
        self.stop()
        if pool.reread:
            drop_untold(stage, ledger)

    def note_unread(self) -> None:
        """Give entries that were not read a line too, as the zip's directory has them: nothing is unsaid."""
        assert self.ledger is not None
        for task in self._tasks:
            if task.kind == "zip":
                self.ledger.add_missing(
                    Entry(ordinal(b"", entry.index), entry.name, entry.usize, b"", "unread", "", "", "")
                    for entry in ZipEntries(*task.payload)
                    if not entry.is_dir
                )

    def stop(self) -> None:
        """Kill the readers; what they said is kept."""
        if self._pool is not None:
            self._pool.stop()

    def close(self) -> None:
        """Kill the readers and drop the ledger."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = None
