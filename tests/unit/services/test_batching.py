"""Changes that wait for the same thing are made together, each is told of its own end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from scandock.services.batching import MAX_CHANGES, ChangeBatcher


class Held:
    """A commit that waits until it is let go; `rounds` is what it was given."""

    def __init__(self) -> None:
        self.rounds: list[tuple[str, list[int]]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.over: list[int] = []

    def __call__(self, key: str, changes: Sequence[int]) -> list[BaseException | None]:
        self.rounds.append((key, list(changes)))
        self.begun.release()
        assert self.go.acquire(timeout=30)
        if -1 in changes:
            raise OSError("the disk is gone")
        return [ValueError(str(one)) if one % 2 else None for one in changes]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_what_comes_meanwhile_is_the_next_round(threads):
    held = Held()
    gathering = ChangeBatcher(threads, held, held.over.append)
    first = gathering.submit("a", 0)
    assert held.begun.acquire(timeout=30)
    later = [gathering.submit("a", n) for n in (1, 2, 3, 4)]
    held.go.release(2)
    assert first.result(30) is None
    assert [type(one.exception(30)) for one in later] == [ValueError, type(None), ValueError, type(None)]
    assert held.rounds == [("a", [0]), ("a", [1, 2, 3, 4])]
    assert held.over == [0, 1, 2, 3, 4]


def test_keys_do_not_wait_for_each_other(threads):
    held = Held()
    gathering = ChangeBatcher(threads, held, held.over.append)
    both = [gathering.submit(key, 0) for key in "ab"]
    assert held.begun.acquire(timeout=30)
    assert held.begun.acquire(timeout=30)
    held.go.release(2)
    assert [one.result(30) for one in both] == [None, None]


def test_a_fault_is_told_to_all_of_its_round_and_to_nobody_else(threads):
    held = Held()
    gathering = ChangeBatcher(threads, held, held.over.append)
    first = gathering.submit("a", 0)
    assert held.begun.acquire(timeout=30)
    broken = [gathering.submit("a", n) for n in (2, -1)]
    held.go.release(2)
    assert first.result(30) is None
    assert [type(one.exception(30)) for one in broken] == [OSError, OSError]
    held.go.release()
    assert gathering.submit("a", 4).result(30) is None
    assert sorted(held.over) == [-1, 0, 2, 4]


def test_a_round_has_a_most(threads):
    held = Held()
    gathering = ChangeBatcher(threads, held, held.over.append)
    every = [gathering.submit("a", 0)]
    assert held.begun.acquire(timeout=30)
    every += [gathering.submit("a", 2) for _ in range(MAX_CHANGES + 1)]
    held.go.release(3)
    assert {one.result(30) for one in every} == {None}
    assert [len(changes) for _, changes in held.rounds] == [1, MAX_CHANGES, 1]


def test_after_the_end_of_its_threads_nothing_hangs():
    held = Held()
    pool = ThreadPoolExecutor(1)
    gathering = ChangeBatcher(pool, held, held.over.append)
    pool.shutdown()
    assert isinstance(gathering.submit("a", 0).exception(30), RuntimeError)
    assert held.over == [0]
