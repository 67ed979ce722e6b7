"""Signals while imports run, in a process of its own: what is said, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# holds the signals and says so; then waits to be told how to end: when cancelled, or never
CHILD = """
import sys, subprocess, threading
from scandock.cli.interrupt import Interrupt
if sys.argv[1] == "crowded":  # threads of before, any of which may be chosen for a signal
    for _ in range(20):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
with Interrupt() as interrupt:
    print("held", flush=True)
    interrupt.cancelled.wait()
    if sys.argv[1] == "reader":
        print(subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT);"
                              "print('alive')"], capture_output=True, text=True).stdout.strip(), flush=True)
    print("cancelled", flush=True)
    if sys.argv[1] == "busy":
        sys.stdin.read()
    print("ended", flush=True)
"""


@pytest.fixture
def held():
    """Start the child; it holds the signals when this returns."""
    children = []

    def start(how, *prefix):
        child = subprocess.Popen(
            ["env", "--default-signal=HUP", *prefix, sys.executable, "-c", CHILD, how],  # the tests may run by nohup
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        assert read(child) == "held"
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def read(child, stream="stdout"):
    return getattr(child, stream).readline().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_one_cancels_and_the_body_ends_in_its_own_time(held, number):
    child = held("quick")
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert out.split() == ["cancelled", "ended"]
    assert child.returncode == 0
    assert err.startswith("Cancelling")


def test_a_second_is_told_to_wait_and_a_third_leaves_at_once(held):
    child = held("busy")
    child.send_signal(signal.SIGINT)
    assert read(child) == "cancelled"
    assert "Cancelling" in read(child, "stderr")
    child.send_signal(signal.SIGINT)
    assert "once more leaves at once" in read(child, "stderr")
    child.send_signal(signal.SIGTERM)  # a polite one more is none
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 130
    assert child.stdout.read() == ""


def test_reader_processes_are_deaf_from_their_first_instruction_on(held):
    child = held("reader")
    child.send_signal(signal.SIGTERM)
    assert read(child) == "alive"


def test_nohup_is_respected_and_a_background_job_can_be_cancelled(held):
    ignoring = "import os, signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGINT)];"
    child = held("quick", sys.executable, "-c", ignoring + "os.execv(sys.argv[1], sys.argv[1:])")
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert out.split() == ["cancelled", "ended"]
    assert err.count("Cancelling") == 1
    assert "Still" not in err


def test_a_signal_that_an_older_thread_gets_cancels_too(held):
    child = held("crowded")
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=30)[0].split() == ["cancelled", "ended"]


def test_a_command_that_is_interrupted_while_it_loads_ends_without_a_traceback() -> None:
    program = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "scandock.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from scandock.cli import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
