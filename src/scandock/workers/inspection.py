"""What an archive is, told without storing anything: the same reading, in a scratch folder that is gone at the end."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Unpack

from scandock.formats.display_names import decode_file_name
from scandock.model.errors import Fault
from scandock.model.import_report import ImportReport
from scandock.model.import_types import Progress
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.store.opening import open_store
from scandock.store.port import Store
from scandock.workers.archive_reader import ArchiveReader, ReadEntries
from scandock.workers.import_progress import ImportProgress
from scandock.workers.results import ImportResult

if TYPE_CHECKING:
    from scandock.model.import_report import ReportDetails
    from scandock.pipeline.job import JobContext
    from scandock.pipeline.ledger import Ledger
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.port import Stage
    from scandock.workers.context import WorkerContext


def run_inspect(
    *,
    data: str | None,
    archive: str,
    request: ImportRequest,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
    archive_number: int = 1,
) -> ImportResult:
    """Read one archive and tell what an import into an empty DATA would make of it.

    Projects and site rules are those of `data`, where that is named and there; what it has of a patient, a study or an
    ECAT file elsewhere is warned of. `archive_number` is its number among those that are inspected together. Raises
    Usage where import would.
    """
    listening = ImportProgress(on_progress)
    with tempfile.TemporaryDirectory(prefix="scandock-") as folder:
        store = open_store(folder)
        store.prepare()
        try:
            return _Inspection(store, archive, data, request, settings, listening, cancelled, archive_number).run()
        finally:
            store.close()


class _Inspection:
    """A dry run over one archive, in a store that is gone at its end."""

    def __init__(
        self,
        store: Store,
        archive: str,
        data: str | None,
        request: ImportRequest,
        settings: Settings,
        listening: ImportProgress,
        cancelled: threading.Event,
        archive_number: int,
    ) -> None:
        self.store = store
        self.archive = archive
        self.archive_number = archive_number
        self.shown_archive = archive
        """What it is called, once it is known whether its name may be."""
        self.data = data
        self.request = request
        self.settings = settings
        self.listening = listening
        self.cancelled = cancelled

    def run(self) -> ImportResult:
        with (
            closing(
                ArchiveReader(self.archive, self.request, self.settings, self.listening, self.cancelled)
            ) as reading,
            closing(self.store.begin(new_uuid(), new_token())) as stage,
        ):
            try:
                with self._site() as context:
                    return self._tell(reading, stage, context)
            except InterruptedError:
                return ImportResult(
                    self.report(ImportState.CANCELLED, "cancelled", "The inspection was cancelled."), None
                )
            except Fault as error:
                return ImportResult(self.report(ImportState.FAILED, error.code, str(error)), None)

    def report(self, state: ImportState, code: str, message: str, **details: Unpack[ReportDetails]) -> ImportReport:
        return ImportReport(
            upload=None,
            archive=self.shown_archive,
            state=state,
            code=code,
            message=message,
            received=self.listening.received,
            seconds=self.listening.seconds(),
            **details,
        )

    def check(self) -> None:
        """Raise where the inspection was cancelled."""
        if self.cancelled.is_set():
            raise InterruptedError

    @contextmanager
    def _site(self) -> Iterator[WorkerContext]:
        """What stands around the inspection, its request checked as import checks it."""
        from scandock.workers.context import make_scratch_context

        try:
            context = make_scratch_context(self.store.path, self.data, self.settings, self.request, self.archive_number)
        except Fault:
            from scandock.services.door_names import names_of_command

            names = names_of_command(self.data, self.settings, self.request, self.archive_number)
            self.shown_archive = names.archive(self.archive)
            raise
        try:
            if not context.names.keeps:
                self.shown_archive = context.names.archive(
                    decode_file_name(os.path.basename(os.path.abspath(self.archive)))
                )
            context.check_request()
            yield context
        finally:
            context.close()

    def _tell(self, reading: ArchiveReader, stage: Stage, context: WorkerContext) -> ImportResult:
        with closing(reading.read(self.store, stage, context.texts, lambda: False, keep=False)) as entries:
            report = self._outcome(entries, stage, context)
            return ImportResult(report, self._receipt(entries.ledger))

    def _outcome(self, entries: ReadEntries, stage: Stage, context: WorkerContext) -> ImportReport:
        from scandock.pipeline.dry_run import dry_run
        from scandock.pipeline.flow import refuse_reading

        if entries.refused is not None:
            entries.note_unread()
            return refuse_reading(entries.ledger, entries.refused, self.listening, self.report)
        return dry_run(self._tools(entries.ledger, stage, context), self.listening, self.report)

    def _tools(self, ledger: Ledger, stage: Stage, context: WorkerContext) -> JobContext:
        from scandock.pipeline.job import JobContext
        from scandock.queue.leases import begin

        lease = begin(context.catalog, number=stage.upload, token=stage.token, archive=self.shown_archive, request={})
        tools = JobContext(
            catalog=context.catalog,
            store=self.store,
            stage=stage,
            ledger=ledger,
            lease=lease,
            request=context.request,
            site=context.rules,
            zone=self.settings.zone,
            started=datetime.now(self.settings.zone),
            check=self.check,
            known=context.known,
        )
        if context.privacy is not None:
            tools.privacy_of = context.privacy.rules_of
            tools.keeps_resources = context.privacy.keeps_resources
        return tools

    def _receipt(self, ledger: Ledger) -> Callable[[], IO[bytes]] | None:
        """The receipt's lines, kept compressed in memory where the caller said that it will ask for them."""
        if not self.request.receipt:
            return None
        from scandock.pipeline.receipts import compress_receipt

        packed = io.BytesIO()
        compress_receipt(ledger, self.shown_archive, {}, packed.write)
        content = packed.getvalue()
        return lambda: io.BytesIO(content)
