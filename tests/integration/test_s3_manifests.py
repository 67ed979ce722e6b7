"""Copies of manifests: with the bucket alone, and no row, every file of a session is found and proven."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from scandock.catalog.engine import Catalog
from scandock.catalog.tables import session as session_table
from scandock.publishing import tree_files
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.services import manifest_copies
from scandock.services.data_catalog import open_data
from scandock.services.manifest_copies import copy_manifests
from scandock.store import s3_manifests
from scandock.store.bucket import Bucket
from scandock.store.errors import StoreFailed
from scandock.store.s3_manifests import WRITING_MS
from scandock.store.s3_store import S3Store
from scandock.workers.janitor import Janitor
from tests.builders import DataFolder, Image, make_data_folder, uploader_layout
from tests.integration.store_conformance import move_tree
from tests.integration.test_s3_compaction import killed, run_within
from tests.integration.test_s3_migration import session


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, bucket: Bucket) -> DataFolder:
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    monkeypatch.setenv("SCANDOCK_GARBAGE_DAYS", "0")
    (tmp_path / "data").mkdir()
    return make_data_folder(tmp_path, monkeypatch, postgres_url)


@contextmanager
def opened(site: DataFolder) -> Iterator[tuple[Catalog, Any]]:
    with open_data(str(site.data), site.settings) as (catalog, store):
        yield catalog, store


def copy(site: DataFolder) -> int:
    with opened(site) as (catalog, store):
        return copy_manifests(catalog, store, lambda: False)


def read_copies(bucket: Bucket) -> dict[str, list[dict[str, Any]]]:
    """The lines of each copy, by the name of its tree."""
    copies = {}
    for key in bucket.list("v1/m"):
        head, *files = map(json.loads, gzip.decompress(bucket.get(key)).splitlines())
        assert head["name"] not in copies
        copies[head["name"]] = [head, *files]
    return copies


def read_files(bucket: Bucket) -> dict[str, str]:
    """Path and sha256 of every file, read from the bucket by the copies alone, and proven by them."""
    found = {}
    for name, (_, *files) in read_copies(bucket).items():
        for file in files:
            content = bucket.get_range(file["object"], file["offset"], file["bytes"])
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
            found[f"{name}/{file['path']}"] = file["sha256"]
    return found


def test_a_bucket_is_read_by_its_copies_alone(site: DataFolder, bucket: Bucket) -> None:
    site.bring(session("A", 3), session="A")
    site.bring(session("B", 2), session="B")
    assert copy(site) == 2
    assert read_files(bucket) == site.files()
    head = read_copies(bucket)["archive/P/A"][0]
    assert (head["format"], head["project"], head["label"], head["place"]) == (1, "P", "A", "archive")
    assert [scan["id"] for scan in head["scans"]] == ["1"]
    assert head["received"] < head["written"] <= time.time() * 1000
    assert copy(site) == 0
    site.check()


def test_files_are_read_a_few_at_a_time(site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session may have a million."""
    monkeypatch.setattr(s3_manifests, "PLACES_AT_ONCE", 2)
    site.bring(session("A", 5), session="A")
    parts = []

    def count(*arguments: Any) -> Any:
        parts.append(tree_files.paths_between(*arguments))
        return parts[-1]

    monkeypatch.setattr(manifest_copies, "paths_between", count)
    assert copy(site) == 1
    assert [len(part) for part in parts] == [2, 2, 1]
    assert read_files(bucket) == site.files()


def test_files_between_two_paths_are_those_of_all_folders_between(site: DataFolder) -> None:
    files: dict[str, bytes] = {}
    for series in (1, 2, 10):
        files |= uploader_layout("A", str(series), [Image(case="A", series=series, number=n).file() for n in (1, 2)])
    site.bring(files, session="A")
    with opened(site) as (catalog, _), catalog.read() as connection:
        (tree_id,) = connection.execute(select(session_table.c.tree_id)).scalars()
        known = tree_files.paths_of(connection, tree_id)
        paths = sorted(known)
        assert len({path.split("/")[1] for path in paths}) == 3
        for first, last in combinations_with_replacement(paths, 2):
            between = {path: known[path] for path in paths if first <= path <= last}
            assert tree_files.paths_between(connection, tree_id, first, last) == between


def test_the_copy_of_what_was_replaced_goes_and_what_changes_gets_a_new_one(site: DataFolder, bucket: Bucket) -> None:
    site.bring(session("A", 2), session="A")
    assert copy(site) == 1
    site.bring(session("A", 4), session="A", overwrite="append")
    with opened(site) as (catalog, store):
        Janitor(catalog, store, site.settings, structlog.get_logger())._clear()  # noqa: SLF001  a turn of its thread
        store.sweep()
    assert len(read_copies(bucket)["archive/P/A"]) == 1 + 4
    assert read_files(bucket) == site.files()
    site.check()


