"""The receiver process: listens for DICOM peers, keeps what they send, and hands studies to their imports.

Started by the supervisor as `python -m scandock.workers.receiver_process PARENT DATA BEATS WORKER SETTINGS`. It carries
no database: a worker keeps the catalog for it (`receiver_catalog.py`), which is asked where an association, a study or
a receiver's settings begin or end, never for an object.
"""

from __future__ import annotations

import gc
import json
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Final

from scandock.dimse.objects import read_study_uid
from scandock.dimse.records import association_numbers
from scandock.model.process import confine, keep_one_heap, return_large_blocks, unblock_signals
from scandock.model.reception import ReceptionSettings, StudyWish
from scandock.services.logs import configure_logging, error_cause, error_code, error_location
from scandock.services.received_records import HOST, LeftStudy, ReceiverListening, StudyProgress
from scandock.store.opening import open_store
from scandock.workers.liveness import WorkerLiveness
from scandock.workers.receiver_acceptor import Admissions, AssociationLog, PortAcceptor
from scandock.workers.receiver_catalog import ReceiverCatalog
from scandock.workers.receiver_ports import ReceiverPorts
from scandock.workers.receiver_studies import RETRY_SECONDS, OpenStudies, OpenStudy, StudyKey

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.model.receivers import Receiver
    from scandock.workers.receiver_figures import ReceiverFigures

LOOK_SECONDS: Final = 1.0
"""How often settings are looked at, and what people want done with studies."""
TELL_SECONDS: Final = 10.0
"""How often the catalog is told which receivers listen, at least: silence says that this host is gone."""
NOTE_SECONDS: Final = 2.0
"""How often the catalog is told what has come."""
BUSY_SECONDS: Final = 0.1
"""How often it is looked whether studies are to be closed, while there are any."""
RECOVERY_SECONDS: Final = 1.0
"""After which it is looked again whether the process before has ended, where it lingers."""
LARGE_BLOCK: Final = 512 * 1024
"""Bytes of memory for what comes: an association has a buffer of 1 MiB, and up to 16 MiB for an object."""
STOP_SECONDS: Final = 15.0
"""How long the objects that are coming may take to end, and studies that are being closed."""
_HEAD_BYTES: Final = 64 * 1024


