"""What the death of an attempt tells."""

from __future__ import annotations

import sys

import pytest

from scandock.model.children import Child
from scandock.workers import process_deaths
from scandock.workers.process_deaths import death_fault, oom_kills

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
    death = death_fault(code, before)
    assert death.code == told
    assert says in death.message
    assert child.killed == ""


def test_a_kill_while_the_kernel_killed_for_memory_is_lack_of_memory(monkeypatch):
    before = oom_kills()
    _, code = ended("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(process_deaths, "oom_kills", lambda: before + 1)
    assert death_fault(code, before).code == "out_of_memory"
