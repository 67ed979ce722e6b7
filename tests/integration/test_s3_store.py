"""The store in a bucket passes the conformance suite, on SeaweedFS with PostgreSQL."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from scandock.catalog.engine import Catalog, connect_server
from scandock.model.errors import Fault, TokenLost, Usage
from scandock.model.reception import CloseReason
from scandock.model.verdicts import ImportState
from scandock.pipeline.staging import scratch_path
from scandock.publishing import object_rows
from scandock.publishing.intents import OwnResourcesRow, Placement
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.publishing.publish import trash_replaced
from scandock.services.data_folders import check_kind_of_store
from scandock.services.settings import Settings, load_settings
from scandock.store import ahead_packs, part_spools
from scandock.store.bucket import Bucket
from scandock.store.errors import StoreFailed
from scandock.store.handles import ReadFile, SegmentPlace, Stage
from scandock.store.local import LocalStore
from scandock.store.moves import PublishReplace, RestoreTree, TrashTree
from scandock.store.paths import IMAGES, SEGMENTS, parse_tree, path_below, unchecked_path
from scandock.store.s3_object_spools import FEW_PARTS
from scandock.store.s3_store import S3Store
from scandock.store.segment_writer import SegmentWriter
from scandock.workers.receiver_studies import OpenStudies
from tests.crash.processes import until
from tests.integration.store_conformance import (
    FILES,
    NAME,
    StoreConformance,
    add_file,
    add_object,
    part,
    publish_new,
    publish_replace,
    publish_tree,
    read_tree,
    read_zip,
    stage_files,
    trash_staged,
    trash_tree,
)

OTHER = "archive/P/OTHER"


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def count_ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Each range that is asked for from now on."""
    asked: list[tuple[object, ...]] = []
    get_range = Bucket.get_range

    def counted(self: Bucket, key: str, offset: int, length: int) -> bytes:
        asked.append((key, offset, length))
        return get_range(self, key, offset, length)

    monkeypatch.setattr(Bucket, "get_range", counted)
    return asked


def read_file(rel: str, data: bytes) -> ReadFile:
    return ReadFile(rel, len(data), hashlib.sha256(data).digest(), "1.2")


def put_in_segment(stage: Stage, images: dict[str, bytes]) -> list[ReadFile]:
    """Images that a reader has put into a segment and told of, under the paths that they got."""
    read = []
    with closing(SegmentWriter(stage, len(images))) as writer:
        for rel, data in images.items():
            writer.put_whole(unchecked_path(rel), data)
            place = SegmentPlace(writer.name, writer.take_offset(rel))
            read.append(read_file(rel, data)._replace(place=place))
    named = stage.name_read([(file, bytes([number])) for number, file in enumerate(read)])
    return [file._replace(rel=rel) for file, rel in zip(read, named, strict=True)]


def keys(bucket: Bucket) -> list[str]:
    return sorted(key for key in bucket.list("v1") if key not in ("v1/store", "v1/probe"))


def test_what_a_bucket_has_that_is_not_there_is_not_deleted(bucket: Bucket) -> None:
    """As where a name was mistyped: its rows stay."""
    with pytest.raises(StoreFailed):
        Bucket("nowhere", endpoint=bucket.endpoint, region=bucket.region).delete(["v1/p/a"])


