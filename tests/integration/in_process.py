"""The command line within the test's own process, its readers as threads (`tests/conftest.py`).

A command takes a tenth of a second so. All that `scandock` does once its interpreter has started is the same: words,
exit codes, both streams, receipts. Signals, terminals, closed streams, memory and the start itself need a real process.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from scandock.cli import app as command_line
from tests.crash.processes import CommandResult
from tests.sinks import steps_logged_by


def call_in_process(*args: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command with no variable of Scandock's but `changes`; what came of it, as `subprocess.run` tells it."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SCANDOCK_")}
    bare = {name: value for name, value in bare.items() if name not in {"COLUMNS", "NO_COLOR"}}
    return run_in_process([str(arg) for arg in args], environment=bare | changes, folder=Path.cwd())


def command_in_process(words: Sequence[str | Path], **changes: str) -> CommandResult:
    """`tests.crash.processes.run` without a process: for commands before and after the one that a test is about."""
    _scandock, *args = words
    done = call_in_process(*args, SCANDOCK_WORKERS="2", SCANDOCK_DEBUG="1", **changes)
    return CommandResult(done.returncode, done.stdout, done.stderr)


def run_in_process(
    words: list[str], *, environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command with this whole environment, in this working folder. Main thread only."""
    out, err = io.BytesIO(), io.BytesIO()
    # as a process has them behind a pipe: what UTF-8 cannot write is an error on stdout, and is escaped on stderr
    stdout = io.TextIOWrapper(out, encoding="utf-8")
    stderr = io.TextIOWrapper(err, encoding="utf-8", errors="backslashreplace")
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["scandock", *words])
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(command_line, "app", _commands())
        patch.chdir(folder)
        try:
            os.environ.clear()
            os.environ.update(environment)
            with (
                contextlib.redirect_stdout(stdout),
                contextlib.redirect_stderr(stderr),
                steps_logged_by(lambda *_, **__: None),  # a command has no log, whatever this process had before
            ):
                code = command_line.main()
        finally:
            os.environ.clear()
            os.environ.update(before)
    stdout.flush()
    stderr.flush()
    return subprocess.CompletedProcess(words, code, out.getvalue().decode(), err.getvalue().decode())


@cache
def _commands() -> Callable[..., Any]:
    """What typer makes of our functions at each start, which takes as long as the rest of a command."""
    return typer.main.get_command(command_line.app)
