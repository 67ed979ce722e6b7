"""XNAT's clients from PyPI, unmodified, against a served Scandock: what they see is what was sent.

Each tour is a script that the client's own Python runs (tests/clients/tours); the environments are made by
scripts/clients.sh from their locks.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.builders import documented, images, zipped

VERSIONS = {"xnat": "", "xnat-0.7.2": "0.7.2", "xnat-0.6.2": "0.6.2", "xnatuploader": "0.4.3"}
"""Environments with xnatpy, and its version there; empty: the newest that is locked."""
REAL = "DEV012_MR__dcm_qa_nih.seed.zip"


@pytest.fixture(scope="session")
def archive(corpus_archives: Path) -> Path:
    """A real session of four scans."""
    return corpus_archives / REAL


@pytest.fixture(scope="session")
def digests(archive: Path) -> list[str]:
    """The MD5s of its images."""
    with zipfile.ZipFile(archive) as opened:
        return sorted(hashlib.md5(opened.read(one)).hexdigest() for one in opened.namelist() if one.endswith(".dcm"))


@pytest.mark.parametrize("client", VERSIONS)
def test_xnatpy_imports_reviews_archives_browses_and_downloads(client, tour, url, project, archive, digests, tmp_path):
    folder = tmp_path / "downloaded"
    folder.mkdir()
    seen = tour(client, "xnatpy_tour.py", url, archive, project, folder)

    assert seen["version"] == VERSIONS[client] or not VERSIONS[client]
    assert project in seen["projects"]
    waiting = seen["waiting"]
    assert waiting["uri"].startswith(f"/data/prearchive/projects/{project}/")
    assert (waiting["status"].upper(), waiting["listed"]) == ("READY", ["DEV"])
    assert waiting["scans"] == ["4", "5", "6", "7"]
    assert waiting["dumped"] in (["DEV"], None)
    assert waiting["files"] in (len(digests), 0)  # older versions look into no scan that waits
    session = seen["session"]
    assert (session["label"], session["type"], session["date"]) == ("DEV", "MrSessionData", "2018-09-18")
    assert session["id"].startswith("XNAT_E")
    assert session["subject"] in ("Test_Regression", None)
    assert {one["kind"] for one in session["scans"].values()} == {"MrScanData"}
    assert sum(one["resources"]["DICOM"][0] for one in session["scans"].values()) == len(digests)
    assert sorted(read for _, read, _ in seen["files"]) == digests
    assert [read for _, read, _ in seen["files"]] == [told for _, _, told in seen["files"]]
    assert seen["downloaded"] == digests
    assert seen["zip"] > 0
    assert seen["scanners"] == ["fmrif3tb"]
    assert seen["subjects"] == ["Test_Regression"]
    assert seen["left"] == []


def test_pyxnat_imports_lists_reads_makes_and_deletes(tour, url, project, archive, digests, tmp_path):
    folder = tmp_path / "downloaded"
    folder.mkdir()
    seen = tour("pyxnat", "pyxnat_tour.py", url, archive, project, folder)

    assert project in seen["projects"]
    assert seen["import"] == f"/data/archive/projects/{project}/subjects/Test_Regression/experiments/DEV\r\n"
    assert seen["exists"] == [True, False]
    assert (seen["label"], seen["subjects"], seen["date"]) == ("DEV", ["Test_Regression"], "2018-09-18")
    assert seen["scans"] == ["4", "5", "6", "7"]
    assert sorted(md5 for _, _, md5 in seen["files"]) == digests
    assert seen["code"] == 4
    assert [bool(one) for one in seen["modified"].values()] == [True]
    assert seen["members"] == [["admin"], ["admin"]]
    assert seen["waiting"] == {"scans": ["4", "5", "6", "7"], "files": len(digests), "left": 0}
    assert seen["made"] == {"scans": ["7"], "text": "made by hand", "size": 12}
    assert seen["said"] == ["M", "34", "34", "a control", "", ["M", "34"]]
    assert seen["left"] == ["Hand_MR1"]


@pytest.mark.parametrize("client", VERSIONS)
def test_xnatpy_makes_things_by_hand(client, tour, url, project, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for n, one in enumerate(images(3)):
        (files / f"{n}.dcm").write_bytes(one)
    seen = tour(client, "xnatpy_making.py", url, project, files)

    assert (seen["type"], seen["subject"], seen["scans"]) == ("MrSessionData", "Made", {"7": "T1"})
    assert set(seen["files"].values()) == {hashlib.md5(one).hexdigest() for one in images(3)}
    assert seen["after"] == 2
    *attributes, listed, gone = seen["said"]
    assert attributes == ["control", "female", 1980, "1980-02-29", "left", 3.25, None]
    assert (listed, gone) == ([["Made", "female", "1980", "control"]], None)


@pytest.mark.parametrize("client", VERSIONS)
def test_xnatpy_without_a_name_sees_what_is_public(client, tour, url, project, served):
    to = f"/data/services/import?dest=/archive/projects/{project}&session=S1"
    assert served.ask("POST", to, zipped(documented("S1", "1", images(2))))[0] == 200
    assert served.ask("PUT", f"/data/projects/{project}/accessibility/public")[0] == 200
    seen = tour(client, "xnatpy_guest.py", url, project)
    assert served.ask("PUT", f"/data/projects/{project}/accessibility/private")[0] == 200
    assert seen == {"user": "guest", "sessions": {"S1": 1}, "projects": [project]}


def test_xnatuploader_scans_uploads_and_verifies(run, url, project, served, tmp_path):
    """By its command line: a spreadsheet, a scan of a folder, an upload file by file with MD5s compared."""
    folder = tmp_path / "data" / "Ann-001" / "visit" / "epi"
    folder.mkdir(parents=True)
    for n, one in enumerate(images(5, patient_id=b"001")):
        (folder / f"{n}.dcm").write_bytes(one)
    sheet = ("--spreadsheet", "sheet.xlsx", "--dir", "data")
    run("xnatuploader", "xnatuploader", "init", *sheet)
    run("xnatuploader", "xnatuploader", "scan", *sheet)
    run("xnatuploader", "python", "-c", _CHOOSE_ALL)
    typed = "admin\nsecret\ny\n"
    run("xnatuploader", "xnatuploader", "upload", *sheet, "--project", project, "--server", url, typed=typed)

    states = run("xnatuploader", "python", "-c", _STATES).split()
    assert states == ["success"] * 5
    status, told = served.ask("GET", f"/data/projects/{project}/experiments/001_MR1/scans/ALL/files")
    assert status == 200
    digests = {one["digest"] for one in told["ResultSet"]["Result"]}
    assert digests == {hashlib.md5(one).hexdigest() for one in images(5, patient_id=b"001")}


_CHOOSE_ALL = """
from openpyxl import load_workbook
book = load_workbook("sheet.xlsx")
for row in book["Files"].iter_rows(min_row=2):
    row[3].value = "Y"
