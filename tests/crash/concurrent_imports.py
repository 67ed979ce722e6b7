"""A crowd: imports of every kind at once on one DATA, some of them killed or cancelled, with `check` in between."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.crash.archives import WAITING, State, Step, Study, write_tar, write_zip, zip_bytes
from tests.crash.checker import examine_data
from tests.crash.processes import Command, check, import_words, run
from tests.crash.rounds import assert_clean, assert_holds, assert_placed

_ENDS = (None, None, signal.SIGKILL, signal.SIGKILL, signal.SIGINT)
"""What an import of a crowd gets: mostly nothing, or it is killed, or cancelled."""


class ConcurrentImports:
    """Archives that overlap in what they hold, and what DATA holds once all of them are in, in any order."""

    def __init__(self, folder: Path, seed: int, *, count: int = 12) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        studies = [Study(seed, n, count=count, patient="SAME" if n < 2 else "") for n in range(5)]
        parts = [studies[2].part(n / 3, (n + 1) / 3) for n in range(3)]
        waiting = Study(seed, 9, series=1, count=count)
        inner = {f"S{n}.zip": zip_bytes(studies[n].entries(f"S{n}")) for n in (0, 3)}
        self.steps = [
            Step(write_zip(folder / "zero.zip", studies[0].entries("S0"))),
            Step(write_tar(folder / "one.tar.gz", studies[1].entries("B"))),
            *(Step(write_zip(folder / f"part{n}.zip", part.entries("C", note=n == 0))) for n, part in enumerate(parts)),
            Step(write_zip(folder / "bundle.zip", inner)),
            Step(write_zip(folder / "four.zip", studies[4].entries("E"))),
            Step(write_zip(folder / "waiting.zip", waiting.entries("W")), ("--destination", "prearchive")),
        ]
        self.after: State = {study.uid: study.held() for study in studies} | {
            waiting.uid + WAITING: waiting.held("prearchive")
        }


def run_concurrent(folder: Path, seed: int) -> None:
    """One crowd, and then all of its archives in a row; AssertionError says what was wrong."""
    chance = random.Random(f"crowd {seed}")
    crowd = ConcurrentImports(folder / "archives", seed)
    data = folder / "data"
    running: list[Command] = []
    for step in chance.sample(crowd.steps, len(crowd.steps)):
        command = Command(import_words(step, data), SCANDOCK_WORKERS="1")
        running.append(command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.process.wait(chance.uniform(0, 0.4))
        if (data / "scandock.db").exists() and chance.random() < 0.3:
            assert_clean(check(data))
        _end_one(running, chance)
    for command in running:
        done = command.wait()
        assert done.code in (0, 130, -signal.SIGKILL, -signal.SIGINT), str(done)
    if (data / "scandock.db").exists():
        assert_clean(check(data))
        held, wrong = examine_data(data)
        assert not wrong, "\n".join(wrong)
        assert held.keys() <= crowd.after.keys()
        assert all(files.files <= crowd.after[key].files for key, files in held.items())
    for step in chance.sample(crowd.steps, len(crowd.steps)):
        assert_placed(run(import_words(step, data), threads=True))
    assert_holds(data, crowd.after)
    assert_clean(check(data))


def _end_one(running: list[Command], chance: random.Random) -> None:
    by = chance.choice(_ENDS)
    if by is not None:
        time.sleep(chance.uniform(0, 0.3))
        chance.choice(running).signal(by, whole=chance.random() < 0.5 or by == signal.SIGINT)
