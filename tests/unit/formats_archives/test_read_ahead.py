"""Unpacking ahead in a thread: the same bytes, the same errors, and no thread left behind."""

from __future__ import annotations

import gzip
import itertools
import random
import threading
from collections.abc import Iterator

import pytest

from scandock.formats.kinds import Kind
from scandock.formats.read_ahead import run_ahead
from scandock.formats.source import MemorySource
from scandock.formats.stream import open_stream
from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits

DATA = random.Random(5).randbytes(3_000_000)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "unpack-ahead"]


@pytest.mark.parametrize("sizes", [[1] * 5000, [400_000] * 7, [0, 1, 200_000, 5, 0, 99]])
def test_the_same_bytes_in_the_same_order(sizes: list[int]) -> None:
    ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    parts = [DATA[start:end] for start, end in itertools.pairwise(ends)]
    assert b"".join(run_ahead(iter(parts))) == b"".join(parts)
    assert threads() == []


def test_errors_come_after_the_bytes_before_them() -> None:
    def broken() -> Iterator[bytes]:
        yield b"first"
        raise BadInput("damaged", "Broken.")

    chunks = run_ahead(broken())
    assert next(chunks) == b"first"
    with pytest.raises(BadInput):
        next(chunks)
    assert threads() == []


def test_the_first_piece_is_given_before_the_next_one_is_there() -> None:
    is_wanted = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b""
        assert is_wanted.wait(60)
        yield b"second"

    chunks = run_ahead(slow())
    assert next(chunks) == b""
    is_wanted.set()
    assert list(chunks) == [b"second"]


def test_a_reader_that_stops_takes_the_thread_along() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(200_000)

    chunks = run_ahead(endless())
    next(chunks)
    assert threads() == ["unpack-ahead"]
    del chunks
    assert threads() == []


def test_a_stream_ahead_is_the_stream() -> None:
    packed = gzip.compress(DATA, 1)
    stream = open_stream(MemorySource(packed + b"garbage"), Kind.GZIP, Limits(), ahead=True)
    assert stream.peek(10) == DATA[:10]
    assert stream.read(len(DATA) + 1) == DATA
    assert len(stream.notes) == 1
    with pytest.raises(BadInput) as caught:
        open_stream(MemorySource(packed[:-9]), Kind.GZIP, Limits(), ahead=True).drain()
    assert caught.value.code == "truncated"


def test_limits_stop_it_where_the_bytes_are_read() -> None:
    def counted(_: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        raise LimitExceeded("ratio", "Too much.")

    with pytest.raises(LimitExceeded):
        open_stream(MemorySource(gzip.compress(DATA)), Kind.GZIP, Limits(), counted, ahead=True).drain()


def test_plain_bytes_are_not_read_ahead() -> None:
    assert open_stream(MemorySource(DATA), Kind.TAR, Limits(), ahead=True).read(len(DATA)) == DATA
