"""Child processes from their parents' side."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from scandock.model.children import Child, Output, bare_environment, has_bare_environment, start_connected
from tests.crash.processes import until


def test_who_takes_apart_what_anybody_may_have_made_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SCANDOCK_", "PG", "AWS_"))]:
        monkeypatch.delenv(name)
    for name in ("SCANDOCK_ADMIN_PASSWORD", "SCANDOCK_CRASH_AT", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "LANG"):
        monkeypatch.setenv(name, "x")
    given = bare_environment({"MALLOC_ARENA_MAX": "1"})
    assert given["MALLOC_ARENA_MAX"] == "1"
    assert {name for name in given if name.startswith(("SCANDOCK_", "PG", "AWS", "LANG"))} == {
        "SCANDOCK_CRASH_AT",
        "LANG",
    }
    assert not has_bare_environment()
    for name in ("SCANDOCK_ADMIN_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert has_bare_environment()


@pytest.mark.processes
@pytest.mark.parametrize("output", Output)
def test_a_fork_is_left_what_a_child_has(output: Output) -> None:
    code = (
        "import os, sys; from scandock.model.children import Output, close_all_but\n"
        "extra = [os.dup(1) for _ in range(5)]; kept = extra[2]\n"
        f"close_all_but(kept, output={output})\n"
        "streams = {n: os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)}\n"
        "left = [n for n in extra if os.readlink(f'/proc/self/fd/{n}') != os.devnull]\n"
        "os.write(kept, repr((left == [kept], [n for n in streams if streams[n] == os.devnull])).encode())"
    )
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.PIPE, capture_output=True, check=True)
    nowhere = {Output.ALL: [0], Output.ERRORS: [0, 1], Output.NONE: [0, 1, 2]}[output]
    assert done.stdout.decode() == repr((True, nowhere))


def test_a_child_that_can_not_be_started_leaves_no_socket_open() -> None:
    ends: list[socket.socket] = []

    def fail(end: socket.socket) -> None:
        ends.append(end)
        raise OSError("no room")

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no room") as failed:
        start_connected(fail)
    assert ends[0].fileno() == -1
    assert len(os.listdir("/proc/self/fd")) == before
    del failed  # until here its traceback has kept what nobody closed


@pytest.mark.processes
def test_a_child_has_one_end_and_says_only_what_it_may(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; print('out'); print('err', file=sys.stderr); os.write(int(sys.argv[1]), b'hello')"
    for output, said in ((Output.ALL, ("out", "err")), (Output.ERRORS, ("", "err")), (Output.NONE, ("", ""))):

        def start(end: socket.socket, output: Output = output) -> Child:
            return Child([sys.executable, "-Sc", code, str(end.fileno())], [end.fileno()], output=output)

        child, end = start_connected(start)
        with end:
            assert child.wait() == 0
            assert (end.recv(10), end.recv(10)) == (b"hello", b"")  # nobody else has the other end
        assert child.poll() == 0
        told = capfd.readouterr()
        assert (told.out.strip(), told.err.strip()) == said


@pytest.mark.processes
def test_our_own_kill_says_why_and_the_first_reason_stays() -> None:
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"])
    child.kill("cancelled")
    child.kill("stopped")
    assert child.wait() == -signal.SIGKILL
    assert child.killed == "cancelled"
    child.kill("again")  # it has ended: nothing happens


@pytest.mark.processes
def test_a_child_dies_with_its_parent() -> None:
    inner = (
        "from scandock.model.process import confine; import os, sys, time\n"
        "confine(int(sys.argv[1]), 'child'); print(os.getpid(), flush=True); time.sleep(600)"
    )
    outer = (
        "import subprocess, sys, os\n"
        f"one = subprocess.Popen([sys.executable, '-c', {inner!r}, str(os.getpid())], stdout=subprocess.PIPE)\n"
        "print(one.stdout.readline().decode(), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", outer], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    until(lambda: not os.path.exists(f"/proc/{pid}") or _is_zombie(pid), "it outlived its parent")


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True
