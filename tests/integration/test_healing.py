"""A session whose stored files are gone or cut, by somebody's hand or a disk: the same archive makes it whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scandock.services.consistency_check import check_data
from tests.builders import DataFolder, Image, ImportOutcome, ecat, make_data_folder, sha256

PDF = b"%PDF-1.4 notes"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, sqlite_url)


def image(number: int, **values: Any) -> bytes:
    return Image(case="heal", number=number, **values).file()


def exam(count: int = 3, first: int = 1) -> dict[str, bytes]:
    return {f"a/{n}.dcm": image(n) for n in range(first, first + count)}


def stands(site: DataFolder, told: ImportOutcome, path: str) -> Path:
    return site.data / str(told.line(path)["stored_as"])


def harmed(site: DataFolder) -> int:
    """How many findings a check has."""
    return len(check_data(str(site.data), site.settings))


def test_what_is_missing_or_cut_is_stored_again(site: DataFolder) -> None:
    first = site.bring(exam(4))
    before = site.files()
    stands(site, first, "a/1.dcm").unlink()
    stands(site, first, "a/2.dcm").write_bytes(b"cut")
    assert harmed(site) == 2

    again = site.bring(exam(4))

    assert again.state == "placed"
    assert again.codes() == {
        "a/1.dcm": "stored healed",
        "a/2.dcm": "stored healed",
        "a/3.dcm": "duplicate already_there",
        "a/4.dcm": "duplicate already_there",
    }
    assert [line["stored_as"] for line in again.lines] == [line["stored_as"] for line in first.lines]
    assert site.files() == before
    assert again.warned() == {"healed"}
    assert "2" in again.session["warnings"][0]["message"]
    assert again.session["files"] == 4
    assert sha256(b"cut") in site.trashed()  # nothing is lost, not even what somebody wrote there
    third = site.bring(exam(4))
    assert third.counts == {"duplicate": 4}
    assert third.warned() == set()


def test_healing_and_new_objects_go_together(site: DataFolder) -> None:
    first = site.bring(exam(2))
    stands(site, first, "a/1.dcm").unlink()
    told = site.bring({**exam(3), "a/notes.pdf": PDF})
    assert told.state == "placed"
    assert told.counts == {"stored": 2, "duplicate": 1, "resource": 1}
    assert told.session["files"] == 4


def test_ecat_files_and_resources_are_healed_too(site: DataFolder) -> None:
    archive = {
        "S/scans/1/resources/ECAT/files/a.v": ecat(),
        "S/scans/1/resources/NIFTI/files/a.nii": b"nifti",
        "S/notes.pdf": PDF,
    }
    first = site.bring(archive)
    before = site.files()
    for path in archive:
        stands(site, first, path).unlink()
    again = site.bring(archive)
    assert again.state == "placed"
    assert set(again.codes().values()) == {"stored healed", "resource healed"}
    assert site.files() == before


def test_a_session_whose_folder_is_gone_is_stored_again(site: DataFolder) -> None:
    first = site.bring({**exam(3), "a/notes.pdf": PDF})
    before = site.files()
    shutil.rmtree(site.data / first.session["path"])
    again = site.bring({**exam(3), "a/notes.pdf": PDF})
    assert again.state == "placed"
    assert again.counts == {"stored": 3, "resource": 1}
    assert site.files() == before


def test_a_session_in_the_prearchive_is_healed(site: DataFolder) -> None:
    first = site.bring(exam(2), destination="prearchive")
    stands(site, first, "a/2.dcm").unlink()
    again = site.bring(exam(2), destination="prearchive")
    assert again.codes() == {"a/1.dcm": "duplicate already_there", "a/2.dcm": "stored healed"}


def test_archives_that_bring_a_part_each_heal_theirs(site: DataFolder) -> None:
    first = site.bring(exam(4))
    site.checked = False
    for path in ("a/1.dcm", "a/2.dcm", "a/3.dcm"):
        stands(site, first, path).unlink()
    assert harmed(site) == 3

    one = site.bring(exam(2))
    assert (one.state, one.warned()) == ("placed", {"healed", "session_damaged"})
    assert harmed(site) == 1
    other = site.bring(exam(2, first=3))
    assert (other.state, other.warned()) == ("placed", {"healed"})
    assert harmed(site) == 0


def test_what_an_import_does_not_bring_is_said_and_never_forgotten(site: DataFolder) -> None:
    first = site.bring(exam(3))
    site.checked = False
    gone = stands(site, first, "a/3.dcm")
    gone.unlink()

    same = site.bring(exam(2))
    assert (same.state, same.warned()) == ("placed", {"session_damaged"})
    assert gone.name in same.session["warnings"][0]["message"]
    more = bring_failing(site, {"a/9.dcm": image(9)})
    assert (more["state"], more["code"]) == ("failed", "tree_damaged")
    assert gone.name in more["message"]
    assert harmed(site) == 1

    assert site.bring({"a/3.dcm": image(3), "a/9.dcm": image(9)}).counts == {"stored": 2}
    assert harmed(site) == 0


def bring_failing(site: DataFolder, archive: dict[str, bytes]) -> dict[str, Any]:
    """The report of an import that fails, and so has no receipt."""
    told = site.bring(archive)
    assert told.lines == []
    return told.report


def test_a_clash_with_a_missing_file_is_held_and_with_delete_takes_its_place(site: DataFolder) -> None:
    first = site.bring(exam(1))
    stands(site, first, "a/1.dcm").unlink()
    site.checked = False
    other = image(1, also={0x00204000: (b"LT", b"another content")})
    held = site.bring({"x.dcm": other})
    assert (held.state, held.session["code"]) == ("held", "sop_clash")
    taken = site.bring({"x.dcm": other}, overwrite="delete")
    assert taken.state == "placed"
    assert harmed(site) == 0
