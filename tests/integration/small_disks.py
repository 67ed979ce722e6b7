"""DATA folders on small file systems of their own, to be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Mount = Callable[[str], Path]


@contextmanager
def small_disk(data: Path) -> Iterator[Mount]:
    """A folder to be a file system of its own; `disk("3m")` mounts it."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system to fill")
    data.mkdir()

    def mount(size: str) -> Path:
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "scandock", str(data)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return data

    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(data)], check=False, capture_output=True)


def remount(data: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(data)], check=True)


def enlarge(data: Path, size: str) -> None:
    remount(data, f"size={size}")


def fill(data: Path, left: int = 0) -> Path:
    """Leave so many bytes; the file that takes all others, to be removed again."""
    ballast = data / "ballast"
    chunk = 1024 * 1024
    with ballast.open("wb", buffering=0) as file:
        while chunk:
            try:
                file.write(bytes(chunk))
            except OSError:
                chunk //= 2
        file.truncate(max(0, file.tell() - left))
    return ballast
