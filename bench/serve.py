"""Measures the server: how fast it takes an upload, what that costs in memory, how soon the session stands.

    python -m bench.serve [--rounds 5] [--mb 1024] [--uploads 10] [--each-mb 2048]
        [--only rate,memory,soon,sent]

rate: a raw upload until it is accepted, against a bare uvicorn receiver that writes and syncs the same bytes, in turns.
memory: how much the web process grows over idle while so many big uploads come at once (they are cut off at their end).
soon: from the last byte of archive a (4,000 MR files) to the session archived, against `scandock import` of it.
sent: the same of archive a sent at 1 Gbit/s, against the same server that does not read it while it comes, in turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from bench import archives, contenders, memory, report, servers

MB = 1_000_000
BEGIN, END = "<!-- serve:begin -->", "<!-- serve:end -->"
ALL = ["rate", "memory", "soon", "sent"]
GIGABIT = 125 * MB
"""Bytes a second of a line of 1 Gbit/s."""
STEP = MB // 4


def main() -> None:
    arguments = parse()
    folder = archives.HOME / "serve" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    rows = ["| what | scandock | beside | share or difference |", "| --- | --- | --- | --- |"]
    try:
        if "rate" in arguments.only:
            rows.append(rate(folder / "rate", arguments))
        if "memory" in arguments.only:
            rows.append(grows(folder / "memory", arguments))
        if "soon" in arguments.only:
            rows.append(soon(folder / "soon", arguments))
        if "sent" in arguments.only:
            rows.append(sent(folder / "sent", arguments))
    finally:
        shutil.rmtree(folder)
    text = "\n".join(rows) + f"\n\n{report.machine(archives.HOME)}; {arguments.rounds} rounds."
    print(text)
    if len(arguments.only) == len(ALL) and arguments.each_mb >= 2000:
        report.write(text, BEGIN, END)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count; one more is run first and dropped")
    parser.add_argument("--mb", type=int, default=1024, help="size of the upload whose rate is measured")
    parser.add_argument("--uploads", type=int, default=10, help="uploads at once, for the memory")
    parser.add_argument("--each-mb", type=int, default=2048, help="size of each of these")
    parser.add_argument("--only", type=lambda text: text.split(","), default=ALL)
    return parser.parse_args()


def rate(folder: Path, arguments: argparse.Namespace) -> str:
    size = arguments.mb * MB
    body = noise(folder / "body", size)
    ours: list[float] = []
    theirs: list[float] = []
    with servers.scandock(folder / "data") as (port, _), servers.bare(folder / "bare") as (other, _):
        for number in range(arguments.rounds + 1):
            turns = [(port, f"{servers.IMPORTS}noise.bin", ours), (other, "/", theirs)]
            for to, path, times in turns if number % 2 else reversed(turns):
                settled(port)
                taken = _upload(to, path, body, size)
                progress(f"rate round {number} {'scandock' if to == port else 'bare'}: {size / MB / taken:.0f} MB/s")
                if number:
                    times.append(size / MB / taken)
    shares = [mine / bare for mine, bare in zip(ours, theirs, strict=True)]
    beside = f"bare receiver: {report.spread(theirs, 0)}"
    return f"| raw upload to accepted (MB/s) | {report.spread(ours, 0)} | {beside} | {report.spread(shares)} |"


def _upload(port: int, path: str, body: Path, size: int) -> float:
    contenders.prepare(body)
    with body.open("rb") as file:
        begun = time.perf_counter()
        sending = servers.Sending(port, path, size)
        sending.send(file.fileno(), 0, size)
        status, told = sending.answer()
        taken = time.perf_counter() - begun
    if status != 202:
        raise SystemExit(f"bench: an upload was answered with {status}: {told}")
    return taken


def grows(folder: Path, arguments: argparse.Namespace) -> str:
    size = arguments.each_mb * MB
    body = noise(folder / "body", min(size, 256 * MB))
    peak, ended = 0, threading.Event()
    with servers.scandock(folder / "data") as (port, pid):
        web = web_process(pid)
        idle = memory.pss(web)
        uploads = [threading.Thread(target=send_cut, args=(port, body, size)) for _ in range(arguments.uploads)]
        sampler = threading.Thread(target=lambda: _sample(web, ended, peaks))
        peaks: list[int] = []
        sampler.start()
        for upload in uploads:
            upload.start()
        for upload in uploads:
            upload.join()
        ended.set()
        sampler.join()
        peak = max(peaks)
    what = f"web process's memory while {arguments.uploads} uploads of {size / 1e9:.0f} GB come at once (MB)"
    return f"| {what} | {peak / MB:.0f} | idle: {idle / MB:.0f} | {(peak - idle) / MB:.0f} more |"


def send_cut(port: int, body: Path, size: int) -> None:
    """Send an upload one byte too few: what came is dropped, and no import waits for the disk."""
    with body.open("rb") as file:
        sending = servers.Sending(port, f"{servers.IMPORTS}big.bin", size + 1)
        for offset in range(0, size, body.stat().st_size):
            sending.send(file.fileno(), 0, min(body.stat().st_size, size - offset))
        sending.socket.close()


def _sample(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    while not ended.wait(0.2):
        peaks.append(memory.pss(pid))


def soon(folder: Path, arguments: argparse.Namespace) -> str:
    archive = archives.make("a", 1.0)
    size = archive.path.stat().st_size
    waits, imports = [], []
    for number in range(arguments.rounds + 1):
        place = folder / str(number)
        place.mkdir(parents=True)
        alone = contenders.run(contenders.IMPORT, archive, place / "alone", verify=number == 0)
        with servers.scandock(place / "data") as (port, _):
            contenders.prepare(archive.path)
            waited = _until_placed(port, archive.path, size)
        progress(f"soon round {number}: import {alone.wall:.2f} s, last byte to archived {waited:.2f} s")
        if number:
            waits.append(waited)
            imports.append(alone.wall)
    more = [wait - alone for wait, alone in zip(waits, imports, strict=True)]
    beside = f"import: {report.spread(imports)}"
    return f"| last byte to archived, archive a (s) | {report.spread(waits)} | {beside} | {report.spread(more)} more |"


def sent(folder: Path, arguments: argparse.Namespace) -> str:
    archive = archives.make("a", 1.0)
    size = archive.path.stat().st_size
    waits: dict[str, list[float]] = {"on": [], "off": []}
    for number in range(arguments.rounds + 1):
        for follow in ("on", "off") if number % 2 else ("off", "on"):
            place = folder / f"{number}-{follow}"
            place.mkdir(parents=True)
            with servers.scandock(place / "data", SCANDOCK_FOLLOW=follow) as (port, _):
                contenders.prepare(archive.path)
                waited = _until_placed(port, archive.path, size, rate=GIGABIT)
            progress(f"sent round {number} follow {follow}: last byte to archived {waited:.2f} s")
            if number:
                waits[follow].append(waited)
    shares = [mine / plain for mine, plain in zip(waits["on"], waits["off"], strict=True)]
    return (
        f"| last byte to archived, archive a sent at 1 Gbit/s (s) | {report.spread(waits['on'])} "
        f"| without following: {report.spread(waits['off'])} | {report.spread(shares)} |"
    )


def _send(sending: servers.Sending, file: int, size: int, rate: int | None) -> None:
    """Send a file, at most `rate` bytes a second."""
    if rate is None:
        sending.send(file, 0, size)
        return
    begun = time.perf_counter()
    for at in range(0, size, STEP):
        ahead = at / rate - (time.perf_counter() - begun)
        if ahead > 0:
            time.sleep(ahead)
        sending.send(file, at, min(STEP, size - at))


def _until_placed(port: int, path: Path, size: int, rate: int | None = None) -> float:
    with path.open("rb") as file:
        sending = servers.Sending(port, f"{servers.IMPORTS}a.zip", size)
        _send(sending, file.fileno(), size, rate)
    begun = time.perf_counter()
    status, told = sending.answer()
    if status != 202:
        raise SystemExit(f"bench: the upload was answered with {status}: {told}")
    servers.wait_until_placed(port, told["id"])
    return time.perf_counter() - begun


def settled(port: int) -> None:
    """Wait until no import runs: what was sent is noise, which the worker refuses and removes."""
    while True:
        _, page = servers.ask(port, "GET", "/api/v1/imports?state=received&state=running")
        if not page["items"]:
            return
        time.sleep(0.05)


def web_process(supervisor: int) -> int:
    """The web process of a server."""
    for pid in memory.tree(supervisor):
        if Path(f"/proc/{pid}/comm").read_text() == "web\n":
            return pid
    raise SystemExit("bench: the server has no web process")


def noise(path: Path, size: int) -> Path:
    """A file that is nothing which Scandock takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = b"no archive " + os.urandom(MB - 11)
    with path.open("wb") as file:
        for _ in range(size // MB):
            file.write(block)
    return path


def progress(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {error}")
