"""How long the command line takes to start: python -m bench.startup [--runs 15].

`scandock --help` from start to end; `scandock import` of the 4,000 MR files until the first byte of them stands in
DATA (then it is stopped); and an import of one small object from start to end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench import archives, contenders
from bench.archives import Archive
from bench.packing import write_zip

GIVE_UP = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    large = archives.make("a")
    folder = archives.HOME / "startup" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    small = one_object(folder / "one.zip")
    try:
        show("scandock --help", runs, lambda _: whole([str(contenders.SCANDOCK), "--help"]))
        show("import: first byte staged", runs, lambda n: first_byte(large, folder / f"first{n}"))
        show("import of one object", runs, lambda n: whole(contenders.scandock_command(small, folder / f"one{n}")))
    finally:
        shutil.rmtree(folder)


def show(what: str, runs: int, once: Callable[[int], float]) -> None:
    times = [once(n) for n in range(runs + 1)][1:]
    print(f"{what}: median {statistics.median(times):.3f} s ({min(times):.3f}-{max(times):.3f}), {runs} runs")


def whole(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def first_byte(archive: Archive, folder: Path) -> float:
    """Seconds until a file with content stands under work/ or where sessions are placed."""
    folder.mkdir()
    contenders.prepare(archive.path)
    started = time.perf_counter()
    process = subprocess.Popen(
        contenders.scandock_command(archive, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # it is stopped in the middle, and says so
    )
    try:
        while not any(has_bytes(folder / "data" / place) for place in ("work", "prearchive", "archive")):
            if process.poll() is not None or time.perf_counter() - started > GIVE_UP:
                raise RuntimeError("the import ended, or half a minute went by, before anything was staged")
            time.sleep(0.001)
        return time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def has_bytes(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                has_bytes(Path(entry)) if entry.is_dir(follow_symlinks=False) else entry.stat().st_size > 0
                for entry in entries
            )
    except OSError:  # not there yet, or moved on
        return False


def one_object(path: Path) -> Archive:
    _, content = next(archives.series_of(9, 1, 1, archives.TINY)[0].each())
    with path.open("wb") as output:
        write_zip(output, [("one.dcm", content)])
    return Archive("one", "one object", path, 1, len(content), path.stat().st_size)


if __name__ == "__main__":
    main()
