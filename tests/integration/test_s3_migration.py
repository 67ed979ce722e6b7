"""A site moved from its data folder to a bucket: copied while it changes, switched, and whole after it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from scandock.catalog.server_tables import damage
from scandock.catalog.tables import upload
from scandock.model.errors import Fault, Usage
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.services.data_catalog import open_data
from scandock.services.settings import Settings
from scandock.services.store_migration import MIGRATION, MigrationResult, migrate_store
from scandock.services.store_opening import open_data_store
from scandock.store import server_lock
from scandock.store.bucket import Bucket
from scandock.store.s3_store import S3Store
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout, verify_some
from tests.integration.in_process import call_in_process


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, bucket: Bucket) -> DataFolder:
    """A site in a folder, whose catalog is in PostgreSQL."""
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    return make_data_folder(tmp_path, monkeypatch, postgres_url)


def migrate(site: DataFolder, bucket: Bucket, *, switch: bool = False) -> MigrationResult:
    return migrate_store(str(site.data), site.settings, bucket.url, switch=switch)


def session(label: str, count: int) -> dict[str, bytes]:
    return uploader_layout(label, "1", images(count, case=label))


def test_a_site_is_copied_while_it_changes_and_switched(folder: DataFolder, bucket: Bucket) -> None:
    folder.bring(session("A", 2), session="A")
    folder.bring(session("B", 3), session="B")
    first = migrate(folder, bucket)
    assert (first.sessions, first.files, first.problems, first.is_switched) == (2, 5, [], False)
    assert migrate(folder, bucket).sessions == 0

    folder.bring(session("A", 4), session="A", overwrite="append")
    others = [
        Image(case="B", number=1, also={0x00204000: (b"LT", b"another")}).file()
    ]  # the tree before goes to the trash
    folder.bring(uploader_layout("B", "1", others), session="B", overwrite="delete")
    folder.bring(session("C", 2), session="C")
    with folder.catalog() as catalog, catalog.read() as connection:
        imports = connection.execute(select(upload.c.uuid)).scalars().all()
    stored, trashed = folder.files(), folder.trashed()
    assert len(trashed) == 3
    last = migrate(folder, bucket, switch=True)
    assert (last.sessions, last.problems, last.is_switched) == (3, [], True)
    assert not (folder.data / "work" / MIGRATION).exists()

    with pytest.raises(Usage) as caught:
        folder.check()
    assert caught.value.code == "store_elsewhere"
    moved = DataFolder(root=folder.root, settings=Settings(store=bucket.url), archives=9)
    moved.check()
    assert moved.files() == stored
    with closing(open_data_store(str(moved.data), moved.settings)) as store:
        (entry,) = store.trash()
        assert store.trashed(entry.id) is not None
        for uuid in imports:
            with store.open_receipt(uuid) as receipt:
                assert receipt.read()
    moved.bring(session("A", 5), session="A", overwrite="append")
    assert len(moved.files("archive/P/A")) == 5


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "verb"), [(S3Store, "finish"), (PostgresObjectRows, "adopt")], ids=["behind-a-receipt", "before-the-rows"]
)
def test_a_switch_that_was_killed_is_gone_on_with(
    folder: DataFolder, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, owner: type, verb: str
) -> None:
    folder.bring(session("A", 2), session="A")
    stored = folder.files()
    with monkeypatch.context() as patch:
        patch.setattr(owner, verb, killed)
        with pytest.raises(KeyboardInterrupt):
            migrate(folder, bucket, switch=True)
    assert bucket.get("v1/store")
    folder.check()  # the site is that of its folder until all is there
    with pytest.raises(Fault) as caught:
        migrate(folder, Bucket(bucket.name, f"{bucket.prefix}-other", endpoint=bucket.endpoint), switch=True)
    assert caught.value.code == "store_other"
    assert migrate(folder, bucket, switch=True).is_switched
    moved = DataFolder(root=folder.root, settings=Settings(store=bucket.url), archives=9)
    moved.check()
    assert moved.files() == stored


def test_a_bucket_of_another_catalog_is_not_copied_to(folder: DataFolder, bucket: Bucket) -> None:
    folder.bring(session("A", 1), session="A")
    bucket.put("v1/store", b"another")
    with pytest.raises(Fault) as caught:
        migrate(folder, bucket)
    assert caught.value.code == "store_other"
    assert list(bucket.list("v1")) == ["v1/store"]


def test_what_is_damaged_is_named_by_each_run_and_listed_once_it_is_switched(
    folder: DataFolder, bucket: Bucket
) -> None:
    folder.bring(session("A", 3), session="A")
    one, other, third = sorted((folder.data / "archive" / "P" / "A").rglob("*.dcm"))
    one.write_bytes(b"rotten")
    other.unlink()
    (third.parent / "strange").write_bytes(b"1")
    given = {name: value for name, value in os.environ.items() if name.startswith("SCANDOCK_")}
    done = call_in_process("admin", "store", "migrate", "--data", folder.data, "--to", bucket.url, **given)
    assert done.returncode == 3
    told = done.stdout.splitlines()
    assert [line.split(": ")[-1] for line in sorted(told[:3])] == [
        "changed since it was stored", "missing", "the catalog does not know it; it was not copied",
    ]  # fmt: skip
    assert told[3].startswith("Copied: 1 session, 2 files, ")
    assert call_in_process("admin", "store", "migrate", "--data", folder.data, "--to", "scans", **given).returncode == 2
    words = ("admin", "store", "migrate", "--data", folder.data, "--to", bucket.url, "--switch")
    last = call_in_process(*words, **given)
    assert (last.returncode, last.stdout.splitlines()[:3]) == (3, told[:3])

    moved = DataFolder(root=folder.root, settings=Settings(store=bucket.url), archives=9, checked=False)
    with open_data(str(moved.data), moved.settings) as (catalog, store):
        verify_some(catalog, store, 60)
        with catalog.read() as connection:
            assert sorted(connection.execute(select(damage.c.kind)).scalars()) == ["changed", "missing"]
    moved.bring(session("A", 3), session="A", overwrite="append")
    moved.check()


def test_nothing_is_switched_while_a_server_is_at_work(folder: DataFolder, bucket: Bucket) -> None:
    folder.bring(session("A", 1), session="A")
    fd = server_lock.open_data(str(folder.data))
    server_lock.take(fd)
    try:
        with pytest.raises(Fault) as caught:
            migrate(folder, bucket, switch=True)
    finally:
        os.close(fd)
    assert caught.value.code == "data_served"
