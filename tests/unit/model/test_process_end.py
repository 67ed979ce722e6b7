"""How a process ends: with all that an interpreter does at its end, but for taking its modules apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORKS = """
import atexit, os, sys, threading
from scandock.model.process import end_process

class Module:
    def __del__(self):
        os.write(1, b"taken apart\\n")

def fork(run):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        end_process(run)
    print("code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def leaving():
    atexit.register(lambda: print("registered"))
    print("printed")
    threading.Thread(target=lambda: (threading.main_thread().join(), print("a thread"))).start()
    return 0

def failing():
    raise ValueError("broken")

lasting = Module()
fork(leaving)
fork(lambda: 3)
fork(sys.exit)
fork(lambda: sys.exit(4))
fork(lambda: sys.exit("in words"))
fork(failing)
fork(sys.stdout.close)
os._exit(0 if sys.stdout.flush() is None else 1)
"""


@pytest.mark.processes
def test_a_fork_ends_as_an_interpreter_does_but_takes_nothing_apart() -> None:
    command = [sys.executable, "-E", "-c", FORKS]  # else PYTHONUNBUFFERED leaves nothing to be written at the end
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "printed", "a thread", "registered", "code 0", "code 3", "code 0", "code 4", "code 1", "code 1", "code 0",
    ]  # fmt: skip
    assert done.stderr.startswith("in words\nTraceback")
    assert done.stderr.endswith("ValueError: broken\n")
