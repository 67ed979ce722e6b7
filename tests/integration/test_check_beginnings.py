"""`scandock check` of a DATA that a first import, killed early, left half made; and of a folder that is none."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.services.consistency_check import check_data
from scandock.services.settings import load_settings
from scandock.store.root import FOLDERS


@pytest.mark.parametrize("made", range(len(FOLDERS) + 1))
def test_the_folders_that_were_made_so_far_are_no_finding(tmp_path, made):
    for folder in FOLDERS[:made]:
        (tmp_path / folder).mkdir()
    assert check_data(str(tmp_path), load_settings()) == []


def test_an_empty_catalog_is_no_finding(tmp_path):
    (tmp_path / "scandock.db").touch()
    assert check_data(str(tmp_path), load_settings()) == []


def test_another_folder_is_told(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Usage, match="holds no Scandock data"):
        check_data(str(tmp_path), load_settings())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "notes.txt"]
