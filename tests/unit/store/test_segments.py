"""Images that a reader puts into one file of its stage, and what is known of them where the tree is put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scandock.store.handles import ReadFile, SegmentPlace
from scandock.store.local import LocalStore
from scandock.store.paths import IMAGES, LOOSE, SEGMENTS, path_below, segment_path, unchecked_path
from scandock.store.segment_files import SegmentFiles, SegmentReader
from scandock.store.segment_writer import NO_OFFSET, SegmentWriter
from scandock.store.stages import LocalStage

FIRST, SECOND, LOOSE_FILE = path_below(IMAGES, "1/a"), path_below(IMAGES, "1/b"), path_below(LOOSE, "c")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[LocalStage]:
    with closing(LocalStore(str(tmp_path))) as store:
        store.prepare()
        with closing(store.begin("u", "t")) as stage:
            yield stage


def put(stage: LocalStage, files: dict[str, bytes]) -> SegmentFiles:
    """Files of a stage that one reader has put into its segment."""
    known = SegmentFiles(stage)
    with closing(SegmentWriter(stage, len(files))) as writer:
        for name, data in files.items():
            rel = path_below(IMAGES, name)
            writer.put_whole(rel, data)
            known.add(rel, ReadFile(rel, len(data), b"", "1.2", SegmentPlace(writer.name, writer.take_offset(rel))))
    return known


def test_images_are_in_one_file_and_all_else_in_files_of_its_own(stage: LocalStage) -> None:
    writer = SegmentWriter(stage, 10)
    offsets = []
    for rel, data in ((FIRST, b"first"), (LOOSE_FILE, b"loose"), (SECOND, memoryview(b"second"))):
        writer.put_whole(rel, data)
        offsets.append(writer.take_offset(rel))
    assert offsets == [0, NO_OFFSET, 5]
    assert sorted(entry.rel for entry in stage.walk()) == [LOOSE_FILE, segment_path(writer.name)]
    assert stage.read_at(segment_path(writer.name), 0, 100) == b"firstsecond"


def test_an_image_of_a_taken_path_is_kept_beside_the_other(stage: LocalStage) -> None:
    """Another reader's is not known here, so this one's are not told apart either: `Stage.name_read` does that."""
    writer = SegmentWriter(stage, 10)
    offsets = []
    for data in (b"one", b"two"):
        writer.put_whole(FIRST, data)
        offsets.append(writer.take_offset(FIRST))
    assert offsets == [0, 3]


def test_beyond_the_most_images_are_files(stage: LocalStage) -> None:
    writer = SegmentWriter(stage, 1)
    writer.put_whole(FIRST, b"first")
    writer.put_whole(SECOND, b"second")
    assert writer.take_offset(SECOND) == NO_OFFSET
    assert stage.read_at(SECOND, 0, 100) == b"second"


def test_an_entry_without_bytes_of_its_own_is_in_no_segment(stage: LocalStage) -> None:
    writer = SegmentWriter(stage, 10)
    writer.put_whole(FIRST, b"first")
    assert writer.take_offset("") == NO_OFFSET
    assert writer.take_offset(FIRST) == NO_OFFSET, "what was told without it is told"


def test_two_writers_have_segments_of_their_own(stage: LocalStage) -> None:
    for data in (b"one", b"two"):
        SegmentWriter(stage, 1).put_whole(FIRST, data)
    segments = [stage.read_at(path_below(SEGMENTS, name), 0, 9) for name in stage.list(SEGMENTS)]
    assert sorted(segments) == [b"one", b"two"]


def test_files_in_segments_are_read_by_ranges(stage: LocalStage) -> None:
    files = put(stage, {"1/a": b"0123456789", "1/b": b"abc"})
    for rel, offset, length, expected in (
        (FIRST, 0, None, b"0123456789"),
        (FIRST, 3, 4, b"3456"),
        (FIRST, 8, 100, b"89"),
        (FIRST, 20, None, b""),
        (SECOND, 1, None, b"bc"),
    ):
        reader = files.open(rel, offset, length)
        assert reader is not None
        assert reader.read() == expected
    assert files.open(LOOSE_FILE) is None
    with pytest.raises(ValueError, match="not a range"):
        files.open(FIRST, -1)


def test_what_a_segment_lacks_is_not_made_up(stage: LocalStage) -> None:
    """As where its disk lost it: whoever packs the file finds fewer bytes than it has."""
    writer = SegmentWriter(stage, 1)
    writer.put_whole(FIRST, b"first")
    with closing(SegmentReader(stage)) as reader:
        buffer = bytearray(9)
        assert reader.read_into(SegmentPlace(writer.name, 0), memoryview(buffer)) == 5


def test_files_follow_their_folders(stage: LocalStage) -> None:
    files = put(stage, {"1/a": b"a", "1/b": b"bb", "2/c": b"ccc"})
    files.move("in/1/a", "repeats/a")
    files.move("in/1", "tree/scans/1")
    assert not files.has("in/1")
    assert [files.has(rel) for rel in ("in", "in/2", "repeats/a", "tree", "tree/scans/1/b")] == [True] * 5
    assert [(entry.rel, entry.size) for entry in files.walk(unchecked_path("tree"))] == [("tree/scans/1/b", 2)]
    assert files.list("") == {"in", "repeats", "tree"}
    assert files.list("tree/scans") == {"1"}
    files.remove("tree")
    assert not files.has("tree")
    assert sorted(entry.rel for entry in files.walk()) == ["in/2/c", "repeats/a"]
    files.clear()
    assert list(files.walk()) == []
