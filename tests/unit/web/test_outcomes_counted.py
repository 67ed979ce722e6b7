"""Imports that end are counted once each, whatever becomes of the clock by which they are dated."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from scandock.catalog.engine import open_catalog
from scandock.catalog.tables import upload
from scandock.web import metrics
from scandock.web.metrics import OutcomeCounter

DAY = 86_400_000


class Counted:
    def __init__(self, catalog, monkeypatch):
        self.now = 100 * DAY
        self.catalog = catalog
        self.registry = CollectorRegistry()
        monkeypatch.setattr(metrics, "_now", lambda *_: self.now)

    def start(self):
        self.outcomes = OutcomeCounter(self.catalog, self.registry)
        return self

    def end(self):
        """Let an import end now."""
        row = {"archive": "a", "source": "cli", "state": "placed", "request": "{}", "created": 1}
        with self.catalog.write() as connection:
            connection.execute(insert(upload).values(uuid=str(uuid4()), finished=self.now, **row))

    def count(self):
        self.outcomes.count()
        return self.registry.get_sample_value("scandock_imports_total", {"state": "placed"})


@pytest.fixture
def counted(tmp_path, monkeypatch):
    catalog = open_catalog(f"sqlite:///{tmp_path}/scandock.db")
    yield Counted(catalog, monkeypatch)
    catalog.dispose()


@pytest.mark.parametrize("ahead", [5 * 60_000, 40 * DAY])
def test_a_clock_that_was_ahead_when_the_server_began_hides_no_outcome(counted, ahead):
    counted.now += ahead
    counted.end()
    counted.now += 10_000
    counted.start().now -= ahead
    counted.now += 10_000
    counted.end()
    assert counted.count() == 1
    counted.now += 10_000
    counted.end()
    assert counted.count() == counted.count() == 2
    counted.now += ahead  # where the one of before the start is dated
    assert counted.count() == 2


@pytest.mark.parametrize("ahead", [5 * 60_000, 40 * DAY])
def test_no_outcome_is_counted_twice_when_the_clock_is_set_back(counted, ahead):
    counted.start().end()
    assert counted.count() == 1
    counted.now += ahead
    for number in range(3):  # two minutes apart: the first are forgotten
        counted.now += 120_000
        counted.end()
        assert counted.count() == 2 + number
    counted.end()  # not yet counted
    counted.now -= ahead - 10_000
    counted.end()
    assert counted.count() == counted.count() == 6
    for _ in range(4):  # until the clock is where it was
        counted.now += (ahead + 120_000) // 4
        counted.end()
        counted.count()
    assert counted.count() == 10
