"""Commands that are run, killed, stopped and waited for, and what is left of their process groups."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scandock.services import consistency_check
from scandock.services.settings import load_settings
from tests.crash.archives import Step
from tests.crash.forked import ForkedCommand

SCANDOCK = Path(sys.executable).with_name("scandock")
FORKED = ("import", "check", "admin", "backup", "restore", "export")
PATIENCE = 60.0
"""Seconds after which something that should happen at once is held to have failed."""


def environment(**changes: str) -> dict[str, str]:
    """This process's, without what would set Scandock up otherwise."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SCANDOCK_")}
    return bare | {"SCANDOCK_WORKERS": "2", "SCANDOCK_DEBUG": "1"} | changes


def import_words(step: Step, data: Path, project: str = "P") -> list[str | Path]:
    named = ("--data", data, "--project", project, "--create-project", "--json")
    return [SCANDOCK, "import", step.archive, *named, *step.options]


class Command:
    """A command in a process group of its own.

    One of Scandock's is forked from a process that has imported Scandock, which saves the most of its time; `fresh` has
    it started as people do, and what talks while it runs (`serve`, `upload`) always is.
    """

    fresh = False

    def __init__(self, words: list[str | Path], *, threads: bool = False, **changes: str) -> None:
        """With `threads`, a forked one reads in threads instead of processes of its own."""
        self.process: subprocess.Popen[str] | ForkedCommand
        if words[0] == SCANDOCK and words[1] in FORKED and not self.fresh:
            function = "tests.crash.forked:read_in_threads" if threads else "scandock.cli:main"
            self.process = ForkedCommand(function, argv=list(map(str, words)), env=environment(**changes))
        else:
            self.process = subprocess.Popen(
                words,
                env=environment(**changes),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.group = self.process.pid

    def signal(self, number: int, *, whole: bool = True) -> None:
        """Send a signal to the whole group, as a terminal does, or to the command's own process alone.

        Nothing once that has ended: its number may be another's by now.
        """
        if self.process.poll() is not None:
            return
        if whole:
            os.killpg(self.group, number)
        else:
            os.kill(self.group, number)

    def wait(self) -> CommandResult:
        """Wait for its end, and then for that of every process of its group: none may outlive it."""
        out, err = self.process.communicate(timeout=PATIENCE)
        until(lambda: not members(self.group), f"processes {members(self.group)} outlived their command")
        return CommandResult(self.process.wait(), out, err)

    def stopped(self) -> None:
        """Wait until its own process is stopped by a signal."""
        until(lambda: _state(self.group) == "T" or self.process.poll() is not None, "it never stopped")
        assert self.process.poll() is None, self.process.communicate()

    def readers(self) -> list[int]:
        """Its reader processes."""
        return [pid for pid in members(self.group) if pid != self.group and process_name(pid) == "reader"]


class CommandResult:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def report(self) -> dict[str, Any]:
        """The one object that it printed."""
        (line,) = self.out.splitlines()
        report: dict[str, Any] = json.loads(line)
        return report

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def run(words: list[str | Path], *, threads: bool = False, **changes: str) -> CommandResult:
    return Command(words, threads=threads, **changes).wait()


def check(data: Path, **changes: str) -> CommandResult:
    return Command([SCANDOCK, "check", "--data", data], threads=False, **changes).wait()


def find_unsound(data: Path) -> list[str]:
    """What `scandock check` finds, asked within this process: quicker, where it is not the command that is tested."""
    return [
        f"{finding.kind}: {finding.name}: {finding.message}"
        for finding in consistency_check.check_data(str(data), load_settings())
    ]


def until(good: Callable[[], object], failure: str | Callable[[], object] = "", patience: float = PATIENCE) -> None:
    """Wait for something that another process does; AssertionError where it does not happen for so many seconds."""
    end = time.monotonic() + patience
    pause = 0.002
    while not good():
        if time.monotonic() > end:
            raise AssertionError(failure() if callable(failure) else failure)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)  # whoever is waited for has work to do on the same cores


def members(group: int) -> list[int]:
    """The processes of a group that have not ended; who is only still to be reaped has."""
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields is not None and int(fields[2]) == group and fields[0] not in ("Z", "X"):
                pids.append(int(name))
    return pids


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def process_name(pid: int) -> str:
    """What the process calls itself (`scandock.model.process.confine`); empty for one that is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


KILLED = -signal.SIGKILL


def is_stopped(pid: int | None) -> bool:
    """Whether a process is stopped by a signal; None is one that has not begun."""
    if pid is None:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
