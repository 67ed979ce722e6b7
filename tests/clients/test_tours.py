"""XNAT's clients from PyPI, unmodified, against a served Scandock: what they see is what was sent.

Each client, and each version of xnatpy, makes one tour of all it can do: a process of its own Python that runs scripts
of tests/clients/tours. The environments are made by scripts/clients.sh from their locks. `make clients` records what
these tours send; test_replays.py sends it again.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builders import images
from tests.clients.material import sent_files
from tests.clients.recording import RECORDED, Recorder
from tests.integration.web import PASSWORD, Web

XNATPY = {"xnat": "", "xnat-0.7.2": "0.7.2", "xnat-0.6.2": "0.6.2", "xnatuploader": "0.4.3"}
"""Environments with xnatpy, and its version there; empty: the newest that is locked."""
REAL = "DEV012_MR__dcm_qa_nih.seed.zip"
"""A real session of four scans, which the newest version sends; what is recorded is made by `material.py` alone."""


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Records what a tour sends where that is asked for."""

    @contextmanager
    def record(client: str) -> Iterator[None]:
        if not request.config.getoption("--record-clients", default=False):
            yield
            return
        web: Web = request.getfixturevalue("web")
        app = web.app.middleware_stack
        assert app is not None
        recorder = Recorder(app)
        web.app.middleware_stack = recorder
        yield
        recorder.write(RECORDED / f"{client}.jsonl", web.base, sent_files())

    return record


@pytest.fixture
def archive(request: pytest.FixtureRequest, sent: Path) -> Callable[[bool], Path]:
    """The archive of a session, real or made, and the same in what a tour sees of it."""

    def choose(real: bool) -> Path:
        if not real or request.config.getoption("--record-clients", default=False):
            return sent / "session.zip"
        corpus: Path = request.getfixturevalue("corpus_archives")
        return corpus / REAL

    return choose


def md5s(archive: Path) -> list[str]:
    """Of an archive's images."""
    with zipfile.ZipFile(archive) as opened:
        return sorted(hashlib.md5(opened.read(one)).hexdigest() for one in opened.namelist() if one.endswith(".dcm"))


@pytest.fixture
def address(request: pytest.FixtureRequest) -> Callable[[str], tuple[str, str]]:
    """Where a tour leads, and the password there: the newest client's to all processes of a server, unless recorded."""

    def choose(client: str) -> tuple[str, str]:
        if client == "xnat" and not request.config.getoption("--record-clients", default=False):
            served: tuple[str, str] = request.getfixturevalue("served")
            return served
        web: Web = request.getfixturevalue("web")
        return web.base, PASSWORD

    return choose


@pytest.mark.parametrize("client", XNATPY)
def test_xnatpy(client, tour, address, archive, sent, recording, tmp_path, subtests):
    session = archive(client == "xnat")
    base, password = address(client)
    into = tmp_path / "into"
    into.mkdir()
    with recording(client if client != "xnatuploader" else "xnat-0.4.3"):
        seen = tour(client, "run_xnatpy.py", base, password, session, sent, into)
    assert seen["version"] == XNATPY[client] or not XNATPY[client]
    with subtests.test("imports, reviews, archives, browses and downloads"):
        imported(seen["imported"], md5s(session))
    with subtests.test("makes things by hand"):
        made(seen["made"])
    with subtests.test("keeps files with projects and subjects"):
        kept(seen["own files"])
    with subtests.test("connects with few requests and queries"):
        found(seen["found"], seen["asked"], labeled=client != "xnatuploader")
    with subtests.test("sees what is public without a name"):
        assert seen["guest"] == {"user": "guest", "sessions": {"S1": 1}, "projects": ["PUBLIC"]}


def imported(seen: Any, digests: list[str]) -> None:
    assert "TOUR" in seen["projects"]
    waiting = seen["waiting"]
    assert waiting["uri"].startswith("/data/prearchive/projects/TOUR/")
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
    assert seen["listed"] == digests
    assert len(seen["opened"]) == 8
    assert all(read == told for read, told in seen["opened"])
    assert {read for read, _ in seen["opened"]} <= set(digests)
    assert seen["downloaded"] == digests
    assert seen["zip"] > 0
    assert seen["scanners"] == ["fmrif3tb"]
    assert seen["subjects"] == ["Test_Regression"]
    assert seen["left"] == []


