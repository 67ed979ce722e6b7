"""The import's part of de-identifying its entries: readers that do it, fed with ranges, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from scandock.model.entry import Container
from scandock.workers.pool import ReaderPool, ReaderSetup, Task

if TYPE_CHECKING:
    from scandock.model.limits import Limits
    from scandock.pipeline.job import ScrubListener, ScrubOrder, ScrubRules
    from scandock.store.port import Stage, Store

SCRUB: Final = "scrub"
"""Kind of such a task."""
ROUND: Final = 64
"""Orders that are in memory at once."""
_NOWHERE: Final = Container(b"", "", "", 0, 0, "", 1, "")


class ReaderScrubber:
    """Has entries de-identified (`scandock.pipeline.job.Scrubber`): by readers of their own for each call."""

    def __init__(
        self, store: Store, stage: Stage, limits: Limits, readers: int, check_space: Callable[[], object]
    ) -> None:
        self._store = store
        self._stage = stage
        self._limits = limits
        self._readers = readers
        self._check_space = check_space

    def scrub(
        self,
        rules: Sequence[ScrubRules],
        orders: Iterable[ScrubOrder],
        listener: ScrubListener,
        check: Callable[[], None],
    ) -> bool:
        """Carry out the orders, some at a time. Raises Fault as a reader said, and what `check` raises.

        True where a reader has died, and maybe left files that it has not told of.
        """
        waiting = iter(orders)
        batch = list(islice(waiting, ROUND))
        if not batch:
            return False
        with closing(ReaderPool(min(self._readers, len(batch)))) as pool:
            pool.setup(self._setup(rules))
            pool.start(len(batch))
            while batch:
                pool.work(
                    [_make_task(order) for order in batch],
                    partial(_hear, listener),
                    self._check_space,
                    partial(_is_cancelled, check),
                )
                batch = list(islice(waiting, ROUND))
            return pool.reread

    def _setup(self, rules: Sequence[ScrubRules]) -> ReaderSetup:
        return ReaderSetup(
            root=self._store.path,
            upload=self._stage.upload,
            token=self._stage.token,
            limits=self._limits,
            received=0,
            wanted=frozenset(),
            keep_images=True,
            keep_loose=True,
            rules=[(one.rules.to_plain(), one.stored_uids) for one in rules],
        )


def _make_task(order: ScrubOrder) -> Task:
    return Task(SCRUB, _NOWHERE, (order.job, order.rules, order.variables, order.folder, order.entries))


def _hear(listener: ScrubListener, task: Task, message: tuple[Any, ...]) -> list[Task]:
    """Tell of a batch; a reader that takes the task over goes on behind it."""
    from scandock.pipeline.job import ScrubOutcome

    _, outcomes, counted = message
    task.resume = outcomes[-1][0]
    job = task.payload[0]
    listener.outcomes(job, [ScrubOutcome(*values) for values in outcomes])
    for values in counted:
        listener.tally(job, values)
    return []


def _is_cancelled(check: Callable[[], None]) -> bool:
    check()
    return False
