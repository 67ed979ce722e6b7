"""How much memory a command and all its descendants take together: the peak of their PSS, sampled.

PSS counts a page that several processes share as a part in each, so that the sum is what the machine really gives.
Reading it takes the processes' own time: memory is sampled in runs of its own, never in those that are timed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL = 0.02


def peak_pss(command: list[str], output: Path) -> int:
    """Bytes at the peak over a run of `command`, whose output goes to a file; raises where it fails."""
    with output.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        ended, peak = threading.Event(), 0

        def sample() -> None:
            nonlocal peak
            while not ended.wait(INTERVAL):
                peak = max(peak, sum(pss(pid) for pid in tree(process.pid)))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            process.wait()
        finally:
            ended.set()
            sampler.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output.read_text()[-2000:])
    return peak


def tree(root: int) -> Iterator[int]:
    """The process and its descendants that are there at this moment."""
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for thread in os.listdir(f"/proc/{pid}/task"):
                waiting += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())


def pss(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    return _rolled_up(pid, "Pss:")


def anonymous(pid: int) -> int:
    """Bytes that it has allocated, whoever shares them: PSS goes down whenever it forks. 0 where it has ended."""
    return _rolled_up(pid, "Anonymous:")


def resident(pid: int) -> int:
    """Bytes in memory, each page that it shares with others counted whole. 0 where it has ended."""
    return _rolled_up(pid, "Rss:")


def _rolled_up(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)
