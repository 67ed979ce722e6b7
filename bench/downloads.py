"""Measures downloads: the zip of a session beside reading its files, and single files; writes docs/performance.md.

    python -m bench.downloads [--rounds 5] [--only a,c] [--cold] [--beside CHECKOUT] [--write]

Sessions of 4,000 files (archive a) and of 8 large ones (c), on a server of this build. In turns: their files are read,
one after the other, into one buffer; the zip is taken over the loopback, of another checkout's build too; the same
bytes are taken from a process that does nothing but `sendfile` one file that holds them all: what the sockets and the
client bear. What is read is in memory, with `--cold` nothing of it. CPU time is the web process's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import archives, report, servers
from bench.report import spread
from bench.serve import web_process
from bench.servers import IMPORTS

MB = 1_000_000
BEGIN, END = "<!-- downloads:begin -->", "<!-- downloads:end -->"
BUFFER = bytearray(1024 * 1024)
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Build:
    """A server, and what was measured of it."""

    name: str
    data: Path
    port: int
    web: int
    session: str = ""
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Milliseconds for 100 MB."""

    def measure(self, path: str, size: int, times: int = 1) -> None:
        before = processor_seconds(self.web)
        begun = time.perf_counter()
        count = take(self.port, path, times)
        taken = time.perf_counter() - begun
        if count < size * times:
            raise SystemExit(f"bench: {count} bytes came of {size * times}")
        self.rates.append(count / MB / taken)
        self.processor.append((processor_seconds(self.web) - before) * 1000 / (count / MB / 100))

    def forget(self) -> None:
        self.rates, self.processor = [], []


