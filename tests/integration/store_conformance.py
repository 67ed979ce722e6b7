"""What every store has to do (src/scandock/store/port.py). A store's own tests subclass `StoreConformance`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import pytest

from scandock.model.errors import Fault, TokenLost
from scandock.model.sizes import format_size
from scandock.store.handles import StagedPart
from scandock.store.moves import MoveTree, PublishNew, PublishReplace, RestoreTree, TrashStaged, TrashTree
from scandock.store.paths import TreePath, parse_tree, unchecked_path
from scandock.store.port import Mark, ObjectSpool, Stage, Store

NAME = "archive/P/L"
FILES = "scans/1/resources/DICOM/files"
NO_MARK = Mark(0)
"""That of no tree."""


def read_tree(store: Store, name: str) -> dict[str, bytes]:
    with store.snapshot(parse_tree(name)) as snapshot:
        contents: dict[str, bytes] = {}
        for entry in snapshot.walk():
            with snapshot.open(entry.rel) as reader:
                contents[entry.rel] = reader.read()
        return contents


def publish_tree(store: Store, name: str, files: dict[str, bytes], upload: str = "") -> Mark:
    """A tree that stands at `name`, its import finished."""
    stage = store.begin(upload or uuid4().hex, "t")
    for rel, data in files.items():
        stage.put_whole(unchecked_path(f"tree/{rel}"), data)
    stage.seal()
    mark = tree_mark(stage, "tree")
    publish_new(store, stage, "tree", name, mark)
    store.finish(stage)
    return mark


def stage_files(store: Store, upload: str, files: dict[str, bytes], token: str = "t1") -> Stage:
    stage = store.begin(upload, token)
    for rel, data in files.items():
        stage.put_whole(unchecked_path(rel), data)
    return stage


def publish_new(store: Store, stage: Stage, rel: str, name: str, mark: Mark | None = None) -> None:
    """A staged tree gets a name; `mark` is the staged one's, unless it is said."""
    path = unchecked_path(rel)
    store.place([PublishNew(stage, path, cast("TreePath", name), mark or stage.mark(path) or NO_MARK)])


def publish_replace(store: Store, stage: Stage, rel: str, name: str, mark: Mark | None = None) -> None:
    """A staged tree takes the name of another; `mark` as in `publish_new`."""
    path = unchecked_path(rel)
    store.place([PublishReplace(stage, path, cast("TreePath", name), mark or stage.mark(path) or NO_MARK)])


def move_tree(store: Store, old: str, new: str, mark: Mark | None = None) -> None:
    """A published tree gets another name; `mark` is that of what stands there, unless it is said."""
    name = cast("TreePath", old)
    store.place([MoveTree(name, cast("TreePath", new), mark or store.current(name) or NO_MARK)])


def trash_tree(store: Store, name: str, trash: str | None = None, **note: object) -> str:
    """A published tree goes to the trash; under which id."""
    tree, trash = cast("TreePath", name), store.new_trash_id() if trash is None else trash
    store.place([TrashTree(tree, store.current(tree) or NO_MARK, trash, note)])
    return trash


def trash_staged(store: Store, stage: Stage, rel: str, trash: str | None = None) -> str:
    """What is in a stage goes to the trash; under which id."""
    trash = store.new_trash_id() if trash is None else trash
    store.place([TrashStaged(stage, unchecked_path(rel), trash, {})])
    return trash


def restore_tree(store: Store, trash: str, name: str) -> None:
    """A tree comes back from the trash."""
    store.place([RestoreTree(trash, cast("TreePath", name), store.trashed(trash) or NO_MARK)])


def part(source: str, target: str, stage: Stage | None = None) -> StagedPart:
    return StagedPart(unchecked_path(source), unchecked_path(target), stage)


def tree_mark(stage: Stage, rel: str) -> Mark:
    mark = stage.mark(unchecked_path(rel))
    assert mark is not None
    return mark


def read_zip(store: Store, upload: str) -> list[tuple[str, bytes]]:
    """The entries of an upload that was finished, in their order, each proven by its CRC-32."""
    spool = store.spool(upload)
    with zipfile.ZipFile(io.BytesIO(spool.read_at(0, spool.size()))) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} <= {zipfile.ZIP_STORED}
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def add_object(spool: ObjectSpool, name: str, data: bytes) -> int:
    """An object that may be acknowledged; where it ends."""
    end = spool.append(name, [data[:2], memoryview(data)[2:]])
    spool.sync(end)
    return end


def add_file(store: Store, spool: ObjectSpool, name: str, head: bytes, data: bytes) -> int:
    """Append an object that came piece by piece; where the spool ends."""
    file = store.open_object(name, head)
    for at in range(0, len(data), 1_000_000):
        file.write(memoryview(data[at : at + 1_000_000]))
    assert (file.size, file.read_first(4)) == (len(data), data[:4])
    end = spool.append_file(file)
    file.close()
    return end


