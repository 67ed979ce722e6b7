"""kill -9 before any single system call of a small import: what `test_local_store_kills` runs in a small process.

`python -m tests.integration.store_kills import_killed|recovery_killed|preparing_killed renameat2|plain FOLDER [FIRST]`.
Hundreds of forks of a process that holds all that a test run has imported would take most of the time.
"""

from __future__ import annotations

import errno
import functools
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scandock.store import syscalls
from scandock.store.local import LocalStore
from scandock.store.moves import PublishNew, PublishReplace
from scandock.store.paths import parse_tree, unchecked_path
from scandock.store.port import Mark, Stage
from tests.integration.store_conformance import publish_tree, read_tree, restore_tree, trash_staged

CALLS = ("mkdir", "rename", "link", "unlink", "rmdir", "open", "write", "fsync", "close", "sendfile")
RENAME = os.rename  # of the catalog's stand-in: not counted
OLD, NEW = {"a": b"old"}, {"a": b"old", "b": b"new"}
OTHER = {"x/y": b"other"}


def no_renameat2(source: str, target: str, root_fd: int, flags: int) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), source, None, target)


def kill_before_call(number: int) -> None:
    """In this process, SIGKILL itself instead of the `number`th system call from now."""
    left = number

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counting(*args: Any, **options: Any) -> Any:
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


def run_killed(number: int, action: Callable[[], object]) -> bool:
    """Run `action` in a child that dies before its `number`th system call; False where it came to its end."""
    pid = os.fork()
    if pid == 0:
        gc.disable()  # what it would close isn't the import's, and would be counted
        code = 1
        try:
            kill_before_call(number)
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


def small_import(data: Path, intent: Path) -> None:
    """One new session and one appended to, in the order of design.md "Placing"; `intent` stands for the catalog."""
    store = LocalStore(data)
    store.prepare()
    store.hold("u")
    stage = store.begin("u", "t1")
    stage.put_whole(unchecked_path("reading/y"), OTHER["x/y"])
    stage.move(unchecked_path("reading"), unchecked_path("one/x"))
    stage.adopt(parse_tree("archive/P/L"), [(unchecked_path("a"), unchecked_path("two/a"))])
    with stage.put(unchecked_path("two/b")) as writer:
        writer.write(NEW["b"])
    stage.put_whole(unchecked_path("receipt"), b"{}")
    stage.seal()
    facts = {
        "one": stage.mark(unchecked_path("one")),
        "two": stage.mark(unchecked_path("two")),
        "trash": store.new_trash_id(),
    }
    draft = intent.with_suffix(".draft")
    draft.write_text(json.dumps(facts))
    RENAME(draft, intent)
    publish_session(store, stage, facts)


def publish_session(store: LocalStore, stage: Stage, facts: dict[str, Any]) -> None:
    one, two = unchecked_path("one"), unchecked_path("two")
    store.place(
        [
            PublishNew(stage, one, parse_tree("prearchive/P/20260102_030405678/L"), Mark(*facts["one"])),
            PublishReplace(stage, two, parse_tree("archive/P/L"), Mark(*facts["two"])),
        ]
    )
    if stage.exists(unchecked_path("receipt")):
        store.keep_receipt(stage, unchecked_path("receipt"))
    trash_staged(store, stage, "two", facts["trash"])
    store.finish(stage)


def recover(data: Path, intent: Path) -> None:
    store = LocalStore(data)
    store.prepare()
    for upload in store.works():
        assert not store.is_owner_alive(upload)
        store.hold(upload)
        stage = store.take(upload, "t1", "t2")
        if intent.exists():
            publish_session(store, stage, json.loads(intent.read_text()))
        else:
            store.finish(stage)


def assert_complete(data: Path, placed: bool) -> None:
    store = LocalStore(data)
    assert store.works() == []
    assert store.sweep().left == 0
    assert os.listdir(data / "trash" / "now") == []
    assert read_tree(store, "archive/P/L") == (NEW if placed else OLD)
    trash = [entry for entry in store.trash() if entry.what]
    if placed:
        assert read_tree(store, "prearchive/P/20260102_030405678/L") == OTHER
        assert len(trash) == 1
        restore_tree(store, trash[0].id, "archive/P/old")
        assert read_tree(store, "archive/P/old") == OLD
        with store.open_receipt("u") as reader:
            assert reader.read() == b"{}"
    else:
        assert list(store.walk("prearchive")) == []
        assert trash == []


def check_import(folder: Path) -> None:
    """An import that is killed before any call is whole or absent."""
    outcomes: set[bool] = set()
    number = 0
    while True:
        here, intent = folder / f"DATA{number}", folder / f"intent{number}"
        base = LocalStore(here)
        base.prepare()
        publish_tree(base, "archive/P/L", OLD)
        died = run_killed(number, functools.partial(small_import, here, intent))
        placed = intent.exists()
        outcomes.add(placed)
        recover(here, intent)
        assert_complete(here, placed)
        if not died:
            break
        number += 1
    assert number > 50
    assert outcomes == {True, False}


def check_recovery(folder: Path, first: int) -> None:
    """Recovery from an import that was killed before its call `first`, killed before any call itself, is repeated."""
    number = 0
    while True:
        here, intent = folder / f"DATA{number}", folder / f"intent{number}"
        base = LocalStore(here)
        base.prepare()
        publish_tree(base, "archive/P/L", OLD)
        run_killed(first, functools.partial(small_import, here, intent))
        died = run_killed(number, functools.partial(recover, here, intent))
        recover(here, intent)
        assert_complete(here, intent.exists())
        if not died:
            break
        number += 1
    assert number > 5


def check_prepare(folder: Path) -> None:
    """The making of DATA, killed before any call, is repeated."""
    number = 0
    while run_killed(number, LocalStore(folder / str(number)).prepare):
        store = LocalStore(folder / str(number))
        store.prepare()
        publish_tree(store, "archive/P/L", OLD)
        assert read_tree(store, "archive/P/L") == OLD
        number += 1
    assert number > 7


def main(name: str, kind: str, folder: str, *first: str) -> int:
    """Run one of them; what is wrong is a traceback."""
    os.fsync = lambda fd: None  # kills don't lose what the system has: still counted, but quick
    syscalls.syncfs = lambda fd: None
    if kind == "plain":
        syscalls.renameat2 = no_renameat2
    gc.collect()
    gc.freeze()
    functions: dict[str, Callable[..., None]] = {
        check.__name__: check for check in (check_import, check_recovery, check_prepare)
    }
    functions[name](Path(folder), *map(int, first))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
