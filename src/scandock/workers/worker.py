"""A worker process: claims imports and has each run by an attempt process; works on none itself.

Started by the supervisor as `python -m scandock.workers.worker PARENT DATA SLOTS [BEATS RECEIVER ROLE]`.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections import deque
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from scandock.model.errors import OUTAGES, Fault, ScandockError
from scandock.model.process import can_die_with_pipe, confine, keep_one_heap, unblock_signals
from scandock.model.ticker import Ticker
from scandock.queue.claim import Claim, SlotUsage, claim, seconds_to_due
from scandock.queue.engines import engine_of
from scandock.queue.follow import begin_follow
from scandock.queue.hosts import HostBeat
from scandock.queue.owner import this_owner
from scandock.services.data_catalog import open_data_catalog
from scandock.services.data_preparation import prepare_data
from scandock.services.logs import configure_logging, error_cause
from scandock.services.receiver_states import has_receivers
from scandock.services.settings import load_settings
from scandock.services.store_check import check_store
from scandock.services.store_opening import open_data_store
from scandock.workers.attempt_runner import AttemptRunner, StartAttempt, start_attempt_process
from scandock.workers.attempt_server import ForkedAttempts, fork_attempt_server
from scandock.workers.commitment_keeper import CommitmentKeeper
from scandock.workers.follower_thread import FollowerThread
from scandock.workers.host_check import HostCheck
from scandock.workers.janitor import Janitor
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.message_sender import MessageSender
from scandock.workers.pack_builder import PackBuilderThread
from scandock.workers.readers import keep_reader_server
from scandock.workers.receiver_catalog_thread import ReceiverCatalogThread
from scandock.workers.slots import SlotPool
from scandock.workers.thumbnail_maker import ThumbnailThread
from scandock.workers.verifier import VerifierThread
from scandock.workers.worker_figures import SlotCount

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.services.settings import Settings
    from scandock.workers.server_keeper import ServerKeeper

DRAIN_SECONDS = 8.0
"""How long imports that run may still take to end when the server stops; then they wait for its next start."""

WATCH_SECONDS = 1.0
"""How often it is looked whether there are DICOM receivers."""

QUIET_SECONDS = 2.0
"""After which a worker without imports is idle."""

UNSURE_CLAIMS = 16
"""Of claims that failed, the last: the database may have committed one, and been lost before it could say so."""

CACHES_BYTES = 4 * 1024 * 1024
"""Of SQLite's: what a worker reads again and again is little; what it looks through is as long as the catalog."""


