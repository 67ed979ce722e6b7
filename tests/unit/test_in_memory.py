"""Where tests write: `scripts/in_memory.sh` runs them in memory, and what is about disks is on one all the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.processes
def test_the_command_ends_as_it_would_and_nothing_is_left(project_root: Path, tmp_path: Path) -> None:
    script = 'touch "$TMPDIR/made"; echo "$TMPDIR"; exit 3'
    done = subprocess.run(
        [project_root / "scripts" / "in_memory.sh", "sh", "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    folder = Path(done.stdout.strip())
    assert (done.returncode, done.stderr) == (3, "")
    assert (folder / "made").exists() == (folder == tmp_path)  # where memory has no room for it
    assert folder in (tmp_path, Path("/dev/shm") / folder.name)


@pytest.mark.disk
def test_what_is_about_disks_is_below_a_folder_of_the_disk(tmp_path: Path) -> None:
    assert tmp_path.parent == Path("/var/tmp")
    assert tmp_path.is_dir()