def test_a_tree_that_is_renamed_or_moved_has_a_copy_that_says_so(site: DataFolder, bucket: Bucket) -> None:
    site.bring(session("A", 2), session="A")
    assert copy(site) == 1
    with opened(site) as (_, store):
        move_tree(store, "archive/P/A", "archive/P/B")
        store.sweep()
        assert list(bucket.list("v1/m")) == []
    assert copy(site) == 0  # the catalog knows no such session: it is just being moved
    with opened(site) as (_, store):
        move_tree(store, "archive/P/B", "archive/P/A")
    assert copy(site) == 1
    assert read_files(bucket) == site.files()


def test_a_copy_that_was_begun_before_a_move_is_not_kept(
    site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(session("A", 2), session="A")
    with opened(site) as (_, other):
        run_within(monkeypatch, Bucket, "open_writer", lambda: move_tree(other, "archive/P/A", "archive/P/B"))
        assert copy(site) == 0
        move_tree(other, "archive/P/B", "archive/P/A")
    assert copy(site) == 1


@pytest.mark.parametrize(
    ("owner", "verb"),
    [(PostgresObjectRows, "begin_manifest"), (Bucket, "open_writer"), (PostgresObjectRows, "keep_manifest")],
)
def test_killed_anywhere_no_copy_is_left_that_nobody_knows(
    site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, owner: type, verb: str
) -> None:
    site.bring(session("A", 2), session="A")
    with monkeypatch.context() as patch:
        run_within(patch, owner, verb, killed)
        with pytest.raises(KeyboardInterrupt):
            copy(site)
    assert copy(site) == (0 if verb == "keep_manifest" else 1)
    assert read_files(bucket) == site.files()
    with opened(site) as (_, store):
        assert store.census() == ([], [])


def test_a_copy_that_is_kept_while_all_objects_are_looked_at_is_no_strange_one(
    site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    site.bring(session("A", 1), session="A")
    key = "v1/m/aa/1.jsonl.gz"
    with opened(site) as (_, store), closing(PostgresObjectRows(postgres_url)) as rows:
        packs = {pack for pack in rows.named_keys() if pack.startswith("v1/p")}
        rows.begin_manifest(key, WRITING_MS)
        bucket.put(key, b"")
        number = store.current("archive/P/A").number
        run_within(
            monkeypatch, PostgresObjectRows, "attempts", lambda: rows.keep_manifest(number, "archive/P/A", key, packs)
        )
        assert store.census() == ([], [])
        assert key in set(rows.named_keys())


def test_what_took_too_long_is_not_kept(site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may just be deleted."""
    site.bring(session("A", 1), session="A")
    begin = PostgresObjectRows.begin_manifest
    with monkeypatch.context() as patch:
        patch.setattr(PostgresObjectRows, "begin_manifest", lambda rows, key, ms: begin(rows, key, ms - WRITING_MS))
        assert copy(site) == 0
    with opened(site) as (_, store):
        store.sweep()
        assert list(bucket.list("v1/m")) == []
        assert isinstance(store, S3Store)
    assert copy(site) == 1


def test_a_tree_whose_files_the_catalog_misses_is_not_sent_nor_read_each_time(
    site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(session("A", 2), session="A")
    questions = []

    def lose(*arguments: Any) -> dict[Any, Any]:
        questions.append(arguments)
        return {}

    with opened(site) as (catalog, store), monkeypatch.context() as patch:
        patch.setattr(manifest_copies, "paths_between", lose)
        run_within(patch, Bucket, "open_writer", killed)
        for _ in range(2):
            assert copy_manifests(catalog, store, lambda: False) == 0
    assert len(questions) == 1
    assert copy(site) == 1


def test_a_tree_whose_copy_fails_keeps_no_other_from_having_one(
    site: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("A", "B"):
        site.bring(session(label, 1), session=label)
    open_writer = Bucket.open_writer
    asked = []

    def refuse_first(self: Bucket, key: str) -> Any:
        asked.append(key)
        if len(asked) == 1:
            raise StoreFailed("The bucket gave no answer.")
        return open_writer(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "open_writer", refuse_first)
        with pytest.raises(StoreFailed):
            copy(site)
    assert len(read_copies(bucket)) == 1
    assert copy(site) == 1
    assert set(read_copies(bucket)) == {"archive/P/A", "archive/P/B"}
