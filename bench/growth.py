"""Measures what an import costs as its archive grows: python -m bench.growth [--entries 1000,20000,200000] [--gb 1,4].

entries: the CPU time of each file that a larger zip of 8 kB files has beyond a smaller one: the same, if it grows with
the number of files and no faster. size: the memory of all processes of an import (PSS, at its peak) of zips of 60 MB
objects with so many GB, which has nothing to do with their size.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import archives, contenders, memory, report
from bench.archives import ENHANCED, TINY, Archive, documented, series_of

BEGIN, END = "<!-- growth:begin -->", "<!-- growth:end -->"
IN_A_SERIES = 500
GB = 1_000_000_000
OBJECT_BYTES = 60_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=numbers, default=[1_000, 20_000, 200_000])
    parser.add_argument("--gb", type=numbers, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3, help="imports of each zip of files")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    folder = archives.HOME / "growth" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        lines = [*files_table(arguments.entries, arguments.rounds, folder), "", *size_table(arguments.gb, folder)]
    finally:
        shutil.rmtree(folder)
    text = "\n".join(lines) + f"\n\n{report.machine(archives.HOME)}."
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def files_table(counts: list[int], rounds: int, folder: Path) -> Iterator[str]:
    yield "| files of 8 kB in a zip | CPU time (s) | of each file beyond the line above (µs) | memory (PSS, MB) |"
    yield "| --- | --- | --- | --- |"
    measured: list[tuple[int, list[float], int]] = []
    for count in counts:
        archive = make(folder / f"{count}.zip", count, TINY, zipfile.ZIP_DEFLATED)
        runs = [
            contenders.run(contenders.IMPORT, archive, folder / f"{count}-{n}", verify=n == 0) for n in range(rounds)
        ]
        measured.append((count, [run.cpu for run in runs], peak(archive, folder)))
        archive.path.unlink()
        print(f"bench: {count:,} files: {min(run.cpu for run in runs):.2f} s of CPU", file=sys.stderr, flush=True)
    each = [""] + [
        f"{(statistics.median(more) - statistics.median(less)) / (many - few) * 1e6:.0f}"
        for (few, less, _), (many, more, _) in pairwise(measured)
    ]
    for (count, cpu, pss), beyond in zip(measured, each, strict=True):
        yield f"| {count:,} | {report.spread(cpu)} | {beyond} | {pss / 1e6:.0f} |"


def size_table(sizes: list[int], folder: Path) -> Iterator[str]:
    yield "| objects of 60 MB in a zip | memory (PSS, MB) |"
    yield "| --- | --- |"
    for size in sizes:
        count = round(size * GB / OBJECT_BYTES)
        archive = make(folder / f"{size}-gb.zip", count, {**ENHANCED, "object_bytes": OBJECT_BYTES}, zipfile.ZIP_STORED)
        yield f"| {count} ({size} GB) | {peak(archive, folder) / 1e6:.0f} |"
        archive.path.unlink()
        shutil.rmtree(folder / f"{archive.path.stem}-memory")


def make(path: Path, count: int, what: dict[str, Any], method: int) -> Archive:
    """A zip of so many objects in one session; its entries and its size may be beyond what 32 bits hold."""
    sizes: list[int] = []
    each = min(count, IN_A_SERIES)
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as packed:
        for name, content in documented("GROWTH", series_of(9, -(-count // each), each, what), sizes):
            packed.writestr(name, content)
            if len(sizes) == count:
                break
    return Archive("d", "growing", path, len(sizes), sum(sizes), path.stat().st_size)


def peak(archive: Archive, folder: Path) -> int:
    place = folder / f"{archive.path.stem}-memory"
    place.mkdir()
    return memory.peak_pss(contenders.scandock_command(archive, place), place.with_suffix(".out"))


if __name__ == "__main__":
    main()
