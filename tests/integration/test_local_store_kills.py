"""kill -9 before any single system call of a small import, and what the next process makes of what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scandock.model.errors import TokenLost
from scandock.store.local import LocalStore
from scandock.store.paths import unchecked_path
from tests.integration.store_conformance import publish_new, stage_files

pytestmark = [pytest.mark.crash, pytest.mark.processes]

ROOT = Path(__file__).resolve().parents[2]

each_file_system = pytest.mark.parametrize("kind", ["renameat2", "plain"])


def in_a_small_process(*words):
    """Run a part of `store_kills`."""
    command = [sys.executable, "-m", "tests.integration.store_kills", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@each_file_system
def test_an_import_killed_before_any_call_is_whole_or_absent(kind, tmp_path):
    in_a_small_process("check_import", kind, tmp_path)


@pytest.mark.parametrize("first", [25, 55, 90])
@each_file_system
def test_recovery_killed_before_any_call_is_repeated(kind, tmp_path, first):
    in_a_small_process("check_recovery", kind, tmp_path, first)


@each_file_system
def test_preparing_killed_before_any_call_is_repeated(kind, tmp_path):
    in_a_small_process("check_prepare", kind, tmp_path)


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
    assert store.is_owner_alive("u")
    assert store.forget("u") is False
    child.kill()
    child.wait()
    child.stdout.close()
    assert not store.is_owner_alive("u")
    assert store.forget("u") is True
    assert store.works() == []
    done = store.sweep()
    assert done.left == 0
    assert done.deleted > 200
    stage_files(store, "v", {"tree/a": b"1"}).seal()


def test_a_stopped_owner_is_taken_over(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    pid = os.fork()
    if pid == 0:
        mine = LocalStore(tmp_path)
        mine.hold("u")
        stage = mine.begin("u", "t1")
        stage.put_whole(unchecked_path("tree/a"), b"stale")
        os.kill(os.getpid(), signal.SIGSTOP)
        lost = 0
        for late in (
            lambda: publish_new(mine, stage, "tree", "archive/P/stale"),
            lambda: mine.finish(stage),
        ):
            try:
                late()
            except TokenLost:
                lost += 1
        os._exit(lost)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    assert store.is_owner_alive("u")
    store.hold("u", force=True)
    stage = store.take("u", "t1", "t2")
    os.kill(pid, signal.SIGCONT)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 2
    assert LocalStore(tmp_path).is_owner_alive("u")
    publish_new(store, stage, "tree", "archive/P/L")
    store.finish(stage)
    assert [one.name for one in store.walk("archive")] == ["archive/P/L"]
    assert store.works() == []
