"""Imports into a site that drops UIDs and patients, killed at any point: nothing that stands then bears any."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from scandock.model.crash_points import POINTS
from tests.builders import zip_entries
from tests.byte_search import explain, search_bytes, search_folder
from tests.crash.case_share import choose_cases
from tests.crash.forked import ForkedCommand
from tests.crash.processes import SCANDOCK, check, environment, find_unsound
from tests.marked_objects import MARKS, OTHER, marked_ecat, marked_series

pytestmark = [pytest.mark.crash, pytest.mark.processes]
KILLED = -signal.SIGKILL
ORIGINALS = ("work", "incoming")
"""Folders in which an import may have them until the next command."""


def run(data: Path, archive: Path, **changes: str) -> tuple[int, dict[str, Any]]:
    """Import in a process of its own; its exit code and report ({} where it died). Nothing marked is printed."""
    words = [str(SCANDOCK), "import", str(archive), "--data", str(data), "--project", "P", "--create-project", "--json"]
    command = ForkedCommand(
        "tests.integration.scrub_commands:hide", argv=words, env=environment(**{"SCANDOCK_WORKERS": "1", **changes})
    )
    out, err = command.communicate(60)
    found = search_bytes(MARKS, (out + err).encode(), "what was printed")
    assert not found, explain(found)
    return command.wait(), json.loads(out) if out.strip() else {}


def assert_unmarked(data: Path, without: tuple[str, ...] = ()) -> None:
    found = search_folder(MARKS, data, without)
    assert not found, explain(found)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA with half of a session, and beside it an archive of that session, a held one and an ECAT file."""
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "half.zip").write_bytes(zip_entries(marked_series(2)))
    two = {**marked_series(1, study=2), **marked_series(1, first=2, study=2, patient_id=OTHER)}
    (folder / "all.zip").write_bytes(zip_entries({**marked_series(4), **two, "c/1.v": marked_ecat()}))
    data = folder / "data"
    code, report = run(data, folder / "half.zip")
    assert (code, report["state"]) == (0, "placed")
    return data


@pytest.mark.parametrize("point", choose_cases(["read", "reserved", "scrubbed", "arranged", "intent"], list(POINTS)))
def test_a_kill_leaves_no_mark(tmp_path: Path, base: Path, point: str) -> None:
    data, archive = tmp_path / "data", base.parent / "all.zip"
    shutil.copytree(base, data)
    assert run(data, archive, SCANDOCK_CRASH_AT=point)[0] == KILLED
    assert_unmarked(data, ORIGINALS)
    assert check(data).code == 0
    assert_unmarked(data)
    code, report = run(data, archive)
    assert (code, report["state"]) == (3, "held"), report
    assert len({session["study_uid"] for session in report["sessions"]}) == 3
    assert_unmarked(data)
    assert find_unsound(data) == []


def test_a_reader_that_is_killed_leaves_no_mark(tmp_path: Path, base: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(base, data)
    variables = {"SCANDOCK_CRASH_SCRUBBED": "s1/3.dcm", "SCANDOCK_CRASH_BY": "SIGKILL"}
    code, report = run(data, base.parent / "all.zip", **variables)
    assert report["state"] in {"failed", "partly", "held", "refused"}, report
    assert code != 0
    assert_unmarked(data)
