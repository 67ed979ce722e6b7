"""A short share of the crash suite: every named point once, and some random moments. All of it: `make crash`."""

from __future__ import annotations

import random

import pytest

from scandock.model.crash_points import POINTS
from tests.crash.case_share import choose_cases
from tests.crash.checker import check_trash
from tests.crash.processes import KILLED, check
from tests.crash.rounds import ENDED, RoundArchives, assert_clean, assert_holds, run_rounds
from tests.crash.run import point_rounds, random_rounds

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SEED = 5
MOMENTS = choose_cases([6], [8])[0]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return RoundArchives(tmp_path_factory.mktemp("crash"), SEED, count=12, readers=1)


def test_a_kill_at_any_named_point(ground):
    every = list(point_rounds(sorted(set(ground.scenarios) - {"refused"})))
    kinds = len(every) // len(POINTS)
    choose_cases = [every[number % kinds * len(POINTS) + number] for number in range(len(POINTS))]
    assert [one.at for one in choose_cases] == list(POINTS)
    wrong = run_rounds(ground, choose_cases)
    assert not wrong, "\n".join(wrong.values())


def test_a_kill_leaves_both_sides_of_a_study_or_neither(ground):
    points = ("reserved", "intent", "switched_one", "published")
    wrong = run_rounds(ground, [one for one in point_rounds(["petmr"]) if one.at in points])
    assert not wrong, "\n".join(wrong.values())


def test_a_kill_at_random_moments(ground):
    wrong = run_rounds(ground, random_rounds(ground, MOMENTS, random.Random(SEED)))
    assert not wrong, "\n".join(wrong.values())


@pytest.mark.parametrize("kind", ["bundle", "replace"])
def test_recovery_killed_at_every_point_in_turn(ground, kind):
    scenario = ground.scenarios[kind]
    data = ground.fresh(scenario, f"again-{kind}")
    assert ground.command(scenario.step, data, SCANDOCK_CRASH_AT="intent").wait().code == KILLED
    for point in POINTS[ENDED + 1 : POINTS.index("swept")]:
        assert check(data, SCANDOCK_CRASH_AT=point).code == KILLED, point
    assert_clean(check(data))
    assert_holds(data, scenario.after)
    assert not check_trash(data, 1 if scenario.replaces else 0)
