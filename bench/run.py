"""Measures imports against unzip, tar and a plain script, one after the other in turns.

    python -m bench.run [--only a,d] [--rounds 5] [--plain a,d] [--beside TREE] [--scale 1] [--quick] [--no-memory]

Every run gets a fresh folder, every round a disk of its own (bench/disks.py), and nothing is deleted before all have
ended: on ext4 many deletes make later creates slow, so the next contender would pay for them. The archive is read once
before each run, so that it is in the page cache for all alike, `sync` runs before the clock starts, so that none waits
for another's writes, and free memory is touched (bench/free_memory.py). The first round is dropped. unzip, tar and the
script leave their writes to the kernel; scandock's time includes that all is on disk.

A complete run at full scale writes its table into docs/performance.md; any other only prints it. `--beside` measures
another checkout's build in the same rounds, as it stands in its `.venv`.

`--quick` guards against regress, with margins for a machine that does other work: archives of two sizes are imported,
and what the larger one takes beyond the smaller one, the start left out so, may be at most so many times what unzip
takes beyond.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import archives, contenders, memory, report
from bench.archives import Archive
from bench.contenders import Contender
from bench.disks import own_disk
from bench.report import Measured

QUICK_SCALES = (0.02, 0.3)
QUICK_MARGIN = 2.5
"""How many times its goal an archive may take before `--quick` says that something went wrong."""
QUICK_ROUNDS = 3
SPARE_BYTES = 4_000_000_000


def main() -> None:
    arguments = parse()
    if arguments.quick:
        check_quickly(arguments)
        return
    for tree in filter(None, (archives.HERE.parent, arguments.beside)):
        contenders.compile_code(tree.resolve())
    made = [archives.make(key, arguments.scale) for key in arguments.only]
    folder = archives.HOME / "runs" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    check_space(made, arguments, folder)
    with kept(folder) as disks:
        results = [measure(archive, arguments, folder / archive.key, disks) for archive in made]
        if arguments.memory:
            for result in results:
                result.peak_pss = peak(result.archive, folder, disks)
    text = f"{report.table(results)}\n\n{report.machine(archives.HOME)}; {arguments.rounds} rounds."
    print(text)
    if arguments.scale == 1 and arguments.memory and set(arguments.only) == set(archives.RECIPES):
        report.write(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=keys, default=list(archives.RECIPES), help="archives to measure")
    parser.add_argument("--plain", type=keys, default=["a", "d"], help="archives that the plain script takes too")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count; one more is run first and dropped")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of objects")
    parser.add_argument("--beside", type=Path, help="another checkout, whose build is measured in the same rounds")
    parser.add_argument("--quick", action="store_true", help="small archives, once: has an import become much slower?")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out the memory pass")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("at least one round must count")
    if arguments.quick:
        arguments.rounds, arguments.plain, arguments.beside = QUICK_ROUNDS, [], None
    return arguments


def keys(text: str) -> list[str]:
    chosen = [key for key in text.split(",") if key]
    if unknown := set(chosen) - set(archives.RECIPES):
        raise argparse.ArgumentTypeError(f"no archive {', '.join(sorted(unknown))}; there are a to f")
    return chosen


def check_space(made: list[Archive], arguments: argparse.Namespace, folder: Path) -> None:
    """Nothing is deleted between runs, so all of them must fit at once."""
    rounds = arguments.rounds + 1
    others = 2 + (arguments.beside is not None)
    needed = sum(a.unpacked_bytes * (rounds * (others + (a.key in arguments.plain)) + 1) for a in made)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        folder.rmdir()
        sys.exit(
            f"bench: {needed / 1e9:.0f} GB are needed and {free / 1e9:.0f} GB are free; "
            f"take fewer archives (--only a,d) or rounds (--rounds 3)"
        )


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[contextlib.ExitStack]:
    """What keeps the disks below a folder until all have ended; then it goes with them."""
    try:
        with contextlib.ExitStack() as disks:
            yield disks
    finally:
        shutil.rmtree(folder)


def measure(archive: Archive, arguments: argparse.Namespace, folder: Path, disks: contextlib.ExitStack) -> Measured:
    field: list[Contender] = [contenders.UNPACK, contenders.IMPORT]
    if archive.key in arguments.plain:
        field.append(contenders.PLAIN)
    if arguments.beside is not None:
        field.append(contenders.other_build(arguments.beside.resolve()))
    result = Measured(archive, {contender.name: [] for contender in field})
    for number in range(arguments.rounds + 1):
        turn = number % len(field)
        disk = disks.enter_context(own_disk(folder / f"{number}"))
        for contender in field[turn:] + field[:turn]:  # each one is first, second and last in turn
            run = contenders.run(contender, archive, disk / contender.name, verify=number == 0)
            progress(f"{archive.key} round {number} {contender.name}: {run.wall:.2f} s")
            if number:
                result.runs[contender.name].append(run)
    return result


def check_quickly(arguments: argparse.Namespace) -> None:
    """Print what each archive takes beyond its start; ends with 1 where that is out of all proportion to its goal."""
    folder = archives.HOME / "runs" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    slow = []
    with kept(folder) as disks:
        for key in arguments.only:
            small, large = (
                measure(archives.make(key, scale), arguments, folder / f"{key}-{scale}", disks)
                for scale in QUICK_SCALES
            )
            share = report.beyond(small, large, "scandock") / report.beyond(small, large, "unzip")
            most = QUICK_MARGIN * large.archive.goal
            verdict = "well" if share <= most else "TOO SLOW"
            print(f"{key}: {share:.2f} of unzip beyond the start, at most {most:.2f}: {verdict}")
            if share > most:
                slow.append(key)
    if slow:
        which = ",".join(slow)
        sys.exit(f"bench: too slow: {which}. Measure in full, beside a build before: --only {which} --beside TREE")


def peak(archive: Archive, folder: Path, disks: contextlib.ExitStack) -> int:
    disk = disks.enter_context(own_disk(folder / f"{archive.key}-memory"))
    os.sync()
    found = memory.peak_pss(contenders.scandock_command(archive, disk), disk / "out")
    progress(f"{archive.key} memory: {found / 1e6:.0f} MB")
    return found


def progress(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
