"""Measures where an import's time goes, beside what each part of it costs alone: python -m bench.floor [--only a,d].

Alone: one process that does nothing else reads an entry's packed bytes, inflates them, takes CRC and sha256, reads the
header, and writes a file; the CPU time of each is the floor of what readers do. Then two processes have half of the
entries each and do the same at once, which is the floor of two readers: two processors share memory and caches. An
import of the same archive is run by turns with it: how long its stages take, and the CPU time of its readers and of the
command itself. Each round has a disk of its own (bench/disks.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

import deflate

from bench import archives, contenders, report
from bench.archives import Archive
from bench.disks import own_disk
from scandock.formats.dicom_alike import AlikeHeaders
from scandock.formats.source import FileSource
from scandock.formats.zip_directory import read_directory
from scandock.formats.zip_entry import ZipEntryReader
from scandock.model.import_types import Progress
from scandock.model.limits import Limits
from scandock.model.tags import TAGS
from scandock.rules.import_request import ImportRequest
from scandock.services.settings import load_settings
from scandock.workers.local_import import run_import

BEGIN, END = "<!-- floor:begin -->", "<!-- floor:end -->"
PARTS: Final = ("reading packed bytes", "inflating", "CRC", "sha256", "reading the header", "making and writing a file")
FLOOR: Final = "all these alone"
AT_ONCE: Final = "all these by two at once"
CPU: Final = ("unzip", "readers of an import", "the import's command")
STAGES: Final = {"reading": "until readers begin", "deciding": "reading", "placing": "deciding", "syncing": "placing"}
"""What has ended where a stage begins."""
LAST: Final = "syncing and showing"
Seconds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="a,d", help="keys of archives that are zips of deflated entries")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--one-import", nargs=3, metavar=("ARCHIVE", "DATA", "BEGUN"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_import:
        archive, data, begun = arguments.one_import
        print(json.dumps(one_import(archive, data, float(begun))))
        return
    measured = {}
    for key in arguments.only.split(","):
        archive = archives.make(key)
        measured[archive] = [measure(archive) for _ in range(arguments.rounds)]
    text = "\n".join(table(measured)) + f"\n\n{report.machine(archives.HOME)}; {arguments.rounds} rounds."
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def measure(archive: Archive) -> Seconds:
    """One round: seconds by the names of the table's lines."""
    with own_disk(archives.HOME / "floor" / f"{time.time_ns()}") as disk:
        contenders.prepare(archive.path)
        alone = parts_alone(archive.path, disk / "alone")
        contenders.prepare(archive.path)
        at_once = parts_at_once(archive.path, disk / "at-once")
        unzip = contenders.run(contenders.UNPACK, archive, disk / "unzip", verify=False)
        contenders.prepare(archive.path)
        command = [sys.executable, "-m", "bench.floor", "--one-import", str(archive.path), str(disk / "data")]
        told = subprocess.run([*command, str(time.monotonic())], stdout=subprocess.PIPE, check=True)
    print(f"bench: {archive.key}: {told.stdout.decode().strip()}", file=sys.stderr, flush=True)
    return {**alone, FLOOR: sum(alone.values()), **at_once, CPU[0]: unzip.cpu, **json.loads(told.stdout)}


def parts_at_once(path: Path, folder: Path) -> Seconds:
    """CPU seconds of all parts, and seconds of the clock, where two processes do them at the same time."""
    begun = time.monotonic()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        spent = pool.starmap(parts_alone, [(path, folder / str(share), share, 2) for share in range(2)], chunksize=1)
    return {AT_ONCE: sum(sum(each.values()) for each in spent), f"reading, {AT_ONCE}": time.monotonic() - begun}


def parts_alone(path: Path, folder: Path, share: int = 0, shares: int = 1) -> Seconds:
    """CPU seconds of each part, over all entries of a zip, or over one of so many shares of them."""
    folder.mkdir(parents=True)
    spent = dict.fromkeys(PARTS, 0.0)
    headers, reader = AlikeHeaders(frozenset(TAGS)), ZipEntryReader(Limits())
    with closing(FileSource(path)) as source:
        entries = read_directory(source, Limits()).entries
        for entry in entries[len(entries) * share // shares : len(entries) * (share + 1) // shares]:
            at = [time.process_time()]
            packed = source.read_at(reader.open(source, entry), entry.csize)
            at.append(time.process_time())
            data = memoryview(deflate.deflate_decompress(packed, entry.usize))
            at.append(time.process_time())
            if deflate.crc32(data) != entry.crc:
                raise contenders.WrongResult(f"{entry.name} has another CRC")
            at.append(time.process_time())
            hashlib.sha256(data).digest()
            at.append(time.process_time())
            headers.read(data)
            at.append(time.process_time())
            with (folder / str(entry.index)).open("xb", buffering=0) as file:
                file.write(data)
            at.append(time.process_time())
            for part, (begun, ended) in zip(PARTS, pairwise(at), strict=True):
                spent[part] += ended - begun
    return spent


def one_import(archive: str, data: str, begun: float) -> Seconds:
    """Import an archive in this process, which began at `begun` by the monotonic clock."""
    ends: Seconds = {}

    def note(progress: Progress) -> None:
        if progress.stage in STAGES:
            ends.setdefault(STAGES[progress.stage], time.monotonic())

    result = run_import(
        data=data,
        archive=archive,
        request=ImportRequest(project="BENCH", create_project=True),
        settings=load_settings(),
        on_progress=note,
        cancelled=threading.Event(),
    )
    if result.report["state"] != "placed":
        raise contenders.WrongResult(f"the import ended as {result.report['state']}")
    ends[LAST] = time.monotonic()
    walls = dict(zip(ends, (end - start for start, end in pairwise([begun, *ends.values()])), strict=True))
    return {**walls, CPU[1]: _cpu(resource.RUSAGE_CHILDREN), CPU[2]: _cpu(resource.RUSAGE_SELF)}


def _cpu(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def table(measured: dict[Archive, list[Seconds]]) -> Iterator[str]:
    yield f"| | {' | '.join(f'{archive.key}: {archive.title}' for archive in measured)} |"
    yield f"| --- |{' --- |' * len(measured)}"
    for title, lines in (
        ("CPU seconds", [*PARTS, FLOOR, AT_ONCE, *CPU]),
        ("Seconds of the clock", [f"reading, {AT_ONCE}"]),
        ("Seconds of the clock, of the import", [*STAGES.values(), LAST]),
    ):
        yield f"| **{title}** |{' |' * len(measured)}"
        for line in lines:
            shown = (report.spread([seconds[line] for seconds in rounds]) for rounds in measured.values())
            yield f"| {line} | {' | '.join(shown)} |"


if __name__ == "__main__":
    main()
