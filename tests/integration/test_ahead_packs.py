"""Files that are packed while an import is being read: in whole packs, in order, and harmless where it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from scandock.store import ahead_packs
from scandock.store.ahead_packs import AheadPacks
from scandock.store.handles import ReadFile
from scandock.store.known_files import KnownFile, KnownFiles
from scandock.store.local import LocalStore
from scandock.store.packs import OWN_OBJECT, PackWriter
from scandock.store.paths import path_below, unchecked_path
from scandock.store.stages import LocalStage
from tests.integration.test_part_spools import MemoryBucket

FOLDER = unchecked_path("in/study/series/D")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStage]:
    monkeypatch.setattr(ahead_packs, "PACK_BYTES", 1000)
    with closing(LocalStore(str(tmp_path))) as store:
        store.prepare()
        yield store.begin("u", "t")


def write(stage: LocalStage, name: str, data: bytes, study: str = "1.2") -> ReadFile:
    rel = path_below(FOLDER, name)
    stage.put_whole(rel, data)
    return ReadFile(rel, len(data), hashlib.sha256(data).digest(), study)


def start(stage: LocalStage, bucket: MemoryBucket, begun: list[str]) -> tuple[AheadPacks, PackWriter]:
    packs = PackWriter(bucket, "u", "t", "0")
    reopen = partial(LocalStage, stage._root, "u", "t")  # noqa: SLF001
    return AheadPacks(packs, reopen, lambda: begun.append("begun")), packs


def test_whole_packs_are_sent_in_the_order_of_paths(stage: LocalStage) -> None:
    bucket, begun = MemoryBucket(), list[str]()
    ahead, packs = start(stage, bucket, begun)
    files = [write(stage, f"{number}.dcm", bytes([number]) * 300, f"1.{number % 2}") for number in range(9)]
    ahead.add(reversed(files))
    known, are_usable = ahead.stop()
    assert are_usable
    assert begun == ["begun"]
    stored = packs.seal()
    packs.close()
    assert len(stored) == len(bucket.objects) == 2
    blobs = [found.blob for file in files if (found := known.find(file.rel)) is not None]
    assert [blob is None for blob in blobs] == [file.rel.endswith("/0.dcm") for file in files]
    for file, blob in zip(files, blobs, strict=True):
        if blob is not None:
            data = stage.read_at(unchecked_path(file.rel), 0, 300)
            assert bucket.get_range(blob.object, blob.offset, blob.length) == data
    for study in (0, 1):
        mine = [blob for number, blob in enumerate(blobs) if blob is not None and number % 2 == study]
        assert len({blob.object for blob in mine}) == 1
        assert known.count_files(mine[0].object) == 4 == len(mine)
        assert sorted(blob.offset for blob in mine) == [blob.offset for blob in mine]


def test_a_large_file_is_sent_at_once_as_an_object_of_its_own(
    stage: LocalStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead_packs, "PACK_BYTES", 4 * OWN_OBJECT)
    sent: list[str] = []

    class Writer:
        key = "v1/f/large"

        def write(self, data: bytes | memoryview) -> None:
            sent.append(str(len(data)))

        def close(self) -> None:
            sent.append("closed")

    monkeypatch.setattr(MemoryBucket, "open_writer", lambda self, key: Writer())
    ahead, packs = start(stage, MemoryBucket(), [])
    file = write(stage, "large.dcm", b"1" * (OWN_OBJECT + 1))
    ahead.add([file])
    known, _ = ahead.stop()
    packs.close()
    found = known.find(file.rel)
    assert found is not None
    assert found.blob is not None
    assert (found.blob.object, found.blob.length) == ("v1/f/large", OWN_OBJECT + 1)
    assert sent[-1] == "closed"


@pytest.mark.parametrize("trouble", ["bucket", "file", "attempt"])
def test_a_failure_leaves_what_is_known_and_nothing_that_was_sent(stage: LocalStage, trouble: str) -> None:
    bucket = MemoryBucket()
    files = [write(stage, f"{number:02}.dcm", bytes([number]) * 1000) for number in range(10)]
    bucket.failing = trouble == "bucket"
    if trouble == "file":
        stage.remove(unchecked_path(files[9].rel))
        stage.put_whole(unchecked_path(files[9].rel), b"shorter")
    packs = PackWriter(bucket, "u", "t", "0")

    def begin() -> None:
        if trouble == "attempt":
            raise RuntimeError

    ahead = AheadPacks(packs, partial(LocalStage, stage._root, "u", "t"), begin)  # noqa: SLF001
    ahead.add(files)
    known, are_usable = ahead.stop()
    packs.close()
    assert not are_usable
    first = known.find(files[0].rel)
    assert first == KnownFile(1000, files[0].sha256, None)


def test_what_fails_on_its_way_is_found_before_the_packs_are_used(stage: LocalStage) -> None:
    """Also the last packs, behind which nothing is sent that would tell of it: `seal` packs these files again."""
    bucket = MemoryBucket()
    ahead, packs = start(stage, bucket, [])
    bucket.failing = True
    file = write(stage, "a.dcm", b"1" * 1000)
    ahead.add([file])
    known, are_usable = ahead.stop()
    packs.close()
    assert not are_usable
    assert known.find(file.rel) == KnownFile(1000, file.sha256, None)


def test_no_more_is_known_than_memory_is_to_hold(stage: LocalStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_packs, "MOST_KNOWN", 2)
    ahead, packs = start(stage, MemoryBucket(), [])
    files = [write(stage, f"{number}.dcm", b"1") for number in range(3)]
    for file in files:
        ahead.add([file])
    known, _ = ahead.stop()
    packs.close()
    assert [known.find(file.rel) is not None for file in files] == [True, True, False]


def test_what_is_known_follows_files_and_folders() -> None:
    known = KnownFiles()
    for rel in ("in/1/a", "in/1/b", "in/1/2/c", "in/10/d"):
        known.add(rel, KnownFile(len(rel), rel.encode(), None))

    def of(rel: str) -> str | None:
        found = known.find(rel)
        return None if found is None else found.sha256.decode()

    known.move("in/1/a", "repeats/a")
    known.move("in/1", "tree/scans/1")
    assert [of(rel) for rel in ("in/1/a", "in/1/b", "in/1/2/c")] == [None, None, None]
    assert of("repeats/a") == "in/1/a"
    assert of("tree/scans/1/b") == "in/1/b"
    assert of("tree/scans/1/2/c") == "in/1/2/c"
    assert of("in/10/d") == "in/10/d"
    known.remove("tree/scans")
    known.remove("repeats/a")
    known.remove("nowhere/x")
    known.move("nowhere/x", "nowhere/y")
    assert [of(rel) for rel in ("tree/scans/1/b", "tree/scans/1/2/c", "repeats/a")] == [None, None, None]
    assert of("in/10/d") == "in/10/d"


def test_folders_that_are_moved_and_filled_again_are_known_as_before() -> None:
    known = KnownFiles()
    for _ in range(2):
        known.add("in/1/2/a", KnownFile(1, b"", None))
        known.add("top", KnownFile(2, b"", None))
        assert known.has("in")
        assert sorted(path for path, _ in known.below("")) == ["in/1/2/a", "top"]
        known.move("in/1", "tree/1")
        assert not known.has("in")
        assert [path for path, _ in known.below("tree")] == ["tree/1/2/a"]
        known.remove("tree")
        known.remove("top")
        assert not known.has("")
