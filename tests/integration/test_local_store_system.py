"""What the local store does with the system under it: modes, links, full disks, failing syncs, others beside it."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from scandock.model.errors import Fault, Usage
from scandock.store import object_spools, space, syscalls
from scandock.store.local import LocalStore
from scandock.store.moves import RestoreTree
from scandock.store.paths import parse_tree, unchecked_path
from scandock.store.root import Root
from scandock.store.trees import PublishedTrees
from tests.integration.store_conformance import (
    NAME,
    add_file,
    add_object,
    publish_new,
    publish_replace,
    publish_tree,
    read_tree,
    read_zip,
    stage_files,
    trash_staged,
    trash_tree,
)

pytestmark = pytest.mark.disk


@pytest.fixture
def store(tmp_path):
    store = LocalStore(tmp_path / "DATA")
    store.prepare()
    return store


def run(script: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(child: subprocess.Popen[str]) -> str:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return out


# ---- modes and links

PRIVATE = frozenset({"incoming", "work", "trash", "receipts"})


def _mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.parametrize(("umask", "file_mode", "folder_mode"), [(0, 0o644, 0o755), (0o27, 0o640, 0o750)])
def test_files_are_plain_and_never_executable(tmp_path, umask, file_mode, folder_mode):
    before = os.umask(umask)
    try:
        store = LocalStore(tmp_path / "DATA")
        store.prepare()
        store.spool("u").append(0, b"#!/bin/sh\n")
        publish_tree(store, NAME, {"scans/1/a.sh": b"#!/bin/sh\n"})
        stage = stage_files(store, "v", {"tree/a": b"1", "r": b""})
        stage.adopt(parse_tree(NAME), [(unchecked_path("scans/1/a.sh"), unchecked_path("tree/b"))])
        publish_replace(store, stage, "tree", NAME)
        trash_staged(store, stage, "tree")
        store.keep_receipt(stage, unchecked_path("r"))
        store.hold("v")
    finally:
        os.umask(before)
    files, folders = set(), set()
    for here, below, names in os.walk(tmp_path / "DATA"):
        if here == str(tmp_path / "DATA"):
            assert sorted(set(below) & PRIVATE) == sorted(PRIVATE)
            assert {_mode(tmp_path / "DATA" / name) for name in PRIVATE} == {0o700}
            folders |= {_mode(tmp_path / "DATA" / name) for name in below if name not in PRIVATE}
        else:
            folders |= {stat.S_IMODE(os.lstat(os.path.join(here, name)).st_mode) for name in below}
        files |= {stat.S_IMODE(os.lstat(os.path.join(here, name)).st_mode) for name in names}
    assert files == {file_mode}
    assert folders == {folder_mode}


def test_folders_of_an_older_version_are_closed_to_others(tmp_path):
    store = LocalStore(tmp_path / "DATA")
    store.prepare()
    opened = {"incoming": 0o755, "work": 0o750, "trash": 0o775, "receipts": 0o2755, "archive": 0o755}
    for name, mode in opened.items():
        (tmp_path / "DATA" / name).chmod(mode)
    LocalStore(tmp_path / "DATA").prepare()
    found = {name: _mode(tmp_path / "DATA" / name) for name in opened}
    # where the group may write, somebody let it in on purpose
    assert found == {"incoming": 0o700, "work": 0o700, "trash": 0o770, "receipts": 0o2700, "archive": 0o755}


def test_links_in_a_stage_or_tree_are_never_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    stage = stage_files(store, "u", {"tree/a": b"1"})
    work = tmp_path / "DATA/work/u/t1/tree"
    (work / "folder").symlink_to(outside)
    (work / "file").symlink_to(outside / "secret")
    for rel in ("tree/folder/x", "tree/file"):
        with pytest.raises(FileExistsError):
            stage.put_whole(unchecked_path(rel), b"2")
    for rel in ("tree/folder/secret", "tree/file"):
        with pytest.raises(OSError, match=r".+"):
            stage.open(unchecked_path(rel))
    publish_new(store, stage, "tree", NAME)
    with store.snapshot(NAME) as snapshot:
        for rel in ("folder/secret", "file"):
            with pytest.raises(OSError, match=r".+"):
                snapshot.open(rel)
    assert {(one.rel, one.kind) for one in store.walk("archive")} == {
        ("a", "file"),
        ("file", "link"),
        ("folder", "link"),
    }
    with pytest.raises(Fault) as caught:
        stage.adopt(parse_tree(NAME), [(unchecked_path("file"), unchecked_path("n/file"))])
    assert caught.value.code == "tree_damaged"
    trash_tree(store, NAME)
    store.purge(0)
    store.sweep()
    assert (outside / "secret").read_bytes() == b"secret"


def test_walk_tells_what_does_not_belong(store, tmp_path):
    publish_tree(store, NAME, {"a": b"1"})
    archive = tmp_path / "DATA/archive"
    (archive / "stray").write_bytes(b"22")
    (archive / "P/stray").write_bytes(b"333")
    (archive / "P/empty").mkdir()
    (archive / "Q").mkdir()
    os.mkfifo(archive / "P/L/pipe")
    told = [(one.name, one.rel, one.kind) for one in store.walk("archive")]
    assert sorted(told) == [
        ("archive", "Q", "folder"),
        ("archive", "stray", "file"),
        ("archive/P", "stray", "file"),
        ("archive/P/L", "a", "file"),
        ("archive/P/L", "pipe", "other"),
        ("archive/P/empty", "", "folder"),
    ]
    with store.snapshot(NAME) as snapshot, pytest.raises(FileNotFoundError):
        snapshot.open("pipe")


def test_links_share_bytes_and_copies_do_not(store, tmp_path, monkeypatch):
    publish_tree(store, NAME, {"a": b"x" * 3_000_000})
    stage = store.begin("u", "t")
    assert stage.adopt(NAME, [("a", "linked")]) == (1, 0)

    def no_links(*args, **options):
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", no_links)
    assert stage.adopt(NAME, [("a", "copied")]) == (0, 1)
    original = (tmp_path / "DATA" / NAME / "a").stat()
    work = tmp_path / "DATA/work/u/t"
    assert (work / "linked").stat().st_ino == original.st_ino
    assert (work / "copied").stat().st_ino != original.st_ino
    assert (work / "copied").read_bytes() == b"x" * 3_000_000


# ---- full disks and failing syncs

FULL = """
import os, sys
from scandock.model.errors import Fault
from scandock.store.local import LocalStore

