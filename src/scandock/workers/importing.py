"""One import of the command line, from the archive where it lies to its outcome: the steps in their order.

Readers begin at once; the catalog is opened beside them in a thread, since that takes as long as many archives do.
Until its row stands, a killed import is a work folder without an owner, which the next command clears away.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from scandock.formats.shown import file_text
from scandock.model.errors import ScandockError
from scandock.model.importing import Progress
from scandock.model.points import reach
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.rules.routing import parse_rules, rule_tags
from scandock.services.preparing import prepare
from scandock.store.local import LocalStore
from scandock.workers.heartbeat import Heartbeat
from scandock.workers.import_run import ImportRun
from scandock.workers.peek import rule_texts
from scandock.workers.reading import Reading
from scandock.workers.results import ImportResult
from scandock.workers.troubles import machine_fault

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings

SWEEP_SECONDS = 1.0


def run_import(
    *,
    data: str,
    archive: str,
    request: ImportRequest,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
) -> ImportResult:
    """Import one archive into DATA. Raises Usage where the request is off; every other end is a result."""
    reading = Reading(archive, request, settings, on_progress, cancelled)
    return _Import(LocalStore(os.path.abspath(data)), reading).run()


class _Import(ImportRun):
    def __init__(self, store: LocalStore, reading: Reading) -> None:
        self.heartbeat = Heartbeat()
        super().__init__(store, reading, new_uuid(), new_token(), self.heartbeat.lost)
        self.trouble: BaseException | None = None

    def run(self) -> ImportResult:
        prepare(self.store, self.settings)
        with self.store.hold(self.number):
            self.stage = self.store.begin(self.number, self.token)
            reach("began")
            try:
                self.reading.start()
                report = self._run()
                self._empty_trash()
            except BaseException as error:
                self.reading.close()
                self._leave(error)
                raise
            finally:
                self.reading.close()
                self.heartbeat.stop()
                if self.site is not None:
                    self.site.catalog.dispose()
        self.store.sweep(SWEEP_SECONDS)
        reach("swept")
        has_receipt = report["state"] not in (ImportState.FAILED, ImportState.CANCELLED)
        return ImportResult(report, partial(self.store.open_receipt, self.number) if has_receipt else None)

    def _empty_trash(self) -> None:
        """Give up what was replaced long ago, where the clock can be trusted; else the next command does."""
        from scandock.services.clock_watch import DAY_MS, oldest_kept

        assert self.site is not None
        with contextlib.suppress(ScandockError):
            age = oldest_kept(self.site.catalog, self.settings.trash_days * DAY_MS)
            if age is not None:
                self.store.purge(age / 1000)

    # -- the catalog, beside the readers -------------------------------------------------------------------------

    def _run(self) -> dict[str, Any]:
        opening = threading.Thread(target=self._open_site, name="catalog")
        opening.start()
        ended: Exception | None = None
        try:
            self._read(opening)
        except Exception as error:  # noqa: BLE001  raised again where its import can be ended
            ended = error
        finally:
            opening.join()
        if self.trouble is not None:
            raise self.trouble
        return self.finish(ended)

    def _open_site(self) -> None:
        """Open the catalog, deal with dead imports, check the request, and record this import as running."""
        try:
            from scandock.placing.recover import recover
            from scandock.queue.leases import begin
            from scandock.workers.site import open_site

            self.site = open_site(self.store.path, self.settings, self.request)
            recover(self.site.catalog, self.store)
            self.site.check_request()
            name = file_text(os.path.basename(os.path.abspath(self.reading.archive)))
            asked = self.request.named
            self.lease = begin(self.site.catalog, number=self.number, token=self.token, archive=name, request=asked)
            self.heartbeat.start(self.site.catalog, self.lease)
            reach("recorded")
        except BaseException as error:  # noqa: BLE001  raised again where the readers are stopped
            self.trouble = error

    def _read(self, opening: threading.Thread) -> None:
        assert self.stage is not None
        texts = rule_texts(self.store.path, self.settings.database_url)
        if texts is None:
            opening.join()
        if self.trouble is not None:
            return
        if texts is None:
            assert self.site is not None
            tags = self.site.rules.tags
        else:
            tags = rule_tags([rule for text in texts.values() for rule in parse_rules(text)])
        self.reading.read(self.store, self.stage, tags, self._stop, keep=True)
        reach("read")

    def _stop(self) -> bool:
        return self.lost.is_set() or self.trouble is not None

    def _leave(self, error: BaseException) -> None:
        """Leave nothing behind after a fault that was met while ending, or an error that nobody foresaw.

        What can't be done now, the next command does.
        """
        if self.lease is None:
            self.store.forget(self.number)
            return
        with contextlib.suppress(ScandockError):
            fault = machine_fault(error) if isinstance(error, Exception) else None
            unexpected = "An unexpected error; the log tells where."
            self.end(ImportState.FAILED, *(("internal", unexpected) if fault is None else (fault.code, str(fault))))
