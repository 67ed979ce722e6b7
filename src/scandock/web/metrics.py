"""What Prometheus asks: the metrics of `metric_table.py`, as this process counts them or finds them when asked.

Imports run in other processes, so that their outcomes are read from the catalog: those that ended since the last look
are counted, each once. What a worker counts comes by the memory that it shares. Where the catalog can't be read, all
else is told nevertheless, for then somebody looks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import delivery, reception
from scandock.catalog.stored_bytes import count_dead_bytes
from scandock.catalog.tables import upload
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault
from scandock.model.limit_counts import AccountLimit, RequestLimit, limit_counts
from scandock.model.verdicts import FINAL, UNFINISHED, ImportState
from scandock.queue.retry import is_waiting
from scandock.services.clock_check import read_clock_state
from scandock.services.damage import KINDS, count_damage, read_verification_ages
from scandock.services.reservations import is_reserved, outstanding_bytes
from scandock.web import metric_table as table
from scandock.workers.receiver_figures import ReceiverFigures
from scandock.workers.worker_figures import WorkerFigures

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

    from scandock.store.port import Store

LOOKBACK_MS: Final = 60_000
_DELIVERED: Final = ("waiting", "sent", "failed")


class Metrics:
    """The registry of one web process."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        worker: WorkerFigures | None = None,
        receiver: ReceiverFigures | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._checks: Mapping[str, str] = {}
        self.registry = CollectorRegistry()
        self.requests = table.REQUESTS.make(self.registry)
        self.request_seconds = table.REQUEST_SECONDS.make(self.registry)
        self.refused = table.REFUSED.make(self.registry)
        self.names = table.NAMES_REFUSED.make(self.registry)
        self.bodies_refused = table.BODIES_REFUSED.make(self.registry)
        self.connections = table.CONNECTIONS_ENDED.make(self.registry)
        self.passwords_waited = table.PASSWORDS_WAITED.make(self.registry)
        self.passwords_refused = table.PASSWORDS_REFUSED.make(self.registry)
        self.held = table.ANSWERS_HELD.make(self.registry)
        self.full = table.ANSWERS_REFUSED.make(self.registry)
        self.unread = table.ANSWERS_ENDED.make(self.registry)
        self.waiting = table.DECODERS_WAITING.make(self.registry)
        self.decoders = table.DECODERS_QUESTIONS.make(self.registry)
        self.received = table.RECEIVED_BYTES.make(self.registry)
        self.gradual_open = table.GRADUAL_OPEN.make(self.registry)
        self.gradual_syncs = table.GRADUAL_SYNCS.make(self.registry)
        self.space_refused = table.SPACE_REFUSED.make(self.registry)
        self.broken = table.UPLOADS_BROKEN.make(self.registry)
        for reason in ("disk", "account"):
            self.space_refused.labels(reason)
        for limit_kind in ("size", "deadline"):
            self.bodies_refused.labels(limit_kind)
        self._outcomes = OutcomeCounter(catalog, self.registry)
        figures = worker or WorkerFigures()
        self._found = _CollectedFamilies(
            self._ready,
            lambda: self._read_catalog(catalog),
            lambda: free_space_metrics(store),
            lambda: worker_metrics(figures),
            lambda: receiver_metrics(receiver or ReceiverFigures()),
            limit_metrics,
        )
        self.registry.register(self._found)

    def text(self, checks: Mapping[str, str] | None = None) -> bytes:
        """All of it, as it stands now; `checks`: what `/readyz` says. Asks catalog and disk: call it in a thread."""
        with self._lock:
            self._checks = checks or {}
            self._found.look()
            return generate_latest(self.registry)

    def _ready(self) -> Iterable[Family]:
        yield table.READY.family({check: float(code == "ok") for check, code in self._checks.items()})

    def _read_catalog(self, catalog: Catalog) -> list[Family]:
        """What the catalog knows, or that it could not be read."""
        families: list[Family] = []
        try:
            self._outcomes.count()
            with catalog.read() as connection:
                families.extend(catalog_metrics(catalog, connection))
            families.append(table.DELETIONS_HELD.family(float(bool(read_clock_state(catalog).why))))
        except Fault:
            families.clear()
        return [
            *families,
            table.CATALOG_READ.family(float(bool(families))),
            table.CATALOG_DAMAGED.family(float(bool(catalog.damaged))),
            table.CATALOG_WAITING.family(catalog.waiting),
        ]