book.save("sheet.xlsx")
"""
_STATES = """
from openpyxl import load_workbook
print(*[row[4] for row in list(load_workbook("sheet.xlsx")["Files"].values)[1:]])
"""


def test_xnatutils_puts_lists_and_gets(run, url, project, served, tmp_path):
    """By its commands, which ask for the password once and keep a token in ~/.netrc."""
    image = tmp_path / "t1.nii.gz"
    image.write_bytes(bytes(range(256)) * 40)
    where = ("--server", url)
    words = ("AA01_001_MR01", "t1", image, "--create_session", "--project_id", project, "--subject_id", "AA01_001")
    run("xnatutils", "xnat-put", *words, "--method", "per_file", *where, typed="admin\nsecret\ny\n")

    assert "AA01_001" in run("xnatutils", "xnat-ls", project, "--datatype", "subject", *where)
    listed = run("xnatutils", "xnat-ls", "AA01_001_MR01", "--datatype", "scan", "--project", project, *where)
    assert listed.split() == ["t1"]
    run("xnatutils", "xnat-get", "AA01_001_MR01", "--target", "got", "--project", project, *where)
    got = [path.read_bytes() for path in (tmp_path / "got").rglob("*") if path.is_file()]
    assert got == [image.read_bytes()]


def test_what_was_downloaded_is_an_upload_again(served, project):
    """Curl's recipes of the wiki, and what comes back is a session that can be sent again."""
    body = zipped(documented("S1", "1", images(2)))
    to = f"/data/services/import?dest=/archive/projects/{project}&session=S1"
    status, told = served.ask("POST", to, body)
    assert (status, told.endswith(b"\r\n")) == (200, True)
    status, whole = served.ask("GET", f"/data/projects/{project}/experiments/S1/scans/ALL/files?format=zip")
    assert status == 200
    again = served.ask("POST", f"{to}&overwrite=append", whole)
    assert again == (200, told)
