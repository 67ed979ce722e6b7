"""One import of the command line, from the archive where it lies to its outcome: the steps in their order.

Readers begin at once; the catalog is opened beside them in a thread, since that takes as long as many archives do.
Until its row stands, a killed import is a work folder without an owner, which the next command clears away.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from scandock.formats.shown import file_text
from scandock.model.errors import BadInput, ScandockError, TokenLost
from scandock.model.importing import ImportOptions, Progress
from scandock.model.points import reach
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.rules.routing import parse_rules, rule_tags
from scandock.store.local import LocalStore
from scandock.workers.heartbeat import Heartbeat
from scandock.workers.peek import rule_texts
from scandock.workers.reading import Reading
from scandock.workers.results import ImportResult, make_report
from scandock.workers.troubles import machine_fault

if TYPE_CHECKING:
    from scandock.pipeline.job import Tools
    from scandock.queue.leases import Lease
    from scandock.services.settings import Settings
    from scandock.store.port import Stage
    from scandock.workers.site import Site

SWEEP_SECONDS = 1.0
TAKEN_OVER = "Another process has taken over this import."


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
    reading = Reading(archive, options, settings, on_progress, cancelled)
    return _Import(LocalStore(os.path.abspath(data)), reading).run()


class _Import:
    def __init__(self, store: LocalStore, reading: Reading) -> None:
        self.store = store
        self.reading = reading
        self.options = reading.options
        self.settings = reading.settings
        self.number = new_uuid()
        self.token = new_token()
        self.heartbeat = Heartbeat()
        self.stage: Stage | None = None
        self.site: Site | None = None
        self.lease: Lease | None = None
        self.trouble: BaseException | None = None

    def run(self) -> ImportResult:
        self.store.prepare()
        with self.store.hold(self.number):
            self.stage = self.store.begin(self.number, self.token)
            reach("began")
            try:
                self.reading.start()
                report = self._run()
            except BaseException as error:
                self.reading.close()
                self._leave(error)
                raise
            finally:
                self.reading.close()
                self.heartbeat.stop()
                if self.site is not None:
                    self.site.catalog.dispose()
        self.store.purge(self.settings.trash_days * 86_400)
        self.store.sweep(SWEEP_SECONDS)
        reach("swept")
        has_receipt = report["state"] not in (ImportState.FAILED, ImportState.CANCELLED)
        return ImportResult(report, partial(self.store.open_receipt, self.number) if has_receipt else None)

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
        return self._finish(ended)

    def _open_site(self) -> None:
        """Open the catalog, deal with dead imports, check the request, and record this import as running."""
        try:
            from scandock.placing.recover import recover
            from scandock.queue.leases import begin
            from scandock.workers.site import open_site

            self.site = open_site(self.store.path, self.settings, self.options)
            recover(self.site.catalog, self.store)
            self.site.check_request(self.options)
            request = {key: value for key, value in asdict(self.options).items() if value is not None}
            name = file_text(os.path.basename(os.path.abspath(self.reading.archive)))
            self.lease = begin(self.site.catalog, number=self.number, token=self.token, archive=name, request=request)
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
        return self.heartbeat.lost.is_set() or self.trouble is not None

    # -- from what was read to the outcome -----------------------------------------------------------------------

    def _finish(self, ended: Exception | None) -> dict[str, Any]:
        """The outcome. Whatever a process meets whose import was taken over from it, that is what it tells."""
        try:
            return self._outcome(ended)
        except Exception as error:
            if isinstance(error, TokenLost) or self._is_taken_over():
                return self._report(ImportState.FAILED, "token_lost", TAKEN_OVER)
            raise

    def _outcome(self, ended: Exception | None) -> dict[str, Any]:
        try:
            if isinstance(ended, BadInput):
                return self._refuse(ended)
            if ended is not None:
                raise ended
            from scandock.pipeline.flow import decide_and_place

            return decide_and_place(self._tools(), self.reading.listening, self._report, self.options.ignore_unparsable)
        except InterruptedError:
            if self.heartbeat.lost.is_set():
                raise
            return self._end(ImportState.CANCELLED, "cancelled", "The import was cancelled; nothing was stored.")
        except Exception as error:
            fault = machine_fault(error)
            if fault is None:
                raise
            return self._end(ImportState.FAILED, fault.code, str(fault))

    def _check(self) -> None:
        """Raise where the import was cancelled, or another process has taken it over."""
        if self.heartbeat.lost.is_set():
            raise TokenLost("token_lost", TAKEN_OVER)
        if self.reading.cancelled.is_set():
            raise InterruptedError

    def _tools(self) -> Tools:
        from scandock.pipeline.job import Tools

        assert self.site is not None
        assert self.stage is not None
        assert self.lease is not None
        assert self.reading.ledger is not None
        return Tools(
            catalog=self.site.catalog,
            store=self.store,
            stage=self.stage,
            ledger=self.reading.ledger,
            lease=self.lease,
            request=self.site.request,
            site=self.site.rules,
            resources=self.options.resources,
            zone=self.settings.zone,
            started=datetime.now(self.settings.zone),
            check=self._check,
        )

    def _report(self, state: ImportState, code: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        seconds = self.reading.listening.seconds()
        received = self.reading.received
        return make_report(
            self.number, self.reading.archive, state, code, message, received=received, seconds=seconds, **more
        )

    def _refuse(self, error: BadInput) -> dict[str, Any]:
        """Refuse the whole for what stopped its reading: every entry met so far is told of."""
        from scandock.pipeline.flow import refuse

        self.reading.stop()
        self.reading.note_unread()
        return refuse(self._tools(), error, self.reading.listening, self._report)

    def _end(self, state: ImportState, code: str, message: str) -> dict[str, Any]:
        from scandock.placing.complete import LEFT, end_without

        assert self.site is not None
        assert self.stage is not None
        assert self.lease is not None
        self.reading.stop()
        report = self._report(state, code, message)
        if end_without(self.site.catalog, self.store, self.stage, self.lease, report):
            return report
        return {**report, "message": f"{message} {LEFT}"}

    def _is_taken_over(self) -> bool:
        from scandock.queue.leases import renew

        try:
            if self.site is not None and self.lease is not None:
                renew(self.site.catalog, self.lease)
        except TokenLost:
            return True
        except ScandockError:
            return False
        return False

    def _leave(self, error: BaseException) -> None:
        """Leave nothing behind after an error that nobody foresaw; what can't be done now, the next command does."""
        if self.lease is None:
            self.store.forget(self.number)
            return
        with contextlib.suppress(ScandockError):
            self._end(ImportState.FAILED, "internal", f"An unexpected error: {type(error).__name__}.")
