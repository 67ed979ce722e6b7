"""What is left of DATA where a power cut leaves nothing but what was synced (`tests.crash.synced`)."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from scandock.model.points import POINTS
from tests.crash.archives import Scenario
from tests.crash.forked import Fork
from tests.crash.processes import PATIENCE, check, environment, import_words
from tests.crash.rounds import ENDED, Ground, clean, whole
from tests.crash.synced import CUT, sites

pytestmark = [pytest.mark.crash, pytest.mark.processes]

END = "end"
"""Of the command: what it printed was promised."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("unsynced"), 6, count=2, readers=1)


def cut(ground: Ground, scenario: Scenario, point: str, dropped: str = "") -> tuple[Path, int]:
    """DATA after an import whose power was cut there, and how many syncs were dropped."""
    data = ground.fresh(scenario, "disk/data")
    disk, told = data.parent, ground.folder / "kept"
    disk.mkdir(exist_ok=True)
    words = [str(word) for word in import_words(scenario.step, data)]
    changes = {} if point == END else {"SCANDOCK_CRASH_AT": point}
    with_threads = environment(SCANDOCK_WORKERS="1", **changes)
    fork = Fork("tests.crash.synced:command", str(disk), str(told), dropped, argv=words, env=with_threads)
    out, err = fork.communicate(PATIENCE)
    assert fork.returncode == CUT, out + err
    kept, missed = pickle.loads(told.read_bytes())
    kept.apply(disk)
    return data, missed


def judge(scenario: Scenario, data: Path, point: str) -> None:
    """Recover, and compare with what must be there then: nothing of the import, or all of it."""
    clean(check(data))
    rolls_forward = point == END or POINTS.index(point) >= ENDED
    whole(data, [scenario.after if rolls_forward else scenario.before], scenario)


@pytest.mark.parametrize("point", [*POINTS[POINTS.index("read") :], END])
def test_an_import_is_whole_or_not_at_all(ground, point):
    scenario = ground.scenarios["replace"]
    data, _ = cut(ground, scenario, point)
    judge(scenario, data, point)
