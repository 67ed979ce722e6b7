"""One import of the command line, from the archive where it lies to its outcome: the steps in their order.

Readers begin at once; the catalog is then opened beside them in a thread, since that takes as long as many archives do.
Until its row stands, a killed import is a work folder without an owner, which the next command clears away.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING

from scandock.catalog.sqlalchemy_loading import load_sqlalchemy
from scandock.formats.display_names import decode_file_name
from scandock.model.crash_points import reach
from scandock.model.errors import ScandockError
from scandock.model.import_types import Progress
from scandock.model.process import pause_garbage_collection
from scandock.model.verdicts import WITHOUT_RECEIPT, ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.services.data_preparation import prepare_data
from scandock.services.store_opening import open_data_store
from scandock.store.port import Store
from scandock.workers.archive_reader import SEGMENT_FILES, ArchiveReader, ReadEntries, SiteTexts
from scandock.workers.early_texts import check_unchanged, read_site_texts
from scandock.workers.import_progress import ImportProgress
from scandock.workers.machine_faults import to_machine_fault

if TYPE_CHECKING:
    from scandock.model.import_report import ImportReport
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.handles import ReadFile
    from scandock.store.port import Stage
    from scandock.workers.context import WorkerContext
    from scandock.workers.import_run import ImportRun
    from scandock.workers.results import ImportResult

SWEEP_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005
"""After which a thread gives way while the catalog is opened. Readers wait as long for their work: by default 5 ms."""


def run_import(
    *,
    data: str,
    archive: str,
    request: ImportRequest,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
    archive_number: int = 1,
) -> ImportResult:
    """Import one archive into DATA. Raises Usage where the request is off; every other end is a result.

    `archive_number` is its number among those that are imported together.
    """
    listening = ImportProgress(on_progress)
    store = open_data_store(data, settings)
    prepare_data(store, settings)
    number, token = new_uuid(), new_token()
    with store.hold(number):
        stage = store.begin(number, token)
        reach("began")
        local = _LocalImport(store, stage, archive, request, settings, listening, cancelled, archive_number)
        report = local.run()
    store.sweep(None if local.hides_anything else SWEEP_SECONDS)
    reach("swept")
    from scandock.workers.results import ImportResult

    has_receipt = report.state not in WITHOUT_RECEIPT
    return ImportResult(report, partial(store.open_receipt, number) if has_receipt else None)


class _CatalogOpening:
    """The catalog being opened in a thread, by a function that tells of the rules, then of the run that it records."""

    def __init__(self, open_: Callable[[Callable[[SiteTexts], None], Callable[[ImportRun], None]], None]) -> None:
        self._open = open_
        self._texts: queue.SimpleQueue[SiteTexts | None] = queue.SimpleQueue()
        self._runs: list[ImportRun] = []
        self._troubles: list[BaseException] = []
        self._thread = threading.Thread(target=self._work, name="catalog")

    def _work(self) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            self._open(self._texts.put, self._runs.append)
        except BaseException as error:  # noqa: BLE001  raised again where the readers are stopped
            self._troubles.append(error)
        finally:
            sys.setswitchinterval(before)
        self._texts.put(None)

    def start(self) -> None:
        """Begin, if that was not done before."""
        if self._thread.ident is None:
            self._thread.start()

    def join(self) -> None:
        self.start()
        self._thread.join()

    @property
    def failed(self) -> bool:
        return bool(self._troubles)

    @property
    def recorded(self) -> ImportRun | None:
        """The run, where its row stands."""
        return self._runs[0] if self._runs else None

    def texts(self) -> SiteTexts:
        """What archives are read by, once it is known, to be asked for once; raises what kept it from that."""
        self.start()
        return self._texts.get() or self.run().context.texts

    def run(self) -> ImportRun:
        """The run, once it may go on; raises what kept it from that."""
        self.join()
        for error in self._troubles:
            raise error
        return self._runs[0]


@cache
def _load_beside_readers(*, sqlite: bool) -> None:
    """Load what is needed once the readers are at work: once, as what an import has left by the next one is garbage."""
    with pause_garbage_collection():
        load_sqlalchemy(sqlite=sqlite)
        from scandock.publishing import recover  # noqa: F401
        from scandock.queue import heartbeat, leases  # noqa: F401
        from scandock.workers import context, import_run  # noqa: F401


@cache
def _load_before_the_end() -> None:
    """Load what is needed behind the reading while it goes on: behind it the readers' cores have nothing to do."""
    with pause_garbage_collection():
        from scandock.pipeline import flow  # noqa: F401
        from scandock.services.cleaning import trash  # noqa: F401
        from scandock.workers import results  # noqa: F401