class ReceiverProcess:
    """`run` blocks until `stop`, which any thread or a signal's handler may call."""

    def __init__(
        self,
        data: str,
        rows: ReceiverCatalog,
        settings: ReceptionSettings,
        figures: ReceiverFigures,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._figures = figures
        self._log = log
        self.store = open_store(data)
        self.rows = rows
        self.admissions = Admissions(self.store, self._settings)
        self.associations = AssociationLog(figures)
        self.studies = OpenStudies(self.store, self.rows, self._settings, figures, log)
        self.ports = ReceiverPorts(self._settings, self._make_acceptor, log, time.monotonic)
        self._stop = threading.Event()
        self._told: tuple[list[Receiver], list[ReceiverListening]] | None = None
        self._last_look = self._last_note = self._last_tell = float("-inf")
        self._trouble = ""
        self._is_numbered = False

    def _make_acceptor(self, port: int) -> PortAcceptor:
        return PortAcceptor(
            port,
            self.store,
            self.admissions,
            self.studies,
            self.associations,
            self.rows,
            self._settings,
            self._figures,
            self._log,
        )

    def run(self) -> None:
        """Serve until `stop`; then leave open studies to the next process."""
        recovery = threading.Thread(target=self._recover, name="recovery", daemon=True)
        recovery.start()
        try:
            while not self._stop.is_set():
                self._turn()
                self._stop.wait(BUSY_SECONDS if self.studies.busy else LOOK_SECONDS)
        finally:
            self._end()

    def stop(self) -> None:
        self._stop.set()

    def _turn(self) -> None:
        """What is due now; a catalog that fails keeps nobody from sending what goes into open studies."""
        now = time.monotonic()
        try:
            self.studies.look()
            if now - self._last_look >= LOOK_SECONDS:
                self._look()
                self._last_look = now
            if now - self._last_note >= NOTE_SECONDS:
                self._note()
                self._last_note = now
            self._trouble = ""
        except Exception as error:  # noqa: BLE001  whatever it is, what peers send is taken
            code = error_code(error)
            if code != self._trouble:
                self._log.error("turn failed", code=code, cause=error_cause(error), where=error_location(error))
            self._trouble = code
            self._last_look = self._last_note = now

    def _look(self) -> None:
        """Listen for the receivers as they are set now, and do what people want done with studies."""
        if not self._is_numbered:
            association_numbers.go_on_from(self.rows.last_number())
            self._is_numbered = True
        receivers = [one for one in self.rows.list_receivers() if one.listens_on(HOST)]
        self.admissions.set_receivers(receivers)
        for association in self.associations.associations():
            if not association.stopping and (why := self.admissions.check_again(association)):
                association.stop(why)
        self.studies.set_receivers(receivers)
        self.associations.shows_uids = not self.rows.is_anything_private()
        states = self.ports.set_receivers(receivers)
        now = time.monotonic()
        if self._told != (receivers, states) or now - self._last_tell >= TELL_SECONDS:
            self.rows.write_states(states)
            known = set(self._told[1]) if self._told is not None else set()
            for state in states:
                if not state.listening and state not in known:
                    self._log.warning("receiver does not listen", receiver=state.receiver_id, why=state.message)
            self._told, self._last_tell = (receivers, states), now
            self._figures.set_settled(is_settled=True)
        for upload_id, wish in self.rows.read_wishes().items():
            if wish is StudyWish.CLOSE:
                self.studies.close_upload(upload_id)
            else:
                self.studies.discard_upload(upload_id)

    def _note(self) -> None:
        """Tell the catalog what has come, for pages."""
        now = time.monotonic()
        studies = self.studies.all
        oldest = max((now - study.begun for study in studies), default=0.0)
        self._figures.set_open(self.associations.open_count, len(studies), oldest)
        progress = [one for one in (_progress(study, now) for study in studies) if one is not None]
        for upload_id in self.rows.write_progress(progress):  # as discarded while its host seemed away
            self.studies.close_upload(upload_id)
        lines = self.associations.take_changes()
        try:
            self.rows.write_associations(lines)
        except Exception:
            self.associations.give_back(lines)
            raise

    def _recover(self) -> None:
        """Go on with studies of a process that is gone: from their last whole object on, until they are idle."""
        lingers = True
        waiting: list[LeftStudy] = []
        while (lingers or waiting) and not self._stop.is_set():
            if lingers:
                try:
                    self.rows.end_left_associations()
                    left, lingers = self.rows.find_left()
                    known = {one.incoming.uuid for one in waiting}
                    waiting += [one for one in left if one.incoming.uuid not in known]
                except Exception as error:  # noqa: BLE001  whatever it is, it is asked again
                    self._log.error("left studies not found", code=error_code(error), where=error_location(error))
            waiting = [left for left in waiting if not self._recover_study(left)]
            if lingers or waiting:
                self._stop.wait(RETRY_SECONDS if waiting else RECOVERY_SECONDS)

    def _recover_study(self, left: LeftStudy) -> bool:
        """Whether it was done; else, whatever the reason, the others are recovered before it is tried again."""
        if self._stop.is_set():
            return False
        try:
            if not self.rows.take_over(left):
                return True
            if self.rows.read_wishes().get(left.incoming.upload_id) is StudyWish.DISCARD:
                self.rows.discard(left.incoming)
            else:
                self._take_up(left)
        except Exception as error:  # noqa: BLE001
            self._log.error(
                "study not recovered", upload=left.incoming.uuid, code=error_code(error), where=error_location(error)
            )
            return False
        return True

    def _take_up(self, left: LeftStudy) -> None:
        spool = self.store.object_spool(left.incoming.uuid)
        objects = spool.recover()
        self._log.info("study recovered", upload=left.incoming.uuid, objects=objects)
        head = spool.read_first(_HEAD_BYTES)
        uid = read_study_uid(head) if head else ""
        receiver = left.receiver
        if not objects or receiver is None or not uid:
            key = StudyKey(0, left.incoming.uuid)  # nothing goes on with it
        else:
            key = StudyKey(receiver.number, uid)
        study = OpenStudy(key, receiver, left.sender, left.incoming, spool, time.monotonic())
        study.was_aborted = True
        self.studies.take_up(study)

    def _end(self) -> None:
        self.admissions.is_stopping = True
        self.ports.close()
        deadline = time.monotonic() + STOP_SECONDS
        for association in self.associations.associations():
            association.stop()
        for thread in self.ports.connections.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.studies.stop(max(1.0, deadline - time.monotonic()))
        for tell in (self._note, lambda: self.rows.write_states([])):
            try:
                tell()
            except Exception as error:  # noqa: BLE001  it ends all the same
                self._log.error("end not told", code=error_code(error), where=error_location(error))
        self._figures.clear()
        self.rows.close()
        self.store.close()
        self._log.info("receiver ended")


def _progress(study: OpenStudy, now: float) -> StudyProgress | None:
    """What came of a study since it was noted last; None where nothing did and its rate is 0 already."""
    objects, size, at = study.noted
    entries, synced = study.spool.entries, study.spool.synced + study.spool.beside
    seconds = now - at
    rate = int((synced - size) / seconds) if seconds > 0 and objects >= 0 else 0
    study.noted = entries, synced, now
    if (entries, synced) == (objects, size) and study.is_quiet:
        return None
    study.is_quiet = (entries, synced) == (objects, size)
    return StudyProgress(upload_id=study.incoming.upload_id, objects=entries, bytes=synced, rate=max(0, rate))


def command_words(data: str, beats: int, worker: int, settings: ReceptionSettings, log_level: str) -> list[str]:
    """The words of `main` behind the parent's: `beats` and `worker` are descriptors that are passed to it."""
    return [data, str(beats), str(worker), json.dumps({"log_level": log_level, "reception": asdict(settings)})]


def main(words: list[str]) -> int:
    """Run until SIGTERM."""
    parent, data, shared, worker, given = words
    confine(int(parent), "receiver")
    keep_one_heap()
    return_large_blocks(LARGE_BLOCK)
    figures = WorkerLiveness(int(shared)).receiver
    settings = json.loads(given)
    log = configure_logging("receiver", settings["log_level"])
    rows = ReceiverCatalog(socket.socket(fileno=int(worker)))
    process = ReceiverProcess(data, rows, ReceptionSettings(**settings["reception"]), figures, log)
    gc.freeze()  # what it began with lasts

    def stop(_number: int, _frame: FrameType | None) -> None:
        process.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    unblock_signals()
    process.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
