"""How many more imports two worker hosts make than one, each with a core of its own: part `hosts` of bench.bucket.

Uploads of the same archive, each to a project of its own, are sent one behind the other to hosts that wait; the clock
runs from the first that is claimed to the last that is placed, as the catalog tells. Each host is all of `scandock
serve --role worker`, bound to one core with all its processes; the store, PostgreSQL and the web host have both cores.
So beside the times stands what these take: with W seconds of a core for the hosts and S for the store and PostgreSQL,
one host needs W at least, and two need (W + S) / 2.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import threading
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
                    projects = [f"HOSTS{next(numbers)}" for _ in range(imports)]
                    for project in projects:
                        make_project(port, project, work)
                    keys = {"SCANDOCK_PRIVACY_KEY_FILE": str(folder / "queue" / KEY_FILE)} if work.profile else {}

                    def send(projects: list[str] = projects, path: Path = archive.path) -> None:
                        for project in projects:
                            servers.send_archive(port, path, path.name, project)

                    with own_disk(folder / "hosts") as disk:
                        run(disk, {**settings, **keys}, used, hosts, send, runs[hosts] if number else Measured())
            yield row(archive, work, runs[1], runs[2])


def make_project(port: int, project: str, work: Work) -> None:
    make(port, "POST", "/api/v1/projects", {"id": project, "name": project})
    if work.profile:
        make(port, "PUT", f"/api/v1/projects/{project}/privacy", {"profile": work.profile})


def make(port: int, method: str, path: str, body: Any) -> None:
    status, told = servers.ask(port, method, path, body)
    if status not in (200, 201):
        raise SystemExit(f"bench: {method} {path} was answered with {status}: {told}")


def run(
    disk: Path,
    settings: Mapping[str, str],
    used: Callable[[], float],
    hosts: int,
    send: Callable[[], None],
    into: Measured,
) -> None:
    """What `send` sends is imported by so many hosts."""
    engine = create_engine(settings["SCANDOCK_DATABASE_URL"], isolation_level="AUTOCOMMIT")
    with ExitStack() as stack, engine.connect() as connection:
        pids = [stack.enter_context(worker(disk / f"host{core}", core, settings)) for core in range(hosts)]

        def states() -> dict[str, int]:
            return {row.state: row.uploads for row in connection.execute(_STATES)}

        def taken() -> tuple[float, float]:
            return sum(seconds for pid in pids for seconds in cpu_seconds(pid).values()), used()

        sending = threading.Thread(target=send)
        before = taken()
        sending.start()
        while not states().get("running"):
            time.sleep(0.01)
        begun = time.perf_counter()
        sending.join()
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
    """A worker host on one core: its process, once it answers."""
    port = servers.free_port()
    words = ["taskset", "-c", str(core), str(Path(sys.executable).with_name("scandock")), "serve", "--role", "worker"]
    words += ["--data", str(data), "--port", str(port), "--workers", "2"]
    with servers.running(words, data.with_name(f"{data.name}.log"), port, **settings) as pid:
        while servers.ask(port, "GET", "/readyz")[0] != 200:
            time.sleep(0.05)
        yield pid


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