class _LocalImport:
    """What becomes of one archive, with readers and the catalog beside each other."""

    def __init__(
        self,
        store: Store,
        stage: Stage,
        archive: str,
        request: ImportRequest,
        settings: Settings,
        listening: ImportProgress,
        cancelled: threading.Event,
        archive_number: int,
    ) -> None:
        self.store = store
        self.stage = stage
        self.archive = archive
        self.archive_number = archive_number
        self.request = request
        self.settings = settings
        self.listening = listening
        self.cancelled = cancelled
        self.lost = threading.Event()
        self.opening = _CatalogOpening(self._open)
        self.early: SiteTexts | None = None
        """By what readers have begun before the catalog was open."""
        self.held: list[ReadFile] = []
        """What has been read before the catalog was open."""
        self.hides_anything = False
        """Whether what came is to stand nowhere once the import has ended: known once the catalog is open."""
        self.beside = contextlib.ExitStack()
        """What is closed at the very end, whatever that is: the lease's thread, then the catalog."""

    def run(self) -> ImportReport:
        with self.beside:
            try:
                with contextlib.ExitStack() as opened:
                    entries = self._read(opened)
                    run = self.opening.run()
                    report = run.finish(entries)
                    self._empty_trash(run.context)
                return report
            except BaseException as error:
                self._leave(error)
                raise

    def _empty_trash(self, context: WorkerContext) -> None:
        """Give up what was replaced long ago, where the clock can be trusted; else the next command does."""
        from scandock.services.cleaning.cleaner import CatalogAndStore
        from scandock.services.cleaning.trash import REPLACED

        with contextlib.suppress(ScandockError):
            REPLACED.run(CatalogAndStore(context.catalog, self.store, self.settings))

    # -- the catalog, beside the readers -------------------------------------------------------------------------

    def _open(self, tell_texts: Callable[[SiteTexts], None], tell: Callable[[ImportRun], None]) -> None:
        """Open the catalog, deal with dead imports, check the request, and record this import as running."""
        _load_beside_readers(sqlite=self.settings.database_url is None)
        from scandock.publishing.recover import recover
        from scandock.queue.heartbeat import Heartbeat
        from scandock.queue.leases import begin
        from scandock.workers.context import open_context
        from scandock.workers.import_run import ImportRun

        context = open_context(self.store.path, self.settings, self.request, self.archive_number)
        self.beside.callback(context.close)
        if context.privacy_error is None:
            texts = context.texts
            if self.early is not None:
                check_unchanged(self.early, texts)
            tell_texts(texts)
        recover(context.catalog, self.store)
        context.check_request()
        self.hides_anything = context.names.hides_anything
        name = context.names.archive(decode_file_name(os.path.basename(os.path.abspath(self.archive))))
        number, token = self.stage.upload, self.stage.token
        request = dict(self.request.named)
        if self.hides_anything:
            request.pop("mapping_path", None)  # a name like any other
        lease = begin(context.catalog, number=number, token=token, archive=name, request=request)
        tell(
            ImportRun(
                archive=self.archive if context.names.keeps else name,
                store=self.store,
                stage=self.stage,
                context=context,
                lease=lease,
                listening=self.listening,
                cancelled=self.cancelled,
                lost=self.lost,
            )
        )
        self.beside.callback(Heartbeat(context.catalog, lease, self.lost).stop)
        reach("recorded")
        _load_before_the_end()

    def _read(self, opened: contextlib.ExitStack) -> ReadEntries | Exception:
        """What was read, or what the reading ended by; readers and ledger are closed with `opened`."""
        reading = ArchiveReader(self.archive, self.request, self.settings, self.listening, self.cancelled)
        opened.callback(reading.close)
        try:
            texts = self._texts(reading)
            entries = reading.read(self.store, self.stage, texts, self._stop, keep=True, send_ahead=self._send_ahead)
            opened.callback(entries.close)
        except Exception as error:  # noqa: BLE001  raised again where its import can be ended
            return error
        finally:
            self.opening.join()
        reach("read")
        return entries

    def _send_ahead(self, files: Iterable[ReadFile]) -> None:
        """Have images packed, once the store is known to be the catalog's: nothing is to land in another's.

        What was read to its end before that is packed when the stage is sealed.
        """
        if len(self.held) < SEGMENT_FILES:  # what is more is packed then, too
            self.held += files
        if self.held and self.opening.recorded is not None:
            self.stage.send_ahead(self.held)
            self.held = []

    def _texts(self, reading: ArchiveReader) -> SiteTexts:
        """What the site's rules look at, and the import filters; all of it, names too, where privacy is in force."""
        texts = read_site_texts(self.store.path, self.settings.database_url)
        if texts is not None and texts.hash_datasets:
            reading.expect_scrub()
            texts = None
        self.early = texts
        return texts or self.opening.texts()

    def _stop(self) -> bool:
        """Whether the reading is to end. It is asked once readers are at work, whose start the opening would delay."""
        self.opening.start()
        return self.lost.is_set() or self.opening.failed

    def _leave(self, error: BaseException) -> None:
        """Leave nothing behind after a fault that was met while ending, or an error that nobody foresaw.

        What can't be done now, the next command does.
        """
        run = self.opening.recorded
        if run is None:
            self.store.forget(self.stage.upload)
            return
        with contextlib.suppress(ScandockError):
            fault = to_machine_fault(error) if isinstance(error, Exception) else None
            unexpected = "An unexpected error; the log tells where."
            if fault is None:
                run.end(ImportState.FAILED, "internal", unexpected)
            else:
                run.end(ImportState.FAILED, fault.code, str(fault), public=fault.public_text)