def made(seen: Any) -> None:
    assert (seen["type"], seen["subject"], seen["scans"]) == ("MrSessionData", "Made", {"7": "T1"})
    assert set(seen["files"].values()) == {hashlib.md5(one).hexdigest() for one in images(3)}
    assert seen["after"] == 2
    *attributes, listed, gone = seen["said"]
    assert attributes == ["control", "female", 1980, "1980-02-29", "left", 3.25, None]
    assert (listed, gone) == ([["Made", "female", "1980", "control"]], None)


def kept(seen: Any) -> None:
    first, second = (hashlib.md5(data).hexdigest() for data in (b"first", b"second"))
    for of in ("project", "subject"):
        one = seen[of]
        assert one["labels"] == ["ONE", "THREE", "TWO"]
        assert one["files"] == {"a.txt": first, "b.txt": second}
        assert one["packed"] in (2, 0)  # the oldest has no upload_dir
        assert one["all"] in (2 + one["packed"], None)
        assert one["read"] == sorted([first, first, second])
        assert one["zip"] > 0
        assert one["left"] == {"ONE": 1, "TWO": one["packed"]}
    assert (seen["sessions"], seen["left"]) == (0, [])


def found(seen: Any, asked: list[str], *, labeled: bool) -> None:
    """Version 0.4.3 makes no objects of what it finds, so that it has no labels."""
    assert len([one for one in asked if "/search/" in one]) <= 1 + len(seen["types"])
    assert {"xnat:projectData", "xnat:subjectData", "xnat:mrSessionData"} <= set(seen["types"])
    assert {"xnat:mrSessionData/SUBJECT_ID", "xnat:mrSessionData/SUBJECT_LABEL"} == set(seen["fields"])
    assert seen["assessors"].keys() == {"FS1", "QC1"}
    assert seen["assessors"]["QC1"] == "QcAssessmentData"
    assert seen["assessors"]["FS1"] in {"FsFsData", "FsData"}  # versions name the class of fs:fsData either way
    if not labeled:
        assert [len(seen[one]) for one in ("all", "like", "either", "subjects")] == [3, 1, 2, 3]
        return
    assert (seen["all"], seen["like"], seen["either"]) == (["S1", "S2", "S3"], ["S2"], ["S1", "S3"])
    assert seen["subjects"] == ["Ann", "Bob", "Cid"]


