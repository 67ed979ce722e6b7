"""The reading of one archive by a pool of readers into a ledger: what import and inspect share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.store.paths import IMAGES

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.store.port import Stage

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scandock.formats.zip_entries import ZipEntries
from scandock.model.entry import Entry, ordinal
from scandock.model.errors import BadInput
from scandock.model.tags import TAGS
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.staging import scratch_path
from scandock.pipeline.unreported import drop_unreported
from scandock.store.local import LocalStore
from scandock.store.paths import LEDGER
from scandock.workers.archive_tasks import open_archive
from scandock.workers.import_progress import EntryListener, ImportProgress
from scandock.workers.pool import ReaderPool, ReaderSetup, Task

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.port import Stage

MAX_READERS = 4


def default_readers(request: ImportRequest, settings: Settings) -> int:
    """Reader processes: as asked, else the setting, else the cores, at most 4."""
    count = request.workers or settings.workers
    return max(1, count) if count else max(1, min(MAX_READERS, len(os.sched_getaffinity(0))))


@dataclass(frozen=True, slots=True)
class ReadEntries:
    """The entries of an archive, in a ledger, as far as its reading came."""

    ledger: Ledger
    tasks: list[Task]
    refused: BadInput | None = None
    """What stopped the reading; None where all was read."""

    def note_unread(self) -> None:
        """Give entries that were not read a line too, as the zip's directory has them: nothing is unsaid."""
        for task in self.tasks:
            if task.kind == "zip":
                self.ledger.add_missing(
                    Entry(ordinal(b"", entry.index), entry.name, entry.usize, b"", "unread", "", "", "")
                    for entry in ZipEntries(*task.payload)
                    if not entry.is_dir
                )

    def close(self) -> None:
        self.ledger.close()


class ArchiveReader:
    """Reader processes over one archive, started as this is made, since they take a moment to come up."""

    def __init__(
        self,
        archive: str,
        request: ImportRequest,
        settings: Settings,
        listening: ImportProgress,
        cancelled: threading.Event,
        *,
        name: str | None = None,
        readers: int = 0,
    ) -> None:
        """`name`: what the archive is called, where its path does not say it (a spool). `readers`: 0 is the default."""
        self.archive = archive
        self.name = name
        self.request = request
        self.settings = settings
        self.cancelled = cancelled
        self.listening = listening
        self.readers = readers or default_readers(request, settings)
        listening.stage("opening")
        self._pool = ReaderPool(self.readers)
        try:
            self._pool.start()
        except BaseException:
            self._pool.close()
            raise

    def read(
        self,
        store: LocalStore,
        stage: Stage,
        tags: frozenset[int],
        stop: Callable[[], bool],
        *,
        keep: bool,
        hash_datasets: bool = False,
    ) -> ReadEntries:
        """Read it all into a ledger, `keep`ing the bytes in the stage; then the readers are gone.

        `tags` are wanted beside the usual ones; `hash_datasets` where objects are to be known by their data sets.
        Raises Fault, or InterruptedError once `stop` says so; what is wrong with the archive is in what it gives.
        """
        ledger = Ledger(scratch_path(stage, LEDGER))
        tasks: list[Task] = []
        try:
            self._fill(ledger, tasks, store, stage, tags, stop, keep=keep, hash_datasets=hash_datasets)
        except BadInput as error:
            return ReadEntries(ledger, tasks, error)
        except BaseException:
            ledger.close()
            raise
        finally:
            self._pool.stop()
        return ReadEntries(ledger, tasks)

    def _fill(
        self,
        ledger: Ledger,
        tasks: list[Task],
        store: LocalStore,
        stage: Stage,
        tags: frozenset[int],
        stop: Callable[[], bool],
        *,
        keep: bool,
        hash_datasets: bool,
    ) -> None:
        listening, settings, pool = self.listening, self.settings, self._pool
        listening.received = os.path.getsize(self.archive) if os.path.isfile(self.archive) else 0
        opened = open_archive(self.archive, settings.limits, self.readers, self.name)
        listening.received = opened.received
        tasks.extend(opened.tasks)
        if keep:
            store.reserve(
                opened.bytes_total or opened.received,
                files=opened.entries_total or 0,
                min_free=settings.min_free_bytes,
            )
        listening.totals = pool.board.totals
        listening.stage("reading")
        listener = EntryListener(
            listening,
            ledger,
            opened,
            limits=settings.limits,
            readers=self.readers,
            check_space=lambda: store.reserve(0, min_free=settings.min_free_bytes),
        )
        pool.setup(
            ReaderSetup(
                root=store.path,
                upload=stage.upload,
                token=stage.token,
                limits=settings.limits,
                received=opened.received,
                wanted=frozenset(TAGS) | tags,
                keep_images=keep,
                keep_loose=self.request.resources == "keep",
                hash_datasets=hash_datasets,
            )
        )
        pool.run(opened.tasks, listener, lambda: self.cancelled.is_set() or stop())
        pool.stop()
        if pool.reread:
            drop_unreported(stage, ledger, IMAGES)

    def close(self) -> None:
        """Kill the readers."""
        self._pool.close()
