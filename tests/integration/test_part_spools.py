"""Spools of an object store: what came by parts is what was sent, on a real S3 server and on a plain model."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.errors import Fault
from scandock.store import memory_budget, part_spools
from scandock.store.bucket import Bucket
from scandock.store.memory_budget import MemoryBudget
from scandock.store.part_spools import Part, PartSpool


class MemoryBucket(Bucket):
    """A bucket that keeps its objects here, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.objects: dict[str, bytes] = {}
        self.failing = False

    def put(self, key: str, data: bytes | memoryview) -> None:
        if self.failing:
            raise self.fault("writing", key, "away")
        assert key not in self.objects, "nothing is overwritten"
        self.objects[key] = bytes(data)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return self.objects[key][offset : offset + length]


def read(spool: PartSpool) -> bytes:
    with spool.source() as source:
        return source.read_at(0, source.size)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=40)),
        st.tuples(st.just("again"), st.integers(0, 100)),
        st.tuples(st.just("sync"), st.none()),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=30,
)


@pytest.mark.hypothesis
@given(STEPS)
def test_what_is_noted_is_what_was_sent(steps: list[tuple[str, Any]]) -> None:
    bucket = MemoryBucket()
    spool = PartSpool(bucket, "u", part_bytes=16)
    model = b""
    for kind, value in steps:
        if kind == "append":
            assert spool.append(len(model), value) == len(model) + len(value)
            model += value
        elif kind == "again":
            offset = min(value, len(model))
            model = model[:offset] + b"again"
            assert spool.append(offset, b"again") == len(model)
        elif kind == "sync":
            assert spool.sync() == len(model)
            assert read(spool) == model
        else:  # another host goes on with what was noted
            noted = spool.parts
            spool.close()
            spool = PartSpool(bucket, "u", noted, part_bytes=16)
            kept = spool.size()
            assert model[:kept] == read(spool)
            model = model[:kept]
    assert spool.sync() == len(model)
    assert read(spool) == model
    assert all(hashlib.sha256(bucket.objects[part.key]).digest() == part.sha256 for part in spool.parts)
    spool.close()


def test_a_gap_is_refused() -> None:
    spool = PartSpool(MemoryBucket(), "u")
    spool.append(0, b"abc")
    for offset in (4, -1):
        with pytest.raises(ValueError, match="can't go on"):
            spool.append(offset, b"e")
    with pytest.raises(ValueError, match="gap at 3"):
        PartSpool(MemoryBucket(), "u", [Part(0, 3, "a", b""), Part(4, 1, "b", b"")])
    with pytest.raises(ValueError, match="not a label"):
        PartSpool(MemoryBucket(), "a/b")


def test_a_part_that_failed_is_in_no_parts() -> None:
    bucket = MemoryBucket()
    spool = PartSpool(bucket, "u", part_bytes=4)
    spool.append(0, b"0123")
    assert spool.sync() == 4
    bucket.failing = True
    with pytest.raises(Fault) as caught:
        spool.append(4, b"456789ab")  # the second part waits for the first
    assert caught.value.code == "store_failed"
    spool.close()
    bucket.failing = False
    again = PartSpool(bucket, "u", spool.parts, part_bytes=4)
    assert again.append(again.size(), b"4567") == 8
    assert again.sync() == 8
    assert read(again) == b"01234567"
    again.close()