store = LocalStore(sys.argv[1])
store.prepare()
stage = store.begin("u", "t")
stage.put_whole("good", bytes(300_000))

def code(call):
    try:
        call()
    except Fault as fault:
        return fault.code

def streamed():
    with stage.put("s/streamed") as writer:
        for _ in range(100):
            writer.write(bytes(100_000))

print(code(lambda: store.reserve(5_000_000)))
print(code(lambda: stage.put_whole("s/whole", bytes(5_000_000))))
print(code(streamed))
print(code(lambda: store.spool("u").append(0, bytes(5_000_000))), store.spool("u").size())
print([one.rel for one in stage.walk() if one.kind == "file"])
stage.put_whole("after", bytes(300_000))
print([one.size for one in stage.walk() if one.kind == "file"])
"""


def _mounts() -> tuple[str, ...]:
    """A command prefix under which a mount of one's own may be made."""
    unshare = shutil.which("unshare")
    for options in (["-m"], ["-Urm"]):
        if unshare and subprocess.run([unshare, *options, "true"], capture_output=True, check=False).returncode == 0:
            return (unshare, *options)
    pytest.skip("no mount namespace may be made here (unshare -m)")


def _mounted(folder: object, options: str, then: str, script: str, *arguments: object) -> str:
    shell = f'mount -t tmpfs -o {options} tmpfs "$0" && {then} exec "$@"'
    return output(run(script, *arguments, prefix=(*_mounts(), "sh", "-c", shell, str(folder))))


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path):
    told = _mounted(tmp_path, "size=1m", "", FULL, tmp_path / "DATA").splitlines()
    assert told == ["disk_full", "disk_full", "disk_full", "disk_full 0", "['good']", "[300000, 300000]"]