class TestS3Store(StoreConformance):
    @pytest.fixture
    def reopen(self, tmp_path, bucket, postgres_url):
        opened = []

        def reopen(host="host", *, garbage_ms=0, attempt_ms=0):
            rows = PostgresObjectRows(postgres_url)
            store = S3Store(str(tmp_path / host), bucket, rows, garbage_ms=garbage_ms, attempt_ms=attempt_ms)
            opened.append(store)
            return store

        yield reopen
        for store in opened:
            store.close()

    # What follows is of folders in the suite: an upload's unsynced bytes, a growing zip, and what was replaced, are
    # files there that any handle reads.
    test_a_spool_is_held_by_one_at_a_time = None  # type: ignore[assignment]
    test_objects_are_recovered_up_to_the_last_whole_one = None  # type: ignore[assignment]
    test_an_object_whose_bytes_changed_is_not_recovered = None
    test_a_finished_spool_is_not_written_again = None  # type: ignore[assignment]
    test_objects_in_files_are_recovered = None  # type: ignore[assignment]
    test_more_objects_than_a_plain_directory_counts = None  # type: ignore[assignment]
    test_move_files_and_folders = None  # type: ignore[assignment]
    test_snapshot_survives_exchange_retire_purge_and_sweep = None  # type: ignore[assignment]

    def test_spools_of_this_host_are_those_in_its_folder(self, store):
        spool = store.spool("in-the-bucket")
        spool.append(0, b"1")
        spool.sync()
        with closing(LocalStore(store.path).spool("on-disk")) as received:
            received.append(0, b"1")
        assert store.spools() == ["in-the-bucket", "on-disk"]
        assert store.spools(local=True) == ["on-disk"]

    def test_spool_takes_what_is_sent_again(self, store, reopen):
        spool = store.spool("u")
        spool.append(0, b"0123456789")
        spool.sync()
        spool = reopen().spool("u")
        assert spool.append(4, b"ab") == 6
        assert spool.read_at(0, 100) == b"0123ab"
        assert reopen().spool("u").size() == 6

    def test_parts_that_were_noted_are_not_read_again_as_more_come(self, store, monkeypatch):
        """An upload of 256 GB has 32,768 of them."""
        with closing(store.spool("u")) as spool:
            spool.append(0, b"0123")
            spool.sync()
            with monkeypatch.context() as patch:
                patch.setattr(PostgresObjectRows, "parts", None)
                patch.setattr(PostgresObjectRows, "note_parts", None)
                spool.append(4, b"4567")
                assert spool.sync() == 8
            spool.append(6, b"ab")  # sent again: what was noted is not what counts any more
            assert spool.sync() == 8
        assert store.spool("u").read_at(0, 9) == b"012345ab"

    def test_large_objects_take_of_the_memory_that_uploads_share(self, tmp_path, bucket, postgres_url, monkeypatch):
        """Where there is none, they are sent in small parts."""
        monkeypatch.setattr(part_spools, "WAIT_SECONDS", 0)
        data = os.urandom(3 * part_spools.SMALL_PART)
        rows = PostgresObjectRows(postgres_url)
        with closing(S3Store(str(tmp_path / "host"), bucket, rows, upload_memory=0)) as store:
            store.prepare()
            store.make_areas(lambda *_: True)
            spool = store.object_spool("u")
            add_file(store, spool, "1.dcm", b"meta", data)
            assert max(part.length for part in rows.parts("u")) == part_spools.SMALL_PART
            spool.finish()
            assert read_zip(store, "u") == [("1.dcm", b"meta" + data)]

    def test_who_goes_on_with_a_spool_replaces_the_writer_before(self, store, reopen):
        spool, other = store.spool("u"), reopen("another").spool("u")
        assert spool.hold()
        spool.append(0, b"abc")
        spool.sync()
        assert other.hold()
        assert other.append(3, b"d") == 4
        spool.append(3, b"late")
        with pytest.raises(Fault) as caught:
            spool.sync()
        assert caught.value.code == "spool_taken"
        assert other.sync() == 4
        assert store.spool("u").read_at(0, 9) == b"abcd"

    def test_a_finished_spool_of_objects_is_read_by_any_host(self, store, reopen):
        spool = store.object_spool("u")
        spool.sync(spool.append("1.dcm", [b"first"]))
        size = spool.finish()
        assert reopen("another").spool("u").size() == size == spool.finish()

    def test_objects_that_wait_in_files_are_appended(self, store):
        """They stand in the order in which they were whole."""
        spool = store.object_spool("u")
        data = os.urandom(9_000_000)
        end = add_object(spool, "1.dcm", b"first")
        assert add_file(store, spool, "2.dcm", b"meta", data) == spool.size == spool.synced > end + len(data)
        spool.append("3.dcm", [b"third"])
        assert add_file(store, spool, "4.dcm", b"", b"") == spool.synced
        assert (spool.entries, spool.beside, spool.read_first(3)) == (4, 0, b"fir")
        assert spool.finish() == store.spool("u").size()
        names = {"1.dcm": b"first", "2.dcm": b"meta" + data, "3.dcm": b"third", "4.dcm": b""}
        assert read_zip(store, "u") == list(names.items())

    def test_another_host_goes_on_with_a_spool_of_objects_and_none_beside_it(self, store, reopen):
        spool = store.object_spool("u")
        add_object(spool, "1.dcm", b"first")
        add_file(store, spool, "2.dcm", b"meta", b"second")
        spool.append("3.dcm", [b"no sync has covered this"])
        another = reopen("another")
        another.prepare()
        taken = another.object_spool("u")
        assert (taken.recover(), taken.size) == (2, spool.synced)
        add_object(taken, "4.dcm", b"fourth")
        for refused in (lambda: spool.sync(spool.size), lambda: spool.append("5.dcm", []), spool.finish):
            with pytest.raises(Fault) as caught:
                refused()
            assert caught.value.code == "spool_taken"
        taken.finish()
        whole = [("1.dcm", b"first"), ("2.dcm", b"metasecond"), ("4.dcm", b"fourth")]
        assert read_zip(store, "u") == whole
        late = reopen().object_spool("u", "who was replaced")
        with pytest.raises(Fault) as caught:
            add_object(late, "6.dcm", b"late")
        assert caught.value.code == "spool_taken"
        assert read_zip(store, "u") == whole

    def test_a_study_whose_spool_another_host_has_taken_is_not_handed_over_again_and_again(self, store, reopen):
        """The other host does so. Until it has, the upload is being received, whoever asks."""
        incoming = SimpleNamespace(upload_id=1, uuid="u", spool_writer="")
        rows = SimpleNamespace(begin=lambda *_: incoming, read_state=lambda _: ImportState.RECEIVING)
        source = SimpleNamespace(number=1, title="single objects")
        studies = OpenStudies(store, rows, load_settings().reception, lambda _: None, structlog.get_logger())
        study = studies.begin("key", source, None)
        study.spool.sync(study.spool.append("1.dcm", [b"first"]))
        another = reopen("another")
        another.prepare()
        assert another.object_spool("u").recover() == 1
        studies.close(study, CloseReason.IDLE)
        until(lambda: not studies.busy, "it is tried again")

    def test_many_small_parts_become_few_when_a_spool_of_objects_is_finished(self, store, bucket):
        spool = store.object_spool("u")
        objects = [(f"{number}.dcm", os.urandom(300)) for number in range(FEW_PARTS + 1)]
        for name, data in objects:
            add_object(spool, name, data)
        spool.finish()
        assert read_zip(store, "u") == objects
        store.sweep()
        assert len(keys(bucket)) == 2

    def test_a_sync_that_fails_keeps_what_earlier_ones_have_covered(self, store, monkeypatch):
        spool = store.object_spool("u")
        add_object(spool, "1.dcm", b"first")
        add_parts = PostgresObjectRows.add_parts

        def lose_answer(*args: Any) -> None:
            add_parts(*args)
            raise StoreFailed("The database is away.")

        with monkeypatch.context() as patch:
            patch.setattr(PostgresObjectRows, "add_parts", lose_answer)
            with pytest.raises(Fault, match="is away"):
                add_object(spool, "2.dcm", b"second")
        with pytest.raises(Fault) as refused:
            spool.append("3.dcm", [])
        assert (refused.value.code, spool.entries) == ("spool_closed", 1)
        assert spool.finish() == store.spool("u").size()
        assert read_zip(store, "u") == [("1.dcm", b"first")]

    def test_objects_that_a_host_received_before_its_site_was_moved_are_recovered(self, store, tmp_path):
        with closing(LocalStore(str(tmp_path / "host"))) as local:
            spool = local.object_spool("u")
            add_object(spool, "1.dcm", b"first")
            add_file(local, spool, "2.dcm", b"", b"second")
            spool.close()
        moved = store.object_spool("u")
        assert moved.recover() == 2
        add_object(moved, "3.dcm", b"third")
        moved.finish()
        assert read_zip(store, "u") == [("1.dcm", b"first"), ("2.dcm", b"second"), ("3.dcm", b"third")]

    def test_compose_takes_files_of_a_base_and_what_was_staged(self, store, reopen):
        publish_tree(store, NAME, {f"{FILES}/a": b"one", f"{FILES}/b": b"two", "resources/X/files/c": b"three"})
        stage, other = stage_files(store, "u", {"read/1": b"1", "read/odd": b"2"}), stage_files(store, "v", {"f": b"3"})
        parts = [
            part("read", "scans/2"),
            part("tree/scans/2/odd", "scans/2/even"),
            part("f", "resources/Y/files/f", other),
        ]
        kept = [unchecked_path(f"{FILES}/a"), unchecked_path("resources/X/files/c")]
        mark = stage.compose(unchecked_path("tree"), parts, base=parse_tree(NAME), kept=kept)
        stage.seal()
        publish_replace(store, stage, "tree", NAME, mark)
        assert read_tree(reopen("another"), NAME) == {
            f"{FILES}/a": b"one",
            "resources/X/files/c": b"three",
            "scans/2/1": b"1",
            "scans/2/even": b"2",
            "resources/Y/files/f": b"3",
        }

    def test_an_unsealed_tree_is_not_published(self, store):
        stage = stage_files(store, "u", {"x": b"1"})
        mark = stage.compose(unchecked_path("tree"), [part("x", "a")])
        with pytest.raises(Fault) as caught:
            publish_new(store, stage, "tree", NAME, mark)
        assert caught.value.code == "tree_missing"
        stage.seal()
        publish_new(store, stage, "tree", NAME, mark)
        assert read_tree(store, NAME) == {"a": b"1"}

    def test_a_mark_tells_two_trees_apart_and_follows_every_move(self, store):
        stage = stage_files(store, "u", {"tree/a": b"a"})
        mark = stage.mark(unchecked_path("tree"))
        publish_new(store, stage, "tree", NAME)
        store_mark = store.current(NAME)
        assert store_mark == mark
        next_mark = stage.compose(unchecked_path("next"), [])
        stage.seal()
        publish_replace(store, stage, "next", NAME, next_mark)
        assert store.standing(NAME, mark) is False
        assert stage.mark(unchecked_path("next")) == mark

    def test_exchange_keeps_both_and_is_repeatable(self, store, reopen):
        old = publish_tree(store, NAME, {"a": b"old"})
        stage = stage_files(store, "u", {"tree/a": b"new"})
        new = stage.mark(unchecked_path("tree"))
        publish_replace(store, stage, "tree", NAME, mark=new)
        again = reopen("another")
        again.prepare()
        new_stage = again.take("u", "t1", "t2")
        publish_replace(again, new_stage, "tree", NAME, mark=new)
        assert again.standing(NAME, new) is True
        assert new_stage.mark("tree") == old
        trash = trash_staged(again, new_stage, "tree")
        assert store.trashed(trash) == old

    def test_a_snapshot_is_read_until_what_it_shows_may_go(self, store, reopen, bucket):
        """Readers of other hosts are known to nobody: what was shown outlives its end by a time."""
        patient = reopen("patient", garbage_ms=8 * 24 * 60 * 60 * 1000)
        patient.prepare()
        publish_tree(store, NAME, {f"{FILES}/{i}": bytes([i]) * 100 for i in range(5)})
        with store.snapshot(NAME) as snapshot:
            stage = stage_files(store, "u", {"tree/a": b"new"})
            publish_replace(store, stage, "tree", NAME)
            trash_staged(store, stage, "tree")
            store.finish(stage)
            assert len(patient.purge(0)) == 1
            assert patient.sweep() == (0, 0)  # it may not go yet: a janitor that was told of it would never rest
            assert [entry.size for entry in snapshot.walk()] == [100] * 5
            with snapshot.open(f"{FILES}/3", 98) as reader:
                assert reader.read() == b"\3\3"
            with pytest.raises(FileNotFoundError):
                snapshot.open("a")
        before = keys(bucket)
        assert store.sweep().left == 0
        assert len(keys(bucket)) == len(before) - 1
        assert read_tree(store, NAME) == {"a": b"new"}

    def test_a_tree_that_came_by_the_trash_is_read_until_it_may_go(self, store, reopen):
        """As one that was moved to the bucket with the trash of a folder."""
        patient = reopen("patient", garbage_ms=60_000)
        patient.prepare()
        stage = stage_files(store, "u", {"tree/a": b"a"})
        mark = stage.mark(unchecked_path("tree"))
        trash = trash_staged(store, stage, "tree")
        assert mark is not None
        store.place([RestoreTree(trash, parse_tree(NAME), mark)])
        with store.snapshot(NAME) as snapshot:
            store.discard_trash(trash_tree(store, NAME))
            assert patient.sweep() == (0, 0)
            assert snapshot.size("a") == 1

    def test_a_tree_that_nobody_may_know_of_is_not_read_until_it_may_go(self, store, reopen, bucket):
        patient = reopen("patient", garbage_ms=60_000)
        patient.prepare()
        publish_tree(store, NAME, {"a": b"a"})
        trash = trash_tree(store, NAME)
        patient.discard_trash(trash, erase=True)
        patient.discard_trash(trash, erase=True)  # nothing where it is not there
        assert patient.sweep().left == 0
        assert keys(bucket) == []

    def test_a_replaced_tree_that_nobody_may_know_of_goes_at_once(self, reopen, bucket):
        patient = reopen("patient", garbage_ms=60_000)
        patient.prepare()
        base = publish_tree(patient, NAME, {"a": b"a"})
        stage = stage_files(patient, "u", {"tree/a": b"b"})
        stage.seal()
        rel, name = unchecked_path("tree"), parse_tree(NAME)
        mark = stage.mark(rel)
        assert mark is not None
        patient.place([PublishReplace(stage, rel, name, mark)])
        placement = Placement(
            n=1, name=name, staged=rel, mark=mark, tree_id=2, base_tree_id=1, base_mark=base, keep_base=True,
            session=OwnResourcesRow(uuid="s", new=False, project_id=1, subject_id=None, key=""),
            trash=patient.new_trash_id(), discard=True,
        )  # fmt: skip
        recorded: Any = placement.columns()
        assert Placement.from_row(recorded) == placement
        trash_replaced(patient, stage, [placement], {})
        patient.finish(stage)
        assert patient.sweep().left == 0
        assert list(patient.trash()) == []
        assert len(keys(bucket)) == 1
        assert read_tree(patient, NAME) == {"a": b"b"}

    # what only a bucket has

    def test_an_attempt_that_was_taken_over_touches_no_receipt(self, store, reopen):
        stale = stage_files(store, "u", {"receipt.jsonl.gz": b"old"})
        stale.seal()
        other = reopen("another")
        other.prepare()
        taken = other.take("u", "t1", "t2")
        for verb in (
            stale.seal,
            lambda: store.keep_receipt(stale, "receipt.jsonl.gz"),
            lambda: stale.remove(unchecked_path("receipt.jsonl.gz")),
            stale.clear,
        ):
            with pytest.raises(TokenLost):
                verb()
        with taken.open("receipt.jsonl.gz") as reader:
            assert reader.read() == b"old"
        other.keep_receipt(taken, "receipt.jsonl.gz")
        with store.open_receipt("u") as reader:
            assert reader.read() == b"old"

    def test_an_attempt_that_has_ended_takes_nothing_over(self, store, reopen):
        stage = stage_files(store, "u", {"tree/a": b"a"})
        mark = stage.mark(unchecked_path("tree"))
        other = reopen("another")
        other.prepare()
        taken = other.take("u", "t1", "t2")
        with pytest.raises(TokenLost):
            store.take("u", "t2", "t1")
        with pytest.raises(TokenLost):
            publish_new(store, stage, "tree", NAME, mark)
        publish_new(other, taken, "tree", NAME, mark)
        publish_new(store, stage, "tree", NAME, mark)  # has it already
        assert read_tree(store, NAME) == {"a": b"a"}

    def test_a_staged_tree_is_published_by_another_host(self, store, reopen):
        stage = stage_files(store, "u", {"x": b"1", "receipt.jsonl.gz": b"lines"})
        mark = stage.compose(unchecked_path("tree"), [part("x", "a")])
        stage.seal()
        other = reopen("another")
        other.prepare()
        taken = other.take("u", "t1", "t2")
        assert taken.list() == []
        assert taken.mark("tree") == mark
        publish_new(other, taken, "tree", NAME, mark)
        assert taken.exists("receipt.jsonl.gz")
        with taken.open("receipt.jsonl.gz") as reader:
            assert reader.read() == b"lines"
        other.keep_receipt(taken, "receipt.jsonl.gz")
        other.finish(taken)
        with pytest.raises(TokenLost):
            publish_new(store, stage, "tree", "archive/P/M", mark)
        with store.open_receipt("u") as reader:
            assert reader.read() == b"lines"
        assert read_tree(store, NAME) == {"a": b"1"}

    def test_a_stale_worker_stores_nothing_that_shows_and_its_prefix_is_swept(self, store, reopen, bucket):
        stale = stage_files(store, "u", {"x": b"1" * 100})
        stale.compose(unchecked_path("tree"), [part("x", "a")])
        other = reopen("another")
        other.prepare()
        taken = other.take("u", "t1", "t2")
        with pytest.raises(TokenLost):
            stale.seal()
        assert len(keys(bucket)) == 1
        other.finish(taken)
        assert other.sweep().left == 0
        assert keys(bucket) == []

    def test_a_seal_that_is_ended_has_stored_no_tree(self, store, bucket):
        stage = stage_files(store, "u", {f"tree/{number}": b"1" for number in range(4)})
        mark = stage.compose(unchecked_path("tree"), [])
        asked = iter([None, None, InterruptedError()])

        def check() -> None:
            if error := next(asked):
                raise error

        with pytest.raises(InterruptedError):
            stage.seal(check)
        assert keys(bucket) == []
        stage.seal(lambda: None)
        publish_new(store, stage, "tree", NAME, mark)
        assert len(read_tree(store, NAME)) == 4

    def test_what_arrived_is_there_until_a_restored_catalog_needs_it_no_more(self, store, reopen, bucket):
        patient = reopen("patient", garbage_ms=60_000)
        patient.prepare()
        with closing(patient.spool("u")) as spool:
            spool.append(0, b"0123456789")
            spool.sync()
            spool.append(4, b"ab")
            spool.sync()
        patient.spool("u").discard()
        stage = stage_files(patient, "u", {"old": b"1", "new": b"2"})
        for receipt in ("old", "new"):
            patient.keep_receipt(stage, receipt)
        patient.finish(stage)
        patient.drop_receipt("u")
        assert patient.sweep() == (0, 0)
        assert [key[:4] for key in keys(bucket)] == ["v1/r", "v1/r", "v1/s", "v1/s"]

    def test_what_arrived_goes_at_once_where_nobody_may_know_of_it(self, store, reopen, bucket):
        patient = reopen("patient", garbage_ms=60_000)
        patient.prepare()
        for upload in ("told-then", "told-before"):
            spool = patient.spool(upload)
            spool.append(0, b"0123456789")
            spool.sync()
        patient.spool("told-then").discard(erase=True)
        patient.sweep()
        assert len(keys(bucket)) == 1
        patient.erase_originals()
        patient.spool("told-before").discard()
        assert keys(bucket) == []

    # what is sent while an import is being read

    def test_packs_that_one_tree_takes_whole_are_sent_once(self, store, bucket, monkeypatch):
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 200)
        files = {f"in/1/{i}": bytes([i]) * 100 for i in range(5)}
        stage = stage_files(store, "u", files)
        stage.send_ahead(read_file(rel, data) for rel, data in files.items())
        stage.compose(unchecked_path("tree"), [part("in/1", "scans/1")])
        stage.seal()
        assert len(keys(bucket)) == 3  # two were full
        publish_new(store, stage, "tree", NAME)
        assert read_tree(store, NAME) == {f"scans/1/{i}": bytes([i]) * 100 for i in range(5)}
        store.finish(stage)
        assert store.census() == ([], [])
        assert store.sweep().left == 0
        assert len(keys(bucket)) == 3

    def test_files_of_packs_that_no_tree_takes_whole_are_packed_again(self, store, bucket, monkeypatch):
        """Others stay elsewhere: in a second tree, or in none."""
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 400)
        files = {f"in/1/{i}": bytes([i]) * 100 for i in range(12)}
        stage = stage_files(store, "u", files)
        for first in (0, 4, 8):
            stage.send_ahead([read_file(f"in/1/{i}", files[f"in/1/{i}"]) for i in range(first, first + 4)])
        stage.remove(unchecked_path("in/1/2"))
        parts = [part(f"in/1/{i}", f"scans/1/{i}") for i in (0, 1, 3, 4, 5, 6, 7, 8, 9)]
        stage.compose(unchecked_path("tree"), parts)
        stage.compose(unchecked_path("tree2"), [part("in/1/10", "a"), part("in/1/11", "b")])
        stage.seal()
        publish_new(store, stage, "tree", NAME)
        publish_new(store, stage, "tree2", OTHER)
        store.finish(stage)
        assert store.sweep().left == 0
        assert len(keys(bucket)) == 3  # that of 4 to 7, and one more of each tree
        assert read_tree(store, NAME) == {f"scans/1/{i}": files[f"in/1/{i}"] for i in (0, 1, 3, 4, 5, 6, 7, 8, 9)}
        assert read_tree(store, OTHER) == {"a": files["in/1/10"], "b": files["in/1/11"]}

    # images that readers have put into segments

    def test_images_in_segments_are_stored_as_others_are(self, store, bucket, monkeypatch):
        """Some sent ahead, others packed by the seal beside a file of its own; none has a file on the host."""
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 300)
        stage = stage_files(store, "u", {"in/1/9": b"9" * 100})
        images = {f"in/1/{i}": bytes([i]) * 100 for i in range(5)}
        stage.send_ahead(put_in_segment(stage, images))
        assert os.listdir(f"{stage.local_path(IMAGES)}/1") == ["9"]
        stage.compose(unchecked_path("tree"), [part("in/1", "scans/1")])
        stage.seal()
        assert len(keys(bucket)) == 2
        publish_new(store, stage, "tree", NAME)
        expected = {f"scans/1/{i}": bytes([i]) * 100 for i in range(5)}
        assert read_tree(store, NAME) == expected | {"scans/1/9": b"9" * 100}
        store.finish(stage)
        assert store.census() == ([], [])
        assert store.sweep().left == 0

    def test_images_in_segments_are_read_and_moved_as_files_are(self, store):
        stage = stage_files(store, "u", {"in/1/9": b"nine", "loose/1": b"loose"})
        put_in_segment(stage, {"in/1/0": b"0123", "in/1/1": b"one", "in/2/2": b"two"})
        rel = unchecked_path
        assert stage.read_at(rel("in/1/0"), 1, 2) == b"12"
        with stage.open(rel("in/1/1")) as reader:
            assert reader.read() == b"one"
        assert stage.list(rel("in/1")) == ["0", "1", "9"]
        stage.move(rel("in/1"), rel("a/1"))
        stage.move(rel("in/2/2"), rel("a/1/2"))
        assert sorted(entry.rel for entry in stage.walk(rel("a"))) == ["a/1/0", "a/1/1", "a/1/2", "a/1/9"]
        assert [stage.exists(rel(path)) for path in ("in/1", "in/1/0", "a/1", "a/1/2")] == [False, False, True, True]
        assert stage.read_at(rel("a/1/9"), 0, 9) == b"nine"
        for old, new in (("a/1/0", "loose/1"), ("loose/1", "a/1/0"), ("a/1/0", "a/1/1"), ("a/1/2", "loose")):
            with pytest.raises(FileExistsError):
                stage.move(rel(old), rel(new))
        with pytest.raises(FileNotFoundError):
            stage.move(rel("in/1/0"), rel("b"))
        stage.remove(rel("a/1/1"))
        with pytest.raises(FileNotFoundError):
            stage.read_at(rel("a/1/1"), 0, 3)
        stage.remove(rel("a"))
        assert [entry.rel for entry in stage.walk(rel("a"))] == []

    def test_images_of_one_path_get_the_spare_one(self, store):
        """Of two readers, of which one may have made a file of its image."""
        stage = stage_files(store, "u", {"in/1/b": b"file", "in/1/c": b"file"})
        first, second, third = (unchecked_path(path) for path in ("in/1/a", "in/1/b", "in/1/c"))
        assert put_in_segment(stage, {first: b"one"})[0].rel == first
        again = read_file(first, b"two")._replace(place=put_in_segment(stage, {"in/2/x": b"two"})[0].place)
        assert stage.name_read([(again, b"\1")]) == ["in/1/a~01"]
        assert [stage.read_at(unchecked_path(rel), 0, 9) for rel in (first, "in/1/a~01")] == [b"one", b"two"]
        # one that is told of behind another's in a segment has the file moved, one that is told of before keeps it
        put_in_segment(stage, {second: b"in a segment"})
        assert stage.name_read([(read_file(second, b"file"), b"\2")]) == ["in/1/b~02"]
        assert stage.read_at(unchecked_path("in/1/b~02"), 0, 9) == b"file"
        assert stage.read_at(second, 0, 99) == b"in a segment"
        assert stage.name_read([(read_file(third, b"file"), b"\3")]) == [third]
        assert stage.name_read([(again._replace(rel=third), b"\4")]) == ["in/1/c~04"]

    def test_a_file_that_a_dead_reader_left_is_not_taken_for_the_image_of_its_path(self, store):
        stage = stage_files(store, "u", {"in/1/a": b"left"})
        put_in_segment(stage, {"in/1/a": b"told"})
        stage.compose(unchecked_path("tree"), [part("in/1", "scans/1")])
        stage.seal()
        publish_new(store, stage, "tree", NAME)
        assert read_tree(store, NAME) == {"scans/1/a": b"told"}

    def test_what_a_segment_lost_fails_the_seal(self, store):
        stage = stage_files(store, "u", {})
        put_in_segment(stage, {"in/1/a": b"whole"})
        (segment,) = stage.list(SEGMENTS)
        os.truncate(scratch_path(stage, path_below(SEGMENTS, segment)), 3)
        stage.compose(unchecked_path("tree"), [part("in/1", "scans/1")])
        with pytest.raises(ValueError, match="not 5 bytes"):
            stage.seal()

    @pytest.mark.parametrize("end", ["finish", "clear", "takeover"])
    def test_what_was_sent_by_an_attempt_that_shows_nothing_is_swept(self, store, reopen, bucket, monkeypatch, end):
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 100)
        stage = stage_files(store, "u", {"in/1/a": b"1" * 100})
        stage.send_ahead([read_file("in/1/a", b"1" * 100)])
        if end == "takeover":
            other = reopen("another")
            other.prepare()
            other.finish(other.take("u", "t1", "t2"))
            stage.close()
        elif end == "clear":
            stage.clear()
            stage.compose(unchecked_path("tree"), [])
            stage.seal()
            store.finish(stage)
        else:
            store.finish(stage)
        assert store.sweep().left == 0
        assert keys(bucket) == []

    def test_what_could_not_be_sent_ahead_is_sent_by_the_seal(self, store, bucket, monkeypatch):
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 100)
        stage = stage_files(store, "u", {"in/1/a": b"1" * 100})
        with monkeypatch.context() as patch:
            patch.setattr(PostgresObjectRows, "begin", killed)
            stage.send_ahead([read_file("in/1/a", b"1" * 100)])
        publish_new(store, stage, "in/1", NAME)
        assert read_tree(store, NAME) == {"a": b"1" * 100}

    def test_large_files_are_objects_of_their_own_read_by_blocks(self, store, bucket):
        data = bytes(range(256)) * 40_000
        publish_tree(store, NAME, {"big": data, "small": b"1"})
        assert [key[:4] for key in keys(bucket)] == ["v1/f", "v1/p"]
        with store.snapshot(NAME) as snapshot:
            with snapshot.open("big") as reader:
                assert reader.read() == data
                assert reader.seek(-3, 2) == len(data) - 3
                assert reader.read() == data[-3:]
            with snapshot.open("big", 9_000_000, 300) as reader:
                assert reader.read() == data[9_000_000:9_000_300]
            assert snapshot.size("big") == len(data)

    def test_neighbors_are_read_by_one_request(self, store, bucket, monkeypatch):
        files = {f"{FILES}/{i:03}": bytes([i]) * 1000 for i in range(200)}
        publish_tree(store, NAME, files)
        asked = count_ranges(monkeypatch)
        assert read_tree(store, NAME) == files
        assert len(asked) == 2

    def test_files_that_lie_in_packs_by_turns_are_read_by_few_requests(self, store, bucket, monkeypatch):
        """As two readers have read them."""
        monkeypatch.setattr(ahead_packs, "PACK_BYTES", 50_000)
        files = {f"in/1/{i:03}": bytes([i]) * 1000 for i in range(200)}
        stage = stage_files(store, "u", files)
        for turn in (0, 1):
            for half in (0, 100):
                stage.send_ahead(read_file(rel, files[rel]) for rel in sorted(files)[half + turn : half + 100 : 2])
        stage.compose(unchecked_path("tree"), [part("in/1", FILES)])
        stage.seal()
        assert len(keys(bucket)) == 4
        publish_new(store, stage, "tree", NAME)
        asked = count_ranges(monkeypatch)
        assert read_tree(store, NAME) == {f"{FILES}/{i:03}": bytes([i]) * 1000 for i in range(200)}
        assert len(asked) == 5  # the first file, then each pack once
        asked.clear()
        with store.snapshot(NAME) as snapshot:
            for i in (150, 3, 71):  # at random: each alone
                with snapshot.open(f"{FILES}/{i:03}") as reader:
                    assert reader.read() == bytes([i]) * 1000
        assert len(asked) == 3

    def test_objects_that_two_trees_share_stay_until_both_are_gone(self, store, bucket):
        publish_tree(store, NAME, {"a": b"1" * 100})
        stage = stage_files(store, "u", {"x": b"2"})
        mark = stage.compose(
            unchecked_path("tree"), [part("x", "b")], base=parse_tree(NAME), kept=[unchecked_path("a")]
        )
        stage.seal()
        publish_replace(store, stage, "tree", NAME, mark)
        store.finish(stage)  # the tree before goes, its pack stays
        assert store.sweep().left == 0
        assert len(keys(bucket)) == 2
        assert read_tree(store, NAME) == {"a": b"1" * 100, "b": b"2"}
        store.discard_trash(trash_tree(store, NAME))
        assert store.sweep().left == 0
        assert keys(bucket) == []

    def test_a_bucket_of_another_catalog_is_refused(self, store, reopen, bucket):
        assert store.make_areas(lambda *_: True) == []
        assert reopen("another").make_areas(lambda *_: True) == []
        bucket.put("v1/store", b"another")
        with pytest.raises(Fault) as caught:
            reopen("third").make_areas(lambda *_: True)
        assert caught.value.code == "store_other"
        bucket.delete(["v1/store"])
        publish_tree(store, NAME, {"a": b"1"})
        with pytest.raises(Fault) as caught:
            reopen("fourth").make_areas(lambda *_: True)
        assert caught.value.code == "store_other"

    def test_what_is_to_be_erased_goes_at_once_though_it_was_to_go_later(self, reopen, bucket):
        store = reopen(garbage_ms=24 * 60 * 60 * 1000)
        store.prepare()
        for upload in ("u", "u-other", "sent-again"):
            with closing(store.spool(upload)) as spool:
                spool.append(0, b"one")
                spool.sync()
        with closing(store.spool("sent-again")) as spool:  # what came before is not named any more
            spool.append(1, b"two")
            spool.sync()
        received = store.object_spool("received")
        received.sync(received.append("a", [b"1"]))
        received.discard()  # as a receiver does, which knows no policy
        store.spool("u").discard()
        store.sweep()
        assert {key.split("/")[2] for key in bucket.list("v1/s")} == {"u", "u-other", "sent-again", "received"}

        for upload in ("u", "sent-again", "received"):
            store.spool(upload).discard(erase=True)
        store.sweep()
        assert {key.split("/")[2] for key in bucket.list("v1/s")} == {"u-other"}

    def test_a_first_start_with_a_wrong_bucket_binds_to_none(self, tmp_path, reopen, bucket, postgres_url):
        wrong = Bucket("never-made", endpoint=bucket.endpoint)
        store = S3Store(str(tmp_path / "wrong"), wrong, PostgresObjectRows(postgres_url))
        with closing(store), pytest.raises(Fault):
            store.make_areas(lambda *_: True)
        catalog = Catalog(connect_server(postgres_url))
        with ExitStack() as opened:
            opened.callback(catalog.dispose)
            check_kind_of_store(catalog, Settings())
            bucket.put("v1/p/strange", b"1")
            with pytest.raises(Fault) as caught:
                reopen().make_areas(lambda *_: True)
            assert caught.value.code == "store_other"
            bucket.delete(["v1/p/strange"])
            assert reopen().make_areas(lambda *_: True) == []
            with pytest.raises(Usage) as refused:
                check_kind_of_store(catalog, Settings())
            assert refused.value.code == "store_elsewhere"
        assert reopen("another").make_areas(lambda *_: True) == []

    def test_hosts_that_start_at_once_with_an_empty_bucket_share_it(self, reopen, bucket, monkeypatch):
        named_keys = PostgresObjectRows.named_keys

        def be_late(rows):
            monkeypatch.undo()
            early = reopen("early")
            early.prepare()
            assert early.make_areas(lambda *_: True) == []
            publish_tree(early, NAME, {"a": b"1"})
            return named_keys(rows)

        monkeypatch.setattr(PostgresObjectRows, "named_keys", be_late)
        assert reopen("late").make_areas(lambda *_: True) == []
        assert [key[:4] for key in keys(bucket)] == ["v1/p"]

    @pytest.mark.parametrize("verb", ["list", "create"], ids=["before-the-marker-is-put", "behind-it"])
    def test_of_two_catalogs_that_begin_at_once_one_gets_the_bucket(
        self, tmp_path, reopen, bucket, postgres_url, postgres_cluster, monkeypatch, verb
    ):
        """The second begins while the first is between two requests of its beginning."""
        with postgres_cluster.catalog() as url, ExitStack() as opened:
            rows = {name: PostgresObjectRows(of) for name, of in (("first", postgres_url), ("second", url))}
            opened.callback(rows["first"].close)
            second = opened.enter_context(closing(S3Store(str(tmp_path / "second"), bucket, rows["second"])))
            first, theirs = reopen(), list[str]()
            original = getattr(Bucket, verb)

            def interrupted(self, *args):
                done = original(self, *args)
                monkeypatch.setattr(Bucket, verb, original)
                try:
                    theirs.append(str(second.make_areas(lambda *_: True)))
                except Fault as fault:
                    theirs.append(fault.code)
                return done

            monkeypatch.setattr(Bucket, verb, interrupted)
            if verb == "create":
                assert first.make_areas(lambda *_: True) == []
                assert theirs == ["store_other"]
            else:
                with pytest.raises(Fault) as caught:
                    first.make_areas(lambda *_: True)
                assert (caught.value.code, theirs) == ("store_other", ["[]"])
            holder = rows["second" if verb == "list" else "first"]
            assert bucket.get("v1/store").decode() == holder.identity("").marker

    def test_who_was_killed_behind_the_marker_goes_on(self, reopen, bucket, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(PostgresObjectRows, "adopt", killed)
            with pytest.raises(KeyboardInterrupt):
                reopen().make_areas(lambda *_: True)
        marker = bucket.get("v1/store")
        assert reopen("another").make_areas(lambda *_: True) == []
        assert bucket.get("v1/store") == marker

    def test_two_hosts_that_sweep_at_once_leave_the_second_sweep_for_a_day_later(self, store, postgres_url):
        publish_tree(store, NAME, {"a": b"1"})
        with closing(PostgresObjectRows(postgres_url)) as rows:
            ((upload, token),) = rows.ended_attempts(grace_ms=0)
            for _ in range(2):  # both have looked before either had swept
                rows.swept(upload, token, grace_ms=0)
            assert rows.ended_attempts(grace_ms=0) == []
            day = 24 * 60 * 60 * 1000
            assert rows.ended_attempts(grace_ms=-day) == [(upload, token)]
            rows.swept(upload, token, grace_ms=-day)
            assert rows.ended_attempts(grace_ms=-day) == []

    def test_a_sweep_whose_time_is_over_forgets_no_more_trees(self, store, monkeypatch):
        """A janitor that sweeps for 5 s takes over dead imports behind that, however many trees have gone."""
        monkeypatch.setattr(object_rows, "_TREES_AT_ONCE", 1)
        for number in range(4):
            name = f"archive/P/L{number}"
            publish_tree(store, name, {"a": b"1"})
            store.discard_trash(trash_tree(store, name))
        forgotten: list[int] = []
        forget = PostgresObjectRows._forget_trees  # noqa: SLF001  what one turn does

        def counted(rows: PostgresObjectRows, grace_ms: int) -> int:
            forgotten.append(count := forget(rows, grace_ms))
            return count

        monkeypatch.setattr(PostgresObjectRows, "_forget_trees", counted)
        store.sweep(0)
        assert sum(forgotten) <= 1
        store.sweep()
        assert sum(forgotten) == 4

    def test_a_prefix_that_can_not_be_listed_hinders_no_other_and_nothing_that_is_due(
        self, store, bucket, monkeypatch, postgres_url
    ):
        for name in ("first", "second"):
            publish_tree(store, f"archive/P/{name}", {"a": b"1"}, upload=name)
        store.discard_trash(trash_tree(store, "archive/P/first"))
        list_keys = Bucket.list

        def list_some(bucket, prefix):
            if "/first/" in prefix:
                raise bucket.fault("listing", prefix, "no")
            return list_keys(bucket, prefix)

        monkeypatch.setattr(Bucket, "list", list_some)
        with pytest.raises(StoreFailed):
            store.sweep()
        monkeypatch.undo()
        assert [key for key in keys(bucket) if "/first/" in key] == []
        with closing(PostgresObjectRows(postgres_url)) as rows:
            assert rows.ended_attempts(grace_ms=0) == [("first", "t")]

    def test_the_census_names_what_nobody_knows_and_what_is_gone(self, store, bucket):
        publish_tree(store, NAME, {"a": b"1"})
        assert store.census() == ([], [])
        (pack,) = keys(bucket)
        bucket.put("v1/p/strange", b"1")
        bucket.delete([pack])
        assert store.census() == (["v1/p/strange"], [pack])
        with store.snapshot(NAME) as snapshot, pytest.raises(FileNotFoundError):
            snapshot.open("a")

    def test_the_census_misses_nothing_that_only_the_trash_or_a_replaced_tree_has(self, store, bucket):
        mark = publish_tree(store, NAME, {"a": b"1"})
        (pack,) = keys(bucket)
        bucket.delete([pack])
        assert store.census().missing == [pack]
        trash = store.new_trash_id()
        store.place([TrashTree(parse_tree(NAME), mark, trash, {})])
        assert store.census() == ([], [])
        store.discard_trash(trash)
        assert store.census() == ([], [])
