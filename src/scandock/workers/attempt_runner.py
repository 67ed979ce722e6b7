"""The imports that a worker runs: their leases renewed, their cancels heard, their attempts' deaths told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from scandock.model.children import Child
from scandock.model.dataclass import dataclass
from scandock.model.errors import OUTAGES, Fault, ScandockError, TokenLost
from scandock.model.process import python_command
from scandock.model.ticker import Ticker
from scandock.publishing.requeue import end_cancelled, wait_or_fail
from scandock.queue.cancel import find_cancelled
from scandock.queue.follow import end_follow, renew_follows
from scandock.queue.leases import RENEW_SECONDS, renew_all
from scandock.queue.retry import give_up_attempt, wait_seconds
from scandock.workers.attempt import AttemptRequest
from scandock.workers.fault_pipe import FaultPipe
from scandock.workers.process_deaths import GIVEN_UP, death_fault, oom_kills
from scandock.workers.worker_figures import AttemptEnd, LeaseLoss, WorkerFigures

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.queue.claim import Claim
    from scandock.store.port import Store

CANCEL, LOST, STOP, LINGERED = "cancelled", "lost", "stopped", "lingered"
CLEARING_SECONDS = 60.0
"""For an attempt to clear up behind its import's end; then its slot is wanted back."""
WATCH_SECONDS = 0.25
TELL_SECONDS = 2.0
"""After which the end of an import is written once more that could not be."""


class RunningAttempt(Protocol):
    """An attempt that was started, as far as its worker handles it."""

    killed: str

    @property
    def pid(self) -> int: ...
    def kill(self, why: str) -> None: ...
    def wait(self) -> int: ...
    def death(self, code: int) -> Fault: ...


StartAttempt = Callable[[AttemptRequest], RunningAttempt]


class _AttemptProcess(Child):
    """An attempt as a process of its own."""

    def __init__(self, order: AttemptRequest) -> None:
        self._pipe = FaultPipe()
        self._fault: Fault | None = None
        self._oom_before = oom_kills()
        try:
            words = python_command("scandock.workers.attempt", order.to_json(), str(self._pipe.writing))
            super().__init__(words, pass_fds=[self._pipe.writing])
        except BaseException:
            self._pipe.end()
            raise
        self._pipe.begun()

    def wait(self) -> int:
        code = super().wait()
        self._fault = self._fault or self._pipe.end()
        return code

    def death(self, code: int) -> Fault:
        return self._fault or death_fault(code, self._oom_before)


def start_attempt_process(order: AttemptRequest) -> RunningAttempt:
    """Start an attempt as a process of its own."""
    return _AttemptProcess(order)


@dataclass(slots=True)
class _RunningImport:
    claim: Claim
    child: RunningAttempt
    ended: float = 0.0
    """When its import was seen to have ended while its process lived on; 0 where it was not."""


