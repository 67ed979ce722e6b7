"""kill -9 before any single system call of a small import, and what the next process makes of what is left."""

from __future__ import annotations

import errno
import functools
import gc
import json
import os
import signal
import subprocess
import sys
import traceback

import pytest

from scandock.model.errors import TokenLost
from scandock.store import syscalls
from scandock.store.local import LocalStore
from tests.integration.store_conformance import content, published, staged

pytestmark = pytest.mark.crash

CALLS = ("mkdir", "rename", "link", "unlink", "rmdir", "open", "write", "fsync", "close", "sendfile")
RENAME = os.rename  # of the catalog's stand-in: not counted
OLD, NEW = {"a": b"old"}, {"a": b"old", "b": b"new"}
OTHER = {"x/y": b"other"}


def no_renameat2(source, target, root_fd, flags):
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), source, None, target)


@pytest.fixture(params=["renameat2", "plain"])
def data(request, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # kills don't lose what the system has: still counted, but quick
    monkeypatch.setattr(syscalls, "syncfs", lambda fd: None)
    if request.param == "plain":
        monkeypatch.setattr(syscalls, "renameat2", no_renameat2)
    return tmp_path / "DATA"


@pytest.fixture(autouse=True)
def little_to_collect():
    """What other tests have left is no garbage of these: to look through all of it before each fork takes seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def die_before(number: int) -> None:
    """In this process, SIGKILL itself instead of the `number`th system call from now."""
    left = number

    def counted(call):
        @functools.wraps(call)
        def counting(*args, **options):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return counting

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    syscalls.renameat2 = counted(syscalls.renameat2)
    syscalls.syncfs = counted(syscalls.syncfs)


def killed(number: int, action) -> bool:
    """Run `action` in a child that dies before its `number`th system call; False where it came to its end."""
    gc.collect()
    pid = os.fork()
    if pid == 0:
        gc.disable()  # what it would close isn't the import's, and would be counted
        code = 1
        try:
            die_before(number)
            action()
            code = 0
        except BaseException:  # noqa: BLE001  # the child must not go on as a second test run
            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def small_import(data, intent) -> None:
    """One new session and one appended to, in the order of design.md "Placing"; `intent` stands for the catalog."""
    store = LocalStore(data)
    store.prepare()
    store.hold("u")
    stage = store.begin("u", "t1")
    stage.put_whole("reading/y", OTHER["x/y"])
    stage.move("reading", "one/x")
    stage.adopt("archive/P/L", [("a", "two/a")])
    with stage.put("two/b") as writer:
        writer.write(NEW["b"])
    stage.put_whole("receipt", b"{}")
    stage.seal()
    facts = {"one": stage.inode("one"), "two": stage.inode("two"), "trash": store.new_trash_id()}
    draft = intent.with_suffix(".draft")
    draft.write_text(json.dumps(facts))
    RENAME(draft, intent)
    place(store, stage, facts)


def place(store, stage, facts) -> None:
    store.publish_new(stage, "one", "prearchive/P/20260102_030405678/L", inode=facts["one"], settle=False)
    store.publish_exchange(stage, "two", "archive/P/L", inode=facts["two"], settle=False)
    store.settle()
    if stage.exists("receipt"):
        store.keep_receipt(stage, "receipt")
    if stage.exists("two"):
        store.retire("two", stage=stage, trash=facts["trash"])
    store.finish(stage)


def recover(data, intent) -> None:
    store = LocalStore(data)
    store.prepare()
    for upload in store.works():
        assert not store.owner_alive(upload)
        store.hold(upload)
        stage = store.take(upload, "t1", "t2")
        if intent.exists():
            place(store, stage, json.loads(intent.read_text()))
        else:
            store.finish(stage)


def everything_stands(data, placed: bool) -> None:
    store = LocalStore(data)
    assert store.works() == []
    assert store.sweep().left == 0
    assert os.listdir(data / "trash" / "now") == []
    assert content(store, "archive/P/L") == (NEW if placed else OLD)
    trash = [entry for entry in store.trash() if entry.what]
    if placed:
        assert content(store, "prearchive/P/20260102_030405678/L") == OTHER
        assert len(trash) == 1
        store.restore(trash[0].id, "archive/P/old")
        assert content(store, "archive/P/old") == OLD
        with store.open_receipt("u") as reader:
            assert reader.read() == b"{}"
    else:
        assert list(store.walk("prearchive")) == []
        assert trash == []


def test_an_import_killed_before_any_call_is_whole_or_absent(data, tmp_path):
    seen = set()
    number = 0
    while True:
        here, intent = data.parent / f"DATA{number}", tmp_path / f"intent{number}"
        base = LocalStore(here)
        base.prepare()
        published(base, "archive/P/L", OLD)
        died = killed(number, lambda here=here, intent=intent: small_import(here, intent))
        placed = intent.exists()
        seen.add(placed)
        recover(here, intent)
        everything_stands(here, placed)
        if not died:
            break
        number += 1
    assert number > 50
    assert seen == {True, False}


@pytest.mark.parametrize("first", [25, 55, 90])
def test_recovery_killed_before_any_call_is_repeated(data, tmp_path, first):
    number = 0
    while True:
        here, intent = data.parent / f"DATA{number}", tmp_path / f"intent{number}"
        base = LocalStore(here)
        base.prepare()
        published(base, "archive/P/L", OLD)
        killed(first, lambda here=here, intent=intent: small_import(here, intent))
        died = killed(number, lambda here=here, intent=intent: recover(here, intent))
        recover(here, intent)
        everything_stands(here, intent.exists())
        if not died:
            break
        number += 1
    assert number > 5


def test_preparing_killed_before_any_call_is_repeated(data):
    number = 0
    while killed(number, LocalStore(data / str(number)).prepare):
        store = LocalStore(data / str(number))
        store.prepare()
        published(store, "archive/P/L", OLD)
        assert content(store, "archive/P/L") == OLD
        number += 1
    assert number > 7


def test_a_process_killed_while_it_writes(tmp_path):
    script = (
        "import sys; from scandock.store.local import LocalStore\n"
        "store = LocalStore(sys.argv[1]); store.prepare(); hold = store.hold('u'); stage = store.begin('u', 't')\n"
        "for number in range(10**9):\n"
        "    stage.put_whole(f's/{number % 50}/{number}', bytes(5000))\n"
        "    if number == 200: print('writing', flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, tmp_path / "DATA"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"writing\n"
    store = LocalStore(tmp_path / "DATA")
    assert store.owner_alive("u")
    assert store.forget("u") is False
    child.kill()
    child.wait()
    child.stdout.close()
    assert not store.owner_alive("u")
    assert store.forget("u") is True
    assert store.works() == []
    done = store.sweep()
    assert done.left == 0
    assert done.deleted > 200
    staged(store, "v", {"tree/a": b"1"}).seal()


def test_a_stopped_owner_is_taken_over(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    pid = os.fork()
    if pid == 0:
        mine = LocalStore(tmp_path)
        mine.hold("u")
        stage = mine.begin("u", "t1")
        stage.put_whole("tree/a", b"stale")
        os.kill(os.getpid(), signal.SIGSTOP)
        lost = 0
        for late in (lambda: mine.publish_new(stage, "tree", "archive/P/stale"), lambda: mine.finish(stage)):
            try:
                late()
            except TokenLost:
                lost += 1
        os._exit(lost)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    assert store.owner_alive("u")
    store.hold("u", force=True)
    stage = store.take("u", "t1", "t2")
    os.kill(pid, signal.SIGCONT)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 2
    assert LocalStore(tmp_path).owner_alive("u")
    store.publish_new(stage, "tree", "archive/P/L")
    store.finish(stage)
    assert [one.name for one in store.walk("archive")] == ["archive/P/L"]
    assert store.works() == []
