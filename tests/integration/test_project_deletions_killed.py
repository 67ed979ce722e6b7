"""A project's deletion that is killed at each named point is finished by the next command. More: `make crash`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.deletions import AT, Deletion, DeletionBase, all_deletions, run_deletion, run_deletions

pytestmark = [pytest.mark.crash, pytest.mark.processes]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> DeletionBase:
    return DeletionBase(tmp_path_factory.mktemp("deletions"))


@pytest.mark.parametrize("at", AT)
def test_a_deletion_that_is_killed_is_finished_by_the_next_command(begun: DeletionBase, at: str) -> None:
    run_deletion(begun, Deletion(at=at, again=at in ("left_one", "intent")))


def test_a_round_is_played_again_by_what_it_was_told_by(tmp_path: Path) -> None:
    assert [Deletion.parse(str(one)) for one in all_deletions()] == list(all_deletions())
    assert run_deletions(tmp_path, []) == {}
