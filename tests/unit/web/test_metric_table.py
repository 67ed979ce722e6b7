"""docs/operating.md and the table of metrics name each other, and all of them come out at `/metrics`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scandock.catalog.engine import open_catalog
from scandock.model.errors import Fault
from scandock.store.local import LocalStore
from scandock.web import metric_table as table
from scandock.web.metrics import Metrics, free_space_metrics, worker_metrics
from scandock.workers.worker_figures import AttemptEnd, LeaseLoss, SlotCount, WorkerFigures

EVERY = tuple(one for one in vars(table).values() if isinstance(one, table.Metric))
PAGE = (Path(__file__).parents[3] / "docs/operating.md").read_text(encoding="utf-8")
KINDS = {table.CounterMetric: "counter", table.GaugeMetric: "gauge", table.HistogramMetric: "histogram"}
NAMES = frozenset({"account", "project", "session", "subject", "upload", "file", "label", "name", "path", "address"})


def shown(metric):
    return f"{metric.name}_total" if isinstance(metric, table.CounterMetric) else metric.name


def rows():
    found = re.findall(r"^\| `(scandock_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), said) for name, kind, labels, said in found}


def test_every_metric_has_its_row_with_kind_labels_and_help():
    told = rows()
    assert told.keys() == {shown(metric) for metric in EVERY}
    for metric in EVERY:
        kind, labels, said = told[shown(metric)]
        assert (kind, labels) == (KINDS[type(metric)], metric.labels), metric.name
        assert said.replace("`", "").startswith(metric.help), metric.name


def test_every_metric_that_a_page_names_exists(project_root):
    known = {shown(metric) for metric in EVERY}
    for page in (project_root / "docs").glob("*.md"):
        named = set(re.findall(r"`(scandock_\w+)[`{ ]", page.read_text(encoding="utf-8")))
        assert named - known == set(), page.name


def test_no_label_holds_a_name():
    assert len({metric.name for metric in EVERY}) == len(EVERY)
    assert {label for metric in EVERY for label in metric.labels} & NAMES == set()


@pytest.fixture
def metrics(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    catalog = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    yield Metrics(catalog, store), catalog
    catalog.dispose()
    store.close()


def families(metrics, **checks):
    metrics.text(checks)
    return {family.name: family for family in metrics.registry.collect()}


def test_every_metric_comes_out_as_the_table_has_it(metrics):
    found = families(metrics[0], catalog="ok", store="full")
    assert found.keys() == {metric.name for metric in EVERY}
    for metric in EVERY:
        assert (found[metric.name].documentation, found[metric.name].type) == (metric.help, KINDS[type(metric)])
    ready = {sample.labels["check"]: sample.value for sample in found["scandock_ready"].samples}
    assert ready == {"catalog": 1, "store": 0}


def test_without_a_catalog_all_else_is_told(metrics, monkeypatch):
    made, catalog = metrics
    whole = families(made).keys()
    monkeypatch.setattr(catalog, "read", _away)
    found = families(made)
    assert found["scandock_catalog_read"].samples[0].value == 0
    assert {"scandock_slots", "scandock_free_bytes", "scandock_requests", "scandock_attempts"} <= found.keys()
    missing = whole - found.keys()
    assert "scandock_queue_length" in missing
    assert missing == {
        metric.name
        for metric in (
            table.QUEUE_LENGTH, table.QUEUE_OLDEST, table.IMPORTS_WAITING, table.DELIVERIES, table.RESERVED_BYTES,
            table.UPLOADS_UNRESERVED, table.DAMAGED_FILES, table.VERIFICATION_OLDEST, table.UNVERIFIED_TREES,
            table.BUCKET_DEAD_BYTES, table.DELETIONS_HELD,
        )
    }  # fmt: skip
    monkeypatch.undo()
    assert families(made).keys() == whole


def _away():
    raise Fault("catalog", "Away.")


def test_what_a_worker_counts():
    figures = WorkerFigures()
    figures.set_slots(SlotCount(4, 3))
    figures.count_attempt(AttemptEnd.DIED)
    figures.count_attempt(AttemptEnd.DIED)
    figures.count_lost_leases(LeaseLoss.RAN_OUT, 2)
    told = {
        (family.name, *sample.labels.values()): sample.value
        for family in worker_metrics(figures)
        for sample in family.samples
    }
    assert told[("scandock_slots", "all")] == 4
    assert told[("scandock_slots", "used")] == 3
    assert told[("scandock_attempts", "died")] == 2
    assert told[("scandock_attempts", "ended")] == 0
    assert told[("scandock_leases_lost", "ran_out")] == 2
    assert told[("scandock_leases_lost", "taken_over")] == 0


def test_free_space_of_each_place_that_is_there(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    free, files = (
        {sample.labels["place"]: sample.value for sample in family.samples} for family in free_space_metrics(store)
    )
    folders = {"incoming", "work", "archive", "prearchive", "resources", "receipts", "trash"}
    assert free.keys() == {"data", "temporary", *folders}
    assert files.keys() <= free.keys()
    assert all(value > 0 for value in free.values())
    (tmp_path / "cache").mkdir()
    (tmp_path / "incoming").rmdir()
    free, _ = (
        {sample.labels["place"]: sample.value for sample in family.samples} for family in free_space_metrics(store)
    )
    assert "cache" in free
    assert "incoming" not in free
    store.close()