class _CollectedFamilies(Collector):
    """What is found whenever somebody asks, in the order in which `sources` give it."""

    def __init__(self, *sources: Callable[[], Iterable[Family]]) -> None:
        self._sources = sources
        self._families: list[Family] = []

    def look(self) -> None:
        self._families = [family for source in self._sources for family in source()]

    def collect(self) -> Iterable[Family]:
        return self._families


def limit_metrics() -> Iterable[Family]:
    """What is counted where it is refused."""
    yield table.ACCOUNT_LIMITS.family({limit.value: times for limit, times in limit_counts(AccountLimit).items()})
    yield table.LIMITS_REFUSED.family(
        {request_limit.value: times for request_limit, times in limit_counts(RequestLimit).items()}
    )


def free_space_metrics(store: Store) -> Iterable[Family]:
    """How much room there is wherever files are written; nothing of a place that does not answer."""
    places = store.rooms()
    yield table.FREE_BYTES.family({name: free.bytes for name, free in places.items()})
    yield table.FREE_FILES.family({name: free.files for name, free in places.items() if free.files is not None})


def worker_metrics(worker: WorkerFigures) -> Iterable[Family]:
    """What the worker counts."""
    yield table.SLOTS.family({"all": worker.slots.all, "used": worker.slots.used})
    yield table.ATTEMPTS.family({attempt_end.value: count for attempt_end, count in worker.attempts.items()})
    yield table.LEASES_LOST.family({loss.value: count for loss, count in worker.lost_leases.items()})


def receiver_metrics(receiver: ReceiverFigures) -> Iterable[Family]:
    """What the receiver process counts."""
    yield table.DICOM_ASSOCIATIONS.family(receiver.associations)
    yield table.DICOM_ASSOCIATIONS_ENDED.family(receiver.ended)
    yield table.DICOM_ANSWERS.family(receiver.answers)
    yield table.DICOM_BYTES.family(receiver.bytes)
    yield table.DICOM_SYNCS.family(receiver.syncs)
    yield table.DICOM_SYNC_SECONDS.family(receiver.sync_seconds)
    yield table.DICOM_STUDIES.family(receiver.studies)
    yield table.DICOM_STUDY_OLDEST.family(receiver.oldest_seconds)


def catalog_metrics(catalog: Catalog, connection: Connection) -> Iterable[Family]:
    """What stands in the catalog."""
    yield from _queue_metrics(catalog, connection)
    yield from _upload_metrics(catalog, connection)
    yield from _stored_metrics(catalog, connection)


def _now(catalog: Catalog, connection: Connection) -> int:
    return int(connection.execute(select(catalog.now())).scalar_one())


def _queue_metrics(catalog: Catalog, connection: Connection) -> Iterable[Family]:
    count = func.count().label("n")
    states = connection.execute(
        select(upload.c.state, count).where(upload.c.state.in_(UNFINISHED)).group_by(upload.c.state)
    )
    upload_counts = {row.state: row.n for row in states}
    yield table.QUEUE_LENGTH.family({state.value: upload_counts.get(state.value, 0) for state in UNFINISHED})
    accepted = connection.execute(
        select(func.min(reception.c.accepted))
        .join(upload, upload.c.id == reception.c.upload_id)
        .where(upload.c.state == ImportState.RECEIVED)
    ).scalar_one()
    yield table.QUEUE_OLDEST.family(_seconds_since(accepted, _now(catalog, connection)))
    stopped = connection.execute(select(upload.c.code, count).where(is_waiting()).group_by(upload.c.code))
    yield table.IMPORTS_WAITING.family({row.code: row.n for row in stopped})
    delivery_rows = connection.execute(select(delivery.c.state, count).group_by(delivery.c.state))
    count_by_state = {row.state: row.n for row in delivery_rows}
    yield table.DELIVERIES.family({state: count_by_state.get(state, 0) for state in _DELIVERED})


