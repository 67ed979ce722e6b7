"""Uploaders of mixed sizes against a real server, each waiting for its import before the next; what was measured."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.memory import anonymous, pss
from tests.crash.archives import Study
from tests.crash.processes import members, process_name
from tests.crash.served import FreshServerProcess, ServerProcess, basic_header
from tests.crash.server_rounds import wait_until_clear
from tests.crash.uploaders import DOORS, Archive, Log, Uploader
from tests.ports import free_port

SIZES = {"small": (64, 4), "medium": (256, 12), "large": (512, 40)}
"""By class: side of an object's pixels, and objects: 35 KB, 1.6 MB, 21 MB."""
MIX = ("small",) * 7 + ("medium",) * 2 + ("large",)
USERS = 5
SAMPLE_SECONDS = 0.5
SPAN = 500
"""Imports after which memory is told, where a run is as long as so many imports."""
OTHERS = 5
"""One of so many is followed by something that becomes no session, or by the same one again."""


@dataclass(frozen=True)
class Taken:
    """One upload: its class, bytes, and seconds to its acknowledgement and from there to its outcome."""

    size: str
    bytes: int
    acknowledged: float
    imported: float


@dataclass
class Measured:
    """What a run gave."""

    taken: list[Taken] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=lambda: {"web": [], "worker": []})
    """PSS in bytes, sample by sample."""
    spans: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    """Imports that had ended, and what each process had allocated then, in bytes."""


class Crowd:
    """`count` uploaders for so many seconds, in `folder`; or until so many imports have ended."""

    def __init__(
        self, folder: Path, count: int, seconds: float, seed: int, imports: int = 0, *, forked: bool = False
    ) -> None:
        """With `forked`, the server is one for tests: what it costs to start, and its passwords, is not asked."""
        self.folder = folder
        self.forked = forked
        self.count = count
        self.seconds = seconds
        self.seed = seed
        self.imports = imports
        self.log = Log(folder / "promised.jsonl")
        self.measured = Measured()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def run(self) -> ServerProcess:
        """Serve, upload, and stop once every import has ended; the server, which has ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        server = (ServerProcess if self.forked else FreshServerProcess)(self.folder, free_port())
        over = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(server, over))
        try:
            users = self._prepare(server.ready())
            sampler.start()
            end = time.monotonic() + self.seconds
            with ThreadPoolExecutor(self.count) as pool:
                for number in range(self.count):
                    pool.submit(self._upload, server, users[number % len(users)], number, end)
            over.set()
            sampler.join()
            wait_until_clear(server)
            server.end()
        finally:
            over.set()
            if server.process.poll() is None:
                server.kill()
                server.wait()
        return server

    def _prepare(self, server: ServerProcess) -> list[dict[str, str]]:
        """A project and its members; what each sends to log in."""
        server.project()
        users = []
        for number in range(min(USERS, self.count)):
            name, password = f"user{number}", f"password {number}"
            account = json.dumps({"name": name, "password": password}).encode()
            assert server.ask("POST", "/api/v1/accounts", account)[0] == 201
            assert server.ask("PUT", f"/api/v1/projects/P/members/{name}", b'{"role": "member"}')[0] < 300
            users.append(basic_header(name, password))
        return users

    def _upload(self, server: ServerProcess, login: dict[str, str], number: int, end: float) -> None:
        client = Uploader(server.port, DOORS[number % len(DOORS)], self.log, login=login)
        try:
            for size, archive in self._archives(number, end):
                begun = time.monotonic()
                upload = client.send(archive)
                acknowledged = time.monotonic() - begun
                told = client.outcome(upload)
                if told["state"] != "placed":
                    self.measured.failed.append(f"{upload}: {told['state']} {told['code']}")
                imported = (told["finished"] - told["accepted"]) / 1000
                self._took(server, Taken(size, len(archive.body), acknowledged, imported))
                if self.imports:
                    self._other(server, archive)
        except Exception as error:  # noqa: BLE001  told with the others
            self.measured.failed.append(f"uploader {number}: {error!r}")

    def _took(self, server: ServerProcess, taken: Taken) -> None:
        with self._lock:
            self.measured.taken.append(taken)
            ended = len(self.measured.taken)
            if self.imports and ended % SPAN == 0:
                self.measured.spans.append((ended, self._allocated(server)))
                told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.measured.spans[-1][1].items())
                print(f"{ended} imports: {told}", flush=True)

    def _other(self, server: ServerProcess, archive: Archive) -> None:
        """What people send and do besides: no archives, the same one again, cancels, lists, metrics, downloads."""
        ended = len(self.measured.taken)
        kind = ended % (7 * OTHERS)
        if kind % OTHERS:
            return
        for path in (
            "/metrics",
            "/api/v1/sessions?project=P&sort=-modified",
            "/data/projects/P/experiments?format=json",
        ):
            server.ask("GET", path)
        body = archive.body if kind % 2 else b"<html>404</html>"
        status, made = server.ask("POST", f"/api/v1/imports?project=P&overwrite=delete&filename=b{ended}.zip", body)
        assert status == 202, made
        if kind % 3 == 0:
            server.ask("POST", f"/api/v1/imports/{made['id']}/cancel")
        Uploader(server.port, "raw", self.log).outcome(made["id"])

    def _allocated(self, server: ServerProcess) -> dict[str, int]:
        return {
            name: sum(anonymous(pid) for pid in members(server.group) if process_name(pid) == name)
            for name in self.measured.memory
        }

    def _more(self, end: float) -> bool:
        """Whether another upload is to begin."""
        return len(self.measured.taken) < self.imports if self.imports else time.monotonic() < end

    def _archives(self, number: int, end: float) -> Iterator[tuple[str, Archive]]:
        chance = random.Random(self.seed * 1000 + number)
        while self._more(end):
            size = "small" if self.imports else chance.choice(MIX)
            side, count = SIZES[size]
            with self._lock:
                study = next(self._numbers)
            made = Study(self.seed, study, series=1, count=count, side=side)
            yield size, Archive(f"u{number}-{study}", made, zipfile.ZIP_STORED)

    def _sample(self, server: ServerProcess, over: threading.Event) -> None:
        while not over.wait(SAMPLE_SECONDS):
            for name in ("web", "worker"):
                found = [pss(pid) for pid in members(server.group) if process_name(pid) == name]
                if found:
                    self.measured.memory[name].append(sum(found))
