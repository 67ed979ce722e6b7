"""Kills of a server, or of what takes objects, its worker and the whole of it, while four senders send studies.

Objects come by a DICOM receiver: two senders are DCMTK's storescu, two send over an asynchronous window. Or they come
one a request (two by XNAT's gradual-DICOM, two by STOW-RS). Each sends again what was not acknowledged, as archives do.
The judge goes by what was acknowledged and by the files of DATA: each object stands in exactly one session, with the
bytes that were sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import re
import signal
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scandock.services.cleaning.cleaner import TURN_SECONDS
from tests.crash.archives import Study
from tests.crash.processes import check, process_name, until
from tests.crash.rounds import assert_clean
from tests.crash.served import LOGIN, ServerProcess
from tests.dicom_sender import DicomSender, RejectedError
from tests.ports import free_port

NAMED = ("receiving", "object_appended", "object_synced", "study_closing", "study_finished", "accepted")
"""The points that the receiver process passes, and the worker where it keeps the catalog for it; the web process, which
takes single objects, passes the same. Objects that are acknowledged and not yet an import's: `study_closing`.
"""
VICTIMS = ("receiver", "worker", "group")
GRADUAL_VICTIMS = ("web", "worker", "group")
LONGEST = 1.0
"""Seconds after the strike before within which random kills fall."""
PATIENCE = 60.0
RETRY_SECONDS = 0.25
"""Between two tries of a sender: each of storescu's reads DCMTK's dictionary, which takes from the server's start."""
UNASSIGNED = b"/data/prearchive/projects/Unassigned/"
_SENT = re.compile(r"^I: Sending file: (.*)$|^I: Received Store Response \((Success)\)", re.MULTILINE)


