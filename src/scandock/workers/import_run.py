"""The course of an import that every door shares: from what was read to an outcome that is always written."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from scandock.model.errors import BadInput, Fault, ScandockError, TokenLost
from scandock.model.verdicts import ImportState
from scandock.workers.results import make_report
from scandock.workers.troubles import machine_fault

if TYPE_CHECKING:
    import threading

    from scandock.pipeline.job import Tools
    from scandock.queue.leases import Lease
    from scandock.store.local import LocalStore
    from scandock.store.port import Stage
    from scandock.workers.reading import Reading
    from scandock.workers.site import Site

TAKEN_OVER = "Another process has taken over this import."


class ImportRun:
    """What an import is made of. A door sets `stage`, `site` and `lease` as it gets them, reads, and then `finish`es.

    `lost` is set once another process has taken the import over.
    """

    def __init__(self, store: LocalStore, reading: Reading, number: str, token: str, lost: threading.Event) -> None:
        self.store = store
        self.reading = reading
        self.request = reading.request
        self.settings = reading.settings
        self.number = number
        self.token = token
        self.lost = lost
        self.stage: Stage | None = None
        self.site: Site | None = None
        self.lease: Lease | None = None

    def finish(self, ended: Exception | None) -> dict[str, Any]:
        """The outcome; `ended` is what the reading ended by.

        Whatever a process meets whose import was taken over from it, that is what it tells.
        """
        try:
            return self._outcome(ended)
        except Exception as error:
            if isinstance(error, TokenLost) or self._is_taken_over():
                return self.report(ImportState.FAILED, "token_lost", TAKEN_OVER)
            raise

    def _outcome(self, ended: Exception | None) -> dict[str, Any]:
        try:
            if isinstance(ended, BadInput):
                return self._refuse(ended)
            if ended is not None:
                raise ended
            from scandock.pipeline.flow import decide_and_place

            return decide_and_place(self.tools(), self.reading.listening, self.report, self.request.ignore_unparsable)
        except InterruptedError:
            if self.lost.is_set():
                raise
            return self.end(ImportState.CANCELLED, "cancelled", "The import was cancelled; nothing was stored.")
        except Exception as error:
            fault = machine_fault(error)
            if fault is None:
                raise
            return self.fault(fault)

    def fault(self, fault: Fault) -> dict[str, Any]:
        """What a fault of the machine makes of the import."""
        return self.end(ImportState.FAILED, fault.code, str(fault))

    def check(self) -> None:
        """Raise where the import was cancelled, or another process has taken it over."""
        if self.lost.is_set():
            raise TokenLost("token_lost", TAKEN_OVER)
        if self.reading.cancelled.is_set():
            raise InterruptedError

    def allowed(self, project: str) -> bool:  # noqa: ARG002
        """Whether whoever sent this may upload to a project; whoever has DATA may to all."""
        return True

    def may_archive(self, project: str) -> bool:  # noqa: ARG002
        """Whether whoever sent this may archive what waits in a project; whoever has DATA may in all."""
        return True

    def tools(self) -> Tools:
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
            resources=self.request.resources,
            zone=self.settings.zone,
            started=datetime.now(self.settings.zone),
            check=self.check,
            allowed=self.allowed,
            may_archive=self.may_archive,
        )

    def report(self, state: ImportState, code: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        seconds = self.reading.listening.seconds()
        received = self.reading.received
        archive = self.reading.name or self.reading.archive
        return make_report(self.number, archive, state, code, message, received=received, seconds=seconds, **more)

    def _refuse(self, error: BadInput) -> dict[str, Any]:
        """Refuse the whole for what stopped its reading: every entry met so far is told of."""
        from scandock.pipeline.flow import refuse

        self.reading.stop()
        self.reading.note_unread()
        return refuse(self.tools(), error, self.reading.listening, self.report)

    def end(self, state: ImportState, code: str, message: str) -> dict[str, Any]:
        """End it with nothing shown; where it has recorded its intents, it is left to be rolled forward."""
        from scandock.placing.complete import LEFT, end_without

        assert self.site is not None
        assert self.stage is not None
        assert self.lease is not None
        self.reading.stop()
        report = self.report(state, code, message)
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
