"""The run of an import that every door shares: from what was read to an outcome that is always written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Unpack

from scandock.model.errors import Fault, ScandockError, TokenLost
from scandock.model.import_report import ImportReport
from scandock.model.verdicts import ImportState
from scandock.store.paths import MOVED, path_below, tree_path
from scandock.workers.archive_reader import ReadEntries
from scandock.workers.machine_faults import to_machine_fault

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from scandock.catalog.records import SessionRecord
    from scandock.model.errors import BadInput
    from scandock.model.import_report import ReportDetails
    from scandock.pipeline.job import ImportContext
    from scandock.pipeline.ledger import Ledger
    from scandock.queue.leases import ImportLease
    from scandock.store.port import Stage, Store
    from scandock.workers.context import WorkerContext
    from scandock.workers.import_progress import ImportProgress
    from scandock.workers.scrub_readers import ReaderScrubber

_CHUNK: Final = 1024 * 1024
TAKEN_OVER = "Another process has taken over this import."


class ImportRun:
    """One import that is recorded as running and is ours. A door makes it, has the archive read, and `finish`es it."""

    def __init__(
        self,
        *,
        archive: str,
        store: Store,
        stage: Stage,
        context: WorkerContext,
        lease: ImportLease,
        listening: ImportProgress,
        cancelled: threading.Event,
        lost: threading.Event,
    ) -> None:
        """`archive`: what it is called; `lost` is set once another process has taken the import over."""
        self.archive = archive
        self.store = store
        if context.privacy is not None:
            store.erase_originals()
        self.stage = stage
        self.context = context
        self.lease = lease
        self.listening = listening
        self.cancelled = cancelled
        self.lost = lost
        self.moved: SessionRecord | None = None
        """The session that moves by this, once it is held."""
        self._has_copy = False
        """Whether its files are in the stage, too."""

    def finish(self, entries: ReadEntries | Exception) -> ImportReport:
        """The outcome; `entries` is what was read, or what the reading ended by.

        Whatever a process meets whose import was taken over from it, that is what it tells.
        """
        self.listening.privacy = self.context.upload_privacy
        try:
            return self._outcome(entries)
        except Exception as error:
            if isinstance(error, TokenLost) or self._is_taken_over():
                return self.report(ImportState.FAILED, "token_lost", TAKEN_OVER)
            raise

    def _outcome(self, entries: ReadEntries | Exception) -> ImportReport:
        try:
            if isinstance(entries, Exception):
                raise entries
            if entries.refused is not None:
                return self._refuse(entries, entries.refused)
            from scandock.pipeline.flow import decide_and_place

            return decide_and_place(self.tools(entries.ledger), self.listening, self.report)
        except InterruptedError:
            if self.lost.is_set():
                raise
            return self.end(ImportState.CANCELLED, "cancelled", "The import was cancelled; nothing was stored.")
        except Exception as error:
            fault = to_machine_fault(error)
            if fault is None:
                raise
            return self.fault(fault)

    def fault(self, fault: Fault) -> ImportReport:
        """What a fault of the machine makes of the import."""
        return self.end(ImportState.FAILED, fault.code, str(fault), public=fault.public_text)

    def check(self) -> None:
        """Raise where the import was cancelled, or another process has taken it over."""
        if self.lost.is_set():
            raise TokenLost(TAKEN_OVER)
        if self.cancelled.is_set():
            raise InterruptedError

    def allowed(self, project: str) -> bool:  # noqa: ARG002
        """Whether whoever sent this may upload to a project; whoever has DATA may to all."""
        return True

    def list_moved(self) -> Iterator[tuple[bytes, str]]:
        """Ordinal and path of each file of the session that moves, as its folder was read."""
        from scandock.model.entry import ordinal
        from scandock.workers.archive_tasks import walk_folder

        if self.moved is not None:
            for index, path in enumerate(walk_folder(self.find_folder(self.moved))):
                yield ordinal(b"", index), path

    def find_folder(self, moved: SessionRecord) -> str:
        """The folder of the session that moves, which is read as an archive; a copy where the store has no folders."""
        from scandock.pipeline.staging import scratch_path

        path = self.store.local_path(tree_path(moved.parts))
        if path is not None:
            return path
        path = scratch_path(self.stage, MOVED)
        if not self._has_copy:
            with self.store.snapshot(tree_path(moved.parts)) as snapshot:
                for entry in snapshot.walk():
                    with snapshot.open(entry.rel) as reader, self.stage.put(path_below(MOVED, entry.rel)) as writer:
                        while chunk := reader.read(_CHUNK):
                            writer.write(chunk)
                    self.check()
            self._has_copy = True
        return path

    def may_archive(self, project: str) -> bool:  # noqa: ARG002
        """Whether whoever sent this may archive what waits in a project; whoever has DATA may in all."""
        return True

    def tools(self, ledger: Ledger) -> ImportContext:
        from scandock.pipeline.job import ImportContext

        zone = self.context.settings.zone
        tools = ImportContext(
            catalog=self.context.catalog,
            store=self.store,
            stage=self.stage,
            ledger=ledger,
            lease=self.lease,
            request=self.context.request,
            site=self.context.rules,
            zone=zone,
            started=datetime.now(zone),
            check=self.check,
            allowed=self.allowed,
            may_archive=self.may_archive,
            moved=self.moved,
            moved_paths=self.list_moved,
        )
        if self.context.privacy is not None:
            tools.privacy_of = self.context.privacy.rules_of
            tools.keeps_resources = self.context.privacy.keeps_resources
            tools.scrubber = self._make_scrubber()
        return tools

    def _make_scrubber(self) -> ReaderScrubber:
        """Readers that de-identify what was staged, as many as read it."""
        from scandock.workers.scrub_readers import ReaderScrubber

        settings = self.context.settings

        def check_space() -> None:
            self.store.reserve(0, min_free=settings.min_free_bytes)

        return ReaderScrubber(self.store, self.stage, settings.limits, self.count_readers(), check_space)

    def count_readers(self) -> int:
        """How many reader processes it has at a time."""
        from scandock.workers.archive_reader import default_readers

        return default_readers(self.context.request, self.context.settings)

    def report(self, state: ImportState, code: str, message: str, **details: Unpack[ReportDetails]) -> ImportReport:
        return ImportReport(
            upload=self.lease.uuid,
            archive=self.archive,
            state=state,
            code=code,
            message=message,
            received=self.listening.received,
            seconds=self.listening.seconds(),
            **details,
        )

    def _refuse(self, entries: ReadEntries, error: BadInput) -> ImportReport:
        """Refuse the whole for what stopped its reading: every entry met so far is told of."""
        from scandock.pipeline.flow import refuse_import

        entries.note_unread()
        return refuse_import(self.tools(entries.ledger), error, self.listening, self.report)

    def end(self, state: ImportState, code: str, message: str, *, public: str = "") -> ImportReport:
        """End it with nothing shown; where it has recorded its intents, it is left to be rolled forward.

        `public`, where it is another message: the one that the catalog keeps, for people who do not run the server.
        """
        from scandock.publishing.complete import UNFINISHED_REMEDY, end_unpublished

        report = self.report(state, code, message)
        if self.moved is not None and state is ImportState.REFUSED:
            from scandock.pipeline.moved_session import note_not_moved

            note_not_moved(self.context.catalog, self.moved, report)
        kept = replace(report, message=public or message)
        if end_unpublished(self.context.catalog, self.store, self.stage, self.lease, kept):
            return report
        return replace(report, message=f"{message} {UNFINISHED_REMEDY}")

    def _is_taken_over(self) -> bool:
        from scandock.queue.leases import renew

        try:
            renew(self.context.catalog, self.lease)
        except TokenLost:
            return True
        except ScandockError:
            return False
        return False
