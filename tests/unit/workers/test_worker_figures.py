"""What a worker counts: read by others who have the same memory, and kept when the worker is another one."""

from __future__ import annotations

from scandock.workers.liveness import WorkerLiveness
from scandock.workers.worker_figures import AttemptEnd, LeaseLoss, SlotCount


def test_counts_are_seen_by_who_shares_the_memory_and_outlive_the_worker():
    worker = WorkerLiveness.make(lambda: 100.0)
    web = WorkerLiveness(worker.fd, lambda: 101.0)
    worker.beat()
    worker.say(ready=True)
    worker.figures.set_slots(SlotCount(2, 1))
    worker.figures.count_attempt(AttemptEnd.ENDED)
    worker.figures.count_lost_leases(LeaseLoss.TAKEN_OVER)
    assert web.trouble() == ""
    assert web.last() == 100.0
    assert web.figures.slots == SlotCount(2, 1)
    worker.clear()
    assert web.trouble() == "no worker listens"
    assert web.figures.slots == SlotCount(0, 0)
    assert web.figures.attempts[AttemptEnd.ENDED] == 1
    assert web.figures.attempts[AttemptEnd.DIED] == 0
    assert web.figures.lost_leases[LeaseLoss.TAKEN_OVER] == 1
    web.close()


def test_a_catalog_that_the_worker_found_damaged_is_told_until_the_next_worker():
    worker = WorkerLiveness.make(lambda: 100.0)
    worker.beat()
    worker.say(ready=True)
    worker.figures.set_damaged()
    assert "found the catalog damaged" in worker.trouble()
    assert "backup" in worker.trouble()
    worker.clear()
    worker.beat()
    worker.say(ready=True)
    assert worker.trouble() == ""
    worker.close()
