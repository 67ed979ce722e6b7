"""A short share of the crash suite: every named point once, and some random moments. All of it: `make crash`."""

from __future__ import annotations

import random

import pytest

from scandock.model.points import POINTS
from tests.crash.rounds import Ground, play_all
from tests.crash.run import at_random, named

pytestmark = pytest.mark.crash

SEED = 5
MOMENTS = 8


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("crash"), SEED, count=12)


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
