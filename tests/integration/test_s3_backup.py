"""Backups of a site whose files are in a bucket: whatever was deleted after one, what is restored reads whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from scandock.access.principal import SYSTEM
from scandock.catalog import tables
from scandock.catalog.store_tables import stored_object
from scandock.model.errors import Fault, Usage
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.services import bucket_backup, catalog_copies
from scandock.services.backup import back_up
from scandock.services.backup_folders import BackupResult
from scandock.services.backup_restore import restore_backup
from scandock.services.cleaning.trash import empty_trash
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.manifest_copies import copy_manifests
from scandock.services.settings import Settings
from scandock.services.store_check import check_store
from scandock.services.store_opening import open_data_store
from scandock.services.trash import delete_session
from scandock.store.bucket import Bucket
from scandock.store.s3_store import S3Store
from tests import postgres
from tests.builders import DataFolder, Image, make_data_folder, uploader_layout
from tests.integration.in_process import call_in_process
from tests.integration.test_s3_compaction import killed
from tests.integration.test_s3_migration import session


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, bucket: Bucket) -> DataFolder:
    """A site in a bucket; what is deleted stays there for a day."""
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    monkeypatch.setenv("SCANDOCK_GARBAGE_DAYS", "1")
    (tmp_path / "data").mkdir()
    return make_data_folder(tmp_path, monkeypatch, postgres_url)


@pytest.fixture
def backed_up(site: DataFolder) -> DataFolder:
    """The site with a session A of two files, and a backup in `backups` of its root."""
    site.bring(session("A", 2), session="A")
    back_up(str(site.data), site.settings, str(site.root / "backups"))
    return site


@pytest.fixture
def empty_url(postgres_cluster: postgres.Cluster) -> Iterator[str]:
    """A database without a catalog."""
    with postgres_cluster.database() as url:
        yield url


@pytest.fixture
def other_url(postgres_cluster: postgres.Cluster) -> Iterator[str]:
    """Another one."""
    with postgres_cluster.database() as url:
        yield url


def restored(site: DataFolder, url: str, monkeypatch: pytest.MonkeyPatch, name: str = "new") -> DataFolder:
    """The site as it is restored into a database, on another host."""
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", url)
    root = site.root / name
    root.mkdir()
    settings = site.settings.model_copy(update={"database_url": url})
    assert restore_backup(str(site.root / "backups"), str(root / "data"), settings) == []
    return DataFolder(root=root, settings=settings)


def delete(site: DataFolder, label: str) -> None:
    """A session is deleted, for good."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog=catalog, store=store, settings=site.settings, principal=SYSTEM)
        delete_session(context, find(site, label))
        empty_trash(catalog, store, 0)
        store.sweep()


