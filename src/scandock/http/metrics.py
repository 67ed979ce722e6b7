"""What Prometheus asks: bytes received, imports by outcome, the queue with its oldest age, seconds by stage.

Imports run in other processes, so that their outcomes are read from the catalog: those that ended since the last look
are counted, each once. Labels are states and stages, never names.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from scandock.catalog.engine import Catalog
from scandock.catalog.server_tables import delivery, reception
from scandock.catalog.tables import upload
from scandock.model.limit_counts import Asked, Limit, limit_counts
from scandock.model.verdicts import ImportState
from scandock.queue.retry import waits_for_next
from scandock.services.clock_watch import look_at
from scandock.services.damage import KINDS, count_damage, verification_ages
from scandock.services.reservations import is_reserved, left_over

BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
_WAITING = (ImportState.RECEIVING, ImportState.RECEIVED, ImportState.RUNNING)
_FINAL = tuple(state for state in ImportState if state not in _WAITING)


class LimitCounts(Collector):
    """What is counted where it is refused."""

    def collect(self) -> Iterable[CounterMetricFamily]:
        found = CounterMetricFamily(
            "scandock_account_limits",
            "Logins ended, or projects refused, as an account had too many.",
            labels=["limit"],
        )
        for limit, times in limit_counts(Limit).items():
            found.add_metric([limit.value], times)
        yield found
        refused = CounterMetricFamily(
            "scandock_limits_refused", "Requests that were refused as they asked or said too much.", labels=["limit"]
        )
        for asked, times in limit_counts(Asked).items():
            refused.add_metric([asked.value], times)
        yield refused


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
        self.refused = Counter(
            "scandock_refused",
            "Requests that a right refused, and logins and tokens that failed, by what the audit calls them.",
            ("action",),
            registry=self.registry,
        )
        self.bodies_refused = Counter(
            "scandock_bodies_refused", "Bodies that were too large or too slow.", ("by",), registry=self.registry
        )
        self.connections = Counter(
            "scandock_connections_ended",
            "Connections and requests that were ended for a limit, by what it bounds.",
            ("limit",),
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
        self.imports_waiting = Gauge(
            "scandock_imports_waiting", "Imports that wait for their next attempt, by what stopped the one before.",
            ("code",), registry=self.registry,
        )  # fmt: skip
        self.deletions_held = Gauge(
            "scandock_deletions_held", "1 while nothing is deleted for its age, as the clock can't be trusted.",
            registry=self.registry,
        )  # fmt: skip
        self.passwords_waited = Counter(
            "scandock_password_checks_waited", "Password checks that waited for their turn.", registry=self.registry
        )
        self.passwords_refused = Counter(
            "scandock_password_checks_refused",
            "Password checks that were not taken, as too many of their address waited.",
            registry=self.registry,
        )
        self.registry.register(LimitCounts())
        self.space_refused = Counter(
            "scandock_space_refused", "Uploads refused for want of space: of the disk, or of the account's part.",
            ("why",), registry=self.registry,
        )  # fmt: skip
        self.reserved = Gauge(
            "scandock_reserved_bytes", "Bytes that uploads have reserved and that have not come.",
            registry=self.registry,
        )  # fmt: skip
        self.unreserved = Gauge(
            "scandock_uploads_unreserved", "Open uploads that got no byte for so long that their space was given up.",
            registry=self.registry,
        )  # fmt: skip
        self.damaged = Gauge(
            "scandock_damaged_files", "Stored files that are known to be damaged, by how.", ("kind",),
            registry=self.registry,
        )  # fmt: skip
        self.verified = Gauge(
            "scandock_verification_oldest_seconds", "Age of the oldest checksum that was confirmed.",
            registry=self.registry,
        )  # fmt: skip
        self.unverified = Gauge(
            "scandock_unverified_trees", "Sessions and own files whose checksums nobody has confirmed yet.",
            registry=self.registry,
        )  # fmt: skip
        self.deliveries = Gauge(
            "scandock_deliveries", "Mails and webhooks, by what became of them.", ("state",), registry=self.registry
        )
        for why in ("disk", "account"):
            self.space_refused.labels(why)
        for by in ("size", "deadline"):
            self.bodies_refused.labels(by)
        self.held = Gauge(
            "scandock_answers_held_bytes", "Answers that wait until their clients take them.", registry=self.registry
        )
        self.full = Counter(
            "scandock_answers_refused", "Answers for which there was no room beside those that wait.",
            registry=self.registry,
        )  # fmt: skip
        self.unread = Counter(
            "scandock_answers_ended",
            "Connections that were ended as the client took nothing, by what was sent: large, or other.",
            ("kind",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "scandock_decoders_waiting", "Questions that wait for a decoder of images.", registry=self.registry
        )
        self.decoders = Counter(
            "scandock_decoders_questions",
            "Questions that were refused, as too many waited, or put back, as they took long and others waited.",
            ("what",),
            registry=self.registry,
        )
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
            stopped = connection.execute(
                select(upload.c.code, func.count().label("n")).where(waits_for_next()).group_by(upload.c.code)
            ).all()
            accepted = connection.execute(
                select(func.min(reception.c.accepted))
                .join(upload, upload.c.id == reception.c.upload_id)
                .where(upload.c.state == ImportState.RECEIVED)
            ).scalar_one()
            reserved, unreserved = connection.execute(
                select(
                    func.coalesce(func.sum(left_over(self._catalog)), 0),
                    func.count().filter(~is_reserved(self._catalog), reception.c.size > reception.c.received),
                )
                .select_from(reception)
                .join(upload, upload.c.id == reception.c.upload_id)
                .where(upload.c.state == ImportState.RECEIVING)
            ).one()
            deliveries = connection.execute(
                select(delivery.c.state, func.count().label("n")).group_by(delivery.c.state)
            ).all()
            damaged = count_damage(connection)
            oldest, unverified = verification_ages(connection)
            now = int(connection.execute(select(self._catalog.now())).scalar_one())
            ended = connection.execute(
                select(upload.c.id, upload.c.state, upload.c.finished, upload.c.report).where(
                    upload.c.state.in_(_FINAL), upload.c.finished >= self._since
                )
            ).all()
        counts: dict[str, int] = {row.state: row.n for row in waiting}
        for state in _WAITING:
            self.queue.labels(state.value).set(counts.get(state.value, 0))
        self.deletions_held.set(bool(look_at(self._catalog).why))
        self.imports_waiting.clear()
        for row in stopped:
            self.imports_waiting.labels(row.code).set(row.n)
        self.reserved.set(int(reserved))
        self.unreserved.set(unreserved)
        told: dict[str, int] = {row.state: row.n for row in deliveries}
        for delivered in ("waiting", "sent", "failed"):
            self.deliveries.labels(delivered).set(told.get(delivered, 0))
        for kind in KINDS:
            self.damaged.labels(kind).set(damaged.get(kind, 0))
        self.verified.set((now - oldest) / 1000 if oldest is not None else 0)
        self.unverified.set(unverified)
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
