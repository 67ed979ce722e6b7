"""What DICOM receivers and DICOMweb are held to: python -m bench.dicom [--rounds 5] [--objects 1000] [--mb 500].

    python -m bench.dicom --only rate,memory,web
    python -m bench.dicom --only web --databases sqlite,postgresql --keys

rate: MR objects of 139 kB, the same bytes for all, in interleaved rounds. Senders: DCMTK's storescu, as it is and with
TCP_NODELAY=1; and one that has its messages ready in memory, waiting for each answer or with 32 objects outstanding
(the asynchronous window that dcm4che's tools ask for). Receivers: a served Scandock, DCMTK's storescp (which syncs
nothing) as it is and, where there is a C compiler, made to sync each file before its answer (`synced_files.c`), Orthanc
as it is configured by itself, and no receiver at all: a loop that appends the same bytes to a file and syncs it after
each object. Of eight associations each sends a study of its own, or a share of one.
memory: of the receiver process, idle, and while eight objects of 500 MB come at once.
web: pages of a search in each of the databases, of which `--keys` prints every key, metadata and frames, by
`bench.listings` and `bench.dicomweb`.

Each goal is printed with what was measured. A whole run writes the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench import archives, dicomweb, listings, report, servers
from bench.memory import INTERVAL, pss, resident, tree
from bench.objects import Series
from tests.dicom_sender import DicomSender
from tests.orthanc import PROGRAM as ORTHANC

MB = 1_000_000
BEGIN, END = "<!-- dicom:begin -->", "<!-- dicom:end -->"
ASSOCIATIONS = 8
WINDOW = 32
OBJECTS, OBJECT_BYTES = 1_000, 139_000
LARGE_MB = 500
SLOWER = 10
"""How many times fewer objects Orthanc gets from one association, at which it is that much slower."""
NO_DELAY = {"TCP_NODELAY": "1"}
"""Has DCMTK's tools send at once what they write in pieces."""
QUIET = {"SCANDOCK_DICOM_IDLE_SECONDS": "3600"}
"""Studies stay open: no import runs beside what is measured."""
CASES = {"1": (1, False), "8": (8, False), "8, one study": (8, True)}
"""Associations, and whether all send of one study."""
ONE, EIGHT, SHARED = CASES
PARTS = ("rate", "memory", "web")
TICKS = os.sysconf("SC_CLK_TCK")

BARE = "append and fdatasync"
SCANDOCK, STORESCP, OUR_ORTHANC = "Scandock", "storescp", "Orthanc"
SYNCED_STORESCP = "storescp, files synced"
SYNCED_FILES = Path(__file__).with_name("synced_files.c")
STORESCU, DELAYED = "storescu, TCP_NODELAY=1", "storescu"
READY, WINDOWED = "messages ready", f"messages ready, window of {WINDOW}"


class Goal(NamedTuple):
    """What is to be reached, and what was measured."""

    what: str
    least: float | None
    most: float | None
    figure: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return (self.least is None or self.figure >= self.least) and (self.most is None or self.figure <= self.most)

    @property
    def row(self) -> str:
        verdict = "met" if self.is_met else "not met"
        if self.least is not None:
            bound = f"at least {self.least:g}"
        elif self.most is not None:
            bound = f"at most {self.most:g}"
        else:
            bound = verdict = ""  # to be compared with
        figure = f"{self.figure:.3g} {self.unit}".strip()
        return f"| {self.what} | {f'{bound} {self.unit}'.strip()} | {figure} | {verdict} |"


