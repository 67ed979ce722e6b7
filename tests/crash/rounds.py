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
from tests.crash.archives import Scenario, State, Step, merge_states, scenarios, unrelated_archive
from tests.crash.checker import check_trash, examine_data, read_trash
from tests.crash.processes import KILLED, Command, CommandResult, check, find_unsound, import_words

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


class RoundArchives:
    """Archives, and for each scenario a DATA to begin with, made once and copied for each round."""

    def __init__(self, folder: Path, seed: int = 1, *, count: int = 20, readers: int = 2) -> None:
        self.folder = folder
        self.readers = readers
        self.scenarios = scenarios(folder / "archives", seed, count=count)
        self.bystander, self.beside = unrelated_archive(folder / "archives", seed)
        self.seconds: dict[str, float] = {}

    def fresh(self, scenario: Scenario, name: str) -> Path:
        """A DATA in which the scenario's first imports stand."""
        base = self.folder / "begun" / scenario.name
        if scenario.base and not base.exists():
            for step in scenario.base:
                assert_placed(self.run(step, base))
            assert_holds(base, scenario.before)
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        if scenario.base:
            shutil.copytree(base, data)
        return data

    def run(self, step: Step, data: Path) -> CommandResult:
        """Import it to the end; where one reader is enough, it is a thread."""
        return self.command(step, data, threads=self.readers == 1).wait()

    def command(self, step: Step, data: Path, *, threads: bool = False, **changes: str) -> Command:
        """An import that has begun."""
        return Command(
            import_words(step, data), threads=threads, SCANDOCK_WORKERS=str(self.readers), **step.settings, **changes
        )


def assert_placed(done: CommandResult) -> None:
    assert_ended(done, ("placed", 0))


def assert_ended(done: CommandResult, ends: tuple[str, int]) -> None:
    assert done.code == ends[1], str(done)
    assert done.report["state"] == ends[0], str(done)


def assert_clean(done: CommandResult) -> None:
    assert done.code == 0, str(done)


def assert_holds(data: Path, *allowed: State) -> State:
    """DATA is sound and holds exactly one of these; gives which."""
    held, wrong = examine_data(data)
    assert not wrong, "\n".join(wrong)
    for state in allowed:
        if held == dict(state):
            return state
    raise AssertionError("\n".join(_describe_difference(held, state) for state in allowed))


def _describe_difference(held: State, state: State) -> str:
    differences = []
    for uid in sorted(held.keys() | state.keys()):
        mine, theirs = held.get(uid), state.get(uid)
        if mine is None or theirs is None or mine.place != theirs.place:
            differences.append(f"{uid}: {mine and mine.place} instead of {theirs and theirs.place}")
        elif mine.files != theirs.files:
            differences.append(
                f"{uid}: {len(mine.files - theirs.files)} too many, {len(theirs.files - mine.files)} missing"
            )
    return "; ".join(differences) or "nothing differs"


def run_round(ground: RoundArchives, round_: Round, name: str = "data") -> None:
    """Play a round; AssertionError says what was wrong."""
    scenario = ground.scenarios[round_.scenario]
    data = ground.fresh(scenario, name)
    died = _kill(ground, scenario.step, data, round_)
    extra = _run_next(ground, scenario, data, round_)
    allowed = [scenario.after] if round_.next == "again" else _allowed_states(scenario, round_, died)
    whole(data, [merge_states((state, extra)) for state in allowed], scenario)
    assert_ended(ground.run(scenario.step, data), scenario.ends)
    whole(data, [merge_states((scenario.after, extra))], scenario)
    assert not (problems := find_unsound(data)), problems


def run_rounds(
    ground: RoundArchives,
    rounds: Iterable[Round],
    *,
    jobs: int = 2,
    on_round: Callable[[str, str], object] = lambda *_: None,
) -> dict[str, str]:
    """Play rounds, `jobs` at a time, each on a DATA of its own; what was wrong, by the round that shows it.

    `on_round` is told of each round when it has been played, and what was wrong with it.
    """
    for scenario in ground.scenarios.values():
        ground.fresh(scenario, "begun-with")  # made before, not by several at once
    wrong: dict[str, str] = {}
    free = queue.SimpleQueue[str]()
    for number in range(jobs):
        free.put(f"data{number}")

    def one_round(round_: Round) -> None:
        name = free.get()
        try:
            run_round(ground, round_, name)
        except Exception:  # noqa: BLE001  # the other rounds are played all the same
            wrong[str(round_)] = traceback.format_exc()
        finally:
            free.put(name)
        on_round(str(round_), wrong.get(str(round_), ""))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one_round, rounds))
    return wrong


def _run_next(ground: RoundArchives, scenario: Scenario, data: Path, round_: Round) -> State:
    """The command that finds what the kill left; gives what it adds to DATA itself."""
    if round_.next == "again":
        assert_ended(ground.run(scenario.step, data), scenario.ends)
        return {}
    if round_.next == "check" and data.exists():  # `check` wants a DATA that is there
        assert_clean(check(data))
        if (data / "scandock.db").exists():
            return {}  # else it died before there was a catalog, and `check` makes none
    assert_placed(ground.run(ground.bystander, data))
    return ground.beside


def whole(data: Path, allowed: list[State], scenario: Scenario) -> None:
    """DATA is sound, holds one of these, and in the trash what was replaced, if it was."""
    state = assert_holds(data, *allowed)
    if not scenario.replaces:
        assert not check_trash(data, 0)
    elif all(state.get(uid) == held for uid, held in scenario.after.items()):
        assert not (wrong := check_trash(data, 1)), wrong
        assert scenario.trashed <= read_trash(data), "the trash lacks what was replaced"
    else:
        assert not (wrong := check_trash(data, 0)), wrong


def _kill(ground: RoundArchives, step: Step, data: Path, round_: Round) -> bool:
    """Import and kill; False where it had ended before."""
    if isinstance(round_.at, str):
        # the main process kills itself there; to have all killed at once, it stops itself first
        by = "SIGSTOP" if round_.whole else "SIGKILL"
        command = ground.command(step, data, SCANDOCK_CRASH_AT=round_.at, SCANDOCK_CRASH_BY=by)
        if round_.whole:
            command.stopped()
            command.signal(signal.SIGKILL)
    else:
        command = ground.command(step, data)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.process.wait(round_.at)
        command.signal(signal.SIGKILL, whole=round_.whole)
    done = command.wait()
    if isinstance(round_.at, str):
        assert done.code == KILLED, f"{round_.at} was not reached: {done}"
    return done.code == KILLED


def _allowed_states(scenario: Scenario, round_: Round, died: bool) -> list[State]:
    if not died:
        return [scenario.after]
    if isinstance(round_.at, float):
        return [scenario.before, scenario.after]
    return [scenario.after if POINTS.index(round_.at) >= ENDED else scenario.before]
