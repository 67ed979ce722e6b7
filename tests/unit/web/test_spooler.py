from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from scandock.model.errors import Usage
from scandock.services import spool_writer
from scandock.store.local import LocalStore
from scandock.web.receiving.spooler import BLOCK, Spooler


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "data")
    made.prepare()
    yield made
    made.close()


@contextmanager
def threads():
    with ThreadPoolExecutor(1) as made:
        yield made


def fed(store, pieces, **more):
    """Feed the pieces to a spool `u` and finish; gives what was kept."""

    async def run(pool):
        into = Spooler(pool, store.spool("u"), max_bytes=1 << 40, **more)
        for piece in pieces:
            await into.feed(piece)
        return await into.finish()

    with threads() as pool:
        return asyncio.run(run(pool))


@pytest.mark.parametrize("sizes", [[], [1], [BLOCK], [BLOCK - 1, 2], [3 * BLOCK + 7], [70_000] * 40])
def test_all_bytes_are_kept_in_their_order(store, sizes):
    data = hashlib.shake_128(str(sizes).encode()).digest(sum(sizes))
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    assert fed(store, pieces) == len(data)
    assert store.spool("u").read_at(0, len(data) + 1) == data if data else store.spool("u").size() == 0


def test_it_goes_on_behind_what_is_there_and_drops_what_was_not_marked(store):
    spool = store.spool("u")
    spool.append(0, b"kept-dropped")
    assert fed(store, [b"new"], offset=5) == 8
    assert spool.read_at(0, 100) == b"kept-new"


def test_marks_are_told_when_the_bytes_are_synced(store, monkeypatch):
    monkeypatch.setattr(spool_writer, "MARK_BYTES", 2 * BLOCK)
    marks: list[int] = []

    def mark(offset):
        marks.append(offset)
        return True

    fed(store, [b"x" * BLOCK] * 5, mark=mark)
    assert marks == [2 * BLOCK, 4 * BLOCK]


def test_a_slow_upload_is_marked_as_it_comes_though_its_blocks_take_long(store):
    """At 64 kbit/s a block takes two minutes: what came is written and told of once a minute."""
    marks: list[int] = []
    moment = 0.0

    def mark(offset):
        marks.append(offset)
        return True

    async def run(pool):
        nonlocal moment
        into = Spooler(pool, store.spool("u"), max_bytes=1 << 40, mark=mark, clock=lambda: moment)
        for _ in range(180):  # seconds
            moment += 1
            await into.feed(b"x" * 100)
            await into.settle()
        return await into.finish()

    with threads() as pool:
        assert asyncio.run(run(pool)) == 18_000
    assert marks == [6_000, 12_000, 18_000]


def test_an_upload_that_somebody_ended_is_not_gone_on_with(store, monkeypatch):
    monkeypatch.setattr(spool_writer, "MARK_BYTES", BLOCK)
    with pytest.raises(Usage) as stopped:
        fed(store, [b"x" * BLOCK] * 5, mark=lambda offset: False)
    assert stopped.value.code == "upload_stopped"


def test_no_more_is_taken_than_may_come(store):
    async def run(pool):
        into = Spooler(pool, store.spool("u"), max_bytes=10)
        await into.feed(b"x" * 10)
        await into.feed(b"x")

    with threads() as pool, pytest.raises(Usage) as refused:
        asyncio.run(run(pool))
    assert refused.value.code == "upload_too_large"


def test_the_digest_is_that_of_the_bytes(store):
    digest = hashlib.sha256()
    data = b"ab" * BLOCK
    fed(store, [data[:100], data[100:]], digest=digest)
    assert digest.digest() == hashlib.sha256(data).digest()