@dataclass
class Receiver:
    """A program that takes associations: its port by the number of associations, and its process."""

    name: str
    ports: dict[int, int]
    pids: dict[int, int]
    title: str = "SCANDOCK"

    def cpu(self, associations: int) -> float:
        """Seconds of the processors, with those of children that have ended."""
        stat = Path(f"/proc/{self.pids[associations]}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, stat[11:15])) / TICKS


@dataclass
class Figures:
    """Of one sender at one receiver, round after round."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of the receiver's processors an object."""


Key = tuple[str, str, str]
"""Receiver, sender, case."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count; one more is run first and dropped")
    parser.add_argument(
        "--objects", type=int, default=OBJECTS, help="objects of a round, for all associations together"
    )
    parser.add_argument("--mb", type=int, default=LARGE_MB, help="size of each of the eight large objects")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument("--databases", type=lambda text: text.split(","), default=list(listings.DATABASES))
    parser.add_argument("--keys", action="store_true", help="print the milliseconds of each key of a search")
    chosen = parser.parse_args()
    folder = archives.HOME / "dicom" / f"{time.time_ns()}"
    folder.mkdir(parents=True)
    lines: list[str] = []
    goals: list[Goal] = []
    try:
        if "rate" in chosen.only:
            figures = measure_rates(folder, chosen.rounds, chosen.objects)
            lines += [*rate_table(figures), ""]
            goals += rate_goals(figures)
        if "memory" in chosen.only:
            goals += measure_memory(folder, chosen.mb)
        if "web" in chosen.only:
            searches = {
                database: listings.study_search_medians(database, listings.FULL, 10) for database in chosen.databases
            }
            goals += web_goals(searches)
            lines += [*key_table(searches), ""] if chosen.keys else []
    finally:
        shutil.rmtree(folder)
    lines += ["| goal | bound | measured | |", "| --- | --- | --- | --- |", *(goal.row for goal in goals)]
    lines += ["", f"{report.machine(archives.HOME)}; {chosen.rounds} rounds of {chosen.objects} objects."]
    text = "\n".join(lines)
    print(text)
    if set(chosen.only) == set(PARTS) and chosen.mb >= LARGE_MB and chosen.objects >= OBJECTS:
        report.write(text, BEGIN, END)


# -- rates -----------------------------------------------------------------------------------------------------------


def measure_rates(folder: Path, rounds: int, objects: int) -> dict[Key, Figures]:
    """Objects a second and CPU time of each, by turns; nothing is deleted before the end: it would slow ext4 down."""
    figures: dict[Key, Figures] = {}
    with contextlib.ExitStack() as opened:
        ours = opened.enter_context(serve_scandock(folder))
        theirs = [opened.enter_context(serve_storescp(folder))]
        if shutil.which("cc"):
            theirs.append(opened.enter_context(serve_storescp(folder, is_synced=True)))
        if ORTHANC:
            theirs.append(opened.enter_context(serve_orthanc(folder)))
        runs: list[tuple[Key, Callable[[Batch], float]]] = []
        for case in CASES:
            senders = SENDERS if case == ONE else {STORESCU: send_by_storescu, WINDOWED: SENDERS[WINDOWED]}
            runs += [((ours.name, sender, case), _run_at(ours, send)) for sender, send in senders.items()]
            runs += [((other.name, STORESCU, case), _run_at(other, send_by_storescu)) for other in theirs]
        runs = [run for run in runs if (run[0][0], run[0][2]) != (OUR_ORTHANC, SHARED)]
        runs.append(((BARE, "", ONE), lambda batch: append_and_sync(folder, batch)))
        for number in range(rounds + 1):
            batches = {case: make_batch(folder, number, objects, case) for case in CASES}
            few = make_batch(folder, number, max(1, objects // SLOWER), ONE, "few")
            os.sync()
            turn = number % len(runs)
            for key, run in [*runs[turn:], *runs[:turn]]:
                batch = few if key[0] == OUR_ORTHANC and key[2] == ONE else batches[key[2]]
                receiver = next((one for one in (ours, *theirs) if one.name == key[0]), None)
                before = receiver.cpu(batch.associations) if receiver is not None else 0.0
                seconds = run(batch)
                used = receiver.cpu(batch.associations) - before if receiver is not None else 0.0
                os.sync()
                if number:
                    one = figures.setdefault(key, Figures())
                    one.rates.append(batch.count / seconds)
                    one.cpu.append(used * 1000 / batch.count)
                print(f"round {number}, {', '.join(key)}: {batch.count / seconds:.0f} objects a second", flush=True)
    return figures


@dataclass(frozen=True)
class Batch:
    """What one run sends: a folder and the files in it for each association."""

    number: int
    folders: list[Path]
    objects: list[list[bytes]]

    @property
    def associations(self) -> int:
        return len(self.folders)

    @property
    def count(self) -> int:
        return sum(map(len, self.objects))


def make_batch(folder: Path, number: int, objects: int, case: str, name: str = "") -> Batch:
    """Objects that nobody has seen before."""
    folders, contents = [], []
    associations, is_shared = CASES[case]
    for one in range(associations):
        study = Series(
            study=number * 1_000 + list(CASES).index(case) * 100 + (0 if is_shared else one) + (50 if name else 0),
            number=one + 1,
            patient="BENCH",
            kind="MR",
            rows=256,
            columns=256,
            objects=objects // associations,
            object_bytes=OBJECT_BYTES,
        )
        at = folder / f"sent-{number}" / (name or case) / str(one)
        at.mkdir(parents=True)
        files = [raw for _, raw in study.each()]
        for index, raw in enumerate(files):
            (at / f"{index:06d}.dcm").write_bytes(raw)
        folders.append(at)
        contents.append(files)
    return Batch(number, folders, contents)


def append_and_sync(folder: Path, batch: Batch) -> float:
    """Seconds that it takes to append the same bytes to one file, synced after each object."""
    contents = [raw for one in batch.objects for raw in one]
    fd = os.open(folder / f"bare-{time.time_ns()}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        began = time.perf_counter()
        for raw in contents:
            os.write(fd, raw)
            os.fdatasync(fd)
        return time.perf_counter() - began
    finally:
        os.close(fd)


Send = Callable[[Receiver, Batch], float]


def _run_at(receiver: Receiver, send: Send) -> Callable[[Batch], float]:
    return lambda batch: send(receiver, batch)


def send_by_storescu(receiver: Receiver, batch: Batch, environment: dict[str, str] = NO_DELAY) -> float:
    """Seconds that storescu takes, one process for each association."""
    began = time.perf_counter()
    words = ["storescu", "-R", "-aec", receiver.title, "127.0.0.1", str(receiver.ports[batch.associations]), "+sd"]
    senders = [
        subprocess.Popen([*words, str(at)], env=os.environ | environment, stderr=subprocess.PIPE)
        for at in batch.folders
    ]
    for sender in senders:
        _, errors = sender.communicate()
        if sender.returncode:
            raise SystemExit(f"bench: storescu to {receiver.name} ended with {sender.returncode}: {errors!r}")
    return time.perf_counter() - began


def send_ready(receiver: Receiver, batch: Batch, window: int | None = None) -> float:
    """Seconds that a sender takes that has put its messages together before; `window`: objects without an answer."""
    senders = [DicomSender(receiver.ports[batch.associations], window=window) for _ in batch.folders]
    queues = [
        [b"".join(sender.pdus_of(raw)) for raw in raws] for sender, raws in zip(senders, batch.objects, strict=True)
    ]
    statuses: list[int] = []

    def send(sender: DicomSender, messages: list[bytes]) -> None:
        waiting = 0
        for message in messages:
            sender.send_raw(message)
            waiting += 1
            if waiting >= (window or 1):
                statuses.append(sender.answer())
                waiting -= 1
        statuses.extend(sender.answer() for _ in range(waiting))

    threads = [threading.Thread(target=send, args=pair) for pair in zip(senders, queues, strict=True)]
    gc.collect()
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for sender in senders:
        sender.release()
    if statuses != [0] * sum(map(len, batch.objects)):
        raise SystemExit("bench: an object was not acknowledged")
    return seconds


SENDERS: dict[str, Send] = {
    STORESCU: send_by_storescu,
    DELAYED: lambda receiver, batch: send_by_storescu(receiver, batch, {}),
    READY: send_ready,
    WINDOWED: lambda receiver, batch: send_ready(receiver, batch, WINDOW),
}


@contextlib.contextmanager
def serve_scandock(folder: Path) -> Iterator[Receiver]:
    """A served Scandock with the receiver of `--dicom-port`: it is its receiver process whose CPU counts."""
    port = servers.free_port()
    with servers.scandock(folder / "data", "--dicom-port", str(port), **QUIET) as (_, server):
        pid = receiver_process(server)
        yield Receiver(SCANDOCK, dict.fromkeys((1, ASSOCIATIONS), port), dict.fromkeys((1, ASSOCIATIONS), pid))


def receiver_process(server: int) -> int:
    """The receiver process of a server."""
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in tree(server)}
    return next(pid for pid, name in names.items() if name == "receiver")


@contextlib.contextmanager
def serve_storescp(folder: Path, *, is_synced: bool = False) -> Iterator[Receiver]:
    """Two of DCMTK's storescp, one of which forks a process for each association; `is_synced`: they sync files."""
    name = SYNCED_STORESCP if is_synced else STORESCP
    environment = dict(NO_DELAY)
    if is_synced:
        library = folder / "synced-files.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SYNCED_FILES, "-ldl"], check=True)
        environment["LD_PRELOAD"] = str(library)
    ports: dict[int, int] = {}
    pids: dict[int, int] = {}
    with contextlib.ExitStack() as opened:
        for associations in (1, ASSOCIATIONS):
            at = folder / f"storescp-{associations}{'-synced' if is_synced else ''}"
            at.mkdir()
            port = ports[associations] = servers.free_port()
            words = ["storescp", *(["--fork"] if associations > 1 else []), "-od", str(at), str(port)]
            log = at.with_suffix(".log")
            pids[associations] = opened.enter_context(servers.running(words, log, port, **environment))
        yield Receiver(name, ports, pids, "STORESCP")


@contextlib.contextmanager
def serve_orthanc(folder: Path) -> Iterator[Receiver]:
    """Orthanc with its own settings but for folders, ports and who may send."""
    assert ORTHANC
    with servers.orthanc(ORTHANC, folder / "orthanc") as (_, port, pid):
        yield Receiver(
            OUR_ORTHANC, dict.fromkeys((1, ASSOCIATIONS), port), dict.fromkeys((1, ASSOCIATIONS), pid), "ORTHANC"
        )


def rate_table(figures: dict[Key, Figures]) -> Iterator[str]:
    """Objects a second, and milliseconds of the receiver's processors an object."""
    yield "| receiver | sender | associations | objects a second | CPU an object (ms) |"
    yield "| --- | --- | --- | --- | --- |"
    for (receiver, sender, associations), one in figures.items():
        cpu = f"{statistics.median(one.cpu):.2f}" if receiver != BARE else ""
        yield f"| {receiver} | {sender} | {associations} | {_spread(one.rates)} | {cpu} |"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def rate_goals(figures: dict[Key, Figures]) -> Iterator[Goal]:
    """Shares are of the same round, and medians."""

    def share(ours: Key, other: Key) -> float:
        pairs = zip(figures[ours].rates, figures[other].rates, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    one, bare = (SCANDOCK, STORESCU, ONE), (BARE, "", ONE)
    yield Goal("1 association, storescu, of append and fdatasync", 0.8, None, share(one, bare))
    for sender in (READY, WINDOWED):
        yield Goal(f"1 association, {sender}, of append and fdatasync", 0.8, None, share((SCANDOCK, sender, ONE), bare))
    for case in (EIGHT, SHARED):
        of_storescp = share((SCANDOCK, STORESCU, case), (STORESCP, STORESCU, case))
        yield Goal(f"associations: {case}; storescu, of storescp", 0.9, None, of_storescp)
    for case in CASES:
        if (SYNCED_STORESCP, STORESCU, case) in figures:
            of_synced = share((SCANDOCK, STORESCU, case), (SYNCED_STORESCP, STORESCU, case))
            yield Goal(f"associations: {case}; storescu, of storescp that syncs files", None, None, of_synced)
            of_itself = share((SYNCED_STORESCP, STORESCU, case), (STORESCP, STORESCU, case))
            yield Goal(f"associations: {case}; storescp that syncs files, of storescp", None, None, of_itself)
    if ORTHANC:
        of_orthanc = share((SCANDOCK, STORESCU, EIGHT), (OUR_ORTHANC, STORESCU, EIGHT))
        yield Goal("8 associations, storescu, of Orthanc", 2, None, of_orthanc)
    yield Goal("default storescu, of one with TCP_NODELAY", 0.8, None, share((SCANDOCK, DELAYED, ONE), one))
    for case in CASES:
        cpu = statistics.median(figures[SCANDOCK, STORESCU, case].cpu)
        yield Goal(f"CPU of the receiver an object, associations: {case}", None, 0.6, cpu, "ms")


# -- memory ----------------------------------------------------------------------------------------------------------


def measure_memory(folder: Path, megabytes: int) -> list[Goal]:
    """Of the receiver process: idle, and the peak while large objects come."""
    files = []
    for number in range(ASSOCIATIONS):
        at = folder / "large" / str(number)
        at.mkdir(parents=True)
        make_large(at / "large.dcm", 90_000 + number, megabytes * MB)
        files.append(at)
    port = servers.free_port()
    with servers.scandock(folder / "large-data", "--dicom-port", str(port), **QUIET) as (_, server):
        pid = receiver_process(server)
        time.sleep(5)  # until what a start needs has been given back
        idle, idle_resident = pss(pid), resident(pid)
        print(f"processes of the server, idle, PSS: {_by_process(server)}")
        peak, peak_resident, ended = 0, 0, threading.Event()

        def sample() -> None:
            nonlocal peak, peak_resident
            while not ended.wait(INTERVAL):
                peak, peak_resident = max(peak, pss(pid)), max(peak_resident, resident(pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        receiver = Receiver(SCANDOCK, {ASSOCIATIONS: port}, {ASSOCIATIONS: pid})
        try:
            seconds = send_by_storescu(receiver, Batch(0, files, []))
        finally:
            ended.set()
            sampler.join()
        print(f"8 objects of {megabytes} MB at once: {seconds:.1f} s, {8 * megabytes / seconds:.0f} MB/s")
        after = resident(pid)
    title = f"memory of the receiver process, 8 objects of {megabytes} MB at once"
    return [
        Goal("memory of the receiver process, idle (RSS)", None, 40, idle_resident / MB, "MB"),
        Goal("memory of the receiver process, idle (PSS)", None, 40, idle / MB, "MB"),
        Goal(f"{title} (RSS)", None, 150, peak_resident / MB, "MB"),
        Goal(f"{title} (PSS)", None, 150, peak / MB, "MB"),
        Goal("memory of the receiver process, idle after them (RSS)", None, 40, after / MB, "MB"),
    ]


def _by_process(server: int) -> str:
    """PSS and RSS of each process of a server, for people."""
    sizes = {pid: (Path(f"/proc/{pid}/comm").read_text().strip(), pss(pid), resident(pid)) for pid in tree(server)}
    return ", ".join(f"{name} {mine / MB:.0f} MB (RSS {all_ / MB:.0f})" for name, mine, all_ in sizes.values())


def make_large(path: Path, study: int, size: int) -> None:
    """An object whose pixels, all zero, are a hole in the file."""
    series = Series(study=study, number=1, patient="BENCH", kind="MR", rows=2, columns=2, objects=1, object_bytes=2_000)
    _, raw = next(series.each())
    pixels = 2 * 2 * 2
    head = raw[: -pixels - 4] + struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)


# -- DICOMweb --------------------------------------------------------------------------------------------------------


def web_goals(searches: dict[str, dict[str, float]]) -> list[Goal]:
    """The goals of DICOMweb; `searches`: milliseconds by database and key."""
    reading = dicomweb.measure_reading(20)
    slowest = {database: max(of_keys, key=lambda key: of_keys[key]) for database, of_keys in searches.items()}
    return [
        *(
            Goal(
                f"QIDO page of 50 among 10,000 studies, {listings.DATABASES[database]}, slowest key ({key})",
                None,
                50,
                searches[database][key],
                "ms",
            )
            for database, key in slowest.items()
        ),
        Goal("metadata of 200 objects from a pack", None, 60, reading[dicomweb.METADATA], "ms"),
        Goal("a frame of 131 kB", None, 3, reading[dicomweb.FRAME], "ms"),
    ]


def key_table(searches: dict[str, dict[str, float]]) -> list[str]:
    """Milliseconds of each key of a search for studies."""
    heads = " | ".join(f"{listings.DATABASES[database]} (ms)" for database in searches)
    return [
        f"| 50 of 10,000 studies by | {heads} |",
        f"| --- |{' --- |' * len(searches)}",
        *(
            f"| {key} | {' | '.join(f'{of_keys[key]:.0f}' for of_keys in searches.values())} |"
            for key in listings.SEARCHES_OF_STUDIES
        ),
    ]


if __name__ == "__main__":
    main()
