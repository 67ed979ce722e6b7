"""A short share of `make load`: many uploaders at once lose nothing, and what is told of them adds up."""

from __future__ import annotations

import json

import pytest

from tests.load.run import GROWTH, LONG, flat, growth, load, spread, table

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SECONDS = 1.0
MB = 1_000_000


def test_nothing_is_lost_under_load(tmp_path):
    site = tmp_path / "site"
    measured = load(site, 6, SECONDS, seed=2, forked=True)
    lines = [json.loads(line) for line in (site / "promised.jsonl").read_text().splitlines()]
    assert len(measured.taken) == len([line for line in lines if "acknowledged" in line]) >= 6
    assert all(one.acknowledged > 0 and one.imported > 0 for one in measured.taken)
    assert all(samples for samples in measured.memory.values())
    told = table(measured)
    assert sum(int(line.split("|")[2]) for line in told.splitlines() if line.startswith(("| s", "| m", "| l"))) == len(
        measured.taken
    )


def test_memory_that_grows_is_told_from_memory_that_is_flat():
    assert flat([60 * MB] * 30)
    assert flat([60 * MB] * 10 + [90 * MB] * 20)  # warming up
    assert not flat([(60 + n) * MB for n in range(90)])
    assert flat([])
    assert LONG < 120


def test_what_is_told_of_times():
    assert spread([1.0]) == "1.00, 1.00, 1.00"
    assert spread([float(n) for n in range(100)]) == "49.50, 95.00, 99.00"


def test_memory_that_grows_with_each_import_is_told_from_memory_that_has_levelled_off():
    leaks = [(500 * n, {"worker": 60 * MB + 500 * n * 4_000}) for n in range(1, 7)]
    warms = [(500 * n, {"worker": 60 * MB + min(n, 3) * MB}) for n in range(1, 7)]
    assert growth(leaks, "worker") == pytest.approx(4.0)
    assert growth(leaks, "worker") > GROWTH
    assert growth(warms, "worker") == 0
    assert growth(leaks[:1], "worker") == 0
