"""Measures what an import costs as its archive grows: python -m bench.growth [--entries 1000,20000] [--gb 1,4,20].

entries: the CPU time of each file that a larger zip of 8 kB files has beyond a smaller one: the same, if it grows with
the number of files and no faster. size: the memory of all processes of an import (PSS, at its peak) of zips of 60 MB
objects with so many GB, which has nothing to do with their size. They are packed to a tenth, so that the import of
20 GB needs 22 GB of disk. The zips are kept; --make makes them beforehand.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from bench import archives, contenders, memory, report
from bench.archives import ENHANCED, TINY, Archive, documented, series_of
from bench.disks import own_disk

BEGIN, END = "<!-- growth:begin -->", "<!-- growth:end -->"
IN_A_SERIES = 500
GB = 1_000_000_000
OBJECT_BYTES = 60_000_000
PIXEL_DATA = b"\xe0\x7f\x10\0OW\0\0"
PART_BYTES, REPEATED = 4096, 7
"""Of large objects' pixels: a part and its repetitions are within the 32 KiB that deflate looks back."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=numbers, default=[1_000, 20_000, 200_000])
    parser.add_argument("--gb", type=numbers, default=[1, 4, 20])
    parser.add_argument("--rounds", type=int, default=3, help="imports of each zip of files")
    parser.add_argument("--make", action="store_true", help="make the zips, and measure nothing")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    of_files = [make(f"{count}-files", count, TINY) for count in arguments.entries]
    of_sizes = [make_large(size) for size in arguments.gb]
    if arguments.make:
        return
    folder = archives.HOME / "growth" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        lines = [*files_table(of_files, arguments.rounds, folder), "", *size_table(of_sizes, folder)]
    finally:
        shutil.rmtree(folder)
    text = "\n".join(lines) + f"\n\n{report.machine(archives.HOME)}."
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def files_table(zips: list[Archive], rounds: int, folder: Path) -> Iterator[str]:
    yield "| files of 8 kB in a zip | CPU time (s) | of each file beyond the line above (µs) | memory (PSS, MB) |"
    yield "| --- | --- | --- | --- |"
    measured: list[tuple[int, list[float], int]] = []
    for archive in zips:
        runs = []
        for n in range(rounds):
            with own_disk(folder / f"{archive.files}-{n}") as disk:  # making files is slow where others were removed
                runs.append(contenders.run(contenders.IMPORT, archive, disk / "out", verify=n == 0))
        measured.append((archive.files, [run.cpu for run in runs], peak(archive, folder)))
        empty(folder)
        print(f"bench: {archive.files:,} files: {min(run.cpu for run in runs):.2f} s", file=sys.stderr, flush=True)
    each = [""] + [
        f"{(statistics.median(more) - statistics.median(less)) / (many - few) * 1e6:.0f}"
        for (few, less, _), (many, more, _) in pairwise(measured)
    ]
    for (count, cpu, pss), beyond in zip(measured, each, strict=True):
        yield f"| {count:,} | {report.spread(cpu)} | {beyond} | {pss / 1e6:.0f} |"


def size_table(zips: list[Archive], folder: Path) -> Iterator[str]:
    yield "| objects of 60 MB in a zip | memory (PSS, MB) |"
    yield "| --- | --- |"
    for archive in zips:
        line = f"| {archive.files} ({archive.unpacked_bytes / GB:.0f} GB) | {peak(archive, folder) / 1e6:.0f} |"
        empty(folder)
        print(f"bench: {line}", file=sys.stderr, flush=True)
        yield line


def empty(folder: Path) -> None:
    """Let the next imports have the room of those that were measured."""
    shutil.rmtree(folder)
    folder.mkdir()


def make_large(gigabytes: int) -> Archive:
    """A zip of so many GB of large objects."""
    count = round(gigabytes * GB / OBJECT_BYTES)
    return make(f"{gigabytes}-gb", count, {**ENHANCED, "object_bytes": OBJECT_BYTES}, repeat_noise)


def repeat_noise(content: bytes) -> bytes:
    """A large object with parts of its pixels repeated, each so near that deflate sees it."""
    start = content.index(PIXEL_DATA) + len(PIXEL_DATA) + 4  # behind its length
    parts = [content[at : at + PART_BYTES] * REPEATED for at in range(start, len(content), PART_BYTES * REPEATED)]
    return content[:start] + b"".join(parts)[: len(content) - start]


def make(name: str, count: int, what: dict[str, Any], change: Callable[[bytes], bytes] = bytes) -> Archive:
    """A zip of so many objects in one session; its entries and its size may be beyond what 32 bits hold."""

    def write(output: BinaryIO, sizes: list[int]) -> None:
        each = min(count, IN_A_SERIES)
        with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for entry, content in documented("GROWTH", series_of(9, -(-count // each), each, what), sizes):
                packed.writestr(entry, change(content))
                if len(sizes) == count:
                    break

    return archives.keep(f"growth-{name}", "d", write)


def peak(archive: Archive, folder: Path) -> int:
    place = folder / f"{archive.path.stem}-memory"
    place.mkdir()
    return memory.peak_pss(contenders.scandock_command(archive, place), place.with_suffix(".out"))


if __name__ == "__main__":
    main()
