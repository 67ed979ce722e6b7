"""One round of a server: clients upload through every door while parts of it, or all, are killed; a judge looks after.

The judge goes by the clients' log and the files of DATA alone (`checker.py`): what was acknowledged stands there once.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scandock.model.crash_points import POINTS
from tests.crash.archives import Study
from tests.crash.checker import check_acknowledged, examine_data
from tests.crash.processes import check, process_name, until
from tests.crash.rounds import assert_clean
from tests.crash.served import ServerProcess
from tests.crash.uploaders import DOORS, Archive, Log, Uploader
from tests.ports import free_port

WITHIN = POINTS[POINTS.index("began") : POINTS.index("finished")]
"""The points that an attempt of the server passes."""
RECEIVING = ("receiving", "accepted")
"""The points that the web process passes with each upload."""
EACH = 3
"""Archives of one client, unless a round is to be short."""
LONGEST = 2.0
"""Seconds after the first upload's beginning within which random kills fall."""


@dataclass(frozen=True, kw_only=True)
class ServerRound:
    """`victim` is web, worker, forks (their server), attempt or group; `at` a point, `halfway` in an upload, `random`.

    At a named point a process kills itself, or (group) stops itself there until all are killed.
    """

    victim: str
    at: str
    seed: int

    def __str__(self) -> str:
        return f"server/{self.victim}/{self.at}/{self.seed}"

    @classmethod
    def parse(cls, word: str) -> ServerRound:
        """A round from what it was told by."""
        _, victim, at, seed = word.split("/")
        return cls(victim=victim, at=at, seed=int(seed))


def kinds() -> list[tuple[str, str]]:
    """Every victim at every moment that there is for it."""
    named = [("web", point) for point in RECEIVING] + [("attempt", point) for point in WITHIN]
    whole = [("group", point) for point in (*RECEIVING, *WITHIN)]
    return [
        *((victim, at) for at in ("halfway", "random") for victim in ("web", "worker", "forks", "group")),
        *named, *whole, ("attempt", "random"),
    ]  # fmt: skip


def server_rounds(count: int, seed: int) -> Iterator[ServerRound]:
    """So many rounds: every kind in turn, in an order of the seed, then at random moments."""
    every = random.Random(seed).sample(kinds(), len(kinds()))
    moments = [("web", "random"), ("worker", "random"), ("forks", "random"), ("group", "random"), ("group", "halfway")]
    for number in range(count):
        victim, at = every[number] if number < len(every) else moments[number % len(moments)]
        yield ServerRound(victim=victim, at=at, seed=seed + number)


class ServerTest:
    """A server, its clients, and what is done to it."""

    doors: tuple[str, ...] = DOORS

    def __init__(self, folder: Path, server_round: ServerRound, each: int = EACH) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.one = server_round
        self.each = each
        self.chance = random.Random(str(server_round))
        self.port = free_port()
        self.log = Log(folder / "promised.jsonl")
        self.once = folder / "once"
        self.begun = threading.Event()
        """Some upload is halfway."""
        self.go_on = threading.Event()
        """Lets uploads that are halfway go on, where the round holds them there."""
        if server_round.at != "halfway":
            self.go_on.set()
        self.server = self.start(**self._named())

    def _named(self) -> dict[str, str]:
        if self.one.at in ("halfway", "random"):
            return {}
        by = "SIGSTOP" if self.one.victim == "group" else "SIGKILL"
        return {"SCANDOCK_CRASH_AT": self.one.at, "SCANDOCK_CRASH_BY": by, "SCANDOCK_CRASH_ONCE": str(self.once)}

    def start(self, **changes: str) -> ServerProcess:
        return ServerProcess(self.folder, self.port, "--workers", "2", SCANDOCK_WORKERS="1", **changes)

    def archives(self) -> dict[str, list[Archive]]:
        """What each client sends, small and large."""
        archives: dict[str, list[Archive]] = {}
        for client, door in enumerate(self.doors):
            archives[door] = []
            for n in range(self.each):
                number = client * self.each + n + 1
                side, count = self.chance.choice([(8, 2), (64, 8), (256, 12)])
                study = Study(self.one.seed, number, series=1, count=count, side=side)
                archives[door].append(Archive(f"{door}-{number}", study, note=door != "xnat"))
        return archives

    def halfway(self) -> None:
        self.begun.set()
        self.go_on.wait(30)

    def strike(self) -> None:
        """Kill what the round names, once or twice, and start again what does not start itself."""
        if self.one.at not in ("halfway", "random"):
            until(self.once.exists, f"{self.one.at} was not reached")
            if self.one.victim == "group":
                self._kill()
            return
        assert self.begun.wait(30), "no upload got halfway"
        for _ in range(1 if self.one.at == "halfway" else 2):
            if self.one.at == "random":
                time.sleep(self.chance.uniform(0, LONGEST))
            self._kill()
        self.go_on.set()

    def _kill(self) -> None:
        if self.one.victim == "group":
            self.server.kill()
            self.server.wait()
            self.server = self.start()
            return
        name = "fork server" if self.one.victim == "forks" else self.one.victim
        pid = self.server.child(name)
        if pid is not None and process_name(pid) == name:  # none: it is being started again
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_until_clear(self) -> None:
        """Wait until the server has cleared up what imports leave behind whose end was cut short."""
        wait_until_clear(self.server)

    def judge(self) -> None:
        judge(self.server.data, self.log)
        assert_clean(check(self.server.data))

    def close(self) -> None:
        self.go_on.set()
        if self.server.process.poll() is None:
            self.server.kill()
        self.server.wait()


