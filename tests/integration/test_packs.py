"""Packs of an object store: each file is read by its blob, and each pack is a zip that any tool proves."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.errors import Fault
from scandock.store.bucket import Bucket
from scandock.store.packs import OPEN_STUDIES, OWN_OBJECT, PACK_FILES, PackWriter, StoredObject
from scandock.store.records import Blob
from tests.integration.test_part_spools import MemoryBucket


def written(bucket: Bucket, **options: int) -> PackWriter:
    return PackWriter(bucket, "u", "t", "0", **options)


def check(bucket: Bucket, stored: list[StoredObject], blobs: dict[Blob, tuple[str, bytes]]) -> None:
    """Every blob is its file, no object has files of two studies, and no pack has an entry that is not its name."""
    studies: dict[str, set[str]] = {one.key: set() for one in stored}
    for blob, (study, data) in blobs.items():
        assert bucket.get_range(blob.object, blob.offset, blob.length) == data
        assert blob.sha256 == hashlib.sha256(data).digest()
        studies[blob.object].add(study)
    assert all(len(names) == 1 for names in studies.values())
    for one in stored:
        content = bucket.get_range(one.key, 0, one.size)
        if one.key.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert archive.testzip() is None
                assert all(hashlib.sha256(archive.read(name)).hexdigest() == name for name in archive.namelist())


@pytest.mark.hypothesis
@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.binary(max_size=300)), max_size=40), st.integers(1, 3000))
def test_every_file_is_read_by_its_blob(files: list[tuple[str, bytes]], pack_bytes: int) -> None:
    bucket = MemoryBucket()
    writer = written(bucket, pack_bytes=pack_bytes)
    blobs = {}
    for study, data in files:
        blob = writer.put(study, data)
        blobs[blob] = (study, data)
    stored = writer.seal()
    assert {one.key for one in stored} == set(bucket.objects)
    assert writer.seal() == stored
    check(bucket, stored, blobs)
    writer.close()


def test_packs_are_closed_in_time() -> None:
    bucket = MemoryBucket()
    writer = written(bucket)
    for _ in range(PACK_FILES + 1):
        writer.put("a", b"")
    assert [one.key.endswith(".zip") for one in writer.seal()] == [True, True]
    for study in range(OPEN_STUDIES + 2):
        writer.put(str(study), b"x")
    assert len(writer._packs) == OPEN_STUDIES  # noqa: SLF001
    assert len(writer.seal()) == 2 + OPEN_STUDIES + 2
    writer.close()


def test_a_failed_put_is_told_by_the_seal_at_the_latest() -> None:
    bucket = MemoryBucket()
    bucket.failing = True
    writer = written(bucket)
    writer.put("a", b"x")
    with pytest.raises(Fault) as caught:
        writer.seal()
    assert caught.value.code == "store_failed"
    writer.close()


@pytest.mark.processes
def test_packs_stand_on_a_real_server(bucket: Bucket) -> None:
    writer = written(bucket, pack_bytes=1_000_000)
    blobs = {}
    for number in range(60):
        data = os.urandom(50_000)
        blobs[writer.put("1.2" if number < 40 else "1.3", data)] = ("1.2" if number < 40 else "1.3", data)
    large = os.urandom(OWN_OBJECT + 1)
    blobs[writer.put("1.3", large)] = ("1.3", large)
    for size in (OWN_OBJECT, 40_000_000):
        streamed = os.urandom(size)
        file = writer.open("1.3")
        for at in range(0, size, 1_000_000):
            file.write(memoryview(streamed)[at : at + 1_000_000])
        assert file.size == size
        blob = file.close()
        blobs[blob] = ("1.3", streamed)
    writer.open("1.3").write(os.urandom(OWN_OBJECT + 5))  # left without its end
    stored = writer.seal()
    writer.close()
    assert sorted(one.key for one in stored) == sorted([*bucket.list("v1/p"), *bucket.list("v1/f")])
    assert [one.key.endswith(".zip") for one in stored].count(False) == 2
    check(bucket, stored, blobs)