class AttemptRunner:
    """Runs attempts (`run`, in a slot's thread) and watches over all that run, from two threads of its own."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        log: FilteringBoundLogger,
        outage_seconds: float,
        start: StartAttempt = start_attempt_process,
        figures: WorkerFigures | None = None,
    ) -> None:
        """`outage_seconds`: how long an import waits altogether for a disk, rights or a catalog that fail."""
        self.catalog = catalog
        self._figures = figures or WorkerFigures()
        self._outage_seconds = outage_seconds
        self.store = store
        self.log = log
        self._start_attempt = start
        self._lock = threading.Lock()
        self._claimed: dict[str, Claim] = {}
        """By token, from the claim until its end is written: leases are renewed while attempts are being started."""
        self._running: dict[str, _RunningImport] = {}
        """Those whose attempt has been started; by token too, as one that clears up may live beside the next."""
        self._followed: dict[str, Claim] = {}
        """Uploads that come, by token, until they are accepted and so claimed."""
        self._stopping = threading.Event()
        self._follows_none = False
        self._tickers = [
            Ticker("leases", RENEW_SECONDS, partial(self._watch, self._renew)),
            Ticker("cancels", WATCH_SECONDS, partial(self._watch, self._hear)),
        ]

    def start(self) -> None:
        for ticker in self._tickers:
            ticker.start()

    def hold(self, claim: Claim) -> None:
        """Hold what was claimed just now, before anybody here claims again; `run` is to follow."""
        with self._lock:
            self._claimed[claim.lease.token] = claim

    def run(self, claim: Claim) -> None:
        """Have a claimed import run by a process of its own; returns when that has ended and is told of."""
        log = self.log.bind(upload=claim.lease.uuid, attempt=claim.attempt)
        if claim.lost:
            self._figures.count_lost_leases(LeaseLoss.RAN_OUT)
            log.warning("import lost its worker, begun anew")
        self.hold(claim)
        try:
            self._run_attempt(claim, log, "import begun")
        finally:
            with self._lock:
                self._claimed.pop(claim.lease.token, None)

    def follow(self, claim: Claim) -> None:
        """Have an upload read while it comes, and imported once it is accepted; returns as `run` does."""
        log = self.log.bind(upload=claim.lease.uuid)
        with self._lock:
            begins = not self._follows_none
            if begins:
                self._followed[claim.lease.token] = claim
        try:
            if begins:
                self._run_attempt(claim, log, "upload read ahead")
        finally:
            with self._lock:
                self._followed.pop(claim.lease.token, None)
                self._claimed.pop(claim.lease.token, None)
            end_follow(self.catalog, claim.lease)

    def _run_attempt(self, claim: Claim, log: FilteringBoundLogger, step: str) -> None:
        order = AttemptRequest(
            data=self.store.path,
            upload=claim.lease.uuid,
            token=claim.lease.token,
            previous=claim.previous,
            attempt=claim.attempt,
            exhausted=claim.exhausted,
            reason=claim.reason,
            follows=claim.follows,
        )
        try:
            child = self._start_attempt(order)  # which may take a while
            with self._lock:
                self._running[claim.lease.token] = _RunningImport(claim, child)
                if self._stopping.is_set() or (self._follows_none and claim.lease.token in self._followed):
                    child.kill(STOP)
            log.info(step, pid=child.pid)
            self._tell_at_last(claim, child, child.wait(), log)
        finally:
            with self._lock:
                self._running.pop(claim.lease.token, None)

    @property
    def held(self) -> frozenset[int]:
        """Imports that were claimed here and whose end is still to be written: nobody here may claim them anew."""
        with self._lock:
            return frozenset(claim.lease.upload_id for claim in self._claimed.values())

    def _tell_at_last(self, claim: Claim, child: RunningAttempt, code: int, log: FilteringBoundLogger) -> None:
        """Write what became of an import, as soon as catalog and disk take it: until then it is not to be run anew.

        Where the server stops before that, its lease runs out, and no attempt counts.
        """
        last_code = ""
        while True:
            try:
                self._figures.count_attempt(self._tell(claim, child, code, log))
                return
            except Fault as fault:
                if fault.code != last_code:
                    log.warning("end not written yet", code=fault.code, why=OUTAGES.get(fault.code))
                last_code = fault.code
            if self._stopping.wait(TELL_SECONDS):
                return

    def _tell(self, claim: Claim, child: RunningAttempt, code: int, log: FilteringBoundLogger) -> AttemptEnd:
        lease = claim.lease
        if claim.follows:
            end_follow(self.catalog, lease)  # first: from here on nobody hands it over to one that has ended
        if child.killed == CANCEL:
            try:
                done = end_cancelled(self.catalog, self.store, lease, claim.previous)
                log.info("import cancelled" if done else "import being placed, not cancelled")
            except TokenLost:
                log.info("import ended before it was cancelled")
            return AttemptEnd.CANCELLED
        if child.killed == LOST:
            self._figures.count_lost_leases(LeaseLoss.TAKEN_OVER)
            log.warning("lease lost")
            return AttemptEnd.LEASE_LOST
        if child.killed == LINGERED:
            log.warning("attempt did not end by itself")
            return AttemptEnd.LINGERED
        if child.killed in (STOP, GIVEN_UP):
            give_up_attempt(self.catalog, lease, counted=False)
            if child.killed == STOP:
                log.info("import stopped with the server")
            else:
                log.warning("import stopped with its fork server")
            return AttemptEnd.STOPPED
        return self._tell_end(claim, child.death(code), code, log)

    def _tell_end(self, claim: Claim, death: Fault, code: int, log: FilteringBoundLogger) -> AttemptEnd:
        """Of one that nobody killed from here."""
        if death.is_outage:
            return self._wait_out(claim, death, log)
        if claim.follows:  # the next attempt reads it as ever, and is the first that counts
            if give_up_attempt(self.catalog, claim.lease, counted=False):
                log.error("attempt died", code=death.code, exit=code, again_in=0)
                return AttemptEnd.DIED
            log.info("reading ahead ended", exit=code)
            return AttemptEnd.ENDED
        seconds = wait_seconds(claim.attempt)
        if give_up_attempt(
            self.catalog, claim.lease, counted=True, seconds=seconds, code=death.code, message=str(death)
        ):
            log.error("attempt died", code=death.code, exit=code, again_in=seconds)
            return AttemptEnd.DIED
        log.info("attempt ended", exit=code)
        return AttemptEnd.ENDED

    def _wait_out(self, claim: Claim, outage: Fault, log: FilteringBoundLogger) -> AttemptEnd:
        try:
            seconds = wait_or_fail(self.catalog, claim.lease, outage, most_seconds=self._outage_seconds)
        except TokenLost:
            log.info("attempt ended", code=outage.code)
            return AttemptEnd.ENDED
        why = OUTAGES[outage.code]
        if outage.code == "catalog_damaged":
            self._figures.set_damaged()
        if seconds is None:
            log.error("import failed, the machine was not well for too long", code=outage.code, why=why)
        else:
            log.warning("import waits for the machine", code=outage.code, why=why, again_in=seconds)
        return AttemptEnd.OUTAGE

    def stop(self) -> None:
        """Kill what runs: it waits for the next start, and no attempt is counted for it."""
        with self._lock:
            self._stopping.set()
            for running_import in self._running.values():
                running_import.child.kill(STOP)

    def stop_follows(self) -> None:
        """Kill what reads uploads ahead that are not accepted yet, and begin none: each is read once it is whole."""
        self._watch(self._renew_follows)
        with self._lock:
            self._follows_none = True
            for token in self._followed:
                if (followed := self._running.get(token)) is not None:
                    followed.child.kill(STOP)

    def end(self) -> None:
        for ticker in self._tickers:
            ticker.stop()
        for ticker in self._tickers:
            ticker.end()

    def _watch(self, do: Callable[[], None]) -> None:
        try:
            do()
        except ScandockError as error:
            self.log.warning("catalog away", code=error.code)
        except Exception as error:  # without this thread every import here would lose its lease
            self.log.error("not watched", exc_info=error)

    def _renew(self) -> None:
        self._renew_follows()
        with self._lock:
            leases = [claim.lease for claim in self._claimed.values()]
        if not leases:
            return
        failures = renew_all(self.catalog, leases)
        now = time.monotonic()
        for running_import in self._started():
            if running_import.claim.lease in failures.lost:
                running_import.child.kill(LOST)
            elif running_import.claim.lease in failures.ended:  # it clears up, which may take a while
                running_import.ended = running_import.ended or now
                if now - running_import.ended > CLEARING_SECONDS:
                    running_import.child.kill(LINGERED)

    def _renew_follows(self) -> None:
        """Go on following; what was accepted meanwhile is an import as any other from here on."""
        with self._lock:
            leases = [claim.lease for claim in self._followed.values()]
        if not leases:
            return
        accepted = renew_follows(self.catalog, leases)
        with self._lock:
            for lease in accepted:
                claim = self._followed.pop(lease.token, None)
                if claim is not None:  # else it has ended meanwhile
                    self._claimed[lease.token] = claim

    def _hear(self) -> None:
        running_imports = self._started()
        if not running_imports:
            return
        with self.catalog.read() as connection:
            cancelled_ids = set(
                find_cancelled(connection, [running_import.claim.lease.upload_id for running_import in running_imports])
            )
        for running_import in running_imports:
            if running_import.claim.lease.upload_id in cancelled_ids:
                running_import.child.kill(CANCEL)

    def _started(self) -> list[_RunningImport]:
        with self._lock:
            return list(self._running.values())