class StoreConformance:
    """Subclasses give `reopen`: a callable that opens the same store anew, as another process would."""

    @pytest.fixture
    def reopen(self, tmp_path) -> Callable[[], Store]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, reopen) -> Store:
        store: Store = reopen()
        store.prepare()
        return store

    # spools

    def test_spool_grows_and_is_read_by_another_opening(self, store, reopen):
        spool = store.spool("u")
        assert spool.append(0, b"abc") == 3
        assert spool.append(3, memoryview(b"defg")) == 7
        assert spool.sync() == 7
        other = reopen().spool("u")
        assert other.size() == 7
        assert other.read_at(2, 3) == b"cde"
        assert other.read_at(5, 100) == b"fg"
        assert other.read_at(7, 1) == b""
        buffer = bytearray(4)
        assert other.readinto_at(memoryview(buffer), 5) == 2
        assert bytes(buffer[:2]) == b"fg"

    def test_spool_takes_what_is_sent_again(self, store, reopen):
        store.spool("u").append(0, b"0123456789")
        spool = reopen().spool("u")
        assert spool.append(4, b"ab") == 6
        assert spool.read_at(0, 100) == b"0123ab"

    def test_spool_refuses_a_gap(self, store):
        spool = store.spool("u")
        spool.append(0, b"abc")
        with pytest.raises(ValueError, match="can't go on"):
            spool.append(4, b"e")
        with pytest.raises(ValueError, match="can't go on"):
            spool.append(-1, b"e")
        assert spool.size() == 3

    def test_spool_local_path_if_any_holds_the_bytes(self, store):
        spool = store.spool("u")
        spool.append(0, b"abc")
        path = spool.local_path()
        if path is not None:
            with open(path, "rb") as reader:
                assert reader.read() == b"abc"

    def test_a_spool_is_held_by_one_at_a_time(self, store, reopen):
        spool, other = store.spool("u"), reopen().spool("u")
        assert spool.hold()
        assert spool.hold()
        assert not other.hold()
        spool.append(0, b"abc")
        spool.close()
        assert other.hold()
        other.append(3, b"d")
        other.discard()
        assert spool.hold()
        spool.close()

    def test_discarded_spool_is_gone(self, store):
        spool = store.spool("u")
        spool.append(0, b"abc")
        spool.sync()
        assert store.spools() == ["u"]
        spool.discard()
        spool.discard()
        assert store.spools() == []
        assert store.spool("u").size() == 0
        with pytest.raises(FileNotFoundError):
            store.spool("u").read_at(0, 1)

    # spools of objects

    def test_objects_become_a_zip_that_any_spool_reads(self, store, reopen):
        spool = store.object_spool("u")
        ends = [add_object(spool, "1.dcm", b"first"), add_object(spool, "2.dcm", b""), add_object(spool, "1.dcm", b"x")]
        assert (spool.entries, spool.size, spool.synced) == (3, ends[-1], ends[-1])
        assert ends == sorted(ends)
        assert spool.read_first(100) == b"first"
        assert spool.read_first(3) == b"fir"
        size = spool.finish()
        assert size == reopen().spool("u").size() > ends[-1]
        assert read_zip(reopen(), "u") == [("1.dcm", b"first"), ("2.dcm", b""), ("1.dcm", b"x")]

    def test_a_finished_spool_of_objects_takes_no_more(self, store):
        spool = store.object_spool("u")
        add_object(spool, "1.dcm", b"first")
        size = spool.finish()
        with pytest.raises(Fault) as refused:
            spool.append("2.dcm", [b"late"])
        assert refused.value.code == "spool_closed"
        assert spool.finish() == size
        assert read_zip(store, "u") == [("1.dcm", b"first")]

    def test_a_finished_spool_is_not_written_again(self, store):
        """Its import may have begun, though nobody said so."""
        spool = store.object_spool("u")
        add_file(store, spool, "1.dcm", b"", b"first")
        size = spool.finish()
        store.spool("u").append(size, b"which a second writing would cut")
        whole = store.spool("u").size()
        assert whole > size
        assert spool.finish() == size
        assert store.spool("u").size() == whole

    def test_objects_that_wait_in_files_are_appended(self, store):
        spool = store.object_spool("u")
        data = os.urandom(3_000_000)
        add_file(store, spool, "1.dcm", b"meta", data)
        assert (store.spools(), spool.entries, spool.size) == (["u"], 1, 0)
        assert spool.beside > len(data)
        assert spool.read_first(10) == (b"meta" + data)[:10]
        end = add_object(spool, "2.dcm", b"second")
        assert add_file(store, spool, "3.dcm", b"", b"") == end
        assert spool.finish() == store.spool("u").size()
        assert (spool.entries, spool.beside) == (3, 0)
        assert read_zip(store, "u") == [("2.dcm", b"second"), ("1.dcm", b"meta" + data), ("3.dcm", b"")]

    def test_objects_in_files_are_recovered(self, store, reopen):
        spool = store.object_spool("u")
        add_file(store, spool, "1.dcm", b"meta", b"first")
        end = add_object(spool, "2.dcm", b"second")
        add_file(store, spool, "3.dcm", b"meta", b"third")
        recovered = reopen().object_spool("u")
        assert (recovered.recover(), recovered.size, recovered.entries) == (3, end, 3)
        add_file(store, recovered, "4.dcm", b"meta", b"fourth")
        recovered.finish()
        recovered = reopen().object_spool("u")
        assert recovered.recover() == 4
        recovered.finish()
        names = ["2.dcm", "1.dcm", "3.dcm", "4.dcm"]
        assert [name for name, _ in read_zip(reopen(), "u")] == names

    def test_an_object_in_a_file_goes_into_the_next_spool_where_the_first_is_finished(self, store):
        spool, other = store.object_spool("u"), store.object_spool("v")
        add_object(spool, "1.dcm", b"first")
        file = store.open_object("2.dcm", b"meta")
        file.write(memoryview(b"second"))
        spool.finish()
        with pytest.raises(Fault) as refused:
            spool.append_file(file)
        assert refused.value.code == "spool_closed"
        other.append_file(file)
        file.close()
        other.finish()
        assert [read_zip(store, name) for name in "uv"] == [[("1.dcm", b"first")], [("2.dcm", b"metasecond")]]

    def test_what_no_sync_has_covered_is_cut(self, store, reopen):
        spool = store.object_spool("u")
        end = add_object(spool, "1.dcm", b"first")
        spool.append("2.dcm", [b"second"])
        assert spool.cut() == end
        assert (spool.entries, spool.size) == (1, end)
        other = reopen().object_spool("u")
        assert other.recover() == 1
        add_object(other, "3.dcm", b"third")
        other.finish()
        assert read_zip(store, "u") == [("1.dcm", b"first"), ("3.dcm", b"third")]

    def test_objects_are_recovered_up_to_the_last_whole_one(self, store, reopen):
        spool = store.object_spool("u")
        ends = [add_object(spool, f"{number}.dcm", os.urandom(50)) for number in range(3)]
        whole = store.spool("u").read_at(0, ends[-1])
        for end in range(ends[-1] + 1):
            store.spool("u").append(0, whole[:end])
            recovered = reopen().object_spool("u")
            count = sum(each <= end for each in ends)
            assert recovered.recover() == recovered.entries == count
            assert recovered.size == recovered.synced == store.spool("u").size() == ([0, *ends][count])
            recovered.close()

    @pytest.mark.parametrize("at", [0, 6, 8, 14, 18, 26, 45])
    def test_an_object_whose_bytes_changed_is_not_recovered(self, store, at):
        spool = store.object_spool("u")
        end = add_object(spool, "1.dcm", b"first")
        add_object(spool, "2.dcm", b"second, which is changed")
        data = bytearray(store.spool("u").read_at(0, spool.size))
        data[end + at] ^= 0xFF
        store.spool("u").append(0, bytes(data))
        recovered = store.object_spool("u")
        assert (recovered.recover(), recovered.size) == (1, end)

    def test_a_finished_spool_that_nobody_accepted_is_recovered(self, store, reopen):
        spool = store.object_spool("u")
        end = add_object(spool, "1.dcm", b"first")
        spool.finish()
        recovered = reopen().object_spool("u")
        assert (recovered.recover(), recovered.size) == (1, end)
        add_object(recovered, "2.dcm", b"second")
        recovered.finish()
        assert read_zip(store, "u") == [("1.dcm", b"first"), ("2.dcm", b"second")]

    def test_threads_append_to_one_spool(self, store):
        spool = store.object_spool("u")
        objects = {f"{thread}.{number}.dcm": os.urandom(2_000) for thread in range(6) for number in range(20)}

        def send(thread: int) -> None:
            for number in range(20):
                name = f"{thread}.{number}.dcm"
                add_object(spool, name, objects[name])

        threads = [threading.Thread(target=send, args=[thread]) for thread in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spool.finish()
        assert dict(read_zip(store, "u")) == objects

    def test_more_objects_than_a_plain_directory_counts(self, store, reopen):
        spool = store.object_spool("u")
        for number in range(65_536):
            spool.append(str(number), [])
        spool.finish()
        assert [name for name, _ in read_zip(store, "u")] == [str(number) for number in range(65_536)]
        assert reopen().object_spool("u").recover() == 65_536

    def test_a_discarded_spool_of_objects_is_gone(self, store):
        spool = store.object_spool("u")
        add_object(spool, "1.dcm", b"first")
        spool.discard()
        spool.discard()
        assert store.spools() == []
        with pytest.raises(Fault) as refused:
            spool.append("2.dcm", [b"late"])
        assert refused.value.code == "spool_closed"

    @pytest.mark.parametrize("upload", ["", ".", "..", "a/b", "a\0b", "é", "x" * 129])
    def test_ids_are_labels(self, store, upload):
        for call in (store.spool, store.hold, store.is_owner_alive, store.forget, store.tokens, store.open_receipt):
            with pytest.raises(ValueError, match="not a label"):
                call(upload)
        with pytest.raises(ValueError, match="not a label"):
            store.begin("u", upload)

    # writing into stages

    def test_put_whole_and_put_give_blobs_and_the_same_bytes(self, store):
        stage = store.begin("u", "t")
        data = b"x" * 100_000
        digest = hashlib.sha256(data).digest()
        blob = stage.put_whole("s/a.dcm", data, digest)
        assert (blob.size, blob.sha256) == (100_000, digest)
        with stage.put("s/b.dcm") as writer:
            assert writer.write(data[:10]) == 10
            assert writer.write(memoryview(data)[10:]) == 99_990
            assert writer.size == 100_000
            assert writer.close(digest) == (*blob[:0], "s/b.dcm", *blob[1:])
        assert stage.read_at("s/a.dcm", 0, 200_000) == stage.read_at("s/b.dcm", 0, 200_000) == data
        assert stage.read_at("s/b.dcm", 99_999, 5) == b"x"

    def test_typed_memoryviews_are_written_whole(self, store):
        stage = store.begin("u", "t")
        view = memoryview(bytes(range(64))).cast("I")
        assert stage.put_whole("a", view).size == 64
        with stage.put("b") as writer:
            assert writer.write(view) == 64
        assert stage.read_at("a", 0, 100) == stage.read_at("b", 0, 100) == bytes(range(64))

    def test_empty_files_are_files(self, store):
        stage = store.begin("u", "t")
        assert stage.put_whole("a", b"").size == 0
        stage.put("b").close()
        assert stage.list() == ["a", "b"]

    def test_taken_names_raise_and_keep_their_bytes(self, store, reopen):
        stage = stage_files(store, "u", {"s/a": b"one"})
        other = reopen().stage("u", "t1")
        for each_stage in (stage, other):
            with pytest.raises(FileExistsError):
                each_stage.put(unchecked_path("s/a"))
            with pytest.raises(FileExistsError):
                each_stage.put_whole(unchecked_path("s/a"), b"two")
        assert stage.read_at(unchecked_path("s/a"), 0, 10) == b"one"

    def test_a_file_is_no_folder_and_a_folder_no_file(self, store):
        stage = stage_files(store, "u", {"s/a": b"one"})
        with pytest.raises(FileExistsError):
            stage.put_whole(unchecked_path("s/a/b"), b"two")
        with pytest.raises(FileExistsError):
            stage.put_whole(unchecked_path("s"), b"two")

    @pytest.mark.parametrize(
        "rel", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "a\nb", "a\\b", "\ud800", "n" * 256]
    )
    def test_paths_that_may_not_stand(self, store, rel):
        stage = stage_files(store, "u", {"a/x": b""})
        for call in (stage.put, stage.open, stage.remove, stage.mark):
            with pytest.raises(ValueError, match=r".+"):
                call(rel)
        with pytest.raises(ValueError, match=r".+"):
            stage.put_whole(rel, b"")
        with pytest.raises(ValueError, match=r".+"):
            stage.move(unchecked_path("a/x"), rel)
        with pytest.raises(ValueError, match=r".+"):
            stage.move(rel, unchecked_path("b"))

    def test_odd_but_harmless_names_stand(self, store):
        stage = store.begin("u", "t")
        for rel in ("a b/c:d", "ü/日本.dcm", ".hidden", "a...", "-rf", "~", "con", "é" * 127):
            stage.put_whole(rel, rel.encode())
            assert stage.read_at(rel, 0, 1000) == rel.encode()

    def test_aborted_writes_leave_nothing(self, store):
        stage = store.begin("u", "t")
        writer = stage.put("s/a")
        writer.write(b"half")
        writer.abort()
        with contextlib.suppress(KeyError), stage.put("s/b") as writer:
            writer.write(b"half")
            raise KeyError
        assert [entry for entry in stage.walk() if entry.kind == "file"] == []
        stage.put_whole("s/a", b"whole")

    def test_many_folders_at_once(self, store):
        stage = store.begin("u", "t")
        rels = [f"{i % 400}/{i // 400}/f" for i in range(1200)]
        for rel in rels:
            stage.put_whole(rel, rel.encode())
        assert sorted(entry.rel for entry in stage.walk()) == sorted(rels)
        assert all(stage.read_at(rel, 0, 50) == rel.encode() for rel in rels[::97])

    # arranging stages

    def test_adopt_takes_files_of_a_published_tree(self, store):
        publish_tree(store, NAME, {f"{FILES}/a": b"one", f"{FILES}/b": b"two", "resources/X/files/c": b"three"})
        stage = store.begin("u", "t")
        done = stage.adopt(NAME, [(f"{FILES}/a", "n/a"), ("resources/X/files/c", "n/deep/c2")])
        assert done.linked + done.copied == 2
        assert stage.read_at("n/a", 0, 10) == b"one"
        assert stage.read_at("n/deep/c2", 0, 10) == b"three"
        assert read_tree(store, NAME)[f"{FILES}/b"] == b"two"

    def test_adopt_says_what_is_missing_or_taken(self, store):
        publish_tree(store, NAME, {"a": b"one"})
        stage = stage_files(store, "u", {"n/a": b"other"})
        with pytest.raises(FileNotFoundError):
            stage.adopt(parse_tree(NAME), [(unchecked_path("b"), unchecked_path("n/b"))])
        with pytest.raises(FileNotFoundError):
            stage.adopt(parse_tree(NAME), [(unchecked_path("a/b"), unchecked_path("n/b"))])
        with pytest.raises(FileExistsError):
            stage.adopt(parse_tree(NAME), [(unchecked_path("a"), unchecked_path("n/a"))])
        with pytest.raises(FileNotFoundError):
            stage.adopt(parse_tree("archive/P/none"), [(unchecked_path("a"), unchecked_path("n/c"))])
        with pytest.raises(ValueError, match="not the name"):
            stage.adopt(parse_tree("work/u"), [(unchecked_path("a"), unchecked_path("n/c"))])
        assert stage.read_at(unchecked_path("n/a"), 0, 10) == b"other"

    def test_move_files_and_folders(self, store):
        stage = stage_files(store, "u", {"x/1/a": b"a", "x/2/b": b"b"})
        before = tree_mark(stage, "x")
        stage.move(unchecked_path("x"), unchecked_path("y/z"))
        assert tree_mark(stage, "y/z") == before
        stage.move(unchecked_path("y/z/1/a"), unchecked_path("y/z/2/a"))
        assert stage.list(unchecked_path("y/z/2")) == ["a", "b"]
        stage.put_whole(unchecked_path("x/1/a"), b"new")  # what was open before the move isn't written to
        assert stage.read_at(unchecked_path("y/z/2/a"), 0, 10) == b"a"
        assert stage.list(unchecked_path("y/z/1")) == []

    def test_move_refuses_taken_and_missing_names(self, store):
        stage = stage_files(store, "u", {"x/a": b"a", "y/b": b"b"})
        with pytest.raises(FileExistsError):
            stage.move(unchecked_path("x/a"), unchecked_path("y/b"))
        with pytest.raises(FileExistsError):
            stage.move(unchecked_path("x"), unchecked_path("y"))
        with pytest.raises(FileExistsError):
            stage.move(unchecked_path("x"), unchecked_path("y/b/c"))
        with pytest.raises(FileNotFoundError):
            stage.move(unchecked_path("none"), unchecked_path("z"))
        assert stage.read_at(unchecked_path("y/b"), 0, 10) == b"b"

    def test_compose_takes_files_of_a_base_and_what_was_staged(self, store, reopen):
        publish_tree(store, NAME, {f"{FILES}/a": b"one", f"{FILES}/b": b"two", "resources/X/files/c": b"three"})
        stage, other = stage_files(store, "u", {"read/1": b"1", "read/odd": b"2"}), stage_files(store, "v", {"f": b"3"})
        parts = [
            part("read", "scans/2"),
            part("tree/scans/2/odd", "scans/2/even"),  # below the root: an earlier part has brought it
            part("f", "resources/Y/files/f", other),
        ]
        kept = [unchecked_path(f"{FILES}/a"), unchecked_path("resources/X/files/c")]
        mark = stage.compose(unchecked_path("tree"), parts, base=parse_tree(NAME), kept=kept)
        assert mark == stage.mark(unchecked_path("tree"))
        publish_replace(store, stage, "tree", NAME, mark)
        assert read_tree(store, NAME) == {
            f"{FILES}/a": b"one",
            "resources/X/files/c": b"three",
            "scans/2/1": b"1",
            "scans/2/even": b"2",
            "resources/Y/files/f": b"3",
        }
        assert not other.exists(unchecked_path("f"))
        replaced = reopen().stage("u", "t1")
        assert replaced.read_at(unchecked_path(f"tree/{FILES}/b"), 0, 9) == b"two"

    def test_compose_says_what_is_missing_or_taken(self, store):
        publish_tree(store, NAME, {"a": b"one"})
        stage = stage_files(store, "u", {"x": b"1"})
        for kept in ("b", "a/b"):
            with pytest.raises(Fault) as caught:
                stage.compose(unchecked_path("t1"), [], base=parse_tree(NAME), kept=[unchecked_path(kept)])
            assert caught.value.code == "tree_damaged"
        for parts, wrong in (
            ([part("none", "n")], FileNotFoundError),
            ([part("x", "a")], FileExistsError),
        ):
            with pytest.raises(wrong):
                stage.compose(unchecked_path("t2"), parts, base=parse_tree(NAME), kept=[unchecked_path("a")])
            stage.remove(unchecked_path("t2"))
        with pytest.raises(ValueError, match="not a"):
            stage.compose(unchecked_path("t3"), [part("../../u/t1/x", "b", stage)])
        assert stage.read_at(unchecked_path("x"), 0, 9) == b"1"

    def test_compose_makes_a_tree_without_files(self, store):
        """Also where nothing stays of a base whose folder is gone."""
        stage = store.begin("u", "t")
        mark = stage.compose(unchecked_path("tree"), [], base=parse_tree("archive/P/gone"))
        stage.seal()
        publish_new(store, stage, "tree", NAME, mark)
        assert read_tree(store, NAME) == {}
        assert [entry.kind for entry in store.walk("archive")] == ["folder"]

    def test_a_mark_tells_two_trees_apart_and_follows_every_move(self, store):
        stage = stage_files(store, "u", {"tree/a": b"a"})
        assert stage.mark(unchecked_path("none")) is None
        assert store.standing(NAME, tree_mark(stage, "tree")) is None
        mark = tree_mark(stage, "tree")
        publish_new(store, stage, "tree", NAME)
        assert store.standing(NAME, mark) is True
        move_tree(store, NAME, "archive/P/M")
        assert (store.standing(NAME, mark), store.standing("archive/P/M", mark)) == (None, True)
        publish_new(store, stage, "next", NAME, stage.compose(unchecked_path("next"), []))
        assert store.standing(NAME, mark) is False

    def test_a_mark_with_another_stamp_is_that_of_a_copy(self, store):
        mark = publish_tree(store, NAME, {"a": b"a"})
        assert store.standing(NAME, Mark(mark.number)) is True
        if mark.stamp is not None:
            assert store.standing(NAME, Mark(mark.number, mark.stamp - 1)) is False

    def test_remove_and_clear(self, store):
        stage = stage_files(store, "u", {"x/1/a": b"a", "x/b": b"b", "c": b"c"})
        stage.remove(unchecked_path("x/1"))
        stage.remove(unchecked_path("c"))
        stage.remove(unchecked_path("c"))
        stage.remove(unchecked_path("none/of/it"))
        assert [entry.rel for entry in stage.walk()] == ["x/b"]
        stage.put_whole(unchecked_path("x/1/a"), b"again")
        stage.clear()
        assert stage.list() == []
        stage.put_whole(unchecked_path("x/b"), b"new")
        assert store.sweep().left == 0
        assert [entry.rel for entry in stage.walk()] == ["x/b"]

    def test_list_walk_exists_and_open(self, store):
        stage = stage_files(store, "u", {"s/2/a": b"12345", "s/10": b"", "t": b"1"})
        assert stage.list() == ["s", "t"]
        assert stage.list(unchecked_path("s")) == ["10", "2"]
        assert stage.list(unchecked_path("none")) == stage.list(unchecked_path("t")) == []
        assert [(entry.rel, entry.size, entry.kind) for entry in stage.walk(unchecked_path("s"))] == [
            ("s/10", 0, "file"),
            ("s/2/a", 5, "file"),
        ]
        assert stage.exists(unchecked_path("s/2"))
        assert not stage.exists(unchecked_path("s/2/b"))
        with stage.open(unchecked_path("s/2/a"), 1, 3) as reader:
            assert reader.read(2) == b"23"
            assert reader.seek(-1, 2) == 2
            assert reader.read() == b"4"
            assert reader.seek(0) == 0
            assert reader.read() == b"234"
        with pytest.raises(FileNotFoundError):
            stage.open(unchecked_path("s/2/b"))
        with pytest.raises(FileNotFoundError):
            stage.open(unchecked_path("s/2"))
        for offset, length in ((-1, 1), (0, -1)):
            with pytest.raises(ValueError, match="not a range"):
                stage.open(unchecked_path("s/2/a"), offset, length)

    def test_seal_is_repeatable(self, store):
        stage = stage_files(store, "u", {"a": b"1"})
        stage.seal()
        stage.put_whole(unchecked_path("b"), b"2")
        stage.seal()
        assert [stage.read_at(unchecked_path(name), 0, 9) for name in ("a", "b")] == [b"1", b"2"]

    # whose a stage is

    def test_stages_reopen_by_id(self, store, reopen):
        stage_files(store, "u", {"a": b"1"})
        copy = pickle.loads(pickle.dumps(reopen()))
        copy.stage("u", "t1").put_whole("b", b"2")
        assert store.stage("u", "t1").list() == ["a", "b"]
        assert store.works() == ["u"]
        assert store.tokens("u") == ["t1"]
        with pytest.raises(TokenLost):
            store.stage("u", "t2")
        with pytest.raises(TokenLost):
            store.stage("v", "t1")

    def test_after_take_the_old_token_can_do_nothing(self, store, reopen):
        publish_tree(store, "archive/P/old", {"a": b"old"})
        stale = stage_files(store, "u", {"new/a": b"1", "other/b": b"2"})
        mark = tree_mark(stale, "new")
        other = reopen()
        new_stage = other.take("u", "t1", "t2")
        assert new_stage.mark("new") == mark
        attempts = [
            lambda: publish_new(store, stale, "new", NAME, mark=mark),
            lambda: publish_replace(store, stale, "new", "archive/P/old", mark=mark),
            lambda: stale.move(unchecked_path("new"), unchecked_path("else")),
            stale.seal,
            lambda: store.finish(stale),
            lambda: store.stage("u", "t1"),
        ]
        for attempt in attempts:
            with pytest.raises(TokenLost):
                attempt()
        trash_staged(store, stale, "new")
        assert list(store.trash()) == []
        assert store.current(NAME) is None
        assert read_tree(store, "archive/P/old") == {"a": b"old"}
        publish_new(other, new_stage, "new", NAME, mark=mark)
        assert read_tree(store, NAME) == {"a": b"1"}

    def test_take_is_repeatable_and_finds_what_a_kill_left(self, store, reopen):
        stage_files(store, "u", {"a": b"1"})
        assert store.take("u", "t1", "t2").list() == ["a"]
        assert reopen().take("u", "t1", "t2").list() == ["a"]
        assert reopen().take("u", "t3", "t4").list() == ["a"]  # t3 was in the catalog only
        assert store.tokens("u") == ["t4"]

    def test_take_of_nothing_is_an_empty_stage(self, store):
        stage = store.take("u", "t1", "t2")
        assert stage.list() == []
        stage.put_whole("a", b"1")

    def test_take_into_a_begun_empty_stage(self, store):
        stage_files(store, "u", {"a": b"1"})
        store.begin("u", "t2")
        assert store.take("u", "t1", "t2").list() == ["a"]

    def test_writes_of_a_stale_worker_never_reach_a_cleared_stage(self, store, reopen):
        stale = stage_files(store, "u", {"s/a": b"1"})
        writer = stale.put(unchecked_path("s/b"))
        new_stage = reopen().take("u", "t1", "t2")
        new_stage.clear()
        new_stage.put_whole("s/c", b"2")
        writer.write(b"late")
        with contextlib.suppress(TokenLost):
            writer.close()
        with contextlib.suppress(TokenLost):
            stale.put_whole(unchecked_path("s/d"), b"later")
        assert [entry.rel for entry in new_stage.walk()] == ["s/c"]
        store.sweep()

    def test_holds_tell_who_lives(self, store, reopen):
        assert not store.is_owner_alive("u")
        other = reopen()
        hold = store.hold("u")
        assert other.is_owner_alive("u")
        with pytest.raises(Fault) as caught:
            other.hold("u")
        assert caught.value.code == "work_held"
        hold.release()
        hold.release()
        assert not other.is_owner_alive("u")
        with other.hold("u"):
            assert store.is_owner_alive("u")
        assert not store.is_owner_alive("u")
        assert store.works() == []

    def test_a_forced_hold_replaces_a_stopped_owner(self, store, reopen):
        stopped = store.hold("u")
        other = reopen()
        forced = other.hold("u", force=True)
        stopped.release()
        assert store.is_owner_alive("u")
        forced.release()
        assert not store.is_owner_alive("u")

    def test_finish_leaves_nothing(self, store):
        store.hold("u")
        stage = stage_files(store, "u", {"tree/a": b"1", "left/over": b"2"})
        publish_new(store, stage, "tree", NAME)
        store.finish(stage)
        assert store.works() == []
        assert not store.is_owner_alive("u")
        store.finish(stage)
        assert store.sweep().left == 0
        assert read_tree(store, NAME) == {"a": b"1"}

    def test_forget_spares_the_living(self, store, reopen):
        stage_files(store, "u", {"a": b"1"})
        stage_files(store, "u", {"a": b"1"}, "t2")
        hold = store.hold("u")
        other = reopen()
        assert other.forget("u") is False
        assert other.tokens("u") == ["t1", "t2"]
        hold.release()
        assert other.forget("u") is True
        assert other.works() == []
        assert other.forget("never") is True
        assert other.works() == []

    # names

    def test_publish_new_shows_the_tree_once(self, store, reopen):
        stage = stage_files(store, "u", {"tree/a": b"1"})
        mark = tree_mark(stage, "tree")
        assert store.current(NAME) is None
        publish_new(store, stage, "tree", NAME, mark=mark)
        assert store.standing(NAME, mark) is True
        assert not stage.exists(unchecked_path("tree"))
        again = reopen()
        publish_new(again, again.take("u", "t1", "t2"), "tree", NAME, mark=mark)
        assert again.standing(NAME, mark) is True

    def test_publish_new_refuses_a_taken_name(self, store):
        publish_tree(store, NAME, {"a": b"old"})
        stage = stage_files(store, "u", {"tree/a": b"new"})
        with pytest.raises(FileExistsError) as caught:
            publish_new(store, stage, "tree", NAME)
        assert caught.value.filename == NAME
        assert read_tree(store, NAME) == {"a": b"old"}
        assert stage.read_at(unchecked_path("tree/a"), 0, 9) == b"new"

    def test_publishing_what_is_not_staged(self, store):
        publish_tree(store, NAME, {"a": b"old"})
        stage = stage_files(store, "u", {"tree/a": b"new"})
        mark = tree_mark(stage, "tree")
        for call in (
            lambda: publish_new(store, stage, "none", "archive/P/M"),
            lambda: publish_new(store, stage, "tree", "archive/P/M", Mark(mark.number + 2**48)),
            lambda: publish_replace(store, stage, "none", NAME),
            lambda: publish_replace(store, stage, "tree", NAME, Mark(mark.number + 2**48)),
        ):
            with pytest.raises(Fault) as caught:
                call()
            assert caught.value.code == "tree_missing"
        assert store.current("archive/P/M") is None
        assert read_tree(store, NAME) == {"a": b"old"}

    def test_exchange_keeps_both_and_is_repeatable(self, store, reopen):
        old = publish_tree(store, NAME, {"a": b"old"})
        stage = stage_files(store, "u", {"tree/a": b"new"})
        new = tree_mark(stage, "tree")
        publish_replace(store, stage, "tree", NAME, mark=new)
        again = reopen()
        new_stage = again.take("u", "t1", "t2")
        publish_replace(again, new_stage, "tree", NAME, mark=new)
        assert again.standing(NAME, new) is True
        assert new_stage.mark("tree") == old
        assert new_stage.list() == ["tree"]
        assert read_tree(again, NAME) == {"a": b"new"}
        assert new_stage.read_at("tree/a", 0, 9) == b"old"

    def test_a_replaced_tree_that_somebody_took_away_is_not_needed(self, store, reopen):
        stage = stage_files(store, "u", {"tree/a": b"new"})
        mark = tree_mark(stage, "tree")
        publish_replace(store, stage, "tree", NAME)
        publish_replace(reopen(), stage, "tree", NAME, mark)
        assert read_tree(store, NAME) == {"a": b"new"}
        assert stage.list() == []

    @pytest.mark.parametrize("area", ["archive", "resources"])
    def test_several_moves_at_once_are_made_one_by_one(self, store, area):
        stage = stage_files(store, "u", {f"tree{i}/a": b"1" for i in range(3)})
        moves = [
            PublishNew(stage, unchecked_path(f"tree{i}"), parse_tree(f"{area}/P/L{i}"), tree_mark(stage, f"tree{i}"))
            for i in range(3)
        ]

        def each() -> Iterator[PublishNew]:
            for move in moves:
                assert store.current(move.name) is None
                yield move
                assert store.standing(move.name, move.mark) is True

        store.place(each())
        store.place(moves)
        store.place([])
        assert [(entry.name, entry.rel) for entry in store.walk(area)] == [(f"{area}/P/L{i}", "a") for i in range(3)]

    def test_rename_moves_a_tree(self, store, reopen):
        target = "prearchive/P/20260102_030405678/L"
        mark = publish_tree(store, NAME, {"a": b"1"})
        move_tree(store, NAME, target, mark=mark)
        move_tree(reopen(), NAME, target, mark=mark)
        assert store.standing(target, mark) is True
        assert store.current(NAME) is None
        assert list(store.walk("archive")) == []
        with pytest.raises(FileNotFoundError):
            move_tree(store, NAME, "archive/P/M")
        publish_tree(store, NAME, {"a": b"2"})
        with pytest.raises(FileExistsError):
            move_tree(store, target, NAME)
        with pytest.raises(FileNotFoundError):
            move_tree(store, target, "archive/P/M", Mark(mark.number + 2**48))
        assert read_tree(store, NAME) == {"a": b"2"}

    @pytest.mark.parametrize("name", ["", "archive/P", "archive/P/L/x", "work/u/t", "archive/../x", "prearchive/P/x/L"])
    def test_only_names_are_names(self, store, name):
        stage = stage_files(store, "u", {"tree/a": b"1"})
        for call in (
            lambda: store.current(name),
            lambda: store.snapshot(name),
            lambda: publish_new(store, stage, "tree", name),
            lambda: publish_replace(store, stage, "tree", name),
            lambda: move_tree(store, name, NAME),
            lambda: move_tree(store, NAME, name),
            lambda: trash_tree(store, name),
            lambda: restore_tree(store, store.new_trash_id(), name),
        ):
            with pytest.raises(ValueError, match="not "):
                call()

    def test_walk_is_sorted_and_takes_prefixes(self, store):
        publish_tree(store, "archive/P/B", {f"{FILES}/2": b"22", f"{FILES}/1": b"1"})
        publish_tree(store, "archive/P/A", {"resources/R/files/x/y": b""})
        publish_tree(store, "archive/Q/A", {"f": b""})
        publish_tree(store, "prearchive/P/20260102_030405678/A", {"g": b""})
        entries = [(entry.name, entry.rel, entry.size, entry.kind) for entry in store.walk("archive")]
        assert entries == [
            ("archive/P/A", "resources/R/files/x/y", 0, "file"),
            ("archive/P/B", f"{FILES}/1", 1, "file"),
            ("archive/P/B", f"{FILES}/2", 2, "file"),
            ("archive/Q/A", "f", 0, "file"),
        ]
        assert [entry.name for entry in store.walk("archive/P")] == ["archive/P/A", "archive/P/B", "archive/P/B"]
        assert [entry.rel for entry in store.walk("archive/P/A")] == ["resources/R/files/x/y"]
        assert [entry.name for entry in store.walk("prearchive")] == ["prearchive/P/20260102_030405678/A"]
        assert list(store.walk("archive/none")) == []
        for prefix in ("", "work", "archive/..", "archive//P", "/archive"):
            with pytest.raises(ValueError, match="not a"):
                list(store.walk(prefix))

    # snapshots and the trash

    def test_snapshot_survives_exchange_retire_purge_and_sweep(self, store, reopen):
        publish_tree(store, NAME, {f"{FILES}/{i}": bytes([i]) * 100 for i in range(5)})
        with reopen().snapshot(NAME) as snapshot:
            stage = stage_files(store, "u", {"tree/a": b"new"})
            publish_replace(store, stage, "tree", NAME)
            trash_staged(store, stage, "tree")
            store.finish(stage)
            assert len(store.purge(0)) == 1
            assert store.sweep().left == 1
            assert [entry.size for entry in snapshot.walk()] == [100] * 5
            with snapshot.open(f"{FILES}/3", 98) as reader:
                assert reader.read() == b"\3\3"
            with pytest.raises(FileNotFoundError):
                snapshot.open("a")
        assert store.sweep().left == 0
        assert read_tree(store, NAME) == {"a": b"new"}

    def test_snapshot_tells_sizes(self, store):
        publish_tree(store, NAME, {"a": b"1", "b/c": b"234"})
        with store.snapshot(NAME) as snapshot:
            assert [snapshot.size(rel) for rel in ("a", "b/c", "b", "b/d", "x/y", "a/z")] == [1, 3] + [None] * 4

    def test_snapshot_of_a_mark_is_of_no_other_tree(self, store):
        publish_tree(store, NAME, {"a": b"old"})
        with store.snapshot(NAME) as snapshot:
            mark = snapshot.mark
        with store.snapshot(NAME, mark) as again, again.open("a") as reader:
            assert (again.mark, reader.read()) == (mark, b"old")
        publish_replace(store, stage_files(store, "u", {"tree/a": b"new"}), "tree", NAME)
        with contextlib.suppress(FileNotFoundError), store.snapshot(NAME, mark) as old, old.open("a") as reader:
            assert reader.read() == b"old"
        with store.snapshot(NAME) as snapshot, snapshot.open("a") as reader:
            assert (snapshot.mark == mark, reader.read()) == (False, b"new")

    def test_snapshot_of_nothing(self, store):
        with pytest.raises(FileNotFoundError):
            store.snapshot(NAME)

    def test_retired_trees_come_back(self, store):
        mark = publish_tree(store, NAME, {"a": b"1"})
        trash = trash_tree(store, NAME, why="deleted", by="someone")
        assert store.current(NAME) is None
        (entry,) = store.trash()
        assert entry.id == trash
        assert entry.what == {"was": NAME, "why": "deleted", "by": "someone"}
        publish_tree(store, NAME, {"a": b"2"}, "second")
        with pytest.raises(FileExistsError):
            restore_tree(store, trash, NAME)
        restore_tree(store, trash, "archive/Q/back")
        assert store.standing("archive/Q/back", mark) is True
        assert list(store.trash()) == []
        with pytest.raises(FileNotFoundError):
            restore_tree(store, trash, "archive/Q/again")

    def test_retiring_is_repeatable_with_a_journalled_id(self, store, reopen):
        publish_tree(store, NAME, {"a": b"1"})
        stage = stage_files(store, "u", {"tree/a": b"2"})
        publish_replace(store, stage, "tree", NAME)
        trash = store.new_trash_id()
        assert trash_staged(store, stage, "tree", trash=trash) == trash
        assert trash_staged(reopen(), stage, "tree", trash=trash) == trash
        assert [entry.id for entry in store.trash()] == [trash]
        trash_tree(store, "archive/P/none")
        store.place([TrashTree(parse_tree(NAME), NO_MARK, store.new_trash_id(), {})])  # another's tree
        assert read_tree(store, NAME) == {"a": b"2"}
        assert [entry.id for entry in store.trash()] == [trash]

    @pytest.mark.parametrize("trash", ["now", "", "x-y", "20260102T030405", "20260102T030405-", "20260102T030405-a/b"])
    def test_trash_ids_are_checked(self, store, trash):
        publish_tree(store, NAME, {"a": b"1"})
        with pytest.raises(ValueError, match=r".+"):
            trash_tree(store, NAME, trash=trash)
        with pytest.raises(ValueError, match=r".+"):
            restore_tree(store, trash, "archive/P/M")
        assert store.current(NAME) is not None

    def test_purge_goes_by_age(self, store):
        publish_tree(store, "archive/P/A", {"a": b"1"})
        publish_tree(store, "archive/P/B", {"a": b"1"})
        old = trash_tree(store, "archive/P/A", trash="20200101T000000-old")
        new = trash_tree(store, "archive/P/B", trash="20200103T000000-new")
        assert [entry.id for entry in store.trash()] == [old, new]
        third_of_january = int(datetime(2020, 1, 3, tzinfo=UTC).timestamp())
        assert store.purge(86400, now=third_of_january) == [old]
        assert store.purge(86400, now=third_of_january) == []
        assert [entry.id for entry in store.trash()] == [new]
        assert store.sweep().deleted > 0

    def test_one_entry_of_the_trash_is_discarded(self, store):
        publish_tree(store, "archive/P/A", {"a": b"1"})
        publish_tree(store, "archive/P/B", {"a": b"1"})
        gone, kept = (trash_tree(store, f"archive/P/{name}") for name in "AB")
        store.discard_trash(gone)
        store.discard_trash(gone)  # nothing where it is not there
        assert [entry.id for entry in store.trash()] == [kept]
        assert store.sweep().deleted > 0

    def test_sweep_stops_in_time_and_goes_on(self, store):
        stage = stage_files(store, "u", {f"{i}/f": b"1" for i in range(20)})
        store.finish(stage)
        assert store.works() == []
        assert store.sweep(0.0).left == 1
        done = store.sweep()
        assert done.left == 0
        assert done.deleted >= 20
        assert store.sweep() == (0, 0)

    # the rest

    def test_reserve_says_what_is_short(self, store):
        free = store.reserve(1)
        assert free > 1
        assert store.reserve(1, files=1, min_free=1) > 1
        for needed, min_free in ((free * 2, 0), (1, free * 2)):
            with pytest.raises(Fault, match="must stay free") as caught:
                store.reserve(needed, min_free=min_free)
            assert caught.value.code == "disk_full"
            assert f"{format_size(needed)} are needed" in caught.value.message
        with pytest.raises(
            Fault, match=rf"^[\d.,]+ [kMGT]B are available in .+, and {format_size(free * 2)} must"
        ) as caught:
            store.reserve(0, min_free=free * 2)  # of who brings nothing nothing is needed
        assert caught.value.remedy == "Free space there."

    def test_receipts_are_kept_and_replaced(self, store, reopen):
        stage = stage_files(store, "u", {"r1": b"first", "r2": b"second"})
        with pytest.raises(FileNotFoundError):
            store.open_receipt("u")
        with pytest.raises(FileNotFoundError):
            store.keep_receipt(stage, "none")
        store.keep_receipt(stage, "r1")
        store.keep_receipt(stage, "r2")
        reopen().keep_receipt(stage, "r2")
        store.finish(stage)
        with store.open_receipt("u") as reader:
            assert reader.read() == b"second"
        assert list(reopen().lost_receipts(["t", "u", "v"])) == ["t", "v"]
        store.drop_receipt("u")
        store.drop_receipt("u")
        assert list(store.lost_receipts(["u"])) == ["u"]
        with pytest.raises(FileNotFoundError):
            store.open_receipt("u")

    def test_prepare_again_changes_nothing(self, store):
        mark = publish_tree(store, NAME, {"a": b"1"})
        store.prepare()
        assert store.standing(NAME, mark) is True
