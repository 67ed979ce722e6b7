"""An import that is killed leaves no name but in its own work, and none at all once the next command has run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from scandock.model.crash_points import POINTS
from tests.byte_search import Marks, explain, search_bytes, search_folder
from tests.crash.case_share import choose_cases
from tests.crash.forked import ForkedCommand
from tests.crash.processes import SCANDOCK, environment, find_unsound
from tests.marked_archives import write_marked, zip_of_marked_names

pytestmark = [pytest.mark.crash, pytest.mark.processes]


@pytest.mark.parametrize("point", choose_cases(["read", "arranged", "intent"], list(POINTS)))
def test_a_kill_leaves_no_name(tmp_path: Path, point: str) -> None:
    marks, data = Marks(), tmp_path / "data"
    archive = write_marked(tmp_path / "brought", marks, "zip", zip_of_marked_names(marks))
    words = [str(SCANDOCK), "import", str(archive), "--data", str(data), "--project", "P", "--create-project"]

    def run(**changes: str) -> int:
        command = ForkedCommand(
            "tests.integration.scrub_commands:hide_names",
            argv=words,
            env=environment(**{"SCANDOCK_WORKERS": "1", **changes}),
        )
        out, err = command.communicate(60)
        printed = search_bytes(marks, (out + err).encode(), "printed")
        assert not printed, explain(printed)
        return command.wait()

    assert run(SCANDOCK_CRASH_AT=point) == -signal.SIGKILL
    found = search_folder(marks, data, without={"work", "trash/now"})
    assert not found, explain(found)
    assert run() == 3  # an inner archive is broken
    found = search_folder(marks, data)
    assert not found, explain(found)
    assert find_unsound(data) == []
