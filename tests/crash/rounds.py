"""One round: an import is killed, another command runs, the import is done again; a judge looks after each."""

from __future__ import annotations

import contextlib
import queue
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scandock.model.crash_points import POINTS
from tests.crash.archives import Scenario, State, Step, bystander, scenarios, together
from tests.crash.checker import examine, trash_wrong, trashed
from tests.crash.processes import KILLED, Command, Done, check, import_words, unsound

ENDED = POINTS.index("intent")
"""From this point on an import rolls forward."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """`at` is a named point, or seconds after the start; `whole` kills the group, else the main process alone."""

    scenario: str
    at: str | float
    whole: bool
    next: str = "check"
    """The command that finds the dead import: check, bystander (another import) or again (the same)."""

    def __str__(self) -> str:
        at = self.at if isinstance(self.at, str) else f"{self.at:.3f}s"
        return f"{self.scenario}/{at}/{'group' if self.whole else 'main'}/{self.next}"


class Ground:
    """Archives, and for each scenario a DATA to begin with, made once and copied for each round."""

    def __init__(self, folder: Path, seed: int = 1, *, count: int = 20, readers: int = 2) -> None:
        self.folder = folder
        self.readers = readers
        self.scenarios = scenarios(folder / "archives", seed, count=count)
        self.bystander, self.beside = bystander(folder / "archives", seed)
        self.seconds: dict[str, float] = {}

    def fresh(self, scenario: Scenario, name: str) -> Path:
        """A DATA in which the scenario's first imports stand."""
        made = self.folder / "begun" / scenario.name
        if scenario.base and not made.exists():
            for step in scenario.base:
                placed(self.run(step, made))
            agree(made, scenario.before)
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        if scenario.base:
            shutil.copytree(made, data)
        return data

    def run(self, step: Step, data: Path) -> Done:
        """Import it to the end; where one reader is enough, it is a thread."""
        return self.command(step, data, threads=self.readers == 1).wait()

    def command(self, step: Step, data: Path, *, threads: bool = False, **changes: str) -> Command:
        """An import that has begun."""
        return Command(import_words(step, data), threads=threads, SCANDOCK_WORKERS=str(self.readers), **changes)


def placed(done: Done) -> None:
    ended(done, ("placed", 0))


def ended(done: Done, ends: tuple[str, int]) -> None:
    assert done.code == ends[1], str(done)
    assert done.report["state"] == ends[0], str(done)


def clean(done: Done) -> None:
    assert done.code == 0, str(done)


def agree(data: Path, *allowed: State) -> State:
    """DATA is sound and holds exactly one of these; gives which."""
    held, wrong = examine(data)
    assert not wrong, "\n".join(wrong)
    for state in allowed:
        if held == dict(state):
            return state
    raise AssertionError("\n".join(_differs(held, state) for state in allowed))


def _differs(held: State, state: State) -> str:
    said = []
    for uid in sorted(held.keys() | state.keys()):
        mine, theirs = held.get(uid), state.get(uid)
        if mine is None or theirs is None or mine.place != theirs.place:
            said.append(f"{uid}: {mine and mine.place} instead of {theirs and theirs.place}")
        elif mine.files != theirs.files:
            said.append(f"{uid}: {len(mine.files - theirs.files)} too many, {len(theirs.files - mine.files)} missing")
    return "; ".join(said) or "nothing differs"


def play(ground: Ground, one: Round, name: str = "data") -> None:
    """Play a round; AssertionError says what was wrong."""
    scenario = ground.scenarios[one.scenario]
    data = ground.fresh(scenario, name)
    died = _kill(ground, scenario.step, data, one)
    extra = _next(ground, scenario, data, one)
    allowed = [scenario.after] if one.next == "again" else _allowed(scenario, one, died)
    whole(data, [together((state, extra)) for state in allowed], scenario)
    ended(ground.run(scenario.step, data), scenario.ends)
    whole(data, [together((scenario.after, extra))], scenario)
    assert not (found := unsound(data)), found


def play_all(
    ground: Ground, rounds: Iterable[Round], *, jobs: int = 2, heard: Callable[[str, str], object] = lambda *_: None
) -> dict[str, str]:
    """Play rounds, `jobs` at a time, each on a DATA of its own; what was wrong, by the round that shows it.

    `heard` is told of each round when it has been played, and what was wrong with it.
    """
    for scenario in ground.scenarios.values():
        ground.fresh(scenario, "begun-with")  # made before, not by several at once
    wrong: dict[str, str] = {}
    free = queue.SimpleQueue[str]()
    for number in range(jobs):
        free.put(f"data{number}")

    def one_round(one: Round) -> None:
        name = free.get()
        try:
            play(ground, one, name)
        except Exception:  # noqa: BLE001  # the other rounds are played all the same
            wrong[str(one)] = traceback.format_exc()
        finally:
            free.put(name)
        heard(str(one), wrong.get(str(one), ""))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one_round, rounds))
    return wrong


def _next(ground: Ground, scenario: Scenario, data: Path, one: Round) -> State:
    """The command that finds what the kill left; gives what it adds to DATA itself."""
    if one.next == "again":
        ended(ground.run(scenario.step, data), scenario.ends)
    elif one.next == "check" and data.exists():
        clean(check(data))
    else:  # `check` wants a DATA that is there
        placed(ground.run(ground.bystander, data))
        return ground.beside
    return {}


def whole(data: Path, allowed: list[State], scenario: Scenario) -> None:
    """DATA is sound, holds one of these, and in the trash what was replaced, if it was."""
    state = agree(data, *allowed)
    if not scenario.replaces:
        assert not trash_wrong(data, 0)
    elif all(state.get(uid) == held for uid, held in scenario.after.items()):
        assert not (wrong := trash_wrong(data, 1)), wrong
        assert scenario.trashed <= trashed(data), "the trash lacks what was replaced"
    else:
        assert not (wrong := trash_wrong(data, 0)), wrong


def _kill(ground: Ground, step: Step, data: Path, one: Round) -> bool:
    """Import and kill; False where it had ended before."""
    if isinstance(one.at, str):
        # the main process kills itself there; to have all killed at once, it stops itself first
        by = "SIGSTOP" if one.whole else "SIGKILL"
        command = ground.command(step, data, SCANDOCK_CRASH_AT=one.at, SCANDOCK_CRASH_BY=by)
        if one.whole:
            command.stopped()
            command.signal(signal.SIGKILL)
    else:
        command = ground.command(step, data)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.process.wait(one.at)
        command.signal(signal.SIGKILL, whole=one.whole)
    done = command.wait()
    if isinstance(one.at, str):
        assert done.code == KILLED, f"{one.at} was not reached: {done}"
    return done.code == KILLED


def _allowed(scenario: Scenario, one: Round, died: bool) -> list[State]:
    if not died:
        return [scenario.after]
    if isinstance(one.at, float):
        return [scenario.before, scenario.after]
    return [scenario.after if POINTS.index(one.at) >= ENDED else scenario.before]
