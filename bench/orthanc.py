"""Measures an upload until all of it can be asked for, against Orthanc as Debian has it, in turns.

    python -m bench.orthanc [--rounds 3] [--scale 1] [--write]

Both get archive a (4,000 MR files in a zip) in one request of HTTP: Scandock as a raw upload, which is over once the
session is archived and DICOMweb tells of all its objects; Orthanc as POST /instances, which answers once it has taken
them all. Each round has servers of its own and an empty disk (bench/disks.py). Scandock's time includes that all is on
disk, Orthanc's does not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from bench import archives, contenders, report, servers
from bench.archives import Archive
from bench.disks import own_disk
from tests.orthanc import PROGRAM

BEGIN, END = "<!-- orthanc:begin -->", "<!-- orthanc:end -->"
GOAL = 0.15
INSTANCES = "00201208"
"""NumberOfStudyRelatedInstances."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of objects")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if PROGRAM is None:
        sys.exit("bench: there is no Orthanc; scripts/system-packages.sh installs Debian's.")
    archive = archives.make("a", arguments.scale)
    folder = archives.HOME / "orthanc" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    ours: list[float] = []
    theirs: list[float] = []
    try:
        for number in range(arguments.rounds):
            with own_disk(folder / f"{number}") as disk:
                ours.append(send_to_scandock(archive, disk / "scandock"))
                theirs.append(send_to_orthanc(PROGRAM, archive, disk / "orthanc"))
            print(f"bench: round {number}: {ours[-1]:.2f} s, Orthanc {theirs[-1]:.2f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder)
    text = table(archive, ours, theirs) + f"\n\n{report.machine(archives.HOME)}; {arguments.rounds} rounds."
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def table(archive: Archive, ours: list[float], theirs: list[float]) -> str:
    shares = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    what = f"{archive.files:,} MR files uploaded until all can be asked for"
    row = " | ".join((what, report.spread(ours), report.spread(theirs), report.spread(shares), f"{GOAL:.2f}"))
    return f"| what | scandock (s) | Orthanc (s) | share | goal |\n| --- | --- | --- | --- | --- |\n| {row} |"


def send_to_scandock(archive: Archive, folder: Path) -> float:
    folder.mkdir()
    with servers.scandock(folder / "data") as (port, _):
        begun = _begin(archive)
        told = servers.send_archive(port, archive.path, "a.zip")
        servers.wait_until_placed(port, told["id"])
        status, studies = servers.ask(port, "GET", f"/dicomweb/projects/BENCH/studies?includefield={INSTANCES}")
        taken = time.perf_counter() - begun
        if status != 200 or sum(study[INSTANCES]["Value"][0] for study in studies) != archive.files:
            sys.exit(f"bench: {archive.files} files were sent, and DICOMweb answers {status}: {studies}")
        return taken


def send_to_orthanc(program: str, archive: Archive, folder: Path) -> float:
    with servers.orthanc(program, folder) as (port, _, _):
        begun = _begin(archive)
        servers.ask(port, "POST", "/instances", archive.path.read_bytes())
        status, told = servers.ask(port, "GET", "/statistics")
        taken = time.perf_counter() - begun
        if status != 200 or told["CountInstances"] != archive.files:
            sys.exit(f"bench: {archive.files} files were sent, and Orthanc answers {status}: {told}")
        return taken


def _begin(archive: Archive) -> float:
    contenders.prepare(archive.path)
    return time.perf_counter()


if __name__ == "__main__":
    main()
