"""What takes long to make and is the same for every test process is made once in a run, by who first asks for it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

_folders: list[Path] = []


def set_shared_folder(folder: Path) -> None:
    """Say where this process shares folders with the others of its run."""
    _folders[:] = [folder]


def is_set() -> bool:
    """Whether this process is one of a run of tests."""
    return bool(_folders)


def make_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, which `make` has filled; whoever asks meanwhile waits. Nobody writes into it then."""
    (top,) = _folders
    folder, done = top / name, top / f"{name}.made"
    with (top / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what failed before
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
