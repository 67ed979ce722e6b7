"""Progress that never lies: what a running import says of itself, at most twice a second, and how others read it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from sqlalchemy import Connection, and_, delete, insert, select, update

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import event, progress
from scandock.catalog.tables import upload
from scandock.model import crash_points
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.model.import_types import Progress
from scandock.model.verdicts import ImportState
from scandock.queue.event_data import EventData, PatientsFound, StageBegun, parse_event
from scandock.queue.events import SHOWN_SESSIONS, add_event
from scandock.queue.follow import check_follow
from scandock.queue.leases import ImportLease, check_lease
from scandock.services import import_records

WRITE_SECONDS = 0.5
FIRST_SECONDS = 0.2
"""Before anything is written: of an import that has ended by then its outcome tells all."""
_READING = ("opening", "reading", "deciding")
"""Stages in which sessions are known by their patients alone: what they will be called is decided behind these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadEvent:
    """One event of an upload."""

    id: int
    upload_id: int
    data: EventData
    at: int
    """Unix milliseconds."""


class ProgressRecorder:
    """Takes what an import says of itself and writes it down from a thread, so that no import waits for the catalog.

    Only the newest is written, with the stages and patients that are new since as events, under the import's token:
    one that was taken over says nothing more. `close` writes what is left, unless nothing was written before.
    """

    def __init__(
        self, catalog: Catalog, lease: ImportLease, *, attempt: int = 1, follows: bool = False, patients_told: int = 0
    ) -> None:
        """`follows`: its bytes are still coming: of it patients alone are told, and no stage (`queue.follow`).

        `patients_told`: how many of them that has told of.
        """
        self._catalog = catalog
        self._lease = lease
        self._attempt = attempt
        self._read_news = threading.Condition()
        self._writing = threading.Lock()
        self._waiting: list[Progress] = []
        self._ended = False
        self._begun = False
        self._stage = ""
        self._follows = follows
        self.patients_told = patients_told
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> ProgressRecorder:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __call__(self, moment: Progress) -> None:
        """A moment of the import: those of the same stage replace each other until they are written."""
        with self._read_news:
            if self._waiting and self._waiting[-1].stage == moment.stage:
                self._waiting[-1] = moment
            else:
                self._waiting.append(moment)
            self._read_news.notify()

    def close(self) -> None:
        with self._read_news:
            self._ended = True
            self._read_news.notify()
        self._thread.join()

    def take_back(self) -> None:
        """Begin anew: of an import that was followed, and whose reading counts for nothing (`take_back_followed`)."""
        with self._writing:
            take_back_followed(self._catalog, self._lease)
            self._begun = False
            self.patients_told = 0

    def _run(self) -> None:
        with self._read_news:
            if self._read_news.wait_for(lambda: self._ended, FIRST_SECONDS):
                return
        last = 0.0
        while True:
            with self._read_news:
                self._read_news.wait_for(lambda: self._waiting or self._ended)
                self._read_news.wait_for(lambda: self._ended, last + WRITE_SECONDS - time.monotonic())
                moments, self._waiting = self._waiting, []
                if not moments:
                    return
            last = time.monotonic()
            try:
                with crash_points.NOT_STOPPED, self._writing:
                    self._write(moments)
            except ScandockError:
                continue  # the catalog is away, or the import is not ours any more: the outcome is written apart

    def _write(self, moments: Sequence[Progress]) -> None:
        newest = moments[-1]
        values = {
            "stage": newest.stage,
            "entries_done": newest.entries_done,
            "entries_total": newest.entries_total,
            "bytes_done": newest.bytes_done,
            "bytes_total": newest.bytes_total,
            "sessions": json.dumps(list(newest.sessions[:SHOWN_SESSIONS])),
            "modified": self._catalog.now(),
        }
        number = self._lease.upload_id
        with self._catalog.write() as connection:
            if self._follows:
                check_follow(self._catalog, connection, self._lease)
            else:
                check_lease(self._catalog, connection, self._lease)
            if not self._begun:
                connection.execute(delete(progress).where(progress.c.upload_id == number))
                connection.execute(insert(progress).values(upload_id=number, **values))
            else:
                connection.execute(update(progress).where(progress.c.upload_id == number).values(**values))
            for stage in () if self._follows else self._stages(moments):
                add_event(self._catalog, connection, number, stage)
            met = next((moment.sessions for moment in reversed(moments) if moment.stage in _READING), ())
            new_sessions = met[self.patients_told : SHOWN_SESSIONS]
            if new_sessions:
                add_event(self._catalog, connection, number, PatientsFound(patients=list(new_sessions)))
        self._begun = True
        self._stage = newest.stage
        self.patients_told += len(new_sessions)

    def _stages(self, moments: Iterable[Progress]) -> Iterable[StageBegun]:
        stage = self._stage
        for moment in moments:
            if moment.stage != stage:
                stage = moment.stage
                yield StageBegun(stage=stage, attempt=self._attempt)


def take_back_followed(catalog: Catalog, lease: ImportLease) -> None:
    """Delete what was told of an upload while its bytes came: less may be known of patients by now.

    Nothing of one that another attempt imports, which tells of it anew.
    """
    with catalog.overwrite() as connection:
        row = connection.execute(
            select(upload.c.state, upload.c.token).where(upload.c.id == lease.upload_id).with_for_update()
        ).first()
        if row is None or (row.token != lease.token and row.state not in (ImportState.RECEIVING, ImportState.RECEIVED)):
            return
        connection.execute(delete(progress).where(progress.c.upload_id == lease.upload_id))
        is_told = and_(event.c.upload_id == lease.upload_id, event.c.kind == PatientsFound.kind)
        connection.execute(delete(event).where(is_told))


def read_progress(connection: Connection, upload_ids: Sequence[int]) -> dict[int, import_records.Progress]:
    """How far these imports are, by id; those that never began are not among them."""
    rows = connection.execute(select(progress).where(progress.c.upload_id.in_(upload_ids))).mappings()
    return import_records.Progress.by_import(rows)


def read_events_after(
    connection: Connection,
    after: int,
    *,
    upload_id: int | None = None,
    account_id: int | None = None,
    limit: int = 500,
) -> list[UploadEvent]:
    """What was told of one upload, or of all of an account's, behind the event `after`, in order."""
    query = select(event).where(event.c.id > after).order_by(event.c.id).limit(limit)
    if upload_id is not None:
        query = query.where(event.c.upload_id == upload_id)
    if account_id is not None:
        query = query.where(event.c.account_id == account_id)
    return [
        UploadEvent(id=row.id, upload_id=row.upload_id, data=parse_event(row.kind, row.data), at=row.at)
        for row in connection.execute(query)
    ]