def test_what_was_deleted_and_changed_after_a_backup_is_restored(
    site: DataFolder, bucket: Bucket, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("A", "B", "C"):
        site.bring(session(label, 3), session=label)
    before = site.files()
    made = back_up(str(site.data), site.settings, str(site.root / "backups"))
    assert made.trees == 3
    assert "Restored until" in json.loads((Path(made.path) / "backup.json").read_text())["rule"]

    delete(site, "A")
    other = [Image(case="B", number=1, also={0x00204000: (b"LT", b"another")}).file()]
    site.bring(uploader_layout("B", "1", other), session="B", overwrite="delete")
    site.bring(session("C", 5), session="C", overwrite="append")
    site.bring(session("D", 2), session="D")
    with open_data(str(site.data), site.settings) as (catalog, store):
        empty_trash(catalog, store, 0)
        store.compact(1 << 40, lambda: False)
        store.sweep()

    new = restored(site, empty_url, monkeypatch)
    assert new.files() == before
    new.bring(session("D", 2), session="D")
    assert len(new.files("archive/P/D")) == 2
    again = back_up(str(new.data), new.settings, str(site.root / "backups"))
    assert again.trees == 4


def test_what_came_after_a_backup_is_deleted_behind_a_restore_as_late_as_anything(
    site: DataFolder, bucket: Bucket, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(session("A", 2), session="A")
    before = site.files()
    back_up(str(site.data), site.settings, str(site.root / "backups"))
    kept = {*bucket.list("v1")}
    site.bring(session("B", 2), session="B")
    with open_data(str(site.data), site.settings) as (catalog, store):
        assert copy_manifests(catalog, store, lambda: False) == 2
        with closing(store.spool("u")) as spool:
            spool.append(0, b"1")
            spool.sync()
    bucket.put("v1/mine", b"nobody but its owner knows why")
    new = restored(site, empty_url, monkeypatch)
    came_after = {*bucket.list("v1")} - kept - {"v1/mine"}
    assert {key.split("/")[1] for key in came_after} == {"p", "r", "s", "m"}
    with open_data(str(new.data), new.settings) as (catalog, store):
        store.sweep()
        assert {*bucket.list("v1")} >= came_after
        with catalog.write() as connection:
            connection.execute(update(stored_object).values(due=stored_object.c.due - 86_400_000))
        store.sweep()
    assert {*bucket.list("v1")} == kept | {"v1/mine"}
    assert new.files() == before


def test_the_catalog_that_had_the_bucket_takes_and_deletes_nothing_any_more(
    backed_up: DataFolder, bucket: Bucket, empty_url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = backed_up
    no_grace = site.settings.model_copy(update={"garbage_days": 0.0})
    with site.catalog() as catalog, closing(open_data_store(str(site.data), no_grace)) as old:
        assert old.make_areas(lambda *_: True) == []
        with closing(old.spool("u")) as spool:
            spool.append(0, b"1")
            spool.sync()
        new = restored(site, empty_url, monkeypatch)
        with pytest.raises(Fault) as unready:
            check_store(catalog, old, site.settings)
        assert (unready.value.code, unready.value.public[0]) == (
            "store_other", "The server's files are those of another site.",
        )  # fmt: skip
        with closing(old.spool("v")) as spool, pytest.raises(Fault, match="another catalog"):
            spool.append(0, b"1")
        for writer in ("", "given"):
            with closing(old.object_spool("w", writer)) as objects, pytest.raises(Fault, match="another catalog"):
                objects.sync(objects.append("a.dcm", [b"1"]))
        old.spool("u").discard()
        with pytest.raises(Fault) as caught:
            old.sweep()
        assert caught.value.code == "store_other"
        with pytest.raises(Fault) as also:
            old.compact(1 << 40, lambda: False)
        assert also.value.code == "store_other"
        assert list(bucket.list("v1/s")) != []
    assert_has_no_bucket(site)
    last = restored(site, other_url, monkeypatch, "third")  # the same backup once more
    assert last.files() == new.files()


KILLS = {
    "with-the-mark-alone": (catalog_copies, "_run_program"),
    "behind-the-dump": (S3Store, "succeed"),
    "before-the-marker": (Bucket, "put"),
    "behind-the-marker": (PostgresObjectRows, "adopt"),
    "at-the-end": (bucket_backup, "end_marked_restore"),
}


@pytest.mark.parametrize(("owner", "verb"), KILLS.values(), ids=KILLS)
def test_a_restore_that_was_killed_is_no_site_until_the_same_one_has_ended(
    backed_up: DataFolder, empty_url: str, monkeypatch: pytest.MonkeyPatch, owner: object, verb: str
) -> None:
    site, backups = backed_up, str(backed_up.root / "backups")
    with monkeypatch.context() as patch:
        patch.setattr(owner, verb, killed)
        with pytest.raises(KeyboardInterrupt):
            restored(site, empty_url, monkeypatch)
    settings = site.settings.model_copy(update={"database_url": empty_url})
    data = str(site.root / "new" / "data")
    for use in (open_data, back_up_elsewhere):
        with pytest.raises(Usage) as caught, use(data, settings):
            pass
        assert caught.value.code == "restore_unfinished"

    with pytest.raises(Usage) as refused:  # into another folder
        restore_backup(backups, str(site.root / "another"), settings)
    assert refused.value.code == "restore_not_empty"
    assert restore_backup(backups, data, settings) == []
    new = DataFolder(root=site.root / "new", settings=settings)
    new.check()
    assert len(new.files("archive/P/A")) == 2
    assert_has_no_bucket(site)


@contextmanager
def back_up_elsewhere(data: str, settings: Settings) -> Iterator[BackupResult]:
    yield back_up(data, settings, os.path.join(os.path.dirname(data), "elsewhere"))


def assert_has_no_bucket(site: DataFolder) -> None:
    with closing(open_data_store(str(site.data), site.settings)) as store, pytest.raises(Fault) as refused:
        store.make_areas(lambda *_: True)
    assert refused.value.code == "store_other"


def test_of_two_restores_that_overlap_one_has_the_bucket(
    backed_up: DataFolder, empty_url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has read whose bucket it is before the first takes that, and goes on behind it."""
    succeed, others = S3Store.succeed, list[DataFolder]()

    def be_overtaken(store: S3Store, owner: str) -> None:
        monkeypatch.setattr(S3Store, "succeed", succeed)
        others.append(restored(backed_up, other_url, monkeypatch, "other"))
        succeed(store, owner)

    monkeypatch.setattr(S3Store, "succeed", be_overtaken)
    with pytest.raises(Fault) as caught:
        restored(backed_up, empty_url, monkeypatch)
    assert caught.value.code == "store_other"
    assert_has_no_bucket(backed_up)
    (other,) = others
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", other_url)
    other.check()


def test_of_two_restores_that_put_their_markers_at_once_one_has_the_bucket(
    backed_up: DataFolder, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Bucket.put

    def be_quicker(bucket: Bucket, key: str, data: bytes) -> None:
        put(bucket, key, data)
        monkeypatch.setattr(Bucket, "put", put)
        bucket.put(key, data + b"0")

    monkeypatch.setattr(Bucket, "put", be_quicker)
    with pytest.raises(Fault) as caught:
        restored(backed_up, empty_url, monkeypatch)
    assert caught.value.code == "store_other"


def test_a_restore_that_was_killed_has_no_bucket_that_was_restored_meanwhile(
    backed_up: DataFolder, empty_url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "make_areas", killed)
        with pytest.raises(KeyboardInterrupt):
            restored(backed_up, empty_url, monkeypatch)
    other = restored(backed_up, other_url, monkeypatch, "other")
    settings = backed_up.settings.model_copy(update={"database_url": empty_url})
    assert_has_no_bucket(DataFolder(root=backed_up.root / "new", settings=settings))
    other.check()


def test_what_the_bucket_has_lost_is_told(
    site: DataFolder, bucket: Bucket, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(session("A", 2), session="A")
    to = site.root / "backups"
    done = call_in_process("backup", "--data", site.data, "--to", to, **environment())
    assert done.returncode == 0, done.stdout + done.stderr
    (lost,) = bucket.list("v1/p")
    bucket.delete([lost])
    given = environment() | {"SCANDOCK_DATABASE_URL": empty_url}
    done = call_in_process("restore", to, "--data", site.root / "new", **given)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"missing: {lost}" in done.stdout


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("SCANDOCK_")}


def test_a_backup_is_not_restored_to_what_is_not_its_bucket(
    backed_up: DataFolder, bucket: Bucket, empty_url: str, tmp_path: Path
) -> None:
    backups, new = str(backed_up.root / "backups"), tmp_path / "new"
    settings = backed_up.settings.model_copy(update={"database_url": empty_url})
    for store in (f"{bucket.url}-other", None):
        with pytest.raises(Usage) as caught:
            restore_backup(backups, str(new), settings.model_copy(update={"store": store}))
        assert caught.value.code == "restore_other_bucket"
    assert not new.exists()
    assert restore_backup(backups, str(new), settings) == []


def find(site: DataFolder, label: str) -> str:
    with site.catalog() as catalog, catalog.read() as connection:
        uuid: str = connection.execute(
            select(tables.session.c.uuid).where(tables.session.c.label == label)
        ).scalar_one()
    return uuid
