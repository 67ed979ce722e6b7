"""A worker in a thread of the test's own process: it claims imports and runs their attempts as worker processes do.

That an attempt is a process of its own, which can be killed and is told of, is not there; other tests have it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from scandock.http.deps import Site
from scandock.model.errors import TokenLost
from scandock.queue.claim import Claim, claim
from scandock.queue.engine import engine_of
from scandock.queue.owner import this_owner
from scandock.workers.attempt import Order, run_attempt
from scandock.workers.slots import SlotPool


@contextmanager
def worker_thread(site: Site) -> Iterator[None]:
    """Work on the imports of a served site until the context ends."""

    def run(one: Claim) -> None:
        order = Order(
            data=str(site.data),
            upload=one.lease.uuid,
            token=one.lease.token,
            previous=one.previous,
            attempt=one.attempt,
            exhausted=one.exhausted,
            reason=one.reason,
        )
        with suppress(TokenLost):
            run_attempt(order, site.settings)

    engine = engine_of(site.catalog)
    slots = SlotPool(2, partial(claim, site.catalog, this_owner()), run, structlog.get_logger())
    stop = threading.Event()
    thread = threading.Thread(target=engine.run, args=(str(site.data), slots, stop), name="worker")
    slots.start()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        engine.end()
        slots.end()
        thread.join()
        slots.join()
