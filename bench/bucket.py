"""Measures a site with its files in a bucket (SeaweedFS on the loopback) beside one with a folder.

    python -m bench.bucket [--rounds 3] [--archives a,d] [--files 300] [--uploads 10] [--each-mb 2048]
        [--imports 6] [--only import,file,memory,hosts] [--write]

import: archives imported by the command line, to the folder (catalog in SQLite) and to the bucket (catalog in a
PostgreSQL that syncs its commits) by turns; the CPU time is that of the command and all its processes, that of
SeaweedFS and PostgreSQL stands apart. file: files of packs at random by their address at a server, and the same ranges
by a bare ranged GET, by turns. memory: the processes of a web host together (PSS) while big uploads come at once, which
are cut off at their end. hosts: imports of one worker host and of two, see bench.worker_hosts. Each import has an empty
ext4 of its own, where that can be mounted: what an import into the bucket leaves on its host is deleted, which makes
creates slow for minutes on ext4. The first round is dropped.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench import archives, contenders, memory, report, serve, servers, worker_hosts
from bench.archives import Archive
from bench.contenders import Contender, Run
from bench.disks import own_disk
from bench.report import spread
from bench.small import cpu_seconds
from scandock.catalog.engine import open_catalog
from scandock.publishing.object_rows import PostgresObjectRows
from scandock.store.bucket import Bucket
from scandock.store.file_places import FilePlace, unpack_places
from scandock.store.paths import archive_path, parse_tree
from tests import postgres, s3_server, seaweed

MB = 1_000_000
BEGIN, END = "<!-- bucket:begin -->", "<!-- bucket:end -->"
PARTS = ["import", "file", "memory", "hosts"]
WALL_GOALS = {"a": 2.5, "d": 1.5}
CPU_GOAL = 1.3
FILE_GOAL_MS = 3.0
MEMORY_GOAL_MB = 400


@dataclass
class Site:
    """A bucket and a catalog, and the processes that serve them."""

    bucket: Bucket
    url: str
    seaweed: int
    postgres: int
    imports: int = 0
    """Each goes to a project of its own, since an archive is new to each once."""

    @property
    def settings(self) -> dict[str, str]:
        return {
            "SCANDOCK_DATABASE_URL": self.url,
            "SCANDOCK_STORE": self.bucket.url,
            "SCANDOCK_S3_ENDPOINT": self.bucket.endpoint or "",
        }

    def command(self, archive: Archive, folder: Path) -> list[str]:
        """An import into the bucket, by a host whose folder is new."""
        self.imports += 1
        words = contenders.scandock_command(archive, folder)
        words[words.index("BENCH")] = self.project
        return ["env", *(f"{name}={value}" for name, value in self.settings.items()), *words]

    @property
    def project(self) -> str:
        """That of the last import."""
        return f"BENCH{self.imports}"

    def used(self) -> float:
        """CPU seconds of the store and of PostgreSQL so far."""
        return sum(seconds for root in (self.seaweed, self.postgres) for seconds in cpu_seconds(root).values())


@dataclass
class Measured:
    """Rounds of one archive; those that were dropped are not in it."""

    archive: Archive
    local: list[Run] = field(default_factory=list)
    bucket: list[Run] = field(default_factory=list)
    servers_cpu: list[float] = field(default_factory=list)

    def row(self) -> str:
        wall, cpu = (
            [getattr(ours, name) / getattr(theirs, name) for ours, theirs in zip(self.bucket, self.local, strict=True)]
            for name in ("wall", "cpu")
        )
        archive, goal = self.archive, WALL_GOALS.get(self.archive.key)
        cells = [
            f"{archive.key}: {archive.title}, {archive.files:,} files, {archive.unpacked_bytes / MB:.0f} MB",
            spread([run.wall for run in self.local]),
            spread([run.wall for run in self.bucket]),
            spread(wall),
            "" if goal is None else f"{goal}",
            spread([run.cpu for run in self.local]),
            spread([run.cpu for run in self.bucket]),
            spread(cpu),
            f"{CPU_GOAL}",
            spread(self.servers_cpu),
        ]
        return f"| {' | '.join(cells)} |"


def main() -> None:
    arguments = parse()
    folder = Path(tempfile.mkdtemp(prefix="bench-bucket-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    lines: list[str] = []
    try:
        with running(folder) as site:
            if "import" in arguments.only:
                lines += import_table(site, folder, arguments)
            if "file" in arguments.only or "memory" in arguments.only:
                lines += ["", "| what | measured | beside | difference | goal |", "| --- | --- | --- | --- | --- |"]
            if "file" in arguments.only:
                lines.append(file_row(site, folder, arguments))
            if "memory" in arguments.only:
                lines.append(memory_row(site, folder, arguments))
            if "hosts" in arguments.only:
                lines += [
                    "",
                    *worker_hosts.table(folder, site.settings, site.used, arguments.rounds, arguments.imports),
                ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = "\n".join([*lines, "", f"{report.machine(archives.HOME)}; {arguments.rounds} rounds."]).strip()
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count; one more is run first and dropped")
    parser.add_argument("--archives", type=words, default=["a", "d"])
    parser.add_argument("--files", type=int, default=300, help="files that are read at random")
    parser.add_argument("--uploads", type=int, default=10, help="uploads at once, for the memory")
    parser.add_argument("--each-mb", type=int, default=2048, help="size of each of these")
    parser.add_argument("--imports", type=int, default=6, help="imports of a round, for the worker hosts")
    parser.add_argument("--only", type=words, default=PARTS)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


def words(text: str) -> list[str]:
    return text.split(",")


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """SeaweedFS and a PostgreSQL that syncs, both new, with an empty catalog."""
    cluster = postgres.DurableCluster(folder / "socket", folder / "postgres")
    cluster.start()
    try:
        os.environ.update(s3_server.ACCESS)
        with seaweed.server() as store:
            cluster.make_database("bench")
            url = cluster.url("bench")
            open_catalog(url).dispose()
            postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            yield Site(store.bucket(), url, store.pid, postmaster)
    finally:
        cluster.stop()


def import_table(site: Site, folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    yield (
        "| archive | to a folder (s) | to the bucket (s) | times | goal | CPU, folder (s) | CPU, bucket (s) "
        "| times | goal | CPU of SeaweedFS and PostgreSQL (s) |"
    )
    yield f"| {' | '.join(['---'] * 10)} |"
    for key in arguments.archives:
        yield measure(site, archives.make(key), folder / key, arguments.rounds).row()


def measure(site: Site, archive: Archive, folder: Path, rounds: int) -> Measured:
    folder.mkdir()
    result = Measured(archive)
    to_bucket = Contender("bucket", site.command, contenders.IMPORT.produced)
    for number in range(rounds + 1):
        turns = [contenders.IMPORT, to_bucket]
        for contender in turns if number % 2 else reversed(turns):
            before = site.used()
            with own_disk(folder / f"{number}-{contender.name}") as disk:
                run = contenders.run(contender, archive, disk / contender.name, verify=number == 0)
            used = site.used() - before
            serve.progress(f"{archive.key} round {number} {contender.name}: {run.wall:.2f} s, {run.cpu:.2f} s of CPU")
            if number == 0:
                continue
            if contender is to_bucket:
                result.bucket.append(run)
                result.servers_cpu.append(used)
            else:
                result.local.append(run)
    return result


def file_row(site: Site, folder: Path, arguments: argparse.Namespace) -> str:
    """Milliseconds of files of archive a, which lie in packs, by a web host and by a bare ranged GET."""
    archive = archives.make("a")
    contenders.run(Contender("bucket", site.command, contenders.IMPORT.produced), archive, folder / "host", verify=True)
    with servers.scandock(folder / "files", "--role", "web", **site.settings) as (port, _):
        _, page = servers.ask(port, "GET", f"/api/v1/sessions?project={site.project}")
        session = page["items"][0]
        places = read_places(site.url, str(archive_path(site.project, session["label"])))
        chosen = random.Random(1).sample(list(list_files(port, session["id"])), arguments.files)
        ours: list[float] = []
        bare: list[float] = []
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for file_id, name in chosen:
                place = places[name]
                address = f"/api/v1/sessions/{session['id']}/files/{file_id}/content"
                turns = [
                    (ours, lambda address=address: take(connection, address)),
                    (bare, lambda place=place: site.bucket.get_range(place.object, place.offset, place.length)),
                ]
                for times, call in turns if len(ours) % 2 else reversed(turns):
                    begun = time.perf_counter()
                    size = len(call())
                    times.append((time.perf_counter() - begun) * 1000)
                    if size != place.length:
                        raise SystemExit(f"bench: {size} bytes came of {place}")
    more = statistics.median(mine - other for mine, other in zip(ours, bare, strict=True))
    what = f"a file of a pack at random, one of {archive.files:,}, {arguments.files} times (ms)"
    return f"| {what} | {spread(ours, 1)} | bare ranged GET: {spread(bare, 1)} | {more:.1f} more | {FILE_GOAL_MS:.0f} |"


def take(connection: http.client.HTTPConnection, address: str) -> bytes:
    """The body of an answer."""
    connection.request("GET", address, headers={"Authorization": servers.AUTH})
    return connection.getresponse().read()


def read_places(url: str, name: str) -> dict[str, FilePlace]:
    """Where the files of a tree lie, by their base names."""
    rows = PostgresObjectRows(url)
    try:
        number = rows.current(parse_tree(name))
        if number is None:
            raise SystemExit(f"bench: there is no {name}")
        places = [place for batch in rows.batches(number) for place in unpack_places(batch)]
    finally:
        rows.close()
    return {place.path.rpartition("/")[2]: place for place in places}


def list_files(port: int, session: str) -> Iterator[tuple[int, str]]:
    """Number and name of each file of a session."""
    cursor = ""
    while True:
        _, page = servers.ask(port, "GET", f"/api/v1/files?session={session}&limit=100{cursor}")
        yield from ((item["id"], item["name"]) for item in page["items"])
        if not page.get("next"):
            return
        cursor = f"&cursor={quote(page['next'])}"


def memory_row(site: Site, folder: Path, arguments: argparse.Namespace) -> str:
    """The peak of a web host's memory under uploads, all of its processes together."""
    size = arguments.each_mb * MB
    body = serve.noise(folder / "body", min(size, 256 * MB))
    with servers.scandock(folder / "web", "--role", "web", **site.settings) as (port, pid):
        idle = used_memory(pid)
        peaks: list[int] = []
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(0.2):
                peaks.append(used_memory(pid))

        uploads = [threading.Thread(target=serve.send_cut, args=(port, body, size)) for _ in range(arguments.uploads)]
        sampler = threading.Thread(target=sample)
        begun = time.perf_counter()
        for thread in (sampler, *uploads):
            thread.start()
        for upload in uploads:
            upload.join()
        taken = time.perf_counter() - begun
        ended.set()
        sampler.join()
    what = f"memory of a web host while {arguments.uploads} uploads of {size / 1e9:.1f} GB come at once (PSS, MB)"
    rate = f"{arguments.uploads * size / MB / taken:.0f} MB/s"
    more = (max(peaks) - idle) / MB
    return f"| {what} | {max(peaks) / MB:.0f} at {rate} | idle: {idle / MB:.0f} | {more:.0f} more | {MEMORY_GOAL_MB} |"


def used_memory(root: int) -> int:
    return sum(map(memory.pss, memory.tree(root)))


if __name__ == "__main__":
    try:
        main()
    except contenders.WrongResult as error:
        sys.exit(f"bench: {error}")