def run_server_round(folder: Path, server_round: ServerRound, each: int = EACH) -> None:
    """Play a round; AssertionError says what was wrong."""
    run_server_test(ServerTest(folder, server_round, each))


def run_server_test(stage: ServerTest) -> None:
    """Have the clients of a stage upload, strike, and judge what came of it; AssertionError says what was wrong."""
    try:
        stage.server.ready().project()
        clients = {door: Uploader(stage.port, door, stage.log, stage.halfway) for door in stage.doors}
        with ThreadPoolExecutor(len(clients)) as pool:
            running = [pool.submit(clients[door].run, mine) for door, mine in stage.archives().items()]
            try:
                stage.strike()
            except BaseException:
                for uploader in clients.values():
                    uploader.patience = 0  # the server does not come back
                raise
            finally:
                stage.go_on.set()
            for client in running:
                client.result()
        wrong = [line for uploader in clients.values() for line in uploader.failed]
        stage.server.ready()
        for upload in stage.log.uploads():
            try:
                stage.server.placed(upload)
            except AssertionError as error:
                wrong.append(str(error))
        assert not wrong, "\n".join(wrong)
        stage.wait_until_clear()
        stage.server.end()
        stage.judge()
    finally:
        stage.close()


def wait_until_clear(server: ServerProcess) -> None:
    """Wait until what imports leave behind is cleared up."""

    def empty() -> bool:
        return not any(os.listdir(server.data / folder) for folder in ("work", "incoming"))

    until(empty, f"left: {[(f, os.listdir(server.data / f)) for f in ('work', 'incoming')]}")


def judge(data: Path, log: Log) -> None:
    """What was promised stands there once, nothing else does, and the catalog says the same."""
    _, wrong = examine_data(data)
    wrong += check_acknowledged(data, log.path)
    assert not wrong, "\n".join(wrong)


def run_server_rounds(
    folder: Path,
    rounds: Iterable[ServerRound],
    *,
    jobs: int = 2,
    each: int = EACH,
    on_round: Callable[[str, str], object] = lambda *_: None,
    play: Callable[[Path, ServerRound, int], None] = run_server_round,
) -> dict[str, str]:
    """Play rounds, `jobs` at a time, of `each` archives a client; what was wrong, by the round that shows it."""
    wrong: dict[str, str] = {}

    def one_round(server_round: ServerRound) -> None:
        place = folder / str(server_round).replace("/", "-")
        try:
            play(place, server_round, each)
        except Exception:  # noqa: BLE001  # the other rounds are played all the same
            wrong[str(server_round)] = traceback.format_exc() + last_lines(place / "err")
        finally:
            shutil.rmtree(place, ignore_errors=True)
        on_round(str(server_round), wrong.get(str(server_round), ""))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one_round, rounds))
    return wrong


def last_lines(path: Path) -> str:
    """The last lines of a log; empty where there is none."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-40:]) if path.exists() else ""