@pytest.mark.processes
def test_an_archive_is_read_where_its_parts_lie(bucket: Bucket) -> None:
    packed = io.BytesIO()
    contents = {f"{number}.dcm": os.urandom(30_000) for number in range(40)}
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    sent = packed.getvalue()
    spool = PartSpool(bucket, "u", part_bytes=100_000)
    for at in range(0, len(sent), 33_333):
        spool.append(at, sent[at : at + 33_333])
    assert spool.sync() == len(sent)
    assert len(list(bucket.list("v1/s/u"))) == len(spool.parts) == -(-len(sent) // 100_000)
    with pickle.loads(pickle.dumps(spool.source())) as source:
        assert source.read_at(0, source.size) == sent
    spool.close()
    assert bucket.delete([*(part.key for part in spool.parts), "v1/s/u/none"]) == len(spool.parts) + 1
    assert list(bucket.list("v1/s/u")) == []


@pytest.mark.processes
def test_a_bucket_tells_what_is_missing_and_what_fails(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("v1/a", memoryview(b"hello"))
    assert bucket.get_range("v1/a", 1, 3) == b"ell"
    assert bucket.get_range("v1/a", 5, 0) == b""
    with pytest.raises(FileNotFoundError):
        bucket.get_range("v1/none", 0, 1)
    with pytest.raises(Fault, match=r"1 of 3 bytes|failed at reading") as caught:
        bucket.get_range("v1/a", 4, 3)
    assert caught.value.code == "store_failed"
    assert list(bucket.list("v1")) == ["v1/a"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    stranger = Bucket(bucket.name, bucket.prefix, endpoint=bucket.endpoint)
    for call in (
        lambda: stranger.put("v1/b", b"1"),
        lambda: stranger.get_range("v1/a", 0, 1),
        lambda: stranger.delete(["v1/a"]),
        lambda: list(stranger.list("v1")),
    ):
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.code == "store_failed"


def test_secrets_do_not_go_with_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    told = pickle.dumps(Bucket("b", "p", endpoint="http://127.0.0.1:9"))
    assert b"very-secret" not in told
    again = pickle.loads(told)
    assert (again.name, again.prefix, again.endpoint, again.region) == ("b", "p", "http://127.0.0.1:9", "us-east-1")


def test_uploads_share_memory_and_none_fails_for_want_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fills a part of full size and keeps it; others go on by small ones, and share what it gives back."""
    monkeypatch.setattr(part_spools, "SMALL_PART", 4)
    monkeypatch.setattr(part_spools, "WAIT_SECONDS", 0)
    bucket, memory = MemoryBucket(), MemoryBudget(16)
    first, *others = spools = [PartSpool(bucket, name, part_bytes=16, memory=memory) for name in "abc"]
    for spool in spools:
        assert spool.append(0, b"0123") == 4
    assert memory.free == 16  # small ones are not counted
    first.append(4, b"456789")
    assert memory.free == 0
    for spool in others:
        assert spool.append(4, b"456789abcdef0123456789") == 26
        assert spool.sync() == 26
    assert {part.length for spool in others for part in spool.parts} == {4, 2}
    assert memory.free == 0
    first.append(10, b"abcdef")  # full: it is sent, and gives the memory back
    assert first.sync() == 16
    assert memory.free == 16
    assert others[0].append(26, b"0123456789") == 36
    assert memory.free == 0
    others[0].close()
    assert memory.free == 16
    assert read(first) == b"0123456789abcdef"
    assert read(others[1]) == b"0123456789abcdef0123456789"
    for spool in spools:
        spool.close()


def test_an_upload_that_stalls_gives_its_memory_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_spools, "SMALL_PART", 4)
    monkeypatch.setattr(part_spools, "WAIT_SECONDS", 0)
    bucket, memory = MemoryBucket(), MemoryBudget(16)
    stalled, other = (PartSpool(bucket, name, part_bytes=16, memory=memory) for name in "ab")
    stalled.append(0, b"0123456789")
    other.append(0, b"01234567")
    assert [part.length for part in other.parts] == [], "it was used just now"
    assert memory.free == 0
    monkeypatch.setattr(memory_budget, "IDLE_SECONDS", 0)
    other.append(8, b"89ab")  # finds none, and asks for what is idle
    assert memory.take(16, 60) is not None, "sent by then"
    assert other.append(12, b"cdefghijklmnopqr") == 28
    assert other.sync() == 28
    assert [part.length for part in other.parts] == [4, 4, 16, 4]
    assert stalled.append(10, b"abc") == 13
    assert stalled.sync() == 13
    assert [part.length for part in stalled.parts] == [10, 3]
    assert read(stalled) == b"0123456789abc"
    for spool in (stalled, other):
        spool.close()
    assert memory.free == 16


def test_an_upload_that_stalls_behind_a_part_that_failed_tells_of_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_spools, "SMALL_PART", 4)
    monkeypatch.setattr(part_spools, "WAIT_SECONDS", 0)
    monkeypatch.setattr(memory_budget, "IDLE_SECONDS", 0)
    failing, memory = MemoryBucket(), MemoryBudget(16)
    stalled, other = (PartSpool(bucket, "u", part_bytes=16, memory=memory) for bucket in (failing, MemoryBucket()))
    failing.failing = True
    stalled.append(0, b"0123456789abcdef")
    waiting = memory.take(16, 60)  # until that has failed
    assert waiting is not None
    waiting.release()
    stalled.append(16, b"01234567")
    assert other.append(0, b"01234567") == 8
    assert other.sync() == 8
    assert memory.free == 0
    with pytest.raises(Fault):
        stalled.sync()
    for spool in (stalled, other):
        spool.close()
    assert memory.free == 16


def test_a_part_that_failed_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_spools, "SMALL_PART", 4)
    bucket, memory = MemoryBucket(), MemoryBudget(16)
    spool = PartSpool(bucket, "u", part_bytes=16, memory=memory)
    bucket.failing = True
    spool.append(0, b"0123456789abcdef")
    with pytest.raises(Fault):
        spool.sync()
    assert memory.free == 16
    spool.close()


def test_who_waits_for_memory_has_it_once_it_is_given_back() -> None:
    memory = MemoryBudget(10)
    share = memory.take(10, 0)
    assert share is not None
    assert memory.take(1, 0) is None
    assert memory.take(11, 0) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(memory.take, 4, 60)
        share.release()
        share.release()
        got = waiting.result()
    assert got is not None
    assert memory.free == 6
    del got, waiting
    assert memory.free == 10