def receiver_kills(count: int, seed: int, victims: Sequence[str] = VICTIMS) -> Iterator[str]:
    """So many: the named points in turn, each in a server of its own, and victims at random moments between them."""
    chance = random.Random(seed)
    points = list(NAMED)
    for number in range(count):
        if number % 2 == 0:
            yield points[(number // 2) % len(points)]
        else:
            yield chance.choice(victims)


def data_of(raw: bytes) -> bytes:
    """The data set of an object's file, behind its meta information."""
    assert raw[128:132] == b"DICM"
    (length,) = struct.unpack_from("<I", raw, 140)
    return raw[144 + length :]


@dataclass
class Promises:
    """What senders were told is kept: the digest of each data set."""

    acknowledged: Counter[bytes] = field(default_factory=Counter)
    names: dict[bytes, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, raw: bytes) -> None:
        digest = hashlib.sha256(data_of(raw)).digest()
        with self.lock:
            self.acknowledged[digest] += 1
            self.names[digest] = name


class Sender:
    """Sends study after study until it is told to stop; what it began it sends to the end."""

    def __init__(self, port: int, number: int, seed: int, promises: Promises, folder: Path, pause: float) -> None:
        """It waits for `pause` seconds between its studies."""
        self._port = port
        self._pause = pause
        self._number = number
        self._seed = seed
        self._promises = promises
        self._folder = folder / f"sender{number}"
        self._folder.mkdir()
        self._chance = random.Random(f"{seed}/{number}")
        self.stop = threading.Event()
        self.failed = ""
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name=f"sender {number}")
        self._thread.start()

    def join(self) -> None:
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "a sender never ended"

    def _run(self) -> None:
        try:
            study = 0
            while not self.stop.is_set():
                # halves of the studies of neighbors are the same, so that two send one study at once
                shared = self._number // 2 * 1_000 + study + 1
                objects = Study(self._seed, shared, series=1, count=8, side=self._chance.choice([8, 64, 128])).objects
                half = list(objects.items())[self._number % 2 :: 2]
                self._send({f"{shared}/{name}": raw for name, raw in half})
                study += 1
                self.stop.wait(self._pause)
        except BaseException as error:  # noqa: BLE001  told by the round
            self.failed = f"sender {self._number}: {error!r}"

    def _send(self, waiting: dict[str, bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} objects were never acknowledged"
            for name in self._store(waiting):
                self._promises.add(name, waiting.pop(name))
                self.sent += 1
            if waiting:
                time.sleep(RETRY_SECONDS)  # the server is away, or comes back

    def _store(self, objects: dict[str, bytes]) -> list[str]:
        """Names of the objects that were acknowledged."""
        return self._store_by_tool(objects) if self._number % 2 else self._store_by_window(objects)

    def _store_by_window(self, objects: dict[str, bytes]) -> list[str]:
        """Names of the objects that were acknowledged."""
        kept: list[str] = []
        with contextlib.suppress(OSError, RejectedError):
            sender = DicomSender(self._port, calling=f"WINDOW{self._number}", window=0)
            try:
                for raw in objects.values():
                    sender.begin(raw)
                kept.extend(name for name in objects if sender.answer() == 0)
                sender.release()
            finally:
                sender.close()
        return kept

    def _store_by_tool(self, objects: dict[str, bytes]) -> list[str]:
        paths = {}
        for number, (name, raw) in enumerate(objects.items()):
            path = self._folder / f"{number}.dcm"
            path.write_bytes(raw)
            paths[str(path)] = name
        words = ["storescu", "-v", "-to", "10", "-aet", f"STORESCU{self._number}", "-aec", "SCANDOCK"]
        done = subprocess.run(
            [*words, "127.0.0.1", str(self._port), *paths], capture_output=True, text=True, check=False
        )
        kept, current = [], ""
        for line in _SENT.finditer(done.stdout + done.stderr):
            if line[1]:
                current = line[1]
            elif current in paths:
                kept.append(paths[current])
        return kept


class GradualSender(Sender):
    """One that sends object by object to XNAT's import service, or by STOW-RS, at the port of HTTP."""

    def _store(self, objects: dict[str, bytes]) -> list[str]:
        kept: list[str] = []
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            for name, raw in objects.items():
                headers = {**LOGIN, "Content-Type": "application/dicom"}
                stores = bool(self._number % 2)  # the other sender of its studies does not
                connection.request("POST", "/dicomweb/studies" if stores else "/data/services/import", raw, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (200, *([202] if stores else [])):  # an import that goes on is kept, too
                    break
                start = b'{"00081199"' if answer.status == 202 else b'{"00081190"' if stores else UNASSIGNED
                assert text.startswith(start), text
                kept.append(name)
        return kept


def run_receiver_rounds(
    folder: Path, kills: Sequence[str], seed: int, *, gradual: bool = False, pause: float = 0.1
) -> list[str]:
    """Play kills one after the other beneath the same senders; what was wrong.

    `gradual`: these send by HTTP. `pause`: seconds between two studies of a sender, each of which is an import.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    port, dicom = free_port(), free_port()
    promises = Promises()

    def start(point: str = "") -> ServerProcess:
        once = folder / f"once-{len(list(folder.glob('once-*')))}-{point}"
        named = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_ONCE": str(once)} if point else {}
        return ServerProcess(
            folder, port, "--dicom-port", str(dicom), "--workers", "2",
            SCANDOCK_WORKERS="1", SCANDOCK_DICOM_IDLE_SECONDS="0.5", SCANDOCK_GRADUAL_SECONDS="0.5", **named,
        )  # fmt: skip

    server = start()
    senders: list[Sender] = []
    try:
        server.ready()
        if gradual:
            senders = [GradualSender(port, number, seed, promises, folder, pause) for number in range(4)]
        else:
            senders = [Sender(dicom, number, seed, promises, folder, pause) for number in range(4)]
        for kill in kills:
            time.sleep(chance.uniform(0.05, LONGEST))
            if kill in NAMED:
                server.kill()
                server.wait()
                before = len(list(folder.glob("once-*")))
                server = start(kill)
                until(lambda: len(list(folder.glob("once-*"))) > before, f"{kill} was not reached")  # noqa: B023
            elif kill == "group":
                server.kill()
                server.wait()
                server = start()
            else:
                pid = server.child(kill)
                if pid is not None and process_name(pid) == kill:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        for sender in senders:
            sender.stop.set()
        for sender in senders:
            sender.join()
        wrong = [sender.failed for sender in senders if sender.failed]
        server.ready()
        # what a killed worker left of a spool goes at the next turn of the web process
        until(lambda: _has_ended(server), "an import never ended", TURN_SECONDS + PATIENCE)
        server.end()
        wrong += judge(server.data, promises)
        assert_clean(check(server.data))
        assert all(sender.sent for sender in senders)
        return wrong
    finally:
        for sender in senders:
            sender.stop.set()
        if server.process.poll() is None:
            server.kill()
        server.wait()


def _has_ended(server: ServerProcess) -> bool:
    """Whether all that was received is imported and cleared up."""
    status, answer = server.ask("GET", "/api/v1/imports?state=receiving,received,running&limit=1")
    assert status == 200, answer
    return not answer["items"] and not any(os.listdir(server.data / name) for name in ("work", "incoming"))


def judge(data: Path, promises: Promises) -> list[str]:
    """What of the promises does not stand in exactly one session."""
    standing: Counter[bytes] = Counter()
    for folder in ("archive", "prearchive"):
        for path in (data / folder).rglob("*"):
            if path.is_file():
                standing[hashlib.sha256(data_of(path.read_bytes())).digest()] += 1
    return [
        f"{promises.names[digest]} was acknowledged and stands in {standing[digest]} sessions"
        for digest in promises.acknowledged
        if standing[digest] != 1
    ]
