"""What is left of DATA where a power cut leaves nothing but what was synced (`tests.crash.synced_disk`).

Every call of the source that syncs is dropped once: by an import or another change whose power is cut (`CUT`), or by a
verb that promises that something is on disk (`PROMISES`). A new call wants a row in one of them.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.tables import session
from scandock.model.crash_points import POINTS
from scandock.model.errors import Fault
from scandock.model.limits import Limits
from scandock.publishing.receipts import amend_receipt
from scandock.services import backup
from scandock.services.archiving import archive_session
from scandock.services.backup import back_up
from scandock.services.backup_restore import restore_backup
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.held_sessions import resolve_session
from scandock.services.ohif import install_ohif
from scandock.services.privacy_key import KEY_FILE, write_keys
from scandock.services.session_creation import NewSession, create_session
from scandock.services.settings import load_settings
from scandock.store import syscalls
from scandock.store.identity import write_identity
from scandock.store.local import LocalStore
from scandock.store.moves import PublishNew
from scandock.store.paths import AREAS, RECEIPT, parse_tree, unchecked_path
from scandock.store.stages import LocalStage
from scandock.testing.data import make_data
from scandock.testing.server import InProcessServer
from scandock.web.xnat.services import inbox
from scandock.workers.receiver_figures import ReceiverFigures
from scandock.workers.receiver_studies import OpenStudies, OpenStudy, StudyKey
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout
from tests.crash.archives import Scenario
from tests.crash.case_share import choose_cases
from tests.crash.forked import ForkedCommand
from tests.crash.processes import PATIENCE, environment, import_words
from tests.crash.rounds import ENDED, RoundArchives, whole
from tests.crash.synced_disk import CUT, HINT, SyncedDisk, sync_calls
from tests.integration import test_tree_changes_killed as by_hand
from tests.integration.ohif_packages import make_package
from tests.integration.store_conformance import (
    move_tree,
    publish_new,
    publish_replace,
    restore_tree,
    trash_tree,
    tree_mark,
)

pytestmark = [pytest.mark.crash, pytest.mark.processes]

END = "end"
"""Of the command: what it printed was promised."""
IMPORT = "tests.crash.forked:read_in_threads"
NAME = "archive/P/L"


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return RoundArchives(tmp_path_factory.mktemp("unsynced"), 6, count=2, readers=1)


def cut(data: Path, point: str, dropped: str, function: str, *words: str, argv: list[str]) -> int:
    """Call a function, its power cut at a point; how many syncs were dropped."""
    disk, told = data.parent, data.parent.with_suffix(".kept")
    changes = {} if point == END else {"SCANDOCK_CRASH_AT": point}
    fork = ForkedCommand(
        "tests.crash.synced_disk:run_until_cut", str(disk), str(told), dropped, function, *words,
        argv=argv, env=environment(SCANDOCK_WORKERS="1", **changes),
    )  # fmt: skip
    out, err = fork.communicate(PATIENCE)
    assert fork.returncode == CUT, out + err
    kept, missed = pickle.loads(told.read_bytes())
    kept.apply(disk)
    return int(missed)


def cut_import(ground: RoundArchives, scenario: Scenario, point: str, dropped: str = "") -> tuple[Path, int]:
    """DATA after an import whose power was cut there, and how many syncs were dropped."""
    data = ground.fresh(scenario, "disk/data")
    data.parent.mkdir(exist_ok=True)
    words = [str(word) for word in import_words(scenario.step, data)]
    return data, cut(data, point, dropped, IMPORT, argv=words)


def judge(scenario: Scenario, data: Path, point: str) -> None:
    """Recover, and compare with what must be there then: nothing of the import, or all of it."""
    assert check_data(str(data), load_settings()) == []
    rolls_forward = point == END or POINTS.index(point) >= ENDED
    whole(data, [scenario.after if rolls_forward else scenario.before], scenario)


EVERY = [*POINTS[POINTS.index("sealed") :], END]
SHARE = choose_cases(["sealed", "intent", "switched", END], EVERY)
"""Of the points, in `make test`; `make crash` goes over all of them."""


@pytest.mark.parametrize(("name", "point"), [*(("replace", point) for point in SHARE), ("refused", END)])
def test_an_import_is_whole_or_not_at_all(ground, name, point):
    scenario = ground.scenarios[name]
    data, _ = cut_import(ground, scenario, point)
    judge(scenario, data, point)


CUT_IMPORTS = {
    "pipeline/flow.py decide_and_place: context.stage.seal(context.check)": ("new", "intent"),
    "store/placing.py place: trees.settle()": ("new", "published"),
    "store/local.py keep_receipt: sync_file(source, self._root.fd)": ("refused", END),
    "store/local.py keep_receipt: sync_folder(RECEIPTS, self._root.fd)": ("new", END),
    "store/trash.py _describe: replace_file(paths.trash_note(trash), content, self._root.fd)": ("replace", END),
}
"""By the call that is dropped: the import that loses something, and where its power is cut."""


@pytest.mark.parametrize("site", CUT_IMPORTS)
def test_a_sync_that_an_import_drops_is_noticed(ground, site):
    scenario, point = ground.scenarios[CUT_IMPORTS[site][0]], CUT_IMPORTS[site][1]
    data, missed = cut_import(ground, scenario, point, site)
    assert missed
    with pytest.raises((AssertionError, OSError, EOFError, Fault)):
        judge(scenario, data, point)


# -- changes that people make ------------------------------------------------------------------------------------------


def join(data: str) -> None:
    """Archive what waits, into the session that its study has."""
    with open_data(data, load_settings()) as (catalog, store):
        archive_session(ServiceContext(catalog, store, load_settings(), SYSTEM), waiting(catalog), overwrite="append")


def choose(data: str) -> None:
    """Keep of each object the version that came last."""
    with open_data(data, load_settings()) as (catalog, store):
        resolve_session(ServiceContext(catalog, store, load_settings(), SYSTEM), waiting(catalog), "keep_new")


def make(data: str) -> None:
    """Make an empty session."""
    with open_data(data, load_settings()) as (catalog, store):
        wanted = NewSession(project="P", subject="S", label="E", xsi_type="xnat:mrSessionData", attributes={})
        create_session(ServiceContext(catalog, store, load_settings(), SYSTEM), wanted)


def waiting(catalog: Catalog) -> str:
    with catalog.read() as connection:
        found: str = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalar_one()
    return found


def joinable(site: DataFolder) -> None:
    objects = images(2)
    site.bring(uploader_layout("S", "1", objects[:1]), session="S")
    site.bring(uploader_layout("S", "1", objects[1:]), session="S", destination="prearchive")


def choosable(site: DataFolder) -> None:
    versions = [Image(case="again", number=0, patient_name=name).file() for name in (b"A", b"B")]
    assert site.bring(uploader_layout("S", "1", versions), session="S").state == "held"


CHANGES: dict[str, tuple[Callable[[DataFolder], None], Callable[[str], None], str, int]] = {
    "services/archiving.py _publish: running.stage.seal(running.check)": (
        joinable,
        join,
        "archive/P/S/scans/1/resources/DICOM/files",
        2,
    ),
    "services/held_sessions.py _keep_one_version: running.stage.seal(running.check)": (
        choosable,
        choose,
        "prearchive/P",
        1,
    ),
    "services/session_creation.py publish_empty_tree: running.stage.seal()": (
        DataFolder.project,
        make,
        "archive/P/E",
        0,
    ),
}
"""By the call that is dropped: what is there before, the change, and how many files are where afterwards."""


@pytest.mark.parametrize("site", CHANGES)
@pytest.mark.parametrize("is_dropped", [False, True])
def test_a_change_that_was_to_be_is_finished_from_what_is_synced(tmp_path, monkeypatch, site, is_dropped):
    begin, change, where, files = CHANGES[site]
    data = tmp_path / "disk" / "data"
    data.parent.mkdir()
    begin(make_data_folder(data.parent, monkeypatch))
    function = f"{__name__}:{change.__name__}"
    missed = cut(data, "intent", site if is_dropped else "", function, str(data), argv=["change"])
    assert bool(missed) == is_dropped
    found = check_data(str(data), load_settings())
    is_whole = (data / where).is_dir() and sum(one.is_file() for one in (data / where).rglob("*")) == files
    assert (found == [] and is_whole) == (not is_dropped)


def test_a_change_by_hand_asks_each_of_its_stages_whether_it_could_be_written(tmp_path, monkeypatch):
    """Each knows of the errors since it was begun, and no other does: one seal syncs the bytes of both."""
    data = tmp_path / "data"
    uuid = by_hand.made(data)
    sync, asked = syscalls.syncfs, []

    def fails(fd: int) -> None:
        asked.append(fd)
        if len(asked) == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    for broken in (1, 2):  # what came, and what it becomes
        asked.clear()
        monkeypatch.setattr(syscalls, "syncfs", fails)
        with pytest.raises(Fault) as caught:
            by_hand.put(data, uuid, by_hand.AFTER)
        assert caught.value.code == "sync_failed"
        assert len(asked) == broken
        monkeypatch.undo()
        assert check_data(str(data), load_settings()) == []


def test_a_receipt_gives_way_only_to_one_that_is_on_the_disk(tmp_path, monkeypatch):
    store = LocalStore(tmp_path / "data")
    store.prepare()
    stage = store.begin("u", "t1")
    line = {"stored_as": None, "verdict": "junk", "bytes": 1}
    before = gzip.compress(json.dumps(line).encode() + b"\n")
    stage.put_whole(RECEIPT, before)

    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(syscalls, "syncfs", fails)
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    with pytest.raises(Fault) as caught:
        amend_receipt(catalog, store, stage, (), lambda: None)
    catalog.dispose()
    assert caught.value.code == "sync_failed"
    with stage.open(RECEIPT) as found:
        assert found.read() == before


# -- verbs that promise ------------------------------------------------------------------------------------------------


def staged(store: LocalStore, upload: str = "u") -> LocalStage:
    stage = store.begin(upload, "t1")
    stage.put_whole(unchecked_path("tree/a"), upload.encode())
    stage.seal()
    return stage


def published(store: LocalStore) -> None:
    publish_new(store, staged(store, "first"), "tree", NAME)


@dataclass
class Promising:
    """A folder to be a disk, DATA in it, and what is to be on the disk by now and is not."""

    root: Path
    dropped: str
    missed: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "data"

    def store(self) -> LocalStore:
        made = LocalStore(self.data)
        made.prepare()
        return made

    @contextmanager
    def watched(self, *promised: str) -> Iterator[SyncedDisk]:
        """Watch what is done here: in the end all of what is `promised`, paths in the folder, must be on the disk."""
        with SyncedDisk(self.root, self.dropped) as disk:
            yield disk
            for below in promised:
                self.missing += disk.unsynced(below)
        self.missed += disk.missed


def spool(room: Promising) -> None:
    incoming_upload = room.store().spool("u")
    with room.watched("data/incoming"):
        incoming_upload.append(0, b"abc")
        incoming_upload.sync()


def prepare(room: Promising) -> None:
    """DATA in folders that are not there either."""
    with room.watched(""):
        LocalStore(room.root / "srv" / "hospital" / "data").prepare()


def make_anew(room: Promising) -> None:
    store = room.store()
    for folder in AREAS:
        (room.root / "data" / folder).rmdir()
    with room.watched("data"):
        assert store.make_areas(lambda _folder, _stands: False) == list(AREAS)


def identify(room: Promising) -> None:
    (room.root / "data").mkdir(exist_ok=True)
    with room.watched("data"):
        write_identity(str(room.root / "data"), "01a2290b-031c-7ddc-8862-1ce03612431b")


def keep_keys(room: Promising) -> None:
    (room.root / "data").mkdir(exist_ok=True)
    with room.watched("data"):
        write_keys(str(room.root / "data" / KEY_FILE), [b"k" * 32])


def install_viewer(room: Promising) -> None:
    (room.root / "data").mkdir(exist_ok=True)
    package = make_package(room.root / "ohif.tgz")
    with room.watched("data"):
        install_ohif(str(room.root / "data"), str(package), Limits())


def take(room: Promising) -> None:
    store = room.store()
    staged(store)
    with room.watched("data/work"):
        store.take("u", "t1", "t2")


def stage(room: Promising) -> None:
    store = room.store()
    with room.watched("data/work"):
        staged(store)


def publish(room: Promising) -> None:
    store = room.store()
    stage = staged(store)
    with room.watched("data/archive", "data/work"):
        publish_new(store, stage, "tree", NAME)


def publish_two(room: Promising) -> None:
    store = room.store()
    stages = {upload: staged(store, upload) for upload in ("first", "second")}
    with room.watched("data/archive", "data/work"):
        store.place(
            PublishNew(one, unchecked_path("tree"), parse_tree(f"archive/P/{label}"), tree_mark(one, "tree"))
            for label, one in stages.items()
        )


def exchange(room: Promising) -> None:
    store = room.store()
    published(store)
    stage = staged(store)
    with room.watched("data/archive", "data/work"):
        publish_replace(store, stage, "tree", NAME)


def rename(room: Promising) -> None:
    store = room.store()
    published(store)
    with room.watched("data/archive", "data/prearchive"):
        move_tree(store, NAME, "prearchive/P/20261129_120000000/L")


def retire(room: Promising) -> None:
    store = room.store()
    published(store)
    with room.watched("data/archive/P/", "data/trash/2"):
        trash_tree(store, NAME)


def bring_back(room: Promising) -> None:
    store = room.store()
    published(store)
    trash = trash_tree(store, NAME)
    with room.watched("data/archive"):
        restore_tree(store, trash, NAME)


def place(room: Promising) -> None:
    """Every move of a tree, each in a folder of its own: none may do without the sync behind it."""
    for move in (publish, publish_two, exchange, rename, bring_back):
        part = Promising(room.root / move.__name__, room.dropped)
        part.root.mkdir()
        move(part)
        assert part.missing or not room.dropped, move.__name__
        room.missed += part.missed
        room.missing += part.missing


def receive(room: Promising) -> None:
    """An upload that is acknowledged: its bytes, by whatever requests they came."""
    make_data(room.data)
    with InProcessServer(room.data) as server:
        server.add_account("admin", "secret", admin=True)
        with server.client(auth=("admin", "secret")) as client:
            assert client.post("/api/v1/projects", json={"id": "P", "name": "P"}).status_code == 201
            with room.watched("data/incoming"):
                answer = client.post("/api/v1/imports?project=P&filename=one.zip", content=b"PK\5\6" + bytes(18))
                assert answer.status_code == 202, answer.text


def read_inbox(room: Promising) -> None:
    receiving: Any = SimpleNamespace(store=room.store(), limits=SimpleNamespace(upload_bytes=100))
    incoming_upload: Any = SimpleNamespace(uuid="u")
    packed = inbox._Spooling(receiving, incoming_upload, lambda: False)  # noqa: SLF001
    with room.watched("data/incoming"):
        packed.write(b"abc")
        packed.end()


def back_it_up(room: Promising) -> None:
    """At each rename in it, what is under the name is on the disk; in the end the whole backup is."""
    DataFolder(root=room.root).bring(uploader_layout("S", "1", images(2)))
    replace, move = os.replace, os.rename
    with room.watched("backups/2") as disk, pytest.MonkeyPatch.context() as patch:

        def replaced(source: str, target: str) -> None:
            if target.endswith(backup.TREES):
                trees = os.path.dirname(os.path.relpath(target, room.root))
                room.missing += disk.unsynced(f"{trees}/archive")
                room.missing += [] if disk.has_bytes_of(source) else [source]
            replace(source, target)

        def renamed(source: str, target: str, **more: Any) -> None:
            if os.path.dirname(target) == str(room.root / "backups"):
                room.missing += disk.unsynced(os.path.relpath(source, room.root) + "/")
            move(source, target, **more)

        patch.setattr(backup, "_SAFE_TREES", 0)
        patch.setattr(os, "replace", replaced)
        patch.setattr(os, "rename", renamed)
        back_up(str(room.data), load_settings(), str(room.root / "backups"))


def put_back(room: Promising) -> None:
    """Before the catalog has its name it is on the disk, and so are the files; in the end all is."""
    DataFolder(root=room.root).bring(uploader_layout("S", "1", images(2)))
    back_up(str(room.data), load_settings(), str(room.root / "backups"))
    move = os.rename
    with room.watched("new") as disk, pytest.MonkeyPatch.context() as patch:

        def renamed(source: str, target: str, **more: Any) -> None:
            if target == str(room.root / "new" / "scandock.db"):
                room.missing += disk.unsynced("new/data/archive") + disk.unsynced("new/archive")
                room.missing += [] if disk.has_bytes_of(source) else [source]
            move(source, target, **more)

        patch.setattr(os, "rename", renamed)
        assert restore_backup(str(room.root / "backups"), str(room.root / "new"), load_settings()) == []
        room.missing += [] if disk.has_name(room.root / "new" / "scandock.db") else ["new/scandock.db"]


def acknowledge(room: Promising) -> None:
    """Objects that are acknowledged one by one."""
    store = room.store()
    with room.watched("data/incoming"):
        spool = store.object_spool("u")
        spool.sync(spool.append("1.dcm", [b"first"]))


def acknowledge_file(room: Promising) -> None:
    """One that was too large for memory."""
    store = room.store()
    with room.watched("data/incoming"):
        file = store.open_object("1.dcm", b"meta")
        file.write(memoryview(b"first"))
        store.object_spool("u").append_file(file)
        file.close()


def acknowledge_study(room: Promising) -> None:
    """Objects of a study that a receiver takes."""
    store = room.store()
    with room.watched("data/incoming"):
        spool = store.object_spool("u")
        studies = OpenStudies[Any, Any](
            store, cast(Any, None), cast(Any, None), ReceiverFigures().count_sync, structlog.get_logger()
        )
        study = OpenStudy[Any, Any](StudyKey(1, "1.2"), None, None, cast(Any, None), spool, 0.0)
        studies.sync(study, spool.append("1.dcm", [b"first"]))


def finish_objects(room: Promising) -> None:
    store = room.store()
    with room.watched("data/incoming"):
        spool = store.object_spool("u")
        spool.append("1.dcm", [b"first"])
        spool.finish()


def bring_object(room: Promising) -> None:
    """Before an object's own file goes, it is in the archive."""
    store, unlink = room.store(), os.unlink
    with room.watched("data/incoming") as disk, pytest.MonkeyPatch.context() as patch:
        spool = store.object_spool("u")
        file = store.open_object("1.dcm", b"meta")
        file.write(memoryview(b"first"))
        spool.append_file(file)
        file.close()

        def removed(path: str, **more: Any) -> None:
            archive = f"{store.path}/incoming/u/archive"
            room.missing += [] if disk.has_bytes_of(archive) else [archive]
            unlink(path, **more)

        patch.setattr(os, "unlink", removed)
        spool.finish()


