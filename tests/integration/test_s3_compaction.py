"""Packs of a bucket that hold files of trees which are gone are written anew, beside readers, and killed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog
from sqlalchemy import create_engine, text

from scandock.catalog.engine import open_catalog
from scandock.catalog.stored_bytes import read_stored_bytes
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.services.settings import Settings
from scandock.store import s3_compaction
from scandock.store.bucket import Bucket
from scandock.store.errors import StoreFailed
from scandock.store.handles import Stage
from scandock.store.packs import PackWriter
from scandock.store.paths import parse_tree, unchecked_path
from scandock.store.records import CompactionResult
from scandock.store.s3_compaction import COMPACTION
from scandock.store.s3_rows import ObjectMove
from scandock.store.s3_store import S3Store
from scandock.workers.janitor import Janitor
from tests.integration.store_conformance import (
    NAME,
    part,
    publish_replace,
    publish_tree,
    read_tree,
    stage_files,
    trash_staged,
    trash_tree,
)

pytestmark = pytest.mark.crash

FILES = {f"{number:02}": bytes([number]) * 1000 for number in range(10)}
KEPT = {name: FILES[name] for name in ("01", "07")}
LEFT = {**KEPT, "new": b"new"}
LEFT_OF_TWO = ("01", "01-2", "07-2")
LIVE = 2000 + 2 * 204 + 22  # what an entry of a pack takes beside its bytes, and the end of a zip


class Open(Protocol):
    def __call__(self, host: str = "host", *, garbage_ms: int = 0) -> S3Store: ...


@pytest.fixture
def open_host(tmp_path: Path, bucket: Bucket, postgres_url: str) -> Iterator[Open]:
    opened = []

    def open_host(host: str = "host", *, garbage_ms: int = 0) -> S3Store:
        store = S3Store(
            str(tmp_path / host), bucket, PostgresObjectRows(postgres_url), garbage_ms=garbage_ms, attempt_ms=0
        )
        store.prepare()
        store.make_areas(lambda *_: True)
        opened.append(store)
        return store

    yield open_host
    for store in opened:
        store.close()


@pytest.fixture
def store(open_host: Open) -> S3Store:
    return open_host()


@pytest.fixture
def rows(postgres_url: str) -> Iterator[PostgresObjectRows]:
    with closing(PostgresObjectRows(postgres_url)) as rows:
        yield rows


def compact(store: S3Store, most_bytes: int = 1 << 40) -> CompactionResult:
    return store.compact(most_bytes, lambda: False)


def compact_and_sweep(store: S3Store) -> None:
    compact(store)
    store.sweep()


def packs(bucket: Bucket) -> list[str]:
    return sorted(bucket.list("v1/p"))


def keep_some(store: S3Store, name: str = NAME, upload: str = "later") -> Stage:
    """Stage a session with a file more, and of those that it has the ones in KEPT alone."""
    stage = stage_files(store, upload, {"x": b"new"})
    kept = [unchecked_path(path) for path in KEPT]
    stage.compose(unchecked_path("tree"), [part("x", "new")], base=parse_tree(name), kept=kept)
    return stage


def drop_most(store: S3Store, name: str = NAME) -> None:
    """A session of which most is gone for good."""
    publish_tree(store, name, FILES)
    stage = keep_some(store, name, name.replace("/", "-"))
    stage.seal()
    publish_replace(store, stage, "tree", name)
    store.finish(stage)  # what was replaced goes with it
    store.sweep()


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_pack_of_which_most_is_dead_is_written_anew(store: S3Store, rows: PostgresObjectRows, bucket: Bucket) -> None:
    drop_most(store)
    (sparse, whole) = sorted(packs(bucket), key=lambda key: -len(bucket.get(key)))
    assert compact(store) == CompactionResult(1, LIVE)
    assert rows.sparse(9) == []
    assert read_tree(store, NAME) == LEFT
    assert sparse in packs(bucket)
    assert store.sweep().left == 0
    assert sparse not in packs(bucket)
    assert whole in packs(bucket)
    assert sorted(len(bucket.get(key)) for key in packs(bucket)) == [len(bucket.get(whole)), LIVE]
    assert read_tree(store, NAME) == LEFT
    assert store.census() == ([], [])
    assert compact(store) == CompactionResult(0, 0)


def test_what_a_tree_in_the_trash_has_is_alive(store: S3Store, rows: PostgresObjectRows, bucket: Bucket) -> None:
    publish_tree(store, NAME, FILES)
    stage = keep_some(store)
    stage.seal()
    publish_replace(store, stage, "tree", NAME)
    trash = trash_staged(store, stage, "tree")
    store.finish(stage)
    assert compact(store) == CompactionResult(0, 0)
    store.discard_trash(trash)
    store.sweep()
    assert compact(store).packs == 1


def test_who_reads_meanwhile_finds_files_where_they_were_or_where_they_went(
    store: S3Store, open_host: Open, bucket: Bucket
) -> None:
    drop_most(store)
    before = open_host("another")
    with before.snapshot(parse_tree(NAME)) as snapshot:
        assert snapshot.size(unchecked_path("01")) == 1000  # it has looked the places up
        (old, *_) = sorted(packs(bucket), key=lambda key: -len(bucket.get(key)))
        assert compact(store).packs == 1
        with snapshot.open(unchecked_path("01")) as reader:
            assert reader.read() == FILES["01"]
        store.sweep()
        assert old not in packs(bucket)
        for path, content in KEPT.items():
            with snapshot.open(unchecked_path(path), 10) as reader:
                assert reader.read() == content[10:]
        with pytest.raises(FileNotFoundError):
            snapshot.open(unchecked_path("02"))


def test_an_old_pack_stays_for_restored_catalogs(open_host: Open, bucket: Bucket) -> None:
    drop_most(open_host())
    patient = open_host("patient", garbage_ms=60_000)
    before = packs(bucket)
    assert compact(patient).packs == 1
    assert patient.sweep().left == 0
    assert set(before) < set(packs(bucket))


def test_a_tree_that_was_put_together_before_is_stored_after(open_host: Open, bucket: Bucket) -> None:
    """It names the old pack, which stays as long as it does."""
    store = open_host("patient", garbage_ms=24 * 60 * 60 * 1000)
    hasty = open_host()
    drop_most(hasty)
    stage = keep_some(store, upload="third")
    assert compact(store).packs == 1
    stage.seal()
    publish_replace(store, stage, "tree", NAME)
    store.finish(stage)
    hasty.sweep()
    assert read_tree(hasty, NAME) == LEFT
    assert hasty.census() == ([], [])
    assert compact(hasty).packs == 1
    hasty.sweep()
    assert read_tree(hasty, NAME) == LEFT


def test_a_tree_that_came_while_files_were_copied_names_the_new_pack(
    store: S3Store, open_host: Open, rows: PostgresObjectRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_most(store)
    other = open_host("another")

    def publish_third() -> None:
        stage = keep_some(other, upload="third")
        stage.seal()
        publish_replace(other, stage, "tree", NAME)
        other.finish(stage)

    run_within(monkeypatch, PackWriter, "seal", publish_third)
    assert compact(store).packs == 1
    assert store.sweep().left == 0
    assert read_tree(store, NAME) == LEFT
    assert store.census() == ([], [])


def test_of_two_hosts_that_write_one_pack_anew_one_does(
    store: S3Store, open_host: Open, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_most(store)
    other = open_host("another")
    run_within(monkeypatch, PackWriter, "seal", lambda: compact(other))
    assert compact(store).packs == 0
    assert store.sweep().left == 0
    assert len(packs(bucket)) == 2
    assert read_tree(store, NAME) == LEFT


def test_files_of_a_tree_that_went_while_they_were_copied_go_with_it(
    store: S3Store, open_host: Open, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_most(store)
    other = open_host("another")

    def delete() -> None:
        other.discard_trash(trash_tree(other, NAME))
        other.sweep()

    run_within(monkeypatch, PackWriter, "seal", delete)
    compact(store)
    assert store.sweep().left == 0
    assert packs(bucket) == []


def run_within(monkeypatch: pytest.MonkeyPatch, owner: type, verb: str, action: Callable[[], object]) -> None:
    """Once, behind a verb."""
    original = getattr(owner, verb)

    def wrapped(self: Any, *args: Any, **options: Any) -> Any:
        done = original(self, *args, **options)
        monkeypatch.setattr(owner, verb, original)
        action()
        return done

    monkeypatch.setattr(owner, verb, wrapped)


@pytest.mark.parametrize(
    ("owner", "verb", "behind"),
    [
        (PostgresObjectRows, "begin", True),
        (Bucket, "put", False),
        (PackWriter, "seal", True),
        (PostgresObjectRows, "move_places", False),
        (PostgresObjectRows, "move_places", True),
        (Bucket, "delete", True),
    ],
    ids=["begun", "read", "stored", "before-the-rows", "behind-the-rows", "deleted"],
)
def test_killed_anywhere_files_are_whole_and_no_object_is_left(
    store: S3Store,
    bucket: Bucket,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    verb: str,
    behind: bool,
) -> None:
    drop_most(store)
    with monkeypatch.context() as patch:
        if behind:
            run_within(patch, owner, verb, killed)
        else:
            patch.setattr(owner, verb, killed)
        with pytest.raises(KeyboardInterrupt):
            compact_and_sweep(store)
    assert read_tree(store, NAME) == LEFT
    engine = create_engine(postgres_url)
    with closing(engine.connect()) as connection, connection.begin():  # it was long ago
        connection.execute(
            text("UPDATE store_attempt SET began = began - 7200000 WHERE upload = :it"), {"it": COMPACTION}
        )
    engine.dispose()
    compact(store)
    assert store.sweep().left == 0
    assert read_tree(store, NAME) == LEFT
    assert store.census() == ([], [])
    assert len(packs(bucket)) == 2
    assert sum(len(bucket.get(key)) for key in packs(bucket)) == LIVE + 3 + 204 + 22


def test_a_damaged_pack_stays_as_it_is(store: S3Store, rows: PostgresObjectRows, bucket: Bucket) -> None:
    drop_most(store)
    drop_most(store, "archive/P/M")
    damaged = next(key for key in packs(bucket) if len(bucket.get(key)) > LIVE)
    content = bytearray(bucket.get(damaged))
    content[content.index(FILES["07"])] ^= 1
    bucket.put(damaged, bytes(content))
    assert compact(store).packs == 2
    assert store.sweep().left == 0
    assert damaged in packs(bucket)
    assert rows.sparse(9) == []


def test_no_more_is_copied_than_may_be(store: S3Store, rows: PostgresObjectRows) -> None:
    for number in range(3):
        drop_most(store, f"archive/P/{number}")
    assert compact(store, 0) == CompactionResult(0, 0)
    assert compact(store, 1) == CompactionResult(1, LIVE)
    assert len(rows.sparse(9)) == 2
    assert store.compact(1 << 40, lambda: True) == CompactionResult(0, 0)
    assert compact(store) == CompactionResult(2, 2 * LIVE)


def test_a_worker_does_it_beside_its_imports(
    store: S3Store, rows: PostgresObjectRows, bucket: Bucket, postgres_url: str
) -> None:
    drop_most(store)
    catalog = open_catalog(postgres_url)
    settings = Settings(store=bucket.url, compaction_bytes_per_second=0)
    Janitor(catalog, store, settings, structlog.get_logger())._clear()  # noqa: SLF001  a turn of its thread
    assert rows.uncounted(9) != []
    settings = Settings(store=bucket.url)
    Janitor(catalog, store, settings, structlog.get_logger())._clear()  # noqa: SLF001
    with catalog.read() as connection:
        told = read_stored_bytes(connection)
    catalog.dispose()
    assert (told.objects, told.bytes, told.dead) == (2, LIVE + 3 + 204 + 22, 0)
    assert told.going_bytes > LIVE, "the pack that was written anew is still paid for"
    assert (told.parts, told.part_bytes) == (0, 0)
    assert rows.sparse(9) == []


def name_left_of_two(store: S3Store) -> None:
    """A session that was added to, and has lost most of what either import brought."""
    publish_tree(store, NAME, FILES)
    stage = stage_files(store, "second", {f"{name}-2": content for name, content in FILES.items()})
    parts = [part(f"{name}-2", f"{name}-2") for name in FILES]
    stage.compose(unchecked_path("tree"), parts, base=parse_tree(NAME), kept=[unchecked_path(name) for name in FILES])
    stage.seal()
    publish_replace(store, stage, "tree", NAME)
    store.finish(stage)
    stage = store.begin("third", "t1")
    mark = stage.compose(
        unchecked_path("tree"), [], base=parse_tree(NAME), kept=[unchecked_path(name) for name in LEFT_OF_TWO]
    )
    stage.seal()
    publish_replace(store, stage, "tree", NAME, mark)
    store.finish(stage)
    store.sweep()


def test_packs_of_one_session_become_one(store: S3Store, bucket: Bucket) -> None:
    """An addition brings a pack of its own; what is left of several goes together."""
    name_left_of_two(store)
    assert compact(store).packs == 2
    assert store.sweep().left == 0
    (only,) = packs(bucket)
    assert len(bucket.get(only)) == 3 * 1204 + 22
    assert read_tree(store, NAME) == {name: FILES[name[:2]] for name in LEFT_OF_TWO}


def test_a_pack_that_the_bucket_refuses_keeps_no_other_from_being_written_anew(
    store: S3Store, rows: PostgresObjectRows, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_most(store)
    (refused,) = (key for key in packs(bucket) if len(bucket.get(key)) > LIVE)
    drop_most(store, "archive/P/M")
    get = Bucket.get
    asked = []

    def refuse(self: Bucket, key: str) -> bytes:
        asked.append(key)
        if key == refused:
            raise StoreFailed("The bucket gave no answer.")
        return get(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "get", refuse)
        assert compact(store) == CompactionResult(1, LIVE)
        assert asked.count(refused) == 1
    assert [each.key for each in rows.sparse(9)] == [refused]
    assert compact(store) == CompactionResult(1, LIVE)
    assert read_tree(store, NAME) == read_tree(store, "archive/P/M") == LEFT


def test_packs_are_written_anew_while_others_wait_to_be_counted(
    store: S3Store, rows: PostgresObjectRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that are deleted all the time leave no end of them."""
    monkeypatch.setattr(s3_compaction, "AT_ONCE", 1)
    for number in range(3):
        drop_most(store, f"archive/P/{number}")
    assert compact(store, 1) == CompactionResult(1, LIVE)
    assert len(rows.uncounted(9)) == 5 + 1, "of six one was counted, and has gone into a new one"


