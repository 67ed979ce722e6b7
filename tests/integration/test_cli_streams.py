"""Where the output can't go, what was asked for is done nevertheless: closed streams, full disks, readers that left."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.in_process import call_in_process
from tests.integration.test_cli_import import CT, MR, SCANDOCK, environment, packed

pytestmark = pytest.mark.processes


def shell(words: str, redirections: str = "") -> subprocess.CompletedProcess[str]:
    """Run scandock by a shell, its exit code as it is also before a pipe."""
    script = f"set -o pipefail; {shlex.quote(str(SCANDOCK))} {words} {redirections}"
    return subprocess.run(
        ["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def two(tmp_path: Path) -> str:
    """The words that import two archives."""
    archives = [packed(tmp_path / f"{n}.zip", {"1.dcm": part.read_bytes()}) for n, part in enumerate((MR, CT))]
    named = f"--data {tmp_path / 'data'} --project P --create-project --workers 1"
    return f"import {archives[0]} {archives[1]} {named}"


def archived(tmp_path: Path) -> int:
    return len(list((tmp_path / "data" / "archive" / "P").glob("*")))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", ">&- --json"])
def test_a_stream_that_is_closed_changes_nothing(tmp_path, two, closed):
    done = shell(two, closed)
    assert (done.returncode, archived(tmp_path)) == (0, 2)
    assert "rror" not in done.stderr
    assert call_in_process("check", "--data", tmp_path / "data").returncode == 0


@pytest.mark.parametrize("how", ["", "--json"])
def test_an_output_that_takes_no_more_is_said_once_and_all_is_imported(tmp_path, two, how):
    done = shell(two, f"{how} >/dev/full")
    assert (done.returncode, archived(tmp_path)) == (1, 2)
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert said == ["Error: The output could not be written: no space left on device. The import itself is done."]


def test_a_full_stderr_is_no_error(tmp_path, two):
    assert (shell(two, "2>/dev/full").returncode, archived(tmp_path)) == (0, 2)


@pytest.mark.parametrize("how", ["| head -1", "--json | head -c 5"])
def test_a_reader_that_leaves_ends_nothing(tmp_path, two, how):
    done = shell(two, how)
    assert (done.returncode, archived(tmp_path)) == (0, 2)
    assert "rror" not in done.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "import --help", "settings"])
def test_commands_that_only_print(words):
    assert (shell(words, ">&-").returncode, shell(words, ">&- 2>&-").returncode, shell(words, "2>&-").returncode) == (
        0,
        0,
        0,
    )
    full = shell(words, ">/dev/full")
    assert (full.returncode, full.stderr) == (1, "Error: The output could not be written: no space left on device.\n")


def test_wrong_usage_without_a_stderr_keeps_its_code():
    assert shell("import none.zip --data d", "2>&-").returncode == 2
    assert shell("import --nonsense", ">&- 2>&-").returncode == 2
