"""Slots: what they claim, how many at once, and what becomes of an engine's offers."""

from __future__ import annotations

import threading
from collections import deque

import pytest
import structlog
from structlog.testing import capture_logs

from scandock.model.errors import Fault
from scandock.queue.claim import Claim
from scandock.queue.leases import ImportLease
from scandock.workers.slots import SlotPool


def a_claim(number, *, big=False):
    lease = ImportLease(number, f"u{number}", "t")
    return Claim(lease=lease, previous="", attempt=1, exhausted=False, big=big, reason="")


class Bench:
    """A pool over a list of imports, each of which runs until it is let go."""

    def __init__(self, size=2):
        self.waiting: deque[Claim] = deque()
        self.asked = []
        self.questions = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.ran = []
        self.fail = False
        self.used: list[int] = []
        self.pool = SlotPool(size, self.claim, self.run, structlog.get_logger(), self.used.append)

    def claim(self, slots):
        self.asked.append(slots)
        self.questions.release()
        if self.fail:
            raise Fault("catalog", "Away.")
        if not self.waiting or (slots.only_small and self.waiting[0].big):
            return None
        return self.waiting.popleft()

    def run(self, claim):
        self.begun.release()
        assert self.go.acquire(timeout=30)
        self.ran.append(claim.lease.upload_id)
        if claim.lease.upload_id < 0:
            raise RuntimeError


@pytest.fixture
def bench():
    made = Bench()
    made.pool.start()
    yield made
    for _ in range(20):
        made.go.release()
    made.pool.end()
    made.pool.join()


def test_as_many_run_as_there_are_slots_and_the_rest_follow(bench):
    bench.waiting.extend(a_claim(n) for n in range(1, 5))
    bench.pool.look()
    assert bench.begun.acquire(timeout=30)
    assert bench.begun.acquire(timeout=30)
    assert bench.pool.busy == 2
    assert not bench.begun.acquire(blocking=False)
    for _ in range(4):
        bench.go.release()
    assert bench.begun.acquire(timeout=30)
    assert bench.begun.acquire(timeout=30)
    assert bench.pool.idle(30)
    assert sorted(bench.ran) == [1, 2, 3, 4]


def test_big_ones_are_counted(bench):
    bench.waiting.extend([a_claim(1, big=True), a_claim(2, big=True)])
    bench.pool.look()
    assert bench.begun.acquire(timeout=30)
    for _ in range(2):
        assert bench.questions.acquire(timeout=30), "the other slot asks as well, while the first one runs"
    assert [slots.big for slots in bench.asked] == [0, 1]
    assert not bench.begun.acquire(blocking=False)
    bench.go.release()
    assert bench.begun.acquire(timeout=30), "the second one may begin once the first has ended"


def test_an_offer_is_done_when_its_import_has_ended(bench):
    bench.waiting.append(a_claim(1))
    offer = bench.pool.offer()
    assert bench.begun.acquire(timeout=30)
    assert not offer.done()
    bench.go.release()
    assert offer.result(30) is True


def test_an_offer_of_nothing_is_done_at_once(bench):
    assert bench.pool.offer().result(30) is False


def test_a_withdrawn_offer_takes_no_slot():
    bench = Bench(1)
    offer = bench.pool.offer()
    assert offer.cancel()
    second = bench.pool.offer()
    bench.pool.start()
    assert second.result(30) is False
    bench.pool.end()
    bench.pool.join()


def test_offers_that_come_too_late_are_for_others(bench):
    bench.pool.end()
    assert bench.pool.offer().result(30) is False


def test_a_slot_outlives_what_its_import_raises(bench):
    bench.waiting.extend([a_claim(-1), a_claim(2)])
    bench.pool.look()
    bench.go.release()
    bench.go.release()
    assert bench.begun.acquire(timeout=30)
    assert bench.begun.acquire(timeout=30)
    assert bench.pool.idle(30)
    assert bench.pool.offer().result(30) is False


def test_a_catalog_that_is_away_costs_no_slot(bench):
    bench.fail = True
    with capture_logs() as logged:
        for _ in range(3):  # an engine looks again each second
            assert bench.pool.offer().result(30) is False
        bench.fail = False
        bench.waiting.append(a_claim(1))
        bench.go.release()
        assert bench.pool.offer().result(30) is True
    assert [(line["event"], line.get("code")) for line in logged] == [
        ("nothing claimed", "catalog"), ("claiming goes on", None),
    ]  # fmt: skip


def test_who_wants_to_know_hears_how_many_slots_are_used(bench):
    bench.waiting.append(a_claim(1))
    bench.go.release()
    assert bench.pool.offer().result(30) is True
    assert bench.used == [1, 0]
