"""Bytes in parts, read as one source."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.parts_source import AHEAD, KEPT, PartsSource
from scandock.formats.source import Source

PARTS = {"a": b"0123456789", "b": b"", "c": b"abcdefghijklmnopqrstuvwxyz", "d": b"!"}
WHOLE = b"".join(PARTS.values())


def fetch(key: str, offset: int, length: int) -> bytes:
    assert 0 <= offset < offset + length <= len(PARTS[key]), "a range that no object has"
    return PARTS[key][offset : offset + length]


def opened(block: int = 4, fetch: Callable[[str, int, int], bytes] = fetch) -> PartsSource:
    return PartsSource([(key, len(data)) for key, data in PARTS.items()], fetch, block=block)


@pytest.mark.hypothesis
@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_any_range_is_that_of_the_whole(block: int, ranges: list[tuple[int, int]]) -> None:
    with opened(block) as source:
        assert isinstance(source, Source)
        assert source.size == len(WHOLE)
        for offset, length in ranges:
            expected = WHOLE[offset : offset + length]
            assert source.read_at(offset, length) == expected
            buffer = bytearray(length)
            assert source.readinto_at(offset, memoryview(buffer)) == len(expected)
            assert bytes(buffer[: len(expected)]) == expected


def test_blocks_are_fetched_once_ahead_and_in_bounds() -> None:
    asked: list[tuple[str, int, int]] = []

    def counted(*one: object) -> bytes:
        asked.append(one)  # type: ignore[arg-type]
        return fetch(*one)  # type: ignore[arg-type]

    parts = [("c", 26)] * 8
    with PartsSource(parts, counted, block=26) as source:
        for at in range(source.size):
            source.read_at(at, 1)
            assert len(source._blocks) <= KEPT  # noqa: SLF001
        assert len(asked) == 8
    asked.clear()
    with PartsSource(parts, counted, block=26) as source:
        for number in (7, 3, 5):  # nothing is fetched ahead of who jumps
            source.read_at(number * 26, 1)
        assert len(asked) == 3
        source.read_at(6 * 26, 1)
    assert len(asked) <= 3 + 1 + AHEAD


def test_a_failed_fetch_is_told_and_tried_again() -> None:
    failing = [OSError("away")]

    def once(key: str, offset: int, length: int) -> bytes:
        if failing:
            raise failing.pop()
        return fetch(key, offset, length)

    with opened(100, once) as source:
        with pytest.raises(OSError, match="away"):
            source.read_at(0, 5)
        assert source.read_at(0, 5) == WHOLE[:5]


def test_threads_share_its_blocks() -> None:
    with opened(3) as source:
        wrong: list[int] = []

        def read(step: int) -> None:
            wrong.extend(at for at in range(0, len(WHOLE), step) if source.read_at(at, 5) != WHOLE[at : at + 5])

        threads = [threading.Thread(target=read, args=[step]) for step in (1, 2, 3, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_it_goes_to_other_processes() -> None:
    with pickle.loads(pickle.dumps(opened())) as source:
        assert source.read_at(5, 10) == WHOLE[5:15]