def test_running_out_of_inodes_is_said(tmp_path):
    script = """
    import sys
    from scandock.model.errors import Fault
    from scandock.store.local import LocalStore
    store = LocalStore(sys.argv[1]); store.prepare(); stage = store.begin("u", "t")
    try:
        store.reserve(1, files=1000)
    except Fault as fault:
        print(fault.code)
    try:
        for number in range(1000):
            stage.put_whole(f"{number}", b"")
    except Fault as fault:
        print(fault.code)
    """
    assert _mounted(tmp_path, "nr_inodes=100", "", script, tmp_path / "DATA").split() == ["disk_full", "disk_full"]


def test_folders_on_another_file_system_are_refused(tmp_path):
    script = """
    import sys
    from scandock.model.errors import Fault
    from scandock.store.local import LocalStore
    try:
        LocalStore(sys.argv[1]).prepare()
    except Fault as fault:
        print(fault.code)
    """
    (tmp_path / "archive").mkdir()
    told = _mounted(tmp_path / "archive", "size=1m", "", script, tmp_path)
    assert told.strip() == "store_other_filesystem"


def test_a_file_over_the_process_limit_is_a_fault(store):
    stage = stage_files(store, "u", {"good": b"1"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Fault) as caught:
            stage.put_whole(unchecked_path("big"), bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "store_failed"
    assert stage.list() == ["good"]


def test_a_failed_seal_voids_the_stage(store, monkeypatch):
    stage = stage_files(store, "u", {"tree/a": b"1"})

    def fails(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "syncfs", fails)
        with pytest.raises(Fault) as caught:
            stage.seal()
        assert caught.value.code == "sync_failed"
    with pytest.raises(Fault) as caught:  # the kernel has forgotten the lost pages: a second sync would lie
        stage.seal()
    assert caught.value.code == "sync_failed"


def test_where_syncfs_keeps_silent_each_file_is_synced(store, monkeypatch):
    stage = stage_files(store, "u", {"x/a": b"1", "b": b"2"})
    synced = []
    monkeypatch.setattr(syscalls, "syncfs_reports_errors", lambda: False)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    stage.seal()
    assert sorted(synced) == sorted(one.inode for one in stage.walk())


def raise_io_error(_fd: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_failed_sync_drops_the_spool(store, monkeypatch):
    spool = store.spool("u")
    spool.append(0, b"abc")

    def fails(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(Fault) as caught:
            spool.sync()
    assert caught.value.code == "sync_failed"
    assert store.spool("u").size() == 0
    with pytest.raises(Fault):
        spool.append(0, b"abc")


def test_a_failed_sync_keeps_the_objects_that_earlier_ones_covered(store, monkeypatch):
    spool = store.object_spool("u")
    end = spool.append("1.dcm", [b"first"])
    spool.sync(end)
    late = spool.append("2.dcm", [b"second"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raise_io_error)
        with pytest.raises(Fault) as caught:
            spool.sync(late)
    assert caught.value.code == "sync_failed"
    for refused in (lambda: spool.sync(late), lambda: spool.append("3.dcm", [b"third"])):
        with pytest.raises(Fault) as caught:
            refused()
        assert caught.value.code == "spool_closed"
    assert (spool.size, spool.entries) == (end, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", raise_io_error)
        with pytest.raises(Fault) as caught:
            spool.finish()
    assert caught.value.code == "sync_failed"
    assert store.spool("u").size() == end
    spool.finish()
    assert read_zip(store, "u") == [("1.dcm", b"first")]


def test_a_sync_serves_all_that_was_appended_before_it_began(store, monkeypatch):
    spool = store.object_spool("u")
    first, second = spool.append("1.dcm", [b"first"]), spool.append("2.dcm", [b"second"])
    synced: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def wait(fd: int) -> None:
        synced.append(fd)
        began.set()
        assert go_on.wait(20)

    monkeypatch.setattr(os, "fdatasync", wait)
    thread = threading.Thread(target=spool.sync, args=[first])
    thread.start()
    assert began.wait(20)
    third = spool.append("3.dcm", [b"third"])
    go_on.set()
    thread.join()
    spool.sync(second)
    assert len(synced) == 1
    spool.sync(third)
    assert len(synced) == 2


def test_an_object_that_does_not_fit_leaves_nothing_of_itself(store, monkeypatch):
    spool = store.object_spool("u")
    end = spool.append("1.dcm", [b"first"])
    write = os.pwritev

    def half(fd: int, parts: list[memoryview], at: int) -> int:
        if at > end:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, [parts[0][:20]], at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", half)
        with pytest.raises(Fault) as caught:
            spool.append("2.dcm", [b"second"])
    assert caught.value.code == "disk_full"
    assert store.spool("u").size() == end
    spool.append("3.dcm", [b"third"])
    spool.finish()
    assert read_zip(store, "u") == [("1.dcm", b"first"), ("3.dcm", b"third")]


def test_files_that_the_system_cannot_copy_are_read_and_written(store, monkeypatch):
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(os, "link", refuse)
    spool = store.object_spool("u")
    add_file(store, spool, "1.dcm", b"meta", b"x" * 2_500_000)
    spool.finish()
    assert read_zip(store, "u") == [("1.dcm", b"meta" + b"x" * 2_500_000)]


def test_a_large_object_holds_up_nobody(store, monkeypatch):
    """Neither while it is put on the disk, nor while it is copied as the spool is finished."""
    sync, copy = os.fdatasync, os.copy_file_range
    syncing, copying, go_on = threading.Event(), threading.Event(), threading.Event()

    def wait_to_sync(fd: int) -> None:
        if os.fstat(fd).st_size > 1_000_000:
            syncing.set()
            assert go_on.wait(30)
        sync(fd)

    def wait_to_copy(*words: int) -> int:
        copying.set()
        assert go_on.wait(30)
        return copy(*words)

    monkeypatch.setattr(os, "fdatasync", wait_to_sync)
    monkeypatch.setattr(os, "copy_file_range", wait_to_copy)
    spool = store.object_spool("u")
    with ThreadPoolExecutor(1) as pool:
        added = pool.submit(add_file, store, spool, "1.dcm", b"meta", bytes(2_000_000))
        assert syncing.wait(30)
        end = add_object(spool, "2.dcm", b"second")
        go_on.set()
        assert added.result(30) == end
        go_on.clear()
        waiting = spool.append("3.dcm", [b"third"])
        finished = pool.submit(spool.finish)
        assert copying.wait(30)
        spool.sync(waiting)
        with pytest.raises(Fault):
            spool.append("4.dcm", [b"late"])
        go_on.set()
        finished.result(30)
    assert [name for name, _ in read_zip(store, "u")] == ["2.dcm", "3.dcm", "1.dcm"]
    assert os.listdir(f"{store.path}/incoming/u") == ["archive"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_a_sync_that_failed_was_to_cover_is_in_no_archive(store, monkeypatch, code):
    """Whether an object's own sync failed, or the one at the end."""
    sync = os.fdatasync
    failures = [OSError(code, os.strerror(code))]

    def fail(fd: int) -> None:
        if failures:
            raise failures.pop()
        sync(fd)

    spool = store.object_spool("u")
    add_object(spool, "1.dcm", b"first")
    end = spool.append("2.dcm", [b"second"])
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Fault) as failed:
        spool.finish()
    assert failed.value.code == "sync_failed"
    with pytest.raises(Fault) as refused:
        spool.sync(end)
    assert refused.value.code == "spool_closed"
    assert spool.entries == 1
    spool.finish()
    assert read_zip(store, "u") == [("1.dcm", b"first")]


def test_a_large_object_whose_sync_fails_is_refused_alone(store, monkeypatch):
    sync = os.fdatasync

    def fail(fd: int) -> None:
        if os.fstat(fd).st_size > 1_000_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    spool = store.object_spool("u")
    add_object(spool, "1.dcm", b"first")
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Fault) as failed:
        add_file(store, spool, "2.dcm", b"meta", bytes(2_000_000))
    assert failed.value.code == "sync_failed"
    add_object(spool, "3.dcm", b"third")
    spool.finish()
    assert read_zip(store, "u") == [("1.dcm", b"first"), ("3.dcm", b"third")]


def test_an_object_in_a_file_is_kept_until_its_copy_is_on_disk(store, monkeypatch):
    spool = store.object_spool("u")
    add_file(store, spool, "1.dcm", b"meta", b"first")
    with open(f"{store.path}/incoming/u/object-1", "rb") as file:
        entry = file.read()
    with open(f"{store.path}/incoming/u/archive", "r+b") as archive:  # what a kill leaves before the file is removed
        archive.write(entry)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Fault) as failed:
            store.object_spool("u").recover()
    assert failed.value.code == "sync_failed"
    assert sorted(os.listdir(f"{store.path}/incoming/u")) == ["archive", "object-1"]
    recovered = store.object_spool("u")
    assert (recovered.recover(), recovered.size) == (1, len(entry))
    assert os.listdir(f"{store.path}/incoming/u") == ["archive"]


@pytest.mark.parametrize("at", [0, 14, 70])
def test_an_object_in_a_file_that_is_not_whole_is_not_recovered(store, at):
    spool = store.object_spool("u")
    add_file(store, spool, "1.dcm", b"meta", bytes(100))
    add_file(store, spool, "2.dcm", b"meta", bytes(100))
    path = f"{store.path}/incoming/u/object-1"
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xff")
    os.truncate(f"{store.path}/incoming/u/object-2", 100)
    recovered = store.object_spool("u")
    assert recovered.recover() == 0
    assert os.listdir(f"{store.path}/incoming/u") == ["archive"]


def test_objects_and_offsets_beyond_four_gigabytes(store, monkeypatch):
    """Of holes, so that nothing is written; their checksum is not what the test is about."""

    def lengthen(source: int, target: int, at: int, size: int) -> None:
        os.pwrite(target, os.pread(source, 100, 0), at)
        os.ftruncate(target, at + size)

    monkeypatch.setattr(object_spools, "_copy_file", lengthen)
    spool = store.object_spool("u")
    size = 2**32 + 5
    for number in (1, 2):
        file = store.open_object(f"{number}.dcm", b"")
        file.size = size
        os.ftruncate(file.fd, file.end)
        spool.append_file(file)
        file.close()
    spool.append("3.dcm", [b"third"])
    spool.finish()
    with zipfile.ZipFile(store.spool("u").local_path()) as archive:
        assert [info.file_size for info in archive.infolist()] == [5, size, size]
        assert archive.getinfo("2.dcm").header_offset > size
        assert archive.read("3.dcm") == b"third"


def test_big_spools_are_synced_on_the_way(store, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    spool = store.spool("u")
    block = bytes(16 * 1024 * 1024)
    for number in range(8):
        spool.append(number * len(block), block)
    assert len(synced) == 2


def test_settle_syncs_both_parents(store, monkeypatch, tmp_path):
    synced: list[int] = []
    fsync = os.fsync

    def noted(fd):
        synced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    stage = stage_files(store, "u", {"tree/a": b"1"})
    publish_new(store, stage, "tree", NAME)
    for folder in ("archive", "archive/P", "work/u/t1"):
        assert (tmp_path / "DATA" / folder).stat().st_ino in synced


def test_a_restore_that_is_repeated_after_a_kill_syncs_what_the_first_did_not(store, monkeypatch, tmp_path):
    def dies(_trees):
        raise KeyboardInterrupt

    mark = publish_tree(store, NAME, {"a": b"1"})
    trash = trash_tree(store, NAME)
    move = RestoreTree(trash, parse_tree(NAME), mark)
    with monkeypatch.context() as killed:
        killed.setattr(PublishedTrees, "settle", dies)
        with pytest.raises(KeyboardInterrupt):
            store.place([move])
    synced: list[int] = []
    fsync = os.fsync

    def noted(fd):
        synced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    LocalStore(tmp_path / "DATA").place([move])
    assert (tmp_path / "DATA/archive/P").stat().st_ino in synced
    assert list(store.trash()) == []
    assert not (tmp_path / "DATA/trash" / trash).exists()


# ---- others beside it

NEIGHBOUR = """
import sys
from scandock.store.local import LocalStore
from scandock.store.moves import MoveTree, PublishNew

root, mine, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = LocalStore(root)
parent = "prearchive/P/20260102_030405678"
stage = store.begin(mine, "t")
for number in range(rounds):
    stage.put_whole(f"tree{number}/a", b"1")
    mark = stage.mark(f"tree{number}")
    names = [f"{parent}/{mine}"]
    if number % 3 == 0:
        names += [f"prearchive/Q/20260102_030405678/{mine}", f"archive/Q/{mine}-{number}"]
    elif number < rounds - 1:
        names.append(f"archive/P/{mine}-{number}")
    moves = [MoveTree(*pair, mark) for pair in zip(names, names[1:])]
    store.place([PublishNew(stage, f"tree{number}", names[0], mark), *moves])
store.finish(stage)
"""


@pytest.mark.processes
def test_processes_that_make_and_leave_the_same_parents_lose_nothing(store, tmp_path):
    rounds = 150  # the last one, 149, stays where it was published
    children = [run(NEIGHBOUR, tmp_path / "DATA", mine, rounds) for mine in ("A", "B", "C")]
    for child in children:
        output(child)
    expected = set()
    for mine in ("A", "B", "C"):
        for number in range(rounds - 1):
            expected.add(f"archive/{'P' if number % 3 else 'Q'}/{mine}-{number}")
        expected.add(f"prearchive/P/20260102_030405678/{mine}")
    assert {one.name for area in ("archive", "prearchive") for one in store.walk(area)} == expected
    assert os.listdir(tmp_path / "DATA/prearchive") == ["P"]
    assert store.works() == []


def test_people_on_the_mount_always_see_one_of_the_trees(store, tmp_path):
    if not space.can_exchange(Root(str(tmp_path / "DATA"))):
        pytest.skip("this file system can't exchange two names")
    publish_tree(store, NAME, {"a": b"0"})
    stage = store.begin("u", "t")
    missed, seen, looked, done = [], set(), threading.Event(), threading.Event()

    def look():
        while not done.is_set():
            try:
                seen.add((tmp_path / "DATA" / NAME / "a").read_bytes())
            except OSError as error:
                missed.append(error)
            looked.set()

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for number in range(1, 200):
            stage.put_whole(f"tree{number}/a", b"%d" % number)
            publish_replace(store, stage, f"tree{number}", NAME)
            if number % 50 == 0:  # on a busy machine all could have passed before the first look
                looked.clear()
                assert looked.wait(60)
    finally:
        done.set()
        looker.join()
    assert missed == []
    assert len(seen) > 1
    assert read_tree(store, NAME) == {"a": b"199"}
    assert len(stage.list()) == 199


# ---- where it stands


def test_network_file_systems_are_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(space, "filesystem_of", lambda path: "fuse.sshfs")
    with pytest.raises(Usage) as caught:
        space.refuse_network(tmp_path)
    assert caught.value.code == "network_filesystem"
    monkeypatch.setattr(space, "filesystem_of", lambda path: "ext4")
    space.refuse_network(tmp_path)


def test_a_missing_store_is_said(tmp_path):
    with pytest.raises(Fault) as caught:
        LocalStore(tmp_path / "none").reserve(1)
    assert caught.value.code == "store_missing"


@pytest.mark.processes
def test_reader_processes_load_little():
    script = """
    import sys
    from scandock.store.local import LocalStore
    heavy = ("sqlalchemy", "ctypes", "dataclasses", "json", "pathlib", "threading", "scandock.store.port")
    print([name for name in heavy if name in sys.modules])
    """
    assert output(run(script)).strip() == "[]"


@pytest.mark.processes
def test_handles_left_open_end_quietly(tmp_path):
    script = """
    import sys
    from scandock.store.local import LocalStore
    from scandock.store.moves import PublishNew
    store = LocalStore(sys.argv[1]); store.prepare(); spool = store.spool("u"); spool.append(0, b"1")
    stage = store.begin("u", "t"); stage.put_whole("tree/a", b"1")
    store.place([PublishNew(stage, "tree", "archive/P/L", stage.mark("tree"))])
    snapshot = store.snapshot("archive/P/L"); hold = store.hold("u"); me = [store]; me.append(me)
    """
    child = run(script, tmp_path / "DATA")
    assert child.communicate(timeout=60) == ("", "")


def test_dropped_handles_close_their_descriptors(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        store = LocalStore(tmp_path / "DATA")
        store.prepare()
        store.spool("u").append(0, b"1")
        stage = stage_files(store, "u", {"a/b/c": b"1"})
        publish_new(store, stage, "a", NAME)
        store.snapshot(parse_tree(NAME)).open(unchecked_path("b/c")).close()
        trash_tree(store, NAME)
    del store, stage
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_that_can_not_be_had_is_told_with_its_folder(store):
    with open(os.path.join(store.path, "work", "u"), "wb"):
        pass
    with pytest.raises(Fault) as caught:
        store.hold("u")
    assert f"locking work/u in {store.path}" in caught.value.message


def test_a_link_to_a_folder_that_is_not_mounted_is_as_a_missing_folder(store, tmp_path):
    """Whoever mounts elsewhere, and links from DATA."""
    (tmp_path / "DATA" / "archive").rmdir()
    (tmp_path / "DATA" / "archive").symlink_to(tmp_path / "elsewhere")
    asked = []
    again = LocalStore(store.path)
    again.prepare(stored=False)

    def holds(folder, stands):
        asked.append((folder, stands))
        return folder == "archive"

    with pytest.raises(Fault, match=r"The folder archive of .* is not there, with all") as caught:
        again.make_areas(holds)
    assert (caught.value.code, asked) == ("store_missing", [("archive", False)])
    assert not again.has_area(parse_tree("archive/P/S"))
    assert again.try_writing() == []
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(Fault, match="is empty, without all"):
        again.make_areas(holds)
    assert asked[-1] == ("archive", True)
    again.close()


def test_the_disk_is_told_to_begin_once_at_a_time(store, monkeypatch):
    stage = store.begin("u", "t")
    asked, go_on = threading.Semaphore(0), threading.Event()
    calls = []

    def syncfs(fd):
        calls.append(fd)
        asked.release()
        assert go_on.wait(60)

    monkeypatch.setattr(syscalls, "syncfs", syncfs)
    stage.write_back()
    assert asked.acquire(timeout=60)
    stage.write_back()
    assert len(calls) == 1
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "write-back":
            thread.join()
    stage.write_back()
    assert asked.acquire(timeout=60)
    assert len(calls) == 2


def test_what_is_only_a_hint_to_the_disk_never_fails(store):
    stage = store.begin("u", "t")
    shutil.rmtree(f"{store.path}/work/u")
    stage.write_back()
