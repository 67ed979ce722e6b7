"""A short share of the crash suite: every named point once, and some random moments. All of it: `make crash`."""

from __future__ import annotations

import random

import pytest

from scandock.model.crash_points import POINTS
from tests.crash.checker import trash_wrong
from tests.crash.processes import KILLED, check
from tests.crash.rounds import ENDED, Ground, agree, clean, play_all
from tests.crash.run import at_random, named
from tests.crash.shares import share

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SEED = 5
MOMENTS = share([6], [8])[0]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("crash"), SEED, count=12, readers=1)


def test_a_kill_at_any_named_point(ground):
    every = list(named(sorted(set(ground.scenarios) - {"refused"})))
    kinds = len(every) // len(POINTS)
    share = [every[number % kinds * len(POINTS) + number] for number in range(len(POINTS))]
    assert [one.at for one in share] == list(POINTS)
    wrong = play_all(ground, share)
    assert not wrong, "\n".join(wrong.values())


def test_a_kill_at_random_moments(ground):
    wrong = play_all(ground, at_random(ground, MOMENTS, random.Random(SEED)))
    assert not wrong, "\n".join(wrong.values())


@pytest.mark.parametrize("kind", ["bundle", "replace"])
def test_recovery_killed_at_every_point_in_turn(ground, kind):
    scenario = ground.scenarios[kind]
    data = ground.fresh(scenario, f"again-{kind}")
    assert ground.command(scenario.step, data, SCANDOCK_CRASH_AT="intent").wait().code == KILLED
    for point in POINTS[ENDED + 1 : POINTS.index("swept")]:
        assert check(data, SCANDOCK_CRASH_AT=point).code == KILLED, point
    clean(check(data))
    agree(data, scenario.after)
    assert not trash_wrong(data, 1 if scenario.replaces else 0)
