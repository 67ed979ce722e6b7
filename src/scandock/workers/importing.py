"""One import of the command line, from the archive where it lies to its outcome: the steps in their order."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TextIO

from scandock.model.errors import BadInput, Fault, ScandockError, TokenLost
from scandock.model.importing import ImportOptions, Progress
from scandock.model.points import reach
from scandock.model.tags import WANTED
from scandock.model.verdicts import ImportState, Verdict
from scandock.store.local import LocalStore
from scandock.workers.listening import Listening
from scandock.workers.opening import Opened, open_archive
from scandock.workers.pool import Pool, Setup

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.pipeline.job import Tools
    from scandock.queue.leases import Lease
    from scandock.services.settings import Settings
    from scandock.store.port import Stage

MOST_READERS = 4
SWEEP_SECONDS = 1.0


class ImportResult:
    """What became of one archive: the report of the fixed surface, and where its receipt is."""

    def __init__(self, report: dict[str, Any], open_receipt: Callable[[], IO[bytes]] | None) -> None:
        self.report = report
        self.state = ImportState(report["state"])
        self._open = open_receipt

    def write_receipt(self, fileobj: TextIO, fmt: str = "jsonl") -> None:
        """Write the receipt as JSON lines or CSV; nothing where the archive could not be opened at all."""
        if self._open is None:
            return
        with self._open() as packed, gzip.GzipFile(fileobj=packed) as lines:
            if fmt == "csv":
                import csv

                from scandock.pipeline.tell import csv_lines

                csv.writer(fileobj).writerows(csv_lines(lines))
                return
            fileobj.writelines(line.decode("utf-8") for line in lines)


def default_readers(options: ImportOptions, settings: Settings) -> int:
    """Reader processes: as asked, else the setting, else the cores, at most 4."""
    wanted = options.workers or settings.workers
    return max(1, wanted) if wanted else max(1, min(MOST_READERS, len(os.sched_getaffinity(0))))


def run_import(
    *,
    data: str,
    archive: str,
    options: ImportOptions,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
) -> ImportResult:
    """Import one archive into DATA. Raises Usage where the request is off; every other end is a result."""
    return _Import(data, archive, options, settings, on_progress, cancelled).run()


class _Import:
    def __init__(
        self,
        data: str,
        archive: str,
        options: ImportOptions,
        settings: Settings,
        on_progress: Callable[[Progress], None] | None,
        cancelled: threading.Event,
    ) -> None:
        from scandock.queue.tokens import new_token, new_uuid

        self.archive = archive
        self.name = os.path.basename(os.path.abspath(archive)) or archive
        self.options = options
        self.settings = settings
        self.cancelled = cancelled
        self.store = LocalStore(os.path.abspath(data))
        self.number = new_uuid()
        self.token = new_token()
        self.listening = Listening(on_progress)
        self.pool: Pool | None = None
        self.stage: Stage | None = None
        self.lease: Lease | None = None
        self.received = 0
        self.lost = threading.Event()
        self.opened: Opened | None = None

    def run(self) -> ImportResult:
        self.listening.stage("opening")
        readers = default_readers(self.options, self.settings)
        self.store.prepare()
        with self.store.hold(self.number):
            self.stage = self.store.begin(self.number, self.token)
            reach("began")
            try:
                self.pool = Pool(readers)
                self.pool.start()
                return self._with_catalog(readers)
            except BaseException:
                self.store.forget(self.number)
                raise
            finally:
                if self.pool is not None:
                    self.pool.close()

    def _with_catalog(self, readers: int) -> ImportResult:
        from scandock.placing.recover import recover
        from scandock.workers.site import open_site

        site = open_site(self.store.path, self.settings, self.options)
        catalog = site.catalog
        try:
            recover(catalog, self.store)
            site.check_request(self.options)
            self._begin(catalog)
            with self._heartbeat(catalog):
                return self._attempt(site, readers)
        finally:
            catalog.dispose()

    def _begin(self, catalog: Catalog) -> None:
        from scandock.queue.leases import begin

        request = {key: value for key, value in asdict(self.options).items() if value is not None}
        self.lease = begin(catalog, number=self.number, token=self.token, archive=self.name, request=request)
        reach("recorded")

    @contextlib.contextmanager
    def _heartbeat(self, catalog: Catalog) -> Any:  # noqa: ANN401
        from scandock.queue.leases import RENEW_SECONDS, renew

        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(RENEW_SECONDS):
                try:
                    assert self.lease is not None
                    renew(catalog, self.lease)
                except TokenLost:
                    self.lost.set()
                    return
                except ScandockError:
                    continue  # the catalog is busy or away for a moment; the next beat, or the guard, tells

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def check(self) -> None:
        """Raise where the import was cancelled, or another process has taken it over."""
        if self.lost.is_set():
            raise TokenLost("token_lost", "Another process has taken over this import.")
        if self.cancelled.is_set():
            raise InterruptedError

    def _attempt(self, site: Any, readers: int) -> ImportResult:  # noqa: ANN401
        from scandock.pipeline.keep import scratch
        from scandock.pipeline.ledger import Ledger

        assert self.stage is not None
        ledger = Ledger(scratch(self.stage, "ledger.db"))
        self.listening.ledger = ledger
        try:
            report = self._steps(site, ledger, readers)
        except TokenLost as error:
            report = self._report(ImportState.FAILED, error.code, error.message)
            return ImportResult(report, None)
        except InterruptedError:
            report = self._end(
                site, ImportState.CANCELLED, "cancelled", "The import was cancelled; nothing was stored."
            )
        except BadInput as error:
            report = self._refuse(site, ledger, error)
        except Fault as error:
            report = self._end(site, ImportState.FAILED, error.code, str(error))
        finally:
            ledger.close()
        reach("swept")
        self.store.purge(self.settings.trash_days * 86_400)
        self.store.sweep(SWEEP_SECONDS)
        receipt = None if report["state"] in ("failed", "cancelled") else (lambda: self.store.open_receipt(self.number))
        return ImportResult(report, receipt)

    def _steps(self, site: Any, ledger: Any, readers: int) -> dict[str, Any]:  # noqa: ANN401
        opened = self.opened = open_archive(self.archive, self.settings.limits, readers)
        self.received = opened.received
        self.store.reserve(opened.bytes_total or opened.received, min_free=self.settings.min_free_bytes)
        self._read(opened, site, readers)
        tools = self._tools(site, ledger)
        from scandock.pipeline.flow import decide_and_place

        return decide_and_place(tools, self.listening, self._report, self.options.ignore_unparsable)

    def _read(self, opened: Opened, site: Any, readers: int) -> None:  # noqa: ANN401
        assert self.pool is not None
        listening = self.listening
        listening.totals(opened, self.settings.limits, readers)
        listening.stage("reading")
        listening.board = self.pool.board
        listening.space = lambda: self.store.reserve(0, min_free=self.settings.min_free_bytes)
        self.pool.setup(
            Setup(
                root=self.store.path,
                upload=self.number,
                token=self.token,
                limits=self.settings.limits,
                received=opened.received,
                wanted=frozenset(WANTED) | site.rules.tags,
                keep_images=True,
                keep_loose=self.options.resources == "keep",
            )
        )
        self.pool.run(opened.tasks, listening, self._stop)
        self.pool.stop()
        reach("read")

    def _stop(self) -> bool:
        return self.cancelled.is_set() or self.lost.is_set()

    def _tools(self, site: Any, ledger: Any) -> Tools:  # noqa: ANN401
        from scandock.pipeline.job import Tools

        assert self.stage is not None
        assert self.lease is not None
        return Tools(
            catalog=site.catalog,
            store=self.store,
            stage=self.stage,
            ledger=ledger,
            lease=self.lease,
            request=site.request,
            site=site.rules,
            resources=self.options.resources,
            zone=self.settings.zone,
            started=datetime.now(self.settings.zone),
            check=self.check,
        )

    # -- ends ----------------------------------------------------------------------------------------------------

    def _report(
        self,
        state: ImportState,
        code: str,
        message: str,
        *,
        warnings: list[dict[str, str]] | None = None,
        sessions: list[dict[str, Any]] | None = None,
        entries: dict[str, int] | None = None,
        unpacked: int = 0,
        stored: int = 0,
    ) -> dict[str, Any]:
        return {
            "upload": self.number,
            "archive": self.archive,
            "state": state.value,
            "code": code,
            "message": message,
            "warnings": warnings or [],
            "sessions": sessions or [],
            "entries": entries or {verdict.value: 0 for verdict in Verdict},
            "bytes": {"received": self.received, "unpacked": unpacked, "stored": stored},
            "seconds": self.listening.seconds(),
        }

    def _end(self, site: Any, state: ImportState, code: str, message: str) -> dict[str, Any]:  # noqa: ANN401
        from scandock.placing.complete import end_without

        assert self.lease is not None
        if self.pool is not None:
            self.pool.stop()
        report = self._report(state, code, message)
        end_without(site.catalog, self.store, self.stage, self.lease, report)
        return report

    def _refuse(self, site: Any, ledger: Any, error: BadInput) -> dict[str, Any]:  # noqa: ANN401
        """Refuse the whole for what stopped its reading: every entry met so far is told of."""
        from scandock.pipeline.flow import refuse

        assert self.pool is not None
        self.pool.stop()
        if not self.received:
            with contextlib.suppress(OSError):
                self.received = os.path.getsize(self.archive)
        return refuse(self._tools(site, ledger), error, self._report)
