"""`python -m tests.crash.run --rounds 200 [--seed N]`: kill imports at every named point and at random moments.

The named points come first, for every kind of import, then so many rounds at random moments, then crowds of imports,
then deletions of a project.
`--server-rounds 100` kills the server and its parts under load instead, `--power-cuts 40` cuts the power of its disk,
and plays the controls in which dropped syncs must be noticed (root alone may; what can't be played is said).
`--receiver-rounds 200` kills a server's DICOM receiver, its worker and the whole beneath senders, ten times a server;
then as often what takes single objects by HTTP.
`--bucket-rounds 200` kills a server whose files are in a bucket, and one sweeper after the other beside it.
Each round is told by what plays it again: `--only append/switched/group/check`, `--only crowd/17`,
`--only deletion/left_one/again`, `--only server/web/halfway/17`, `--only power/xfs/random/17`, `--only receiver/17`,
`--only bucket/server/group/random/17`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from scandock.model.crash_points import POINTS
from tests.crash.bucket_rounds import bucket_rounds, open_site, run_bucket_round
from tests.crash.concurrent_imports import run_concurrent
from tests.crash.deletions import Deletion, all_deletions, run_deletions
from tests.crash.power_cuts import PowerCut, controls, power_cuts, run_cuts
from tests.crash.processes import Command
from tests.crash.receiver_rounds import GRADUAL_VICTIMS, receiver_kills, run_receiver_rounds
from tests.crash.rounds import Round, RoundArchives, assert_ended, run_rounds
from tests.crash.served import ServerProcess
from tests.crash.server_rounds import ServerRound, last_lines, run_server_rounds, server_rounds

NEXT = ("check", "bystander", "again")
REFUSED = ("began", "recorded", "read", "swept")
"""The points that an import passes which is refused."""
OTHER_ROUNDS = ("bucket/", "crowd/", "server/", "deletion/", "power/", "receiver/")
KILLS = 10
"""Of receivers, in the life of one DATA."""
EARLIEST = 0.1
"""Seconds after the start at which the first random kill may fall."""


def point_rounds(scenarios: list[str]) -> Iterator[Round]:
    """Every point of every kind of import; how it is killed, and what comes next, take turns."""
    for index, scenario in enumerate(scenarios):
        for number, point in enumerate(POINTS):
            if scenario == "refused" and point not in REFUSED:
                continue
            turn = index + number
            yield Round(scenario=scenario, at=point, whole=turn % 2 == 0, next=NEXT[turn % 3])


def random_rounds(ground: RoundArchives, rounds: int, chance: random.Random) -> Iterator[Round]:
    """So many rounds, spread over the time that each kind of import takes on this machine."""
    lasting = {name: _measure_seconds(ground, name) for name in ground.scenarios}
    for number in range(rounds):
        scenario = chance.choice(sorted(lasting))
        at = chance.uniform(EARLIEST, max(lasting[scenario], 2 * EARLIEST))
        yield Round(scenario=scenario, at=round(at, 3), whole=number % 2 == 0, next=chance.choice(NEXT))


def _measure_seconds(ground: RoundArchives, name: str) -> float:
    scenario = ground.scenarios[name]
    data = ground.fresh(scenario, "timed")
    started = time.monotonic()
    assert_ended(ground.run(scenario.step, data), scenario.ends)
    return time.monotonic() - started


def parse(word: str) -> Round:
    """A round from what it was told by."""
    scenario, at, whole, after = word.split("/")
    moment: str | float = float(at.removesuffix("s")) if at not in POINTS else at
    return Round(scenario=scenario, at=moment, whole=whole == "group", next=after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="rounds at random moments")
    parser.add_argument("--seed", type=int, default=None, help="seed of the archives and of the moments")
    parser.add_argument("--crowds", type=int, default=10, help="crowds of imports, some of them killed")
    parser.add_argument("--server-rounds", type=int, default=0, help="rounds of a server under load, and no others")
    parser.add_argument("--power-cuts", type=int, default=0, help="power cuts under a server, and no other rounds")
    parser.add_argument("--receiver-rounds", type=int, default=0, help="kills beneath DICOM senders, and no others")
    parser.add_argument("--bucket-rounds", type=int, default=0, help="rounds of a server with a bucket, and no others")
    parser.add_argument("--count", type=int, default=60, help="objects in a series")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at a time")
    parser.add_argument("--no-points", action="store_true", help="leave the named points out")
    parser.add_argument("--only", action="append", default=[], help="play this round (may be given again)")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    report = RoundReport()
    Command.fresh = ServerProcess.fresh = True  # as people start them
    with tempfile.TemporaryDirectory(prefix="scandock-crash-") as folder:
        served = _served(arguments, seed)
        run_server_rounds(Path(folder), served, jobs=arguments.jobs, on_round=report.of)
        cuts = _cuts(arguments, seed)
        for left_out in run_cuts(Path(folder), cuts, report.of):
            print(left_out, flush=True)
        receivers = _receivers(arguments, seed)
        for number in receivers:
            report.of(f"receiver/{number}", _receive(Path(folder, f"receiver{number}"), number))
        in_buckets = _in_buckets(arguments, seed)
        if in_buckets:
            with open_site() as site:
                play = partial(run_bucket_round, site)
                run_server_rounds(Path(folder), in_buckets, jobs=arguments.jobs, on_round=report.of, play=play)
        others = len(served) + len(cuts) + len(receivers) + len(in_buckets)
        if others and others >= len(arguments.only):
            return report.end(seed)
        ground = RoundArchives(Path(folder), seed, count=arguments.count)
        run_rounds(ground, list(_rounds(ground, arguments, seed)), jobs=arguments.jobs, on_round=report.of)
        for number in _crowds(arguments, seed):
            report.of(f"crowd/{number}", _crowd(Path(folder, f"crowd{number}"), number))
        run_deletions(Path(folder, "deletions"), _deletions(arguments), on_round=report.of)
    return report.end(seed)


class RoundReport:
    """What the rounds gave, told as they go."""

    def __init__(self) -> None:
        self.played = self.failed = 0
        self._lock = threading.Lock()

    def of(self, round_name: str, wrong: str) -> None:
        with self._lock:
            self.played += 1
            if wrong:
                self.failed += 1
                print(f"\nFAILED {round_name}\n{wrong}", flush=True)
            if self.played % 25 == 0:
                print(f"{self.played} rounds, {self.failed} failed", flush=True)

    def end(self, seed: int) -> int:
        """Tell the sum; the exit code."""
        print(f"{self.played} rounds, {self.failed} failed (seed {seed})")
        return 1 if self.failed else 0


def _served(arguments: argparse.Namespace, seed: int) -> list[ServerRound]:
    if arguments.only:
        return [ServerRound.parse(word) for word in arguments.only if word.startswith("server/")]
    return list(server_rounds(arguments.server_rounds, seed))


def _in_buckets(arguments: argparse.Namespace, seed: int) -> list[ServerRound]:
    if arguments.only:
        words = [word.removeprefix("bucket/") for word in arguments.only if word.startswith("bucket/")]
        return [ServerRound.parse(word) for word in words]
    return list(bucket_rounds(arguments.bucket_rounds, seed))


def _cuts(arguments: argparse.Namespace, seed: int) -> list[PowerCut]:
    if arguments.only:
        return [PowerCut.parse(word) for word in arguments.only if word.startswith("power/")]
    return [*controls(seed), *power_cuts(arguments.power_cuts, seed)] if arguments.power_cuts else []


def _receivers(arguments: argparse.Namespace, seed: int) -> list[int]:
    """Seeds of servers beneath each of which ten kills are played."""
    if arguments.only:
        return [int(word.removeprefix("receiver/")) for word in arguments.only if word.startswith("receiver/")]
    return [seed + number for number in range(-(-arguments.receiver_rounds // KILLS))]


def _receive(folder: Path, seed: int) -> str:
    try:
        wrong = "\n".join(run_receiver_rounds(folder / "dicom", list(receiver_kills(KILLS, seed)), seed))
        kills = list(receiver_kills(KILLS, seed, GRADUAL_VICTIMS))
        wrong += "\n".join(run_receiver_rounds(folder / "single", kills, seed, gradual=True))
    except Exception:  # noqa: BLE001  the others are played all the same
        wrong = traceback.format_exc()
    if wrong:
        wrong += last_lines(folder / "dicom" / "err") + last_lines(folder / "single" / "err")
    shutil.rmtree(folder, ignore_errors=True)
    return wrong


def _crowd(folder: Path, seed: int) -> str:
    try:
        run_concurrent(folder, seed)
    except Exception:  # noqa: BLE001  # the others are played all the same
        return traceback.format_exc()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ""


def _crowds(arguments: argparse.Namespace, seed: int) -> list[int]:
    if arguments.only:
        return [int(word.removeprefix("crowd/")) for word in arguments.only if word.startswith("crowd/")]
    return [seed + number for number in range(arguments.crowds)]


def _deletions(arguments: argparse.Namespace) -> list[Deletion]:
    if arguments.only:
        return [Deletion.parse(word) for word in arguments.only if word.startswith("deletion/")]
    return [] if arguments.no_points else list(all_deletions())


def _rounds(ground: RoundArchives, arguments: argparse.Namespace, seed: int) -> Iterator[Round]:
    if arguments.only:
        yield from map(
            parse,
            (word for word in arguments.only if not word.startswith(OTHER_ROUNDS)),
        )
        return
    if not arguments.no_points:
        yield from point_rounds(list(ground.scenarios))
    yield from random_rounds(ground, arguments.rounds, random.Random(seed))


if __name__ == "__main__":
    sys.exit(main())
