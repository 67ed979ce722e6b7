"""What is measured while the server is attacked: memory of its processes, and how long another client waits."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.memory import pss
from tests.attack.site import AttackedSite

SAMPLE_SECONDS = 0.2
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Memory:
    """PSS in bytes: of the web process, and of all the server's processes together."""

    web: int = 0
    all: int = 0

    def raise_to(self, other: Memory) -> None:
        self.web, self.all = max(self.web, other.web), max(self.all, other.all)


def memory_of(site: AttackedSite) -> Memory:
    web = site.web_pid()
    return Memory(pss(web) if web is not None else 0, sum(map(pss, site.processes())))


@contextmanager
def peak_memory(site: AttackedSite) -> Iterator[Memory]:
    """The most that the server has within the context."""
    peak, ended = memory_of(site), threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak.raise_to(memory_of(site))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peak
    finally:
        ended.set()
        sampler.join()


@dataclass
class Waits:
    """Seconds of each request that the other client made, and what went wrong of them."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float:
        return max(self.seconds, default=0.0)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else 0.0

    @property
    def high(self) -> float:
        """The 95th percentile."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else 0.0


@contextmanager
def other_client(site: AttackedSite, kinds: Sequence[str]) -> Iterator[Waits]:
    """Another client that asks all the while: a process of its own, which the attack's threads do not slow down."""
    waits = Waits()
    words = [sys.executable, "-m", "tests.attack.other_client", str(site.port), site.small, ",".join(kinds)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n", "the other client could not begin"
            yield waits
        finally:
            process.stdin.close()  # which it takes as the end, once it has been answered
            text = process.stdout.read()
    told = json.loads(text)
    waits.seconds, waits.failed = told["seconds"], told["failed"]
