"""Names of archives, folders and files stand nowhere once an import has ended into a project that drops or hashes them.

A search of all bytes that DATA, output and logs have, in whatever spelling (`tests.byte_search`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.testing.privacy import given_privacy
from tests.builders import DataFolder, make_data_folder
from tests.byte_search import Marks, explain, search_bytes, search_folder
from tests.integration.in_process import call_in_process
from tests.marked_archives import damaged_zips, tar_of_marked_names, write_marked, zip_of_marked_names

KEY = bytes(range(32))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    return make_data_folder(tmp_path / "site", monkeypatch)


def by(level: Level, **policy: Any) -> Any:
    """Imports show names by this level, and nothing else is hidden."""
    return given_privacy(PrivacyRules(key=KEY, policy=Policy(names=level, **policy)))


def run(*words: str | Path, **environment: str) -> tuple[bytes, int]:
    """What a command prints on both of its streams, and its exit code."""
    done = call_in_process(*words, SCANDOCK_WORKERS="1", **environment)
    return (done.stdout + done.stderr).encode("utf-8", "surrogatepass"), done.returncode


@pytest.mark.parametrize("level", ["drop", "hash"])
def test_imports_of_the_command_line_leave_no_name(site: DataFolder, tmp_path: Path, level: Level) -> None:
    marks = Marks()
    folder = tmp_path / "brought"
    archives = [
        write_marked(folder, marks, "zip", zip_of_marked_names(marks)),
        write_marked(folder, marks, "tar", tar_of_marked_names(marks), ".tar.gz"),
        *(write_marked(folder, marks, why, data) for why, data in damaged_zips(marks).items()),
    ]
    receipt = tmp_path / "receipt.jsonl"
    with by(level):
        for command in ("inspect", "import", "import"):
            printed, _ = run(
                command, *archives, "--data", site.data, "--project", "P", "--create-project", "--receipt", receipt
            )
            found = search_bytes(marks, printed, f"printed by {command}")
            found += search_bytes(marks, receipt.read_bytes(), f"receipt of {command}")
            assert not found, explain(found)
            shown = {json.loads(line)["archive"] for line in receipt.read_text().splitlines()}
            assert all(re.fullmatch(r"#[1-7]|f-[0-9a-f]{8}(\.zip|\.tar\.gz)", name) for name in shown)
    found = search_folder(marks, site.data)
    assert not found, explain(found)