def test_packs_that_many_places_name_are_written_anew_one_by_one(
    store: S3Store, rows: PostgresObjectRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of trees are locked for as long as their places are written."""
    monkeypatch.setattr(s3_compaction, "GROUP_BATCHES", 0)
    moves = []
    move = PostgresObjectRows.move_places

    def note(self: PostgresObjectRows, upload: str, token: str, files: ObjectMove, **options: Any) -> bool:
        moves.append(len(files.old))
        return move(self, upload, token, files, **options)

    monkeypatch.setattr(PostgresObjectRows, "move_places", note)
    name_left_of_two(store)
    assert compact(store).packs == 2
    assert moves == [1, 1]
    assert rows.sparse(9) == []
    assert read_tree(store, NAME) == {name: FILES[name[:2]] for name in LEFT_OF_TWO}


@pytest.fixture
def trash(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two trees that have the sparse pack of a session, too, and are in the trash; a transaction moves one tree."""
    monkeypatch.setattr(s3_compaction, "GROUP_BATCHES", 1)
    drop_most(store)
    trash = []
    for upload in ("second", "third"):
        stage = keep_some(store, upload=upload)
        stage.seal()
        publish_replace(store, stage, "tree", NAME)
        trash.append(trash_staged(store, stage, "tree"))
        store.finish(stage)
    return trash


def assert_nothing_is_sparse(store: S3Store, rows: PostgresObjectRows) -> None:
    store.sweep()
    compact(store)
    assert store.sweep().left == 0
    assert (rows.uncounted(9), rows.sparse(9)) == ([], [])
    assert read_tree(store, NAME) == LEFT
    assert store.census() == ([], [])


def test_a_pack_that_many_trees_name_is_moved_by_some_at_a_time(
    store: S3Store, rows: PostgresObjectRows, trash: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = []
    move_trees = PostgresObjectRows.move_trees

    def note(self: PostgresObjectRows, upload: str, token: str, files: ObjectMove, trees: list[int], **of: Any) -> bool:
        moves.append(len(trees))
        return move_trees(self, upload, token, files, trees, **of)

    monkeypatch.setattr(PostgresObjectRows, "move_trees", note)
    assert compact(store) == CompactionResult(1, LIVE)
    assert moves == [1, 1], "and the last with those that may have come"
    for each in trash:
        store.discard_trash(each)
    assert_nothing_is_sparse(store, rows)


def test_killed_between_trees_their_files_are_whole_and_it_is_done_again(
    store: S3Store, rows: PostgresObjectRows, trash: list[str], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    del trash
    with monkeypatch.context() as patch:
        run_within(patch, PostgresObjectRows, "move_trees", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    assert read_tree(store, NAME) == LEFT
    (sparse,) = [key for key in packs(bucket) if len(bucket.get(key)) > LIVE]
    assert rows.trees_of([sparse])[sparse]
    assert_nothing_is_sparse(store, rows)
    assert sparse not in packs(bucket)


def test_a_tree_that_goes_once_it_was_moved_takes_no_new_pack_from_the_others(
    store: S3Store, open_host: Open, rows: PostgresObjectRows, trash: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_host("another")

    def empty_trash() -> None:
        for each in trash:
            other.discard_trash(each)
        other.sweep()

    run_within(monkeypatch, PostgresObjectRows, "move_trees", empty_trash)
    compact(store)
    assert read_tree(store, NAME) == LEFT
    assert_nothing_is_sparse(store, rows)