def test_pyxnat(tour, web, archive, sent, recording, tmp_path, subtests):
    session = archive(True)
    into = tmp_path / "into"
    into.mkdir()
    with recording("pyxnat"):
        seen = tour("pyxnat", "run_pyxnat.py", web.base, PASSWORD, session, sent, into)
    with subtests.test("imports, lists, reads, makes and deletes"):
        imported_by_pyxnat(seen["imported"], md5s(session))
    with subtests.test("keeps files with projects and subjects"):
        for of in ("project", "subject"):
            assert seen["own files"][of] == {
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
        assert seen["own files"]["exists"] is False
    with subtests.test("prints what there is"):
        printed(seen["found"]["printed"])
    with subtests.test("inspects and searches"):
        searched(seen["found"])
    with subtests.test("makes tables of sessions and scans"):
        tables(seen["found"]["arrays"])


def imported_by_pyxnat(seen: Any, digests: list[str]) -> None:
    assert "TOUR" in seen["projects"]
    assert seen["import"] == "/data/archive/projects/TOUR/subjects/Test_Regression/experiments/DEV\r\n"
    assert seen["exists"] == [True, False]
    assert (seen["label"], seen["subjects"], seen["date"]) == ("DEV", ["Test_Regression"], "2018-09-18")
    assert seen["scans"] == ["4", "5", "6", "7"]
    assert (seen["files"], len(seen["opened"])) == (len(digests), 8)
    assert {md5 for _, md5 in seen["opened"]} <= set(digests)
    assert seen["code"] == 4
    assert [bool(one) for one in seen["modified"].values()] == [True]
    assert seen["members"] == [["admin"], ["admin"]]
    assert seen["waiting"] == {"scans": ["4", "5", "6", "7"], "files": len(digests), "left": 0}
    assert seen["made"] == {"scans": ["7"], "text": "made by hand", "size": 12}
    assert seen["said"] == ["M", "34", "34", "a control", "", ["M", "34"]]
    assert seen["left"] == ["Hand_MR1"]


def printed(seen: list[str]) -> None:
    project, ann, experiment, scan, resource, nobody = seen
    assert project.startswith("<Project Object> SEARCHED `")
    assert "(private) 3 subjects 3 MR experiments (owner: admin) (created on 20" in project
    assert "`Ann` (project: " in ann
    assert " 2 experiments http" in ann
    assert "`S1` (subject: XNAT_S" in experiment
    assert "`Ann`) (project: SEARCHED) 1 scan 0 resource (created on 20" in experiment
    assert scan.startswith("<Scan Object> 4 (`")
    assert "`DICOM` (2 files " in resource
    assert nobody == "<Subject Object> nobody"


def searched(seen: Any) -> None:
    inspected = seen["inspected"]
    assert {"xnat:projectData", "xnat:subjectData", "xnat:mrSessionData"} <= set(inspected["types"])
    assert "xnat:mrSessionData/SUBJECT_ID" in inspected["fields"]
    assert "xnat:subjectData/SUBJECT_LABEL" in inspected["some"]
    assert {"Ann", "Bob", "Cid"} <= set(inspected["values"])
    rows = seen["searched"]
    assert [(one["label"], one["xnat_subjectdata_subject_label"]) for one in rows["rows"]] == [
        ("S1", "Ann"), ("S2", "Ann"), ("S3", "Bob"),
    ]  # fmt: skip
    assert [one["xnat_subjectdata_gender_text"] for one in rows["rows"]] == ["", "", "M"]
    assert (rows["labels"], rows["either"]) == (["S1", "S2", "S3"], ["S2"])
    assert (rows["like"], rows["text"], rows["none"], rows["all"]) == ("S3", "S1", 0, 3)
    assert seen["collected"] == [["Ann", "Bob"], ["Ann", "Bob"], []]
    assert seen["saved"] == [[], []]


def tables(seen: Any) -> None:
    assert (seen["experiments"], len(seen["mrsessions"])) == (3, 2)
    assert {"ID", "project", "subject_ID", "xsiType", "date", "xnat:mrsessiondata/date"} <= set(seen["columns"][0])
    assert (seen["scans"], seen["mrscans"]) == (["4"], [["4", "unknown"]])
    assert (seen["searched"], seen["of"]) == ("S1", ["S3"])


def test_xnatuploader_scans_uploads_and_verifies(run, web, sent, recording):
    """By its command line: a spreadsheet, a scan of a folder, an upload file by file with MD5s compared."""
    sheet = ("--spreadsheet", "sheet.xlsx", "--dir", sent / "data")
    by_hand = Path(__file__).parent / "tours" / "spreadsheet.py"
    run("xnatuploader", "xnatuploader", "init", *sheet)
    run("xnatuploader", "xnatuploader", "scan", *sheet)
    run("xnatuploader", "python", by_hand, "choose-all", "sheet.xlsx")
    to = ("--project", "TOUR", "--server", web.base)
    with recording("xnatuploader"):
        run("xnatuploader", "xnatuploader", "upload", *sheet, *to, typed=f"admin\n{PASSWORD}\ny\n")
    assert run("xnatuploader", "python", by_hand, "look", "sheet.xlsx").split() == ["success"] * 5
    with web.client() as client:
        told = client.get("/data/projects/TOUR/experiments/001_MR1/scans/ALL/files").raise_for_status().json()
    digests = {one["digest"] for one in told["ResultSet"]["Result"]}
    assert digests == {hashlib.md5(one).hexdigest() for one in images(5, patient_id=b"001")}


def test_xnatutils_puts_lists_and_gets(run, web, sent, recording, tmp_path):
    """By its commands, which ask for the password once and keep a token in ~/.netrc."""
    image = sent / "t1.nii.gz"
    where = ("--server", web.base)
    words = ("AA01_001_MR01", "t1", image, "--create_session", "--project_id", "TOUR", "--subject_id", "AA01_001")
    with recording("xnatutils"):
        run("xnatutils", "xnat-put", *words, "--method", "per_file", *where, typed=f"admin\n{PASSWORD}\ny\n")
        subjects = run("xnatutils", "xnat-ls", "TOUR", "--datatype", "subject", *where)
        scans = run("xnatutils", "xnat-ls", "AA01_001_MR01", "--datatype", "scan", "--project", "TOUR", *where)
        run("xnatutils", "xnat-get", "AA01_001_MR01", "--target", "got", "--project", "TOUR", *where)
    assert "AA01_001" in subjects
    assert scans.split() == ["t1"]
    got = [path.read_bytes() for path in (tmp_path / "got").rglob("*") if path.is_file()]
    assert got == [image.read_bytes()]