def recover_file(room: Promising) -> None:
    """What a process has left that was killed before its sync."""
    store = room.store()
    with room.watched("data/incoming"):
        spool = store.object_spool("u")
        file = store.open_object("1.dcm", b"meta")
        file.write(memoryview(b"first"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fdatasync", lambda _: None)
            spool.append_file(file)
        file.close()
        assert store.object_spool("u").recover() == 1


def recover_objects(room: Promising) -> None:
    store = room.store()
    with room.watched("data/incoming"):
        spool = store.object_spool("u")
        spool.sync(spool.append("1.dcm", [b"first"]))
        spool.append("2.dcm", [b"second"])
        assert store.object_spool("u").recover() == 2


PROMISES: dict[str, Callable[[Promising], None]] = {
    "store/spools.py _sync_bytes: os.fsync(fd)": spool,
    "store/spools.py sync: sync_folder(self._folder, self._root.fd)": spool,
    "store/spools.py sync: sync_folder(INCOMING, self._root.fd)": spool,
    "store/object_spools.py _sync: os.fdatasync(fd)": acknowledge,
    "store/object_spools.py _sync: sync_folder(self._folder, self._root.fd)": acknowledge,
    "store/object_spools.py _sync: sync_folder(INCOMING, self._root.fd)": acknowledge,
    "store/object_spools.py append_file: os.fdatasync(fd)": acknowledge_file,
    "store/object_spools.py append_file: sync_folder(self._folder, self._root.fd)": acknowledge_file,
    "store/object_spools.py append_file: sync_folder(INCOMING, self._root.fd)": acknowledge_file,
    "store/object_spools.py recover: os.fsync(fd)": recover_objects,
    "store/object_spools.py _measure_file: os.fsync(fd)": recover_file,
    "store/object_spools.py _bring: os.fdatasync(fd)": bring_object,
    "store/object_spools.py finish: sync_folder(self._folder, self._root.fd)": bring_object,
    "workers/receiver_studies.py sync: study.spool.sync(end)": acknowledge_study,
    "store/object_spools.py finish: os.fsync(fd)": finish_objects,
    "store/root.py prepare: sync_folder(TRASH, self.fd)": prepare,
    "store/root.py prepare: sync_folder('.', self.fd)": prepare,
    "store/root.py prepare: sync_folder('..', self.fd)": prepare,
    "store/root.py prepare: sync_folder(os.path.dirname(above), self.fd)": prepare,
    "store/root.py make_areas: sync_folder('.', self.fd)": make_anew,
    "store/identity.py write_identity: replace_file(IDENTITY, content, folder, mode=_MODE)": identify,
    "store/identity.py write_identity: sync_folder('.', folder)": identify,
    "services/privacy_key.py write_keys: replace_file(name, content, fd, mode=PRIVATE_FILE)": keep_keys,
    "services/privacy_key.py write_keys: sync_folder('.', fd)": keep_keys,
    "services/ohif.py _write: replace_file(VIEWER_FILE, content, folder)": install_viewer,
    "services/ohif.py _write: sync_folder('.', folder)": install_viewer,
    "store/staging.py take: sync_folder(folder, root.fd)": take,
    "store/stages.py seal: syscalls.syncfs(self._fd)": stage,
    "store/trees.py settle: sync_folder(folder, self._root.fd)": publish,
    "store/placing.py place: trees.settle()": place,
    "store/trash.py retire: sync_folder(entry, self._root.fd)": retire,
    "store/trash.py retire: sync_folder(TRASH, self._root.fd)": retire,
    "store/trash.py retire: sync_folder(paths.parent_folders(path)[0], self._root.fd)": retire,
    "services/spool_writer.py sync: self._spool.sync()": receive,
    "web/xnat/services/inbox.py end: self._spool.sync()": read_inbox,
    "store/backups.py sync_all: syscalls.syncfs(fd)": back_it_up,
    "services/backup.py _secure: backups.sync_all(self.path)": back_it_up,
    "services/backup.py _secure: os.fsync(lines.fileno())": back_it_up,
    "services/backup_folders.py finish_backup: backups.sync_all(path)": back_it_up,
    "services/backup_folders.py finish_backup: backups.sync_all(target)": back_it_up,
    "services/backup_restore.py restore_backup: backups.sync_all(data)": put_back,
    "services/backup_restore.py restore_backup: backups.sync_all(data) (2)": put_back,
    "services/catalog_copies.py restore_catalog: os.fsync(target.fileno())": put_back,
}
"""By the call that is dropped: what promises that its work is on the disk."""


@pytest.mark.parametrize("promise", dict.fromkeys(PROMISES.values()))
def test_what_is_promised_is_on_the_disk(tmp_path, promise):
    room = Promising(tmp_path, "")
    promise(room)
    assert room.missing == []


@pytest.mark.parametrize("site", PROMISES)
def test_a_promise_without_its_sync_is_noticed(tmp_path, site):
    room = Promising(tmp_path, site)
    PROMISES[site](room)
    assert room.missed
    assert room.missing


def test_a_disk_that_takes_bytes_and_does_not_keep_them_is_told(tmp_path, monkeypatch):
    store = Promising(tmp_path, "").store()
    assert store.try_writing() == []

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(Fault) as caught:
        store.try_writing()
    assert caught.value.code == "store_failed"


# -- all of them -------------------------------------------------------------------------------------------------------

OTHERS = {
    HINT: "nothing counts on it: it is always dropped here",
    "store/stages.py _sync_each: os.fsync(fd)": "test_local_store_system.py: old kernels",
    "store/space.py _write_probe: os.fsync(fd)": "test_a_disk_that_takes_bytes_and_does_not_keep_them_is_told",
    "publishing/receipts.py amend_receipt: stage.seal()": "test_a_receipt_gives_way_only_to_one_that_is_on_the_disk",
    "services/output_folder.py sync: syscalls.syncfs(self._fd)": "test_output_folder.py: a disk that fails is told",
    "services/output_folder.py fill_synced: os.fsync(fd)": "test_output_folder.py: bytes before names",
    "services/output_folder.py write_unnamed: os.fsync(fd)": "test_output_folder.py: bytes before names",
    "services/store_migration.py _publish: self._stage.seal()": "test_s3_migration.py: into a bucket, below",
    "services/store_migration.py _copy_trash: self._stage.seal()": "test_s3_migration.py: into a bucket, below",
    "store/s3_stages.py _store: packs.seal()": "test_s3_store.py: nothing is published that was not sent",
    "store/s3_compaction.py _rewrite: packs.seal()": "test_s3_compaction.py: no tree names what was not sent",
    "store/s3_spools.py sync: spool.sync()": "test_s3_store.py: others read what was answered",
    "web/tus/locks.py sync: self._spool.sync()": "hands through to the spool's own",
    "services/tree_changes.py _build_placement: change_stage.seal(running.check)": (
        "test_a_change_by_hand_asks_each_of_its_stages"
    ),
    "services/tree_changes.py _build_placement: running.stage.seal(running.check)": (
        "test_a_change_by_hand_asks_each_of_its_stages"
    ),
}
"""Those without which nothing is lost, or that show by their errors; what shows that."""


def test_every_call_that_syncs_is_dropped_by_a_test():
    assert sync_calls() == {*CUT_IMPORTS, *CHANGES, *PROMISES, *OTHERS}
