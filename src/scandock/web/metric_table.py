"""Every metric of `/metrics` in one place: its name, what it tells, its labels. docs/operating.md has the same table.

Labels are states, kinds, codes and patterns of routes, never names: there are as many series as the program has words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

_Family = TypeVar("_Family", CounterMetricFamily, GaugeMetricFamily)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as `/metrics` describes it; `labels` are the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CounterMetric(Metric):
    """One that only grows, from 0 at the start of its process; its series end in `_total`."""

    def make(self, registry: CollectorRegistry) -> Counter:
        """One that this process counts."""
        return Counter(self.name, self.help, self.labels, registry=registry)

    def family(self, value: float | Mapping[str, float]) -> CounterMetricFamily:
        """What was counted elsewhere; by the value of its one label, where it has one."""
        return _with_values(CounterMetricFamily(self.name, self.help, labels=self.labels), value)


@dataclass(frozen=True, slots=True)
class GaugeMetric(Metric):
    """One that rises and falls."""

    def make(self, registry: CollectorRegistry) -> Gauge:
        """One that this process sets."""
        return Gauge(self.name, self.help, self.labels, registry=registry)

    def family(self, value: float | Mapping[str, float]) -> GaugeMetricFamily:
        """What is found when somebody asks; by the value of its one label, where it has one."""
        return _with_values(GaugeMetricFamily(self.name, self.help, labels=self.labels), value)


def _with_values(family: _Family, value: float | Mapping[str, float]) -> _Family:
    """A family with its one value, or with one for each value of its label."""
    if isinstance(value, (int, float)):
        family.add_metric([], value)
    else:
        for label, label_value in value.items():
            family.add_metric([label], label_value)
    return family


@dataclass(frozen=True, slots=True)
class HistogramMetric(Metric):
    """One that counts values by size."""

    buckets: tuple[float, ...] = ()

    def make(self, registry: CollectorRegistry) -> Histogram:
        """One that this process observes."""
        return Histogram(self.name, self.help, self.labels, buckets=self.buckets, registry=registry)


# -- whether it works ----------------------------------------------------------------------------------------------

READY: Final = GaugeMetric("scandock_ready", "1 where a part is ready, as /readyz says, else 0.", ("check",))
CATALOG_READ: Final = GaugeMetric(
    "scandock_catalog_read", "1 where the catalog could be read for these metrics; else those of it are missing."
)
CATALOG_DAMAGED: Final = GaugeMetric("scandock_catalog_damaged", "1 once the catalog was found damaged.")
CATALOG_WAITING: Final = GaugeMetric(
    "scandock_catalog_waiting", "Transactions that wait for their turn to write to the catalog."
)
FREE_BYTES: Final = GaugeMetric("scandock_free_bytes", "Free bytes where files are written, by place.", ("place",))
FREE_FILES: Final = GaugeMetric("scandock_free_files", "Free inodes where files are written, by place.", ("place",))

# -- requests ------------------------------------------------------------------------------------------------------

REQUESTS: Final = CounterMetric("scandock_requests", "Requests by route and status.", ("method", "route", "status"))
REQUEST_SECONDS: Final = HistogramMetric(
    "scandock_request_seconds",
    "Seconds until a request's answer began; of uploads with their body.",
    ("method", "route"),
    (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
REFUSED: Final = CounterMetric(
    "scandock_refused",
    "Requests that a right refused, and logins and tokens that failed, by what the audit calls them.",
    ("action",),
)
NAMES_REFUSED: Final = CounterMetric(
    "scandock_names_refused", "Requests that were refused as they named more things than SCANDOCK_MAX_NAMES."
)
LIMITS_REFUSED: Final = CounterMetric(
    "scandock_limits_refused", "Requests that were refused as they asked or said too much.", ("limit",)
)
ACCOUNT_LIMITS: Final = CounterMetric(
    "scandock_account_limits", "Logins ended, or projects refused, as an account had too many.", ("limit",)
)
BODIES_REFUSED: Final = CounterMetric("scandock_bodies_refused", "Bodies that were too large or too slow.", ("by",))
CONNECTIONS_ENDED: Final = CounterMetric(
    "scandock_connections_ended",
    "Connections and requests that were ended for a limit, by what it bounds.",
    ("limit",),
)
PASSWORDS_WAITED: Final = CounterMetric(
    "scandock_password_checks_waited", "Password checks that waited for their turn."
)
PASSWORDS_REFUSED: Final = CounterMetric(
    "scandock_password_checks_refused", "Password checks that were not taken, as too many of their address waited."
)
ANSWERS_HELD: Final = GaugeMetric("scandock_answers_held_bytes", "Answers that wait until their clients take them.")
ANSWERS_REFUSED: Final = CounterMetric(
    "scandock_answers_refused", "Answers for which there was no room beside those that wait."
)
ANSWERS_ENDED: Final = CounterMetric(
    "scandock_answers_ended",
    "Connections that were ended as the client took nothing, by what was sent: large, or other.",
    ("kind",),
)
DECODERS_WAITING: Final = GaugeMetric("scandock_decoders_waiting", "Questions that wait for a decoder of images.")
DECODERS_QUESTIONS: Final = CounterMetric(
    "scandock_decoders_questions",
    "Questions that were refused, as too many waited, or put back, as they took long and others waited.",
    ("what",),
)

# -- uploads -------------------------------------------------------------------------------------------------------

RECEIVED_BYTES: Final = CounterMetric("scandock_received_bytes", "Bytes of archives that came in by any door.")
SPACE_REFUSED: Final = CounterMetric(
    "scandock_space_refused", "Uploads refused for want of space: of the disk, or of the account's part.", ("why",)
)
RESERVED_BYTES: Final = GaugeMetric(
    "scandock_reserved_bytes", "Bytes that uploads have reserved and that have not come."
)
UPLOADS_UNRESERVED: Final = GaugeMetric(
    "scandock_uploads_unreserved", "Open uploads that got no byte for so long that their space was given up."
)
UPLOADS_BROKEN: Final = CounterMetric(
    "scandock_uploads_broken", "Uploads by one request that nobody brought any more, and were cleared away."
)

GRADUAL_OPEN: Final = GaugeMetric(
    "scandock_gradual_uploads_open", "Sessions of which single objects come, and that are not built yet."
)
GRADUAL_SYNCS: Final = HistogramMetric(
    "scandock_gradual_sync_seconds",
    "Seconds that single objects waited for the disk or the bucket before they were acknowledged.",
    (),
    (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
)

# -- DICOM receivers -----------------------------------------------------------------------------------------------

DICOM_ASSOCIATIONS: Final = GaugeMetric("scandock_dicom_associations", "DICOM associations that are open.")
DICOM_ASSOCIATIONS_ENDED: Final = CounterMetric(
    "scandock_dicom_associations_ended", "DICOM associations that ended or were refused, by how.", ("outcome",)
)
DICOM_ANSWERS: Final = CounterMetric(
    "scandock_dicom_answers", "Answers to C-STORE, by their status; of others than these, other.", ("status",)
)
DICOM_BYTES: Final = CounterMetric("scandock_dicom_bytes", "Bytes of DICOM objects that were put on the disk.")
DICOM_SYNCS: Final = CounterMetric("scandock_dicom_syncs", "Times that a study's bytes were synced.")
DICOM_SYNC_SECONDS: Final = CounterMetric("scandock_dicom_sync_seconds", "Seconds that these took.")
DICOM_STUDIES: Final = GaugeMetric("scandock_dicom_studies", "Studies that are being received.")
DICOM_STUDY_OLDEST: Final = GaugeMetric(
    "scandock_dicom_study_oldest_seconds", "How long the oldest of these has been received."
)

# -- imports -------------------------------------------------------------------------------------------------------

QUEUE_LENGTH: Final = GaugeMetric("scandock_queue_length", "Uploads by what they wait for.", ("state",))
QUEUE_OLDEST: Final = GaugeMetric(
    "scandock_queue_oldest_seconds", "Age of the oldest upload whose import has not begun."
)
IMPORTS_WAITING: Final = GaugeMetric(
    "scandock_imports_waiting", "Imports that wait for their next attempt, by what stopped the one before.", ("code",)
)
SLOTS: Final = GaugeMetric("scandock_slots", "Slots of the worker: all, and those that run an import.", ("state",))
ATTEMPTS: Final = CounterMetric("scandock_attempts", "Attempts at imports that have ended, by how.", ("end",))
LEASES_LOST: Final = CounterMetric(
    "scandock_leases_lost", "Imports whose worker was gone or too late, by who found that.", ("how",)
)
IMPORTS: Final = CounterMetric("scandock_imports", "Imports that have ended, by outcome.", ("state",))
IMPORT_ATTEMPTS: Final = HistogramMetric(
    "scandock_import_attempts", "Attempts that imports took which have ended.", (), (0, 1, 2, 3)
)
STAGE_SECONDS: Final = HistogramMetric(
    "scandock_stage_seconds",
    "Seconds of imports by stage.",
    ("stage",),
    (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000),
)
DELIVERIES: Final = GaugeMetric("scandock_deliveries", "Mails and webhooks, by what became of them.", ("state",))

# -- what is stored ------------------------------------------------------------------------------------------------

DAMAGED_FILES: Final = GaugeMetric(
    "scandock_damaged_files", "Stored files that are known to be damaged, by how.", ("kind",)
)
VERIFICATION_OLDEST: Final = GaugeMetric(
    "scandock_verification_oldest_seconds", "Age of the oldest checksum that was confirmed."
)
UNVERIFIED_TREES: Final = GaugeMetric(
    "scandock_unverified_trees", "Sessions and own files whose checksums nobody has confirmed yet."
)
BUCKET_DEAD_BYTES: Final = GaugeMetric(
    "scandock_bucket_dead_bytes", "Bytes of packs in a bucket that no file has any more, until they are written anew."
)
DELETIONS_HELD: Final = GaugeMetric(
    "scandock_deletions_held", "1 while nothing is deleted for its age, as the clock can't be trusted."
)
