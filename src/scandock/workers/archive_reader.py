"""The reading of one archive by a pool of readers into a ledger: what import and inspect share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.store.paths import EARLY, IMAGES

if TYPE_CHECKING:
    from scandock.pipeline.ledger import Ledger
    from scandock.store.port import Stage

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from scandock.formats.display_names import decode_file_name, display_names_by
from scandock.formats.zip_entries import ZipEntries
from scandock.model.dataclass import dataclass
from scandock.model.entry import Entry, ordinal
from scandock.model.errors import BadInput
from scandock.model.tags import TAGS
from scandock.pipeline.filter_setup import make_filter_setup
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.staging import scratch_path
from scandock.pipeline.unreported import drop_unreported
from scandock.rules.shown_names import ALL_SHOWN, ShownNames
from scandock.rules.upload_privacy import UNLIMITED, UploadPrivacy
from scandock.store.paths import LEDGER
from scandock.store.port import Store
from scandock.workers.archive_tasks import MIN_BYTES, ArchiveTasks, open_archive
from scandock.workers.entry_names import EntryNames
from scandock.workers.import_progress import EntryListener, ImportProgress
from scandock.workers.pool import ReaderPool, ReaderSetup, Task

if TYPE_CHECKING:
    from scandock.pipeline.entry_filter import FilterSetup
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.privacy import EarlyScrub
    from scandock.services.settings import Settings
    from scandock.store.handles import ReadFile
    from scandock.store.port import Stage

    SendAhead = Callable[[Iterable[ReadFile]], None]

SEGMENT_FILES: Final = 50_000
"""Images of which the import remembers where they are in segments."""
MAX_READERS = 4


def default_readers(request: ImportRequest, settings: Settings) -> int:
    """Reader processes: as asked, else the setting, else the cores, at most 4."""
    count = request.workers or settings.workers
    return max(1, count) if count else max(1, min(MAX_READERS, len(os.sched_getaffinity(0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTexts:
    """What an archive is read by beside the request."""

    tags: frozenset[int]
    """Elements that the site's rules look at; they are read beside the usual ones."""
    filters: Mapping[str, str]
    """The import filters that are switched on, by project; that of the site by ""."""
    has_mapping: bool
    """Whether rows of a mapping are known, which may name projects."""
    hash_datasets: bool
    """Whether objects are to be known by their data sets."""
    names: ShownNames = ALL_SHOWN
    """What the archive and its entries are called wherever that is told."""
    privacy: UploadPrivacy = UNLIMITED
    """What may be known of it before its studies have a project."""
    early: EarlyScrub | None = None
    """By what objects can be de-identified as they are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTerms:
    """What of a request decides how an archive is read; all else of it decides what becomes of that."""

    keep_loose: bool
    """Whether files that are no images are stored."""
    filters: FilterSetup | None


def make_reading_terms(request: ImportRequest, site: SiteTexts) -> ReadingTerms:
    """How an archive is read that comes with a request."""
    filters = make_filter_setup(request, site.filters, has_mapping=site.has_mapping) if site.filters else None
    return ReadingTerms(keep_loose=request.resources == "keep", filters=filters)


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
            if task.kind == "zip" and task.payload is not None:
                self.ledger.add_missing(
                    Entry(ordinal(b"", entry.index), entry.name, entry.usize, b"", "unread", "", "", "")
                    for entry in ZipEntries(*task.payload)
                    if not entry.is_dir
                )

    def close(self) -> None:
        self.ledger.close()


class ComingArchive(Protocol):
    """An archive that comes while it is read."""

    @property
    def size(self) -> int:
        """Its bytes, once all of them are here; until then that is what they are at most."""

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""

    def next_tasks(
        self, on_whole: Callable[[ArchiveTasks], None], totals: Callable[[], tuple[int, int]]
    ) -> list[Task] | None:
        """See `pool.MoreTasks`. `on_whole` hears of the whole archive; `totals` are of what was read (`Meter`)."""


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
            self._pool.start(self._count_early())
        except BaseException:
            self._pool.close()
            raise

    def _count_early(self) -> int:
        """How many readers will have work for sure."""
        with contextlib.suppress(OSError):
            if os.path.isfile(self.archive) and os.path.getsize(self.archive) < MIN_BYTES:
                return 1
        return self.readers

    def read(
        self,
        store: Store,
        stage: Stage,
        site: SiteTexts,
        stop: Callable[[], bool],
        *,
        keep: bool,
        coming: ComingArchive | None = None,
        send_ahead: SendAhead | None = None,
    ) -> ReadEntries:
        """Read it all into a ledger, `keep`ing the bytes in the stage. Readers are killed then; `close` waits for that.

        `coming`: what gives it piece by piece, where its bytes are still on their way. `send_ahead` hears of images in
        the stage's place.
        Raises Fault, or InterruptedError once `stop` says so; what is wrong with the archive is in what it gives.
        """
        self.listening.privacy = site.privacy
        ledger = Ledger(scratch_path(stage, LEDGER), site.names)
        tasks: list[Task] = []
        try:
            with display_names_by(self._entry_names(site)):
                send_ahead = send_ahead or stage.send_ahead
                self._fill(ledger, tasks, store, stage, site, stop, keep=keep, coming=coming, send_ahead=send_ahead)
        except BadInput as error:
            self._pool.stop()
            return ReadEntries(ledger, tasks, error)
        except BaseException:
            self._pool.stop()
            ledger.close()
            raise
        return ReadEntries(ledger, tasks)

    def _fill(
        self,
        ledger: Ledger,
        tasks: list[Task],
        store: Store,
        stage: Stage,
        site: SiteTexts,
        stop: Callable[[], bool],
        *,
        keep: bool,
        coming: ComingArchive | None,
        send_ahead: SendAhead,
    ) -> None:
        listening, settings, pool = self.listening, self.settings, self._pool

        def missing() -> int:
            return 0 if coming is None else coming.missing

        if coming is not None:
            opened = ArchiveTasks([], coming.size)
        else:
            listening.received = os.path.getsize(self.archive) if os.path.isfile(self.archive) else 0
            opened = open_archive(self.archive, settings.limits, self.readers, self.name)
        listening.received = opened.received  # told also where there is no room for it
        tasks.extend(opened.tasks)
        if keep:
            store.reserve(
                (opened.bytes_total or opened.received) + missing(),
                files=opened.entries_total or 0,
                min_free=settings.min_free_bytes,
            )
        goes_ahead = stage.is_remote and keep and coming is None and not site.hash_datasets
        listening.totals = pool.board.totals
        listening.stage("reading")
        listener = EntryListener(
            listening,
            ledger,
            opened,
            limits=settings.limits,
            readers=self.readers,
            check_space=lambda: store.reserve(missing(), min_free=settings.min_free_bytes),
            write_back=stage.write_back if keep and not site.privacy.policy.changes_objects else None,
            send_ahead=send_ahead if goes_ahead else None,
            name_read=stage.name_read if goes_ahead else None,
        )
        terms = make_reading_terms(self.request, site)
        ledger.has_filters = terms.filters is not None
        early = ledger.early = site.early if keep else None
        pool.setup(
            ReaderSetup(
                root=store.path,
                upload=stage.upload,
                token=stage.token,
                limits=settings.limits,
                received=opened.received,
                wanted=frozenset(TAGS) | site.tags,
                keep_images=keep,
                keep_loose=terms.keep_loose,
                filters=terms.filters,
                hash_datasets=site.hash_datasets,
                names=() if (names := self._entry_names(site)) is None else names.to_plain(),
                rules=[(early.rules.to_plain(), b"")] if early is not None else [],
                early=dict(early.variables) if early is not None else None,
                is_ahead=coming is not None,
                segment_files=SEGMENT_FILES // self.readers if goes_ahead else 0,
            )
        )
        more = None if coming is None else partial(self._ask, coming, listener.open)
        pool.run(opened.tasks, listener, lambda: self.cancelled.is_set() or stop(), more)
        if pool.reread or coming is not None:
            pool.stop()
        else:  # they take some milliseconds to be gone
            pool.dismiss()
        if pool.reread:
            drop_unreported(stage, ledger, IMAGES)
            if early is not None:
                drop_unreported(stage, ledger, EARLY)

    def _ask(self, coming: ComingArchive, on_whole: Callable[[ArchiveTasks], None]) -> list[Task] | None:
        """What is to be read by now of what comes; readers hear how much is here only once that has been checked."""
        board = self._pool.board
        tasks = coming.next_tasks(on_whole, board.totals)
        board.set_here(coming.size - coming.missing, coming.size)
        return tasks

    def _entry_names(self, site: SiteTexts) -> EntryNames | None:
        """What messages call entries; None where that are their own names."""
        if site.names.keeps:
            return None
        return EntryNames(site.names, self.name or decode_file_name(os.path.basename(os.path.abspath(self.archive))))

    def expect_scrub(self) -> None:
        """Let readers load what de-identifies while the import is still told by which rules."""
        self._pool.expect_scrub()

    def close(self) -> None:
        """Kill the readers."""
        self._pool.close()
