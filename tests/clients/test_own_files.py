"""Files that projects and subjects have of their own, by XNAT's clients from PyPI, unmodified."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.builders import zipped
from tests.clients.test_clients import VERSIONS

FILES = {"a.txt": b"first", "b.txt": b"second"}
MD5S = {name: hashlib.md5(data).hexdigest() for name, data in FILES.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for name, data in FILES.items():
        (made / name).write_bytes(data)
    return made


@pytest.mark.parametrize("client", VERSIONS)
def test_xnatpy_keeps_files_with_projects_and_subjects(client, tour, url, project, folder, tmp_path):
    into = tmp_path / "into"
    into.mkdir()
    seen = tour(client, "xnatpy_own_files.py", url, project, folder, into)
    for of in ("project", "subject"):
        one = seen[of]
        assert one["labels"] == ["ONE", "THREE", "TWO"]
        assert one["files"] == MD5S
        assert one["packed"] in (2, 0)  # the oldest has no upload_dir
        assert one["all"] in (2 + one["packed"], None)
        assert one["read"] == sorted([MD5S["a.txt"], *MD5S.values()])
        assert one["zip"] > 0
        assert one["left"] == {"ONE": 1, "TWO": one["packed"]}
    assert (seen["sessions"], seen["left"]) == (0, [])


def test_pyxnat_keeps_files_with_projects_and_subjects(tour, url, project, folder, tmp_path):
    (folder / "both.zip").write_bytes(zipped(FILES))
    into = tmp_path / "into"
    into.mkdir()
    seen = tour("pyxnat", "pyxnat_own_files.py", url, project, folder, into)
    for of in ("project", "subject"):
        assert seen[of] == {
            "labels": ["ONE", "TWO"],
            "files": ["said.txt", "sent.txt"],
            "packed": ["a.txt", "b.txt"],
            "exists": [True, False, True],
            "size": "5",
            "format": "TXT",
            "said": "said by hand\n",
            "zip": 2,
            "left": {"ONE": ["said.txt"]},
        }
    assert seen["exists"] is False