class Worker:
    """`run` blocks until `stop`, which any thread or a signal's handler may call."""

    def __init__(
        self,
        data: str,
        size: int,
        settings: Settings,
        server: int,
        liveness: WorkerLiveness,
        log: FilteringBoundLogger,
        start: StartAttempt = start_attempt_process,
        *,
        upkeep: bool = True,
        receiver: socket.socket | None = None,
        role: str = "all",
    ) -> None:
        """`receiver`: our end of the pair by which the receiver process connects; `role`: that of this host."""
        self.liveness = liveness
        self.store = open_data_store(data, settings)
        prepare_data(self.store, settings)
        self.catalog = open_data_catalog(self.store.path, settings)
        self.catalog.limit_caches(CACHES_BYTES)
        self.catalog.on_damage = liveness.figures.set_damaged
        self.engine = engine_of(self.catalog)
        self.running = AttemptRunner(
            self.catalog, self.store, log, settings.outage_hours * 3600, start, liveness.figures
        )
        self.janitor = Janitor(self.catalog, self.store, settings, log, liveness.figures) if upkeep else None
        self.messenger = MessageSender(self.catalog, settings, log) if upkeep else None
        self.verifier = VerifierThread(self.catalog, self.store, settings, log) if upkeep else None
        caches = upkeep and has_readers(role, settings)
        self.packs = PackBuilderThread(self.catalog, self.store, settings, log) if caches else None
        self.thumbnails = ThumbnailThread(self.catalog, self.store, settings, log, self._is_idle) if caches else None
        self.commitment = CommitmentKeeper(self.catalog, self.store, settings, log) if upkeep else None
        self.receiver = (
            ReceiverCatalogThread(receiver, self.catalog, self.store, settings, log) if receiver is not None else None
        )
        owner = this_owner(server, place=self.catalog.place, host=self.catalog.host)
        due = partial(seconds_to_due, self.catalog)
        self.slots = SlotPool(size, partial(self._claim, owner), self._run, log, self._tell_slots, due)
        self.follower = (
            FollowerThread(partial(self._begin_follow, owner), self._follow, log)
            if settings.follow == "on" and settings.store is None  # of a bucket's uploads none is followed
            else None
        )
        self.log = log
        self._watch = Ticker("receivers", WATCH_SECONDS, self._look_for_receivers)
        self._check = HostCheck(self.catalog, partial(check_store, self.catalog, self.store, settings))
        self._host = HostBeat(
            self.catalog, is_worker=True, on_failure=self._tell_away, problem=lambda: self._check.code
        )
        self._unsure: deque[str] = deque(maxlen=UNSURE_CLAIMS)
        self._slots_told = time.monotonic()
        self._stop = threading.Event()

    def _claim(self, owner: str, slots: SlotUsage) -> Claim | None:
        self._check.check_claim()
        next_claim = claim(self.catalog, owner, slots, self.running.held, self._unsure)
        if next_claim is not None:
            self.running.hold(next_claim)
        return next_claim

    def _begin_follow(self, owner: str) -> Claim | None:
        self._check.check_claim()
        return begin_follow(self.catalog, owner)

    def _tell_slots(self, used: int) -> None:
        self._slots_told = time.monotonic()
        self.liveness.figures.set_slots(SlotCount(self.slots.size, used))

    def _look_for_receivers(self) -> None:
        """Say whether a receiver process is wanted. A catalog that can't be asked changes nothing."""
        with contextlib.suppress(Fault):
            self.liveness.figures.set_receivers(are_wanted=has_receivers(self.catalog))

    def _run(self, next_claim: Claim) -> None:
        self.running.run(next_claim)
        self._call_upkeep()

    def _follow(self, next_claim: Claim) -> None:
        self.running.follow(next_claim)
        self._call_upkeep()

    def _call_upkeep(self) -> None:
        """Have what an import left cleared away, and people told of its end."""
        if self.janitor is not None:
            self.janitor.call()
        if self.messenger is not None:
            self.messenger.call()
        if self.thumbnails is not None:
            self.thumbnails.call()

    def _is_idle(self) -> bool:
        """Whether no import runs, or has run just now: of many, the next one may be near."""
        return not self.slots.busy and time.monotonic() - self._slots_told >= QUIET_SECONDS

    def run(self) -> None:
        self.slots.start()
        self.running.start()
        if self.janitor is not None:
            self.janitor.start()
        if self.messenger is not None:
            self.messenger.start()
        if self.verifier is not None:
            self.verifier.start()
        if self.packs is not None:
            self.packs.start()
        if self.thumbnails is not None:
            self.thumbnails.start()
        if self.commitment is not None:
            self.commitment.start()
        if self.receiver is not None:
            self.receiver.start()
        if self.follower is not None:
            self.follower.start()
        self._check.start()
        self._host.start()
        self._tell_slots(self.slots.busy)
        self._look_for_receivers()
        self._watch.start()
        self.liveness.say(ready=True)
        self.log.info("worker ready", slots=self.slots.size)
        try:
            self.engine.run(self.store.path, self.slots, self._stop)
        finally:
            self._drain()

    def stop(self) -> None:
        self._stop.set()
        self.engine.end()

    def _tell_away(self, error: ScandockError) -> None:
        self.log.warning("host not noted", code=error.code, why=OUTAGES.get(error.code))

    def _drain(self) -> None:
        self.liveness.say(ready=False)
        self._host.end()
        self._watch.end()
        self.slots.end()
        deadline = time.monotonic() + DRAIN_SECONDS
        if self.follower is not None:
            self.follower.end()
            self.running.stop_follows()
        is_idle = self.slots.idle(DRAIN_SECONDS)
        if self.follower is not None:
            is_idle &= self.follower.join(max(0.0, deadline - time.monotonic()))
        if not is_idle:
            self.running.stop()
        self.slots.join()
        if self.follower is not None:
            self.follower.join()
        self.running.end()
        if self.janitor is not None:
            self.janitor.end()
        if self.verifier is not None:
            self.verifier.end()
        if self.packs is not None:
            self.packs.end()
        if self.thumbnails is not None:
            self.thumbnails.end()
        if self.commitment is not None:
            self.commitment.end()
        if self.receiver is not None:
            self.receiver.end()
        if self.messenger is not None:
            self.messenger.end()
        self._check.end()
        self.catalog.dispose()
        self.store.close()
        self.liveness.end()
        self.log.info("worker ended")


def has_readers(role: str, settings: Settings) -> bool:
    """Whether somebody reads, and clears up, what a worker of this role keeps in its data folder for those who look.

    With files in a bucket each host has a folder of its own, and one of the role `worker` shows nothing.
    """
    return role != "worker" or settings.store is None


def main(words: list[str]) -> int:
    """Run until SIGTERM."""
    parent, data, size, *shared = words
    confine(int(parent), "worker")
    forks = fork_attempt_server()  # before there are threads
    keep_one_heap()
    liveness = WorkerLiveness(int(shared[0])) if shared else WorkerLiveness.make()
    liveness.start()  # before the catalog is opened, which may take long
    settings = load_settings()
    log = configure_logging("worker", settings.log_level)
    with contextlib.ExitStack() as opened:
        readers: ServerKeeper | None = None
        if forks is not None and can_die_with_pipe():
            readers = opened.enter_context(keep_reader_server(log))
        start = opened.enter_context(ForkedAttempts(log, start_attempt_process, forks, readers))
        try:
            receiver = socket.socket(fileno=int(shared[1])) if len(shared) > 1 else None
            role = shared[2] if len(shared) > 2 else "all"
            worker = Worker(data, int(size), settings, int(parent), liveness, log, start, receiver=receiver, role=role)
        except Fault as fault:  # of disk or catalog: its supervisor tries again
            log.error("worker can't begin", code=fault.code, why=OUTAGES.get(fault.code), cause=error_cause(fault))
            return 1

        def stop(_number: int, _frame: FrameType | None) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        unblock_signals()
        worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
