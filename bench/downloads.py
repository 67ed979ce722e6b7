"""Measures downloads: the zip of a session beside reading its files, and single files; writes docs/performance.md.

    python -m bench.downloads [--rounds 5] [--write]

Sessions of 4,000 files (archive a) and of 8 large ones (c), on a server of this build. In turns: their files are read,
one after the other, into one buffer; the zip is taken over the loopback; the same bytes are taken from a process that
does nothing but `sendfile` one file that holds them all: what the sockets and the client bear. Each with what is read
in memory, and anew from the disk. CPU time is the web process's.
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
from contextlib import contextmanager
from pathlib import Path

from bench import archives, report, servers
from bench.report import spread
from bench.serve import web_process
from bench.servers import IMPORTS

MB = 1_000_000
BEGIN, END = "<!-- downloads:begin -->", "<!-- downloads:end -->"
BUFFER = bytearray(1024 * 1024)
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    arguments = parse()
    folder = archives.HOME / "downloads" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    rows = [
        "| what | MB/s | reading its files | share of that | bare sendfile | CPU ms a 100 MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    try:
        with servers.scandock(folder / "data") as (port, pid):
            web = web_process(pid)
            for key in arguments.only:
                rows += _session_rows(folder, port, web, key, arguments.rounds, cold=arguments.cold)
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
    parser.add_argument("--cold", action="store_true", help="also with nothing in memory of what is read")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    return parser.parse_args()


def _session_rows(folder: Path, port: int, web: int, key: str, rounds: int, *, cold: bool) -> Iterator[str]:
    session, files = bring(folder / "data", port, key)
    size = sum(path.stat().st_size for path in files)
    zip_path = f"/api/v1/sessions/{session}/download"
    _, listing = servers.ask(port, "GET", f"/api/v1/files?session={session}&limit=1")
    single = listing["items"][0]
    file_path = f"/api/v1/sessions/{session}/files/{single['id']}/content"
    copy = folder / f"{key}.all"
    with copy.open("wb") as output:
        for path in files:
            output.write(path.read_bytes())
    for temperature in ("in memory", "from the disk") if cold else ("in memory",):
        reads: list[float] = []
        zips: list[float] = []
        bare: list[float] = []
        processor: list[float] = []
        for number in range(rounds + 1):
            with sending(copy) as bare_port:
                turns: list[tuple[list[float], Callable[[], int]]] = [
                    (reads, lambda: read_all(files)),
                    (zips, lambda: take(port, zip_path)),
                    (bare, lambda: take(bare_port, "/")),
                ]
                for values, call in turns if number % 2 else reversed(turns):
                    if temperature != "in memory":
                        for path in (*files, copy):
                            forget(path)
                    before = processor_seconds(web)
                    begun = time.perf_counter()
                    count = call()
                    taken = time.perf_counter() - begun
                    if count < size:
                        raise SystemExit(f"bench: {count} bytes came of {size}")
                    if number:
                        values.append(size / MB / taken)
                        if values is zips:
                            processor.append((processor_seconds(web) - before) * 1000 / (size / MB / 100))
            print(f"bench: {key} {temperature} round {number}: {zips[-1:]} {reads[-1:]} {bare[-1:]}", file=sys.stderr)
        shares = [ours / theirs for ours, theirs in zip(zips, reads, strict=True)]
        yield (
            f"| zip of {len(files):,} files, {size / MB:,.0f} MB, {temperature} | {spread(zips, 0)} "
            f"| {spread(reads, 0)} | {spread(shares)} | {spread(bare, 0)} | {statistics.median(processor):.0f} |"
        )
    yield _file_row(port, web, file_path, int(single["bytes"]), rounds)


def _file_row(port: int, web: int, path: str, size: int, rounds: int) -> str:
    """One file again and again, on one connection."""
    count = max(10, min(1000, 500 * MB // size))
    rates, processor = [], []
    for number in range(rounds + 1):
        before = processor_seconds(web)
        begun = time.perf_counter()
        take(port, path, count)
        taken = time.perf_counter() - begun
        if number:
            rates.append(count * size / MB / taken)
            processor.append((processor_seconds(web) - before) * 1000 / (count * size / MB / 100))
    what = f"one file of {size / MB:.1f} MB, {count} times ({statistics.median(rates) * MB / size:.0f} a second)"
    return f"| {what} | {spread(rates, 0)} | | | | {statistics.median(processor):.0f} |"


def bring(data: Path, port: int, key: str) -> tuple[str, list[Path]]:
    """Upload an archive; the session that comes of it, and its files."""
    archive = archives.make(key)
    with archive.path.open("rb") as file:
        upload = servers.Sending(port, f"{IMPORTS}{key}.zip", archive.packed_bytes)
        upload.send(file.fileno(), 0, archive.packed_bytes)
        _, accepted = upload.answer()
    while servers.ask(port, "GET", f"/api/v1/imports/{accepted['id']}")[1]["state"] != "placed":
        time.sleep(0.2)
    _, page = servers.ask(port, "GET", "/api/v1/sessions?sort=-created")
    newest = max(page["items"], key=lambda session: session["modified"])
    files = sorted((data / "archive" / "BENCH" / newest["label"]).rglob("*.dcm"))
    time.sleep(1)
    return newest["id"], files


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
