"""What Prometheus asks: bytes received, imports by outcome, the queue with its oldest age, seconds by stage.

Imports run in other processes, so that their outcomes are read from the catalog: those that ended since the last look
are counted, each once. Labels are states and stages, never names.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import func, select

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.model.verdicts import ImportState

BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
_WAITING = (ImportState.RECEIVING, ImportState.RECEIVED, ImportState.RUNNING)
_FINAL = tuple(state for state in ImportState if state not in _WAITING)


class Metrics:
    """The registry of one web process."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.received = Counter(
            "scandock_received_bytes", "Bytes of archives that came in by any door.", registry=self.registry
        )
        self.requests = Counter(
            "scandock_requests", "Requests by route and status.", ("method", "route", "status"), registry=self.registry
        )
        self.names = Counter(
            "scandock_names_refused",
            "Requests that were refused as they named more things than SCANDOCK_MAX_NAMES.",
            registry=self.registry,
        )
        self.outcomes = Counter(
            "scandock_imports", "Imports that have ended, by outcome.", ("state",), registry=self.registry
        )
        self.stages = Histogram(
            "scandock_stage_seconds",
            "Seconds of imports by stage.",
            ("stage",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.queue = Gauge(
            "scandock_queue_length", "Uploads by what they wait for.", ("state",), registry=self.registry
        )
        self.oldest = Gauge(
            "scandock_queue_oldest_seconds", "Age of the oldest upload whose import has not begun.",
            registry=self.registry,
        )  # fmt: skip
        for state in _FINAL:
            self.outcomes.labels(state.value)
        self._since = self._now()
        self._seen: set[tuple[int, int]] = set()

    def text(self) -> bytes:
        """All of it, as it stands now. Asks the catalog: call it in a thread."""
        with self._lock:
            self._look()
            return generate_latest(self.registry)

    def _now(self) -> int:
        with self._catalog.read() as connection:
            return int(connection.execute(select(self._catalog.now())).scalar_one())

    def _look(self) -> None:
        with self._catalog.read() as connection:
            waiting = connection.execute(
                select(upload.c.state, func.count().label("n"))
                .where(upload.c.state.in_(_WAITING))
                .group_by(upload.c.state)
            ).all()
            accepted = connection.execute(
                select(func.min(reception.c.accepted))
                .join(upload, upload.c.id == reception.c.upload_id)
                .where(upload.c.state == ImportState.RECEIVED)
            ).scalar_one()
            now = int(connection.execute(select(self._catalog.now())).scalar_one())
            ended = connection.execute(
                select(upload.c.id, upload.c.state, upload.c.finished, upload.c.report).where(
                    upload.c.state.in_(_FINAL), upload.c.finished >= self._since
                )
            ).all()
        counts: dict[str, int] = {row.state: row.n for row in waiting}
        for state in _WAITING:
            self.queue.labels(state.value).set(counts.get(state.value, 0))
        self.oldest.set((now - accepted) / 1000 if accepted is not None else 0)
        self._count([(row.id, row.state, row.finished, row.report) for row in ended])

    def _count(self, ended: Iterable[tuple[int, str, int, str]]) -> None:
        latest = self._since
        for number, state, finished, report in ended:
            if (number, finished) in self._seen:
                continue
            self._seen.add((number, finished))
            latest = max(latest, finished)
            self.outcomes.labels(state).inc()
            for stage, seconds in (json.loads(report).get("seconds", {}) if report else {}).items():
                self.stages.labels(stage).observe(float(seconds))
        # an outcome may become visible a little after a later one: look back a minute, and forget what is older
        self._since = max(self._since, latest - 60_000)
        self._seen = {seen for seen in self._seen if seen[1] >= self._since}
