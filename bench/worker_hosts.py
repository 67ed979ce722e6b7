"""How many more imports two worker hosts make than one, each with a core of its own: part `hosts` of bench.bucket.

Uploads of the same archive, each to a project of its own, wait in the queue before the hosts start; the clock runs from
the first that is claimed to the last that is placed, as the catalog tells. Each host is all of `scandock serve --role
worker`, bound to one core with all its processes; the store, PostgreSQL and the web host have both cores. So beside the
times stands what these take: with W seconds of a core for the hosts and S for the servers, one host needs W at least,
and two need (W + S) / 2.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from bench import archives, serve, servers
from bench.archives import Archive
from bench.disks import own_disk
from bench.report import spread
from bench.small import cpu_seconds
from scandock.services.privacy_key import KEY_FILE

GOAL = 1.8
PROFILE = "basic,modified-dates,clean-descriptors,clean-structured,clean-graphics"
_STATES = text("SELECT state, count(*) AS uploads FROM upload GROUP BY state")

_OTHERS = text("SELECT message FROM upload WHERE state NOT IN ('received', 'running', 'placed')")


@dataclass(frozen=True)
class Work:
    title: str
    archive: str
    scale: float
    profile: str


WORKS = [
    Work("as they are", "d", 0.25, ""),
    Work("de-identified", "d", 0.25, PROFILE),
]


@dataclass
class Measured:
    """Rounds with so many hosts."""

    walls: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of the worker hosts."""
    servers_cpu: list[float] = field(default_factory=list)


def table(
    folder: Path, settings: Mapping[str, str], used: Callable[[], float], rounds: int, imports: int
) -> Iterator[str]:
    """Rows of a site in a bucket; `used` tells CPU seconds of its store and its PostgreSQL."""
    yield (
        f"| {imports} imports | one host (s) | two hosts (s) | times as many | goal "
        "| CPU of the hosts, of SeaweedFS and PostgreSQL (s) | the cores allow |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    with servers.scandock(folder / "queue", "--role", "web", **settings) as (port, _):
        numbers = itertools.count()
        for work in WORKS:
            archive = archives.make(work.archive, work.scale)
            runs = {1: Measured(), 2: Measured()}
            for number in range(rounds + 1):
                for hosts in (1, 2) if number % 2 else (2, 1):
                    queue(port, archive, work, [f"HOSTS{next(numbers)}" for _ in range(imports)])
                    with own_disk(folder / "hosts") as disk:
                        keys = {"SCANDOCK_PRIVACY_KEY_FILE": str(folder / "queue" / KEY_FILE)} if work.profile else {}
                        run(disk, {**settings, **keys}, used, hosts, runs[hosts] if number else Measured())
            yield row(archive, work, runs[1], runs[2])


def queue(port: int, archive: Archive, work: Work, projects: list[str]) -> None:
    """Send an archive once to each of these projects."""
    for project in projects:
        make(port, "POST", "/api/v1/projects", {"id": project, "name": project})
        if work.profile:
            make(port, "PUT", f"/api/v1/projects/{project}/privacy", {"profile": work.profile})
        servers.send_archive(port, archive.path, archive.path.name, project)


def make(port: int, method: str, path: str, body: Any) -> None:
    status, told = servers.ask(port, method, path, body)
    if status not in (200, 201):
        raise SystemExit(f"bench: {method} {path} was answered with {status}: {told}")


def run(disk: Path, settings: Mapping[str, str], used: Callable[[], float], hosts: int, into: Measured) -> None:
    """All that waits is imported by so many hosts."""
    engine = create_engine(settings["SCANDOCK_DATABASE_URL"], isolation_level="AUTOCOMMIT")
    with ExitStack() as stack, engine.connect() as connection:
        pids = [stack.enter_context(worker(disk / f"host{core}", core, settings)) for core in range(hosts)]

        def states() -> dict[str, int]:
            return {row.state: row.uploads for row in connection.execute(_STATES)}

        def taken() -> tuple[float, float]:
            return sum(seconds for pid in pids for seconds in cpu_seconds(pid).values()), used()

        while not states().get("running"):
            time.sleep(0.01)
        begun, before = time.perf_counter(), taken()
        while any(states().get(name) for name in ("received", "running")):
            time.sleep(0.02)
        into.walls.append(time.perf_counter() - begun)
        if bad := connection.execute(_OTHERS).scalars().first():
            raise SystemExit(f"bench: {bad}")
        for seconds, then, now in zip((into.cpu, into.servers_cpu), before, taken(), strict=True):
            seconds.append(now - then)
    engine.dispose()
    serve.progress(f"{hosts} hosts: {into.walls[-1]:.2f} s, {into.cpu[-1]:.2f} and {into.servers_cpu[-1]:.2f} s of CPU")


@contextmanager
def worker(data: Path, core: int, settings: Mapping[str, str]) -> Iterator[int]:
    """A worker host on one core: its process."""
    words = ["taskset", "-c", str(core), str(Path(sys.executable).with_name("scandock")), "serve", "--role", "worker"]
    with data.with_name(f"{data.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--data", str(data), "--workers", "2"], env=os.environ | settings, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def row(archive: Archive, work: Work, one: Measured, two: Measured) -> str:
    shares = [alone / both for alone, both in zip(one.walls, two.walls, strict=True)]
    hosts, others = (statistics.median(seconds) for seconds in (two.cpu, two.servers_cpu))
    allowed = hosts / ((hosts + others) / 2)
    cells = [
        f"{archive.title}, {archive.files:,} files, {archive.unpacked_bytes / serve.MB:.0f} MB each, {work.title}",
        spread(one.walls),
        spread(two.walls),
        spread(shares),
        f"{GOAL}",
        f"{hosts:.1f}, {others:.1f}",
        f"{allowed:.2f}",
    ]
    return f"| {' | '.join(cells)} |"