def main() -> None:
    arguments = parse()
    folder = archives.HOME / "downloads" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    rows = [
        "| what | build | MB/s | reading its files | share of that | bare sendfile | CPU ms for 100 MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    try:
        with ExitStack() as stack:
            builds = []
            for name, checkout in (("this", None), ("other", arguments.beside)):
                if name == "this" or checkout is not None:
                    path = {"PYTHONPATH": str(checkout / "src")} if checkout is not None else {}
                    port, pid = stack.enter_context(servers.scandock(folder / name, **path))
                    builds.append(Build(name, folder / name, port, web_process(pid)))
            for key in arguments.only:
                for row in _session_rows(folder, builds, key, arguments.rounds, cold=arguments.cold):
                    print(f"bench: {row}", file=sys.stderr, flush=True)
                    rows.append(row)
    finally:
        shutil.rmtree(folder)
    text = "\n".join(rows) + f"\n\n{report.machine(archives.HOME)}; {arguments.rounds} rounds."
    print(text)
    if arguments.write:
        report.write(text, BEGIN, END)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count; one more is run first and dropped")
    parser.add_argument("--only", type=lambda text: text.split(","), default=["a", "c"])
    parser.add_argument("--cold", action="store_true", help="with nothing in memory of what is read")
    parser.add_argument("--beside", type=Path, help="a checkout whose build is measured as well")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    return parser.parse_args()


def _session_rows(folder: Path, builds: list[Build], key: str, rounds: int, *, cold: bool) -> Iterator[str]:
    stored = [bring(build, key) for build in builds]
    size = sum(path.stat().st_size for path in stored[0])
    copy = folder / f"{key}.all"
    with copy.open("wb") as output:
        for path in stored[0]:
            output.write(path.read_bytes())
    temperature = "from the disk" if cold else "in memory"
    reads: list[float] = []
    bare: list[float] = []

    def turn(values: list[float], call: Callable[[], object]) -> None:
        begun = time.perf_counter()
        call()
        values.append(size / MB / (time.perf_counter() - begun))

    for number in range(rounds + 1):
        with sending(copy) as bare_port:
            turns: list[Callable[[], None]] = [
                lambda values=reads: turn(values, lambda: read_all(stored[0])),  # type: ignore[misc]
                *(
                    lambda build=build: build.measure(f"/api/v1/sessions/{build.session}/download", size)
                    for build in builds
                ),
                lambda values=bare, port=bare_port: turn(values, lambda: take(port, "/")),  # type: ignore[misc]
            ]
            for call in turns if number % 2 else reversed(turns):
                if temperature == "from the disk":
                    for path in (copy, *(path for files in stored for path in files)):
                        forget(path)
                call()
        print(f"bench: {key} {temperature} round {number}", file=sys.stderr, flush=True)
    for build in builds:
        shares = [ours / theirs for ours, theirs in zip(build.rates[1:], reads[1:], strict=True)]
        yield (
            f"| zip of {len(stored[0]):,} files, {size / MB:,.0f} MB, {temperature} | {build.name} "
            f"| {spread(build.rates[1:], 0)} | {spread(reads[1:], 0)} | {spread(shares)} | {spread(bare[1:], 0)} "
            f"| {statistics.median(build.processor[1:]):.0f} |"
        )
        build.forget()
    yield from _file_rows(builds, rounds)


def _file_rows(builds: list[Build], rounds: int) -> Iterator[str]:
    """One file again and again, on one connection."""
    paths: list[tuple[Build, str, int]] = []
    for build in builds:
        _, listing = servers.ask(build.port, "GET", f"/api/v1/files?session={build.session}&limit=1")
        single = listing["items"][0]
        path = f"/api/v1/sessions/{build.session}/files/{single['id']}/content"
        paths.append((build, path, int(single["bytes"])))
    count = max(5, min(100, 500 * MB // paths[0][2]))
    for _ in range(rounds + 1):
        for build, path, size in paths:
            build.measure(path, size, count)
    for build, _, size in paths:
        rates = build.rates[1:]
        what = f"one file of {size / MB:.1f} MB, {count} times"
        each = f"{spread(rates, 0)}, {statistics.median(rates) * MB / size:.0f} files/s"
        yield f"| {what} | {build.name} | {each} | | | | {statistics.median(build.processor[1:]):.0f} |"
        build.forget()


def bring(build: Build, key: str) -> list[Path]:
    """Upload an archive; the files of the session that comes of it."""
    archive = archives.make(key)
    with archive.path.open("rb") as file:
        upload = servers.Sending(build.port, f"{IMPORTS}{key}.zip", archive.packed_bytes)
        upload.send(file.fileno(), 0, archive.packed_bytes)
        _, accepted = upload.answer()
    while servers.ask(build.port, "GET", f"/api/v1/imports/{accepted['id']}")[1]["state"] != "placed":
        time.sleep(0.2)
    _, page = servers.ask(build.port, "GET", "/api/v1/sessions")
    newest = max(page["items"], key=lambda session: session["modified"])
    build.session = newest["id"]
    return sorted((build.data / "archive" / "BENCH" / newest["label"]).rglob("*.dcm"))


def read_all(files: list[Path]) -> int:
    view, total = memoryview(BUFFER), 0
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        try:
            while count := os.readv(fd, [view]):
                total += count
        finally:
            os.close(fd)
    return total


def take(port: int, path: str, times: int = 1) -> int:
    """The bytes of the bodies of answers, which are dropped."""
    total = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(times):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: b\r\nAuthorization: {servers.AUTH}\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            head, _, rest = head.partition(b"\r\n\r\n")
            if b" 200 " not in head.splitlines()[0]:
                raise SystemExit(f"bench: {head.decode()} {rest.decode()}")
            length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if b"content-length" in line)
            count = len(rest)
            while count < length:
                count += connection.recv_into(BUFFER)
            total += count
    return total


@contextmanager
def sending(path: Path) -> Iterator[int]:
    """A process that answers one request by sending a file, and nothing else: its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if not pid:
        try:
            connection, _ = listening.accept()
            connection.recv(65536)
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                connection.sendfile(file)
        finally:
            os._exit(0)
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        os.waitpid(pid, 0)


def forget(path: Path) -> None:
    """Leave nothing of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def processor_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK


if __name__ == "__main__":
    main()
