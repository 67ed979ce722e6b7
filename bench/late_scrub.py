"""What an import costs that de-identifies: python -m bench.late_scrub [--rounds 5] [--objects 4000].

The same archive with and without rules in turn, each import a process of its own into an empty DATA: seconds by the
clock, and of the processors with all readers counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import threading
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

from bench import archives
from bench.deidentify import SCRIPT, make_objects
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.services.settings import load_settings
from scandock.testing.privacy import given_privacy
from scandock.workers.local_import import run_import

RULES = PrivacyRules(key=b"bench" * 8, scripts=(SCRIPT,), profile="basic")


class Cost(NamedTuple):
    """Seconds of one import."""

    clock: float
    processors: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=4_000)
    chosen = parser.parse_args()
    folder = archives.HOME / "late_scrub" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        archive = folder / "mr.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
            for number, data in enumerate(make_objects(chosen.objects, 0)):
                zipped.writestr(f"S1/scans/1/resources/DICOM/files/{number}.dcm", data)
        plain: list[Cost] = []
        scrubbed: list[Cost] = []
        for number in range(chosen.rounds + 1):
            for costs, rules in ((plain, None), (scrubbed, RULES)):
                cost = _measure(archive, folder / "data", rules)
                if number:  # the first round warms the page cache
                    costs.append(cost)
    finally:
        shutil.rmtree(folder)
    print("| seconds, median (from-to) | without rules | late scrub | times |")
    print("| --- | --- | --- | --- |")
    for name, kind in (("by the clock", "clock"), ("of the processors", "processors")):
        figures = [[getattr(cost, kind) for cost in costs] for costs in (plain, scrubbed)]
        middles = [statistics.median(values) for values in figures]
        cells = [f"{m:.2f} ({min(v):.2f}-{max(v):.2f})" for m, v in zip(middles, figures, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {middles[1] / middles[0]:.2f} |")


def _measure(archive: Path, data: Path, rules: PrivacyRules | None) -> Cost:
    shutil.rmtree(data, ignore_errors=True)
    os.sync()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os._exit(_import(archive, data, rules))
    _, status, usage = os.wait4(pid, 0)
    clock = time.monotonic() - began
    if status:
        raise SystemExit("An import has failed.")
    return Cost(clock, usage.ru_utime + usage.ru_stime)


def _import(archive: Path, data: Path, rules: PrivacyRules | None) -> int:
    with given_privacy(rules) if rules is not None else threading.Lock():
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
