"""What a small import costs on a server that is warm: python -m bench.small [--count 40] [--rounds 3] [--queue 100].

single: objects sent one a request by XNAT's gradual-DICOM, each of a study of its own, then all of one study: seconds
to the acknowledgment, by which the session is listed, beside those of a bare receiver that syncs what it takes; and the
CPU time of the server for each, up to there, and for building the sessions behind it.

stow: objects sent one a request by STOW-RS, each of a study of its own: to a project whose archive has them before they
are answered, and where their headers say, into the prearchive, whose sessions are built behind the answer.

alone: zips of one session of 26 small objects, each sent once the one before is listed: seconds from the request to the
session listed, and the CPU time of all processes of the server for each, by process, down to what it does behind the
listing. The bench reads the catalog's file to see the end, so that asking costs the server nothing.
queued: so many of them sent one after another as soon as each is accepted, until all are listed: imports a second.
command: `scandock import` of one of them from start to end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench import archives, contenders, memory, report, servers
from bench.archives import TINY, Archive
from bench.packing import zip_bytes

BEGIN, END = "<!-- small:begin -->", "<!-- small:end -->"
OBJECTS = 26
WARM = 3
"""Imports before the first that counts."""
QUIET_SECONDS = 1.0
"""For which the server may clear up behind an import before its CPU time is read."""
TICK = os.sysconf("SC_CLK_TCK")
PART = {"web": "web", "worker": "worker", "fork server": "attempts", "reader server": "readers"}
"""What the CPU time of a process counts to; of the fork servers' nearly all is that of their forks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=25, help="imports of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queue", type=int, default=100, help="imports that are sent without waiting")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    folder = archives.HOME / "small" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        text = "\n".join(measure(folder, arguments)) + f"\n\n{report.machine(archives.HOME)}."
    finally:
        shutil.rmtree(folder)
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def measure(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    numbers = iter(range(1000, 10_000))
    with servers.scandock(folder / "data") as (port, pid):
        client = Client(port, folder / "data" / "scandock.db")
        for _ in range(WARM):
            client.wait(client.send(small_zip(next(numbers))))
        walls: list[float] = []
        shares: list[dict[str, float]] = []
        for _ in range(arguments.rounds):
            bodies = [small_zip(next(numbers)) for _ in range(arguments.count)]
            with counted_cpu(pid, arguments.count) as share:
                for body in bodies:
                    begun = time.perf_counter()
                    client.wait(client.send(body))
                    walls.append(time.perf_counter() - begun)
                time.sleep(QUIET_SECONDS)
            shares.append(share)
        singles = list(single_objects(folder, port, pid, client, arguments.count))
        idle = sum(map(memory.pss, memory.tree(pid)))
        bodies = [small_zip(next(numbers)) for _ in range(arguments.queue)]
        begun = time.perf_counter()
        for upload in [client.send(body) for body in bodies]:
            client.wait(upload)
        rate = len(bodies) / (time.perf_counter() - begun) if bodies else 0.0
        time.sleep(QUIET_SECONDS)
        singles += stored_objects(port, pid, arguments.count)
    yield "| zip of 26 small objects | measured | goal |"
    yield "| --- | --- | --- |"
    yield f"| request to listed (s) | {spread(walls)} | |"
    yield f"| CPU time of the server an import (s) | {spread([sum(share.values()) for share in shares])} | 0.10 |"
    for part in sorted({part for share in shares for part in share}):
        yield f"| of which {part} | {spread([share.get(part, 0.0) for share in shares])} | |"
    yield f"| {arguments.queue} sent one after another, imports a second | {rate:.1f} | 5 |"
    yield f"| memory of its processes before that (PSS, MB) | {idle / 1e6:.0f} | |"
    yield from singles
    wall, cpu = command(folder, small_zip(next(numbers)), arguments.count)
    yield f"| `scandock import` of one (s) | {spread(wall)} | |"
    yield f"| its CPU time (s) | {spread(cpu)} | |"


def single_objects(folder: Path, port: int, pid: int, client: Client, count: int) -> Iterator[str]:
    """Rows of single objects: their acknowledgment, and what they cost."""
    one_each = [next(archives.series_of(20_000 + n, 1, 1, TINY)[0].each())[1] for n in range(count + 1)]
    stored = [next(archives.series_of(40_000 + n, 1, 1, TINY)[0].each())[1] for n in range(count + 1)]
    of_one = [content for _, content in archives.series_of(20_999, 1, count + 1, TINY)[0].each()]
    with servers.bare(folder / "bare") as (bare_port, _):
        bare = [acknowledged(bare_port, body) for body in one_each][1:]
    acknowledged(port, one_each[0])
    client.wait_for_built()
    with counted_cpu(pid, count) as first_cpu:
        first = [acknowledged(port, body) for body in one_each[1:]]
    with counted_cpu(pid, count) as built_cpu:
        client.wait_for_built()
        time.sleep(QUIET_SECONDS)
    acknowledged(port, of_one[0])
    with counted_cpu(pid, count) as next_cpu:
        following = [acknowledged(port, body) for body in of_one[1:]]
    client.wait_for_built()
    store_object(port, stored[0], "/dicomweb/studies")
    with counted_cpu(pid, count) as stored_cpu:
        storing = [store_object(port, body, "/dicomweb/studies") for body in stored[1:]]
    client.wait_for_built()
    yield f"| single object to acknowledged and listed, the first of its session (s) | {spread(first)} | |"
    yield f"| another object of the same session (s) | {spread(following)} | |"
    yield f"| the same bytes to a bare receiver that syncs them (s) | {spread(bare)} | |"
    beyond = statistics.median(first) - statistics.median(bare)
    yield f"| the first beyond that (s) | {beyond:.3f} | 0.050 |"
    yield f"| CPU time of the server to acknowledged and listed, the first (s) | {sum(first_cpu.values()):.3f} | 0.10 |"
    yield f"| the same, another object (s) | {sum(next_cpu.values()):.3f} | 0.10 |"
    yield f"| object by STOW-RS into the prearchive to acknowledged (s) | {spread(storing)} | |"
    beyond = statistics.median(storing) - statistics.median(bare)
    yield f"| that beyond the bare receiver (s) | {beyond:.3f} | 0.050 |"
    yield f"| its CPU time of the server to acknowledged (s) | {sum(stored_cpu.values()):.3f} | 0.10 |"
    yield f"| CPU time behind the first, to build a session (s) | {sum(built_cpu.values()):.3f} | |"


def stored_objects(port: int, pid: int, count: int) -> Iterator[str]:
    """Rows of objects by STOW-RS, each answered once it is archived, and each of a study of its own."""
    bodies = [next(archives.series_of(30_000 + n, 1, 1, TINY)[0].each())[1] for n in range(count + 1)]
    store_object(port, bodies[0])
    time.sleep(QUIET_SECONDS)
    with counted_cpu(pid, count) as share:
        walls = [store_object(port, body) for body in bodies[1:]]
        time.sleep(QUIET_SECONDS)
    yield f"| object by STOW-RS into the archive, to answered (s) | {spread(walls)} | |"
    parts = ", ".join(f"{part} {seconds:.3f}" for part, seconds in sorted(share.items()))
    yield f"| its CPU time of the server (s): {parts} | {sum(share.values()):.3f} | |"


def store_object(port: int, body: bytes, path: str = "/dicomweb/projects/BENCH/studies") -> float:
    """Seconds from the request to its answer."""
    begun = time.perf_counter()
    sending = servers.Sending(port, path, len(body), "application/dicom")
    sending.socket.sendall(body)
    status, answer = sending.answer()
    if status != 200:
        raise SystemExit(f"bench: an object was answered with {status}: {answer}")
    return time.perf_counter() - begun


def acknowledged(port: int, body: bytes) -> float:
    """Seconds from the request to its answer."""
    begun = time.perf_counter()
    sending = servers.Sending(port, "/data/services/import?import-handler=gradual-DICOM&project=BENCH", len(body))
    sending.socket.sendall(body)
    status, answer = sending.answer()
    if status not in (200, 202):
        raise SystemExit(f"bench: an object was answered with {status}: {answer}")
    return time.perf_counter() - begun


def small_zip(study: int) -> bytes:
    """One session of 26 objects of 8 kB in two series."""
    return zip_bytes(archives.documented(f"S{study}", archives.series_of(study, 2, OBJECTS // 2, TINY), []))


class Client:
    """Sends archives, and sees in the catalog's file when they are listed."""

    def __init__(self, port: int, catalog: Path) -> None:
        self.port = port
        self.catalog = catalog

    def send(self, body: bytes) -> str:
        """The id of the import that was accepted."""
        path = "/api/v1/imports?project=BENCH&destination=archive&filename=small.zip"
        sending = servers.Sending(self.port, path, len(body))
        sending.socket.sendall(body)
        status, answer = sending.answer()
        if status != 202:
            raise SystemExit(f"bench: an upload was answered with {status}: {answer}")
        return str(answer["id"])

    def wait(self, upload: str) -> None:
        """Return once it is archived."""
        with closing(sqlite3.connect(f"file:{self.catalog}?mode=ro", uri=True)) as connection:
            while True:
                query = "SELECT state, message FROM upload WHERE uuid = ?"
                state, message = connection.execute(query, (upload,)).fetchone()
                if state == "placed":
                    return
                if state not in ("received", "running"):
                    raise SystemExit(f"bench: an import ended {state}: {message}")
                time.sleep(0.002)

    def wait_for_built(self) -> None:
        """Return once no session of single objects is still to be built."""
        with closing(sqlite3.connect(f"file:{self.catalog}?mode=ro", uri=True)) as connection:
            query = "SELECT COUNT(*) FROM upload WHERE state IN ('receiving', 'received', 'running')"
            while connection.execute(query).fetchone()[0]:
                time.sleep(0.05)


@contextmanager
def counted_cpu(root: int, imports: int) -> Iterator[dict[str, float]]:
    """Fills in the CPU seconds that each part of a server takes for one of so many imports meanwhile."""
    share: dict[str, float] = {}
    before = cpu_seconds(root)
    yield share
    after = cpu_seconds(root)
    share.update({part: (seconds - before[part]) / imports for part, seconds in after.items()})


def cpu_seconds(root: int) -> dict[str, float]:
    """User and system time of a server's processes and of those that have ended under them, by part."""
    seconds: dict[str, float] = defaultdict(float)
    for pid in memory.tree(root):
        try:
            name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        own, ended = sum(map(int, fields[11:13])) / TICK, sum(map(int, fields[13:15])) / TICK
        seconds[PART.get(name, "others")] += own + ended
    return seconds


def command(folder: Path, body: bytes, count: int) -> tuple[list[float], list[float]]:
    """Seconds, and CPU seconds, of `scandock import`."""
    path = folder / "one.zip"
    path.write_bytes(body)
    archive = Archive("small", "26 small objects", path, OBJECTS, OBJECTS * 8_192, len(body))
    walls, cpus = [], []
    for number in range(count + 1):
        before, begun = os.times(), time.perf_counter()
        words = contenders.scandock_command(archive, folder / f"one{number}")
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - begun)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        cpus.append(spent)
    return walls[1:], cpus[1:]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


if __name__ == "__main__":
    main()
