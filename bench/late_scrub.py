"""What an import costs that de-identifies: python -m bench.late_scrub [--rounds 5] [--objects 4000] [--again].

The same archive without rules, and with them in both forms: late, as where scripts need labels, and early, as objects
are read. In turn, each import a process of its own into a DATA
that is made and empty: seconds by the clock, and of the processors with
all readers counted. With --again the archive once more into what the form before it has stored, which leaves the disk
behind with writing, so that what comes after it is slower by the clock.

Each form has a file system of its own where the system lets us make one (as root): for minutes ext4 passes over each
inode that was given up, so that what a late import removes would slow down whoever comes after it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from bench import archives
from bench.deidentify import make_objects
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.services.settings import load_settings
from scandock.testing.data import make_data
from scandock.testing.privacy import given_privacy
from scandock.workers import context as worker_context
from scandock.workers.local_import import run_import

SCRIPT = 'version "6.6"\n(0008,1030) := project\n(0010,0010) := "SOMEBODY"\n(0010,0020) := hashUID[(0010,0020)]\n'
"""Needs no label, so that both forms can do it."""
RULES = PrivacyRules(key=b"bench" * 8, scripts=(SCRIPT,), profile="basic")


FORMS = ("without", "late", "early")


class Cost(NamedTuple):
    """Seconds of one import."""

    clock: float
    processors: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=4_000)
    parser.add_argument("--again", action="store_true")
    chosen = parser.parse_args()
    folder = archives.HOME / "late_scrub" / f"{time.time_ns()}"
    owns_disk = can_mount()
    folder.mkdir(parents=True)
    try:
        archive = folder / "mr.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            for number, data in enumerate(make_objects(chosen.objects, 0)):
                zipped.writestr(f"S1/scans/1/resources/DICOM/files/{number}.dcm", data)
        steps = {form: (form, f"{form}, again") if chosen.again else (form,) for form in FORMS}
        costs: dict[str, list[Cost]] = {name: [] for form in FORMS for name in steps[form]}
        for number in range(chosen.rounds + 1):
            for form in FORMS[number % len(FORMS) :] + FORMS[: number % len(FORMS)]:
                with empty_disk(folder) if owns_disk else nullcontext(folder / f"{number}-{form}") as disk:
                    disk.mkdir(exist_ok=True)
                    make_data(disk / "data")  # as wherever rules are in force
                    for name in steps[form]:
                        cost = _measure(archive, disk / "data", form)
                        if number:  # the first round warms the page cache
                            costs[name].append(cost)
    finally:
        shutil.rmtree(folder)
    print("| import | seconds by the clock, median (from-to) | times | of the processors | times |")
    print("| --- | --- | --- | --- | --- |")
    for name, measured in costs.items():
        cells = []
        base = costs[name.replace("late", "without").replace("early", "without")]
        for kind in ("clock", "processors"):
            values = [getattr(cost, kind) for cost in measured]
            middle = statistics.median(values)
            times = middle / statistics.median(getattr(cost, kind) for cost in base)
            cells.append(f"{middle:.2f} ({min(values):.2f}-{max(values):.2f}) | {times:.2f}")
        print(f"| {name} | {' | '.join(cells)} |")


def can_mount() -> bool:
    """Whether each import can have a disk of its own."""
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None


@contextmanager
def empty_disk(folder: Path) -> Iterator[Path]:
    """An empty ext4 of 8 GB, sparse, which is gone afterwards."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(8 * 1024**3)
    ready = "lazy_itable_init=0,lazy_journal_init=0"  # else the system writes beside what is measured
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", ready, image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)
        image.unlink()
        os.sync()


def _measure(archive: Path, data: Path, form: str) -> Cost:
    os.sync()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os._exit(_import(archive, data, form))
    _, status, usage = os.wait4(pid, 0)
    clock = time.monotonic() - began
    if status:
        raise SystemExit("An import has failed.")
    return Cost(clock, usage.ru_utime + usage.ru_stime)


def _import(archive: Path, data: Path, form: str) -> int:
    if form == "late":
        setattr(worker_context, "early_scrub", lambda *_: None)  # noqa: B010  it is another module's own
    with given_privacy(RULES) if form != "without" else threading.Lock():
        result = run_import(
            data=str(data),
            archive=str(archive),
            request=ImportRequest(project="P", create_project=True),
            settings=load_settings(),
            on_progress=None,
            cancelled=threading.Event(),
        )
    return 0 if result.report["state"] == "placed" else 1


if __name__ == "__main__":
    main()
