"""What the death of an attempt tells."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from scandock.model.children import Child
from scandock.workers import deaths
from scandock.workers.deaths import death_of, oom_kills

pytestmark = pytest.mark.processes


def ended(code):
    child = Child([sys.executable, "-c", code])
    return child, child.wait()


@pytest.mark.parametrize(
    ("code", "told", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "attempt_killed", "outside"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "attempt_died", "SIGSEGV"),
        ("import os; os._exit(7)", "attempt_died", "exit code 7"),
    ],
)
def test_deaths_are_told_apart(code, told, says):
    before = oom_kills()
    child, code = ended(code)
    death = death_of(code, before)
    assert death.code == told
    assert says in death.message
    assert child.killed == ""


def test_a_kill_while_the_kernel_killed_for_memory_is_lack_of_memory(monkeypatch):
    before = oom_kills()
    _, code = ended("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(deaths, "oom_kills", lambda: before + 1)
    assert death_of(code, before).code == "out_of_memory"


def test_our_own_kill_says_why_and_the_first_reason_stays():
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"])
    child.kill("cancelled")
    child.kill("stopped")
    assert child.wait() == -signal.SIGKILL
    assert child.killed == "cancelled"
    child.kill("again")  # it has ended: nothing happens


def test_a_child_dies_with_its_parent(tmp_path):
    inner = (
        "from scandock.model.process import confine; import os, sys, time\n"
        "confine(int(sys.argv[1]), 'child'); print(os.getpid(), flush=True); time.sleep(600)"
    )
    outer = (
        "import subprocess, sys, os\n"
        f"one = subprocess.Popen([sys.executable, '-c', {inner!r}, str(os.getpid())], stdout=subprocess.PIPE)\n"
        "print(one.stdout.readline().decode(), flush=True); os.kill(os.getpid(), 9)"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", outer], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    from tests.crash.processes import until

    until(lambda: not os.path.exists(f"/proc/{pid}") or _is_zombie(pid), "it outlived its parent")


def _is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True