def _upload_metrics(catalog: Catalog, connection: Connection) -> Iterable[Family]:
    reserved, unreserved = connection.execute(
        select(
            func.coalesce(func.sum(outstanding_bytes(catalog)), 0),
            func.count().filter(~is_reserved(catalog), reception.c.size > reception.c.received),
        )
        .select_from(reception)
        .join(upload, upload.c.id == reception.c.upload_id)
        .where(upload.c.state == ImportState.RECEIVING)
    ).one()
    yield table.RESERVED_BYTES.family(int(reserved))
    yield table.UPLOADS_UNRESERVED.family(unreserved)


def _stored_metrics(catalog: Catalog, connection: Connection) -> Iterable[Family]:
    damaged = count_damage(connection)
    yield table.DAMAGED_FILES.family({kind: damaged.get(kind, 0) for kind in KINDS})
    oldest, unverified = read_verification_ages(connection)
    yield table.VERIFICATION_OLDEST.family(_seconds_since(oldest, _now(catalog, connection)))
    yield table.UNVERIFIED_TREES.family(unverified)
    yield table.BUCKET_DEAD_BYTES.family(count_dead_bytes(connection))


def _seconds_since(moment: int | None, now: int) -> float:
    return (now - moment) / 1000 if moment is not None else 0.0


@dataclass(frozen=True, slots=True)
class _EndedImport:
    """An import that has ended."""

    upload_id: int
    state: str
    finished: int
    attempt: int
    report: str


class OutcomeCounter:
    """Counts the imports that end, each once, by what the catalog says of them."""

    def __init__(self, catalog: Catalog, registry: CollectorRegistry) -> None:
        self._catalog = catalog
        self._outcomes = table.IMPORTS.make(registry)
        self._attempts = table.IMPORT_ATTEMPTS.make(registry)
        self._stages = table.STAGE_SECONDS.make(registry)
        for state in FINAL:
            self._outcomes.labels(state.value)
        with catalog.read() as connection:
            self._since = _now(catalog, connection)
        self._seen: set[tuple[int, int]] = set()

    def count(self) -> None:
        """Count those that have ended since the last time. Fault where the catalog can't be read."""
        previous_since = self._since
        with self._catalog.read() as connection:
            now = _now(self._catalog, connection)
            if previous_since > now:  # the clock was ahead and has been set back
                self._since = now - LOOKBACK_MS
            rows = connection.execute(
                select(upload.c.id, upload.c.state, upload.c.finished, upload.c.attempt, upload.c.report).where(
                    upload.c.state.in_(FINAL), upload.c.finished >= self._since
                )
            ).all()
        latest = self._since
        for ended_import in (_EndedImport(*row) for row in rows):
            key = (ended_import.upload_id, ended_import.finished)
            if key not in self._seen:
                self._seen.add(key)
                if now < ended_import.finished < previous_since:
                    continue  # of when the clock was ahead: it was counted then, and is forgotten
                latest = max(latest, ended_import.finished)
                self._count_one(ended_import)
        # an outcome may become visible a little after a later one: look back a minute, and forget what is older
        self._since = max(self._since, min(latest, now) - LOOKBACK_MS)
        self._seen = {seen_key for seen_key in self._seen if seen_key[1] >= self._since}

    def _count_one(self, ended_import: _EndedImport) -> None:
        self._outcomes.labels(ended_import.state).inc()
        self._attempts.observe(ended_import.attempt)
        for stage, seconds in (
            json.loads(ended_import.report).get("seconds", {}) if ended_import.report else {}
        ).items():
            self._stages.labels(stage).observe(float(seconds))
