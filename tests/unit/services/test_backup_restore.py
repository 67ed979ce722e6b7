"""Which backup a path names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scandock.model.errors import Usage
from scandock.services.backup_folders import DESCRIPTION_FILE, PARTIAL
from scandock.services.backup_restore import find_backup


def made(folder: Path, name: str, **facts: object) -> Path:
    path = folder / name
    path.mkdir()
    (path / DESCRIPTION_FILE).write_text(json.dumps({"format": 1, **facts}))
    return path


def test_the_newest_of_a_folder_or_the_one_that_is_named(tmp_path: Path) -> None:
    first, last = made(tmp_path, "20260101T000000Z"), made(tmp_path, "20260301T000000Z")
    made(tmp_path, PARTIAL)
    (tmp_path / "20260401T000000Z").mkdir()  # no backup
    assert find_backup(str(tmp_path)) == str(last)
    assert find_backup(str(first)) == str(first)


@pytest.mark.parametrize("facts", [{"format": 2}, {"format": None}])
def test_one_of_another_format_is_left_to_the_version_that_made_it(tmp_path: Path, facts: dict[str, object]) -> None:
    with pytest.raises(Usage) as caught:
        find_backup(str(made(tmp_path, "20260101T000000Z", **facts)))
    assert caught.value.code == "backup_newer"


def test_a_folder_without_any_is_told(tmp_path: Path) -> None:
    with pytest.raises(Usage) as caught:
        find_backup(str(tmp_path))
    assert caught.value.code == "backup_missing"
