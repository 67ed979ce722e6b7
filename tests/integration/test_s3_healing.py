"""Objects that a bucket has lost: an import that brings their files stores them again, none is dropped as known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scandock.services.cleaning.trash import empty_trash
from scandock.services.consistency_check import check_data
from scandock.services.data_catalog import open_data
from scandock.store.bucket import Bucket
from tests.builders import DataFolder, ImportOutcome, images, make_data_folder, uploader_layout, verify_some

OBJECTS = images(5)
PDF = {"S/notes.pdf": b"%PDF-1.4 notes"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, bucket: Bucket) -> DataFolder:
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    monkeypatch.setenv("SCANDOCK_GARBAGE_DAYS", "0")
    (tmp_path / "data").mkdir()
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    site.checked = False
    return site


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects that the bucket is asked for without being read."""
    keys: list[str] = []
    size = Bucket.size

    def noted(bucket: Bucket, key: str) -> int | None:
        keys.append(key)
        return size(bucket, key)

    monkeypatch.setattr(Bucket, "size", noted)
    return keys


def bring(site: DataFolder, first: int, last: int, **files: Any) -> ImportOutcome:
    """Import some of the objects, and other files, into one session."""
    return site.bring({**uploader_layout("S", "1", OBJECTS[first:last]), **files}, session="S", overwrite="append")


def packs(bucket: Bucket) -> set[str]:
    return set(bucket.list("v1/p"))


def lose_first_of_two(site: DataFolder, bucket: Bucket) -> str:
    """A session of four objects and a document in two packs, the first of which (two objects, the document) is lost."""
    bring(site, 0, 2, **PDF)
    (first,) = packs(bucket)
    bring(site, 2, 4)
    assert len(packs(bucket)) == 2
    bucket.delete([first])
    return first


def verify(site: DataFolder) -> int:
    """Read all files again; how many problems there were."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        return verify_some(catalog, store, 60).problems


def check_without_trash(site: DataFolder) -> None:
    """Catalog and bucket agree, also once the trees are gone that had what was lost."""
    assert check_data(str(site.data), site.settings) == []
    with open_data(str(site.data), site.settings) as (catalog, store):
        empty_trash(catalog, store, 0)
        store.sweep()
    site.check()


@pytest.mark.parametrize("is_verified", [False, True], ids=["unseen", "on the damage list"])
def test_files_of_a_lost_object_are_stored_again(site: DataFolder, bucket: Bucket, is_verified: bool) -> None:
    lost = lose_first_of_two(site, bucket)
    assert ("missing", lost) in [(one.kind, one.name) for one in check_data(str(site.data), site.settings)]
    if is_verified:
        assert verify(site) == 3
    again = bring(site, 0, 4, **PDF)
    assert (again.state, again.warned()) == ("placed", {"healed"})
    assert sorted(again.codes().values()) == [
        "duplicate already_there", "duplicate already_there", "resource healed", "stored healed", "stored healed",
    ]  # fmt: skip
    assert check_data(str(site.data), site.settings) == [], "what only the replaced tree names is no damage"
    check_without_trash(site)
    assert verify(site) == 0


def test_what_an_import_does_not_bring_of_a_lost_object_is_told_and_verified_soon(
    site: DataFolder, bucket: Bucket
) -> None:
    lose_first_of_two(site, bucket)
    part = bring(site, 0, 1)
    assert (part.counts, part.warned()) == ({"stored": 1}, {"healed", "session_damaged"})
    assert verify(site) == 2
    new = bring(site, 4, 5)  # what is lost keeps nothing from being added
    assert (new.counts, new.warned()) == ({"stored": 1}, {"session_damaged"})
    rest = bring(site, 1, 2, **PDF)
    assert (rest.counts, rest.warned()) == ({"stored": 1, "resource": 1}, {"healed"})
    check_without_trash(site)


def test_an_object_that_is_cut_is_lost_from_there_on(site: DataFolder, bucket: Bucket) -> None:
    bring(site, 0, 2)
    (key,) = packs(bucket)
    data = bucket.get(key)
    bucket.put(key, data[: len(data) // 2])
    again = bring(site, 0, 2)
    assert (again.counts, again.warned()) == ({"stored": 1, "duplicate": 1}, {"healed"})
    check_without_trash(site)


def test_the_bucket_is_asked_once_for_each_object_that_has_a_duplicate(
    site: DataFolder, bucket: Bucket, asked: list[str]
) -> None:
    bring(site, 0, 2)
    first = packs(bucket)
    bring(site, 2, 4)
    assert asked == []  # nothing that came was there
    bring(site, 0, 2)
    assert asked == sorted(first)
