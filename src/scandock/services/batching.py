"""Changes that wait for the same thing are gathered, and made together: ten uploads into one session are one new tree.

The first one starts a thread of the given pool; whatever comes while it works waits for its next round. So a change is
told of only once it is made, and many at once cost little more than one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_CHANGES: Final = 500
"""Changes of one round."""
Commit = Callable[[str, Sequence[T]], Sequence[BaseException | None]]
"""Makes changes to the thing of a key; gives for each why it was not made, or None."""


class ChangeBatcher(Generic[T]):
    """Gathers changes by key; `submit` from any thread."""

    def __init__(self, threads: Executor, commit: Commit[T], done: Callable[[T], None]) -> None:
        """`done` is called with every change when it is over, made or not: it gives back what the change holds."""
        self._threads = threads
        self._commit = commit
        self._done = done
        self._lock = threading.Lock()
        self._waiting: dict[str, list[tuple[T, Future[None]]]] = {}

    def submit(self, key: str, change: T) -> Future[None]:
        """Have a change made; its future ends when it is, or tells why it was not."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # whoever asked may go away: what was handed in is made
        with self._lock:
            queue = self._waiting.get(key)
            if queue is not None:
                queue.append((change, future))
                return future
            self._waiting[key] = [(change, future)]
        try:
            self._threads.submit(self._run, key)
        except RuntimeError as error:  # the pool is being shut down
            for next_change, next_future in self._take(key, all_changes=True):
                self._end(next_change, next_future, error)
        return future

    def _run(self, key: str) -> None:
        while batch := self._take(key):
            errors: Sequence[BaseException | None]
            try:
                errors = self._commit(key, [change for change, _ in batch])
            except BaseException as error:  # noqa: BLE001  told to each that waits for it
                errors = [error] * len(batch)
            for (change, future), why in zip(batch, errors, strict=True):
                self._end(change, future, why)

    def _take(self, key: str, *, all_changes: bool = False) -> list[tuple[T, Future[None]]]:
        """The next round; where there is none, whoever comes next starts a thread of their own."""
        with self._lock:
            queue = self._waiting[key]
            batch = queue[: None if all_changes else MAX_CHANGES]
            del queue[: len(batch)]
            if not batch or all_changes:
                del self._waiting[key]
            return batch

    def _end(self, change: T, future: Future[None], why: BaseException | None) -> None:
        try:
            self._done(change)
        finally:
            if why is None:
                future.set_result(None)
            else:
                future.set_exception(why)
