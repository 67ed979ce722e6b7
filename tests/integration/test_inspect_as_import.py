"""What `inspect` tells is what `import` into an empty data folder then does."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.badinput.objects import Image
from tests.integration.in_process import call_in_process
from tests.integration.test_cli_import import CT, MR, call, packed

pytestmark = pytest.mark.long

ONLY_IMPORTED = {"upload", "bytes", "seconds"}
NAMED = ("--project", "P", "--create-project", "--session", "L")
PACKED = [
    "BUNDLE__mixed_zip_targz_loose.zip",
    "BUNDLE__of_zips.zip",
    "BUNDLE__one_study_in_two_zips.zip",
    "BUNDLE__three_deep.zip",
    "DEV001_ANN-SEG-SM__highdicom.flat.zip",
    "DEV017_MR-SR__heudiconv.seedplus.zip",
    "DEV026_CT__pydicom.weird.zip",
    "DEV034_MR__pydicom.long.tar.gz",
]


UTF8 = {0x00080005: (b"CS", b"ISO_IR 192")}
ANNA: dict[str, Any] = {"patient_name": "Müller^Anna".encode(), "also": UTF8}
SCRIPTS = {
    "Müller^Anna": "Muller_Anna",
    "Øygård^Åse": "Oygard_Ase",
    "Иванов^Николай": "Ivanov_Nikolay",
    "Παπαδόπουλος": "Papadopoylos",
    "Yamada^Tarou=山田^太郎=やまだ^たろう": "Yamada_Tarou",
    "山田^太郎": "ID5",
    "山田^Taro": "ID6",
    "كريم": "ID7",
}
"""What a subject is called by default, by its patient's name; their PatientIDs are counted."""


def named_studies(*names: str) -> dict[str, bytes]:
    """One image of a patient of each name, by a path."""
    return {
        f"{n}.dcm": Image(
            case="scripts", study=n, patient_id=f"ID{n}".encode(), patient_name=name.encode(), also=UTF8
        ).file()
        for n, name in enumerate(names)
    }


Call = Callable[..., subprocess.CompletedProcess[str]]


def told(
    command: str, archive: Path, *args: str | Path, by: Call = call_in_process, **env: str
) -> tuple[int, dict[str, Any], str]:
    """(exit code, the object without what only one of both has, stderr)."""
    done = by(command, archive, "--json", *args, **env)
    if not done.stdout:
        return done.returncode, {}, done.stderr
    (report,) = [json.loads(line) for line in done.stdout.splitlines()]
    for session in report["sessions"]:
        session.pop("id"), session.pop("uri"), session.pop("path")
        session["scans"].sort(key=lambda scan: str(scan["id"]))
        session["resources"].sort(key=lambda resource: str(resource["name"]))
    return done.returncode, {key: part for key, part in report.items() if key not in ONLY_IMPORTED}, done.stderr


def lines(receipt: Path) -> list[dict[str, Any]]:
    """A receipt without the places, which an inspection has none of."""
    return [{**json.loads(line), "stored_as": None} for line in receipt.read_text().splitlines()]


def compare(tmp_path: Path, archive: Path, *args: str | Path, by: Call = call_in_process) -> dict[str, Any]:
    tmp_path.mkdir(exist_ok=True)
    receipts = [tmp_path / "inspected.jsonl", tmp_path / "imported.jsonl"]
    inspected = told("inspect", archive, "--receipt", receipts[0], *args, by=by)
    imported = told("import", archive, "--data", tmp_path / "data", "--receipt", receipts[1], *args, by=by)
    assert inspected == imported
    if imported[0] != 2:
        assert lines(receipts[0]) == lines(receipts[1])
    return inspected[1]


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "named"), [(name, (NAMED, ())[n % 2]) for n, name in enumerate(PACKED)] + [(PACKED[0], ())]
)
def test_real_archives(tmp_path: Path, corpus_archives: Path, name: str, named: tuple[str, ...]) -> None:
    assert compare(tmp_path, corpus_archives / name, *named)["sessions"]


@pytest.mark.processes
@pytest.mark.corpus
def test_a_real_archive_by_processes(tmp_path: Path, corpus_archives: Path) -> None:
    assert compare(tmp_path, corpus_archives / PACKED[0], *NAMED, by=call)["sessions"]


@pytest.mark.parametrize("left", ["", "yes"])
def test_a_mapping_that_leaves_studies_out(tmp_path: Path, left: str) -> None:
    archive = packed(tmp_path / "a.zip", {"m/1.dcm": MR.read_bytes(), "m/a.log": b"1", "c/1.dcm": CT.read_bytes()})
    mapping = tmp_path / "map.csv"
    mapping.write_text(f"folder,leave_out\nm,yes\nc,{left}\n")
    told = compare(tmp_path, archive, "--project", "P", "--create-project", "--mapping", mapping)
    states = sorted(one["state"] for one in told["sessions"])
    assert (told["state"], states) == (("refused", ["refused"] * 2) if left else ("placed", ["archive", "refused"]))


def test_resources_are_named_by_their_folders_and_scans(tmp_path: Path) -> None:
    archive = packed(
        tmp_path / "a.zip",
        {
            "S/scans/1/resources/DICOM/files/1.dcm": MR.read_bytes(),
            "S/scans/1/resources/BIDS/files/run.json": b"{}",
            "S/scans/1/resources/BIDS/files/again.json": b"{}",
            "S/scans/1/notes.txt": b"a note",
            "S/resources/physio/files/a/pulse.log": b"1",
            "S/resources/physio/files/b/pulse.log": b"1",
            "S/readme.txt": b"read me",
        },
    )
    (session,) = compare(tmp_path, archive, "--project", "P", "--create-project")["sessions"]
    assert [(one["name"], one["files"]) for one in session["resources"]] == [("MISC", 2), ("physio", 2)]
    ((scan,),) = [session["scans"]]
    assert {one["name"] for one in scan["resources"]} >= {"DICOM", "BIDS"}


def test_an_archive_of_no_project_would_wait_in_the_prearchive(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes(), "2.dcm": CT.read_bytes()})
    sessions = compare(tmp_path, archive)["sessions"]
    assert {(one["project"], one["state"]) for one in sessions} == {("Unassigned", "prearchive")}
    assert all("project_unassigned" in [said["code"] for said in one["warnings"]] for one in sessions)


def test_names_of_all_scripts(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", named_studies(*SCRIPTS))
    sessions = compare(tmp_path, archive, "--project", "P", "--create-project")["sessions"]
    assert sorted(one["subject"] for one in sessions) == sorted(SCRIPTS.values())


def test_a_patient_stays_at_the_subject_that_an_earlier_version_named(tmp_path: Path) -> None:
    """A catalog that has its label, by a request here, is as one that an earlier version has made."""
    first, second = (Image(case="former", study=n, **ANNA) for n in (1, 2))
    other = Image(case="former", study=3, patient_id=b"PAT2", **{key: ANNA[key] for key in ("patient_name", "also")})
    data = tmp_path / "data"
    old = packed(tmp_path / "old.zip", {"1.dcm": first.file()})
    call_in_process("import", old, "--data", data, "--project", "P", "--create-project", "--subject", "M_ller_Anna")
    archive = packed(tmp_path / "new.zip", {"2.dcm": second.file(), "3.dcm": other.file()})
    imported = told("import", archive, "--data", data, "--project", "P")[1]
    assert sorted(one["subject"] for one in imported["sessions"]) == ["M_ller_Anna", "Muller_Anna"]


def test_without_a_patient_id_the_name_says_whether_a_subject_of_an_earlier_version_is_the_patient(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    without = {**ANNA, "patient_id": b""}
    old = packed(tmp_path / "old.zip", {"1.dcm": Image(case="nameless", study=1, **without).file()})
    call_in_process("import", old, "--data", data, "--project", "P", "--create-project", "--subject", "M_ller_Anna")
    maria = {**without, "patient_name": "Möller^Anna".encode()}
    archive = packed(
        tmp_path / "new.zip",
        {
            "2.dcm": Image(case="nameless", study=2, **without).file(),
            "3.dcm": Image(case="nameless", study=3, **maria).file(),
        },
    )
    imported = told("import", archive, "--data", data, "--project", "P")[1]
    assert sorted(one["subject"] for one in imported["sessions"]) == ["M_ller_Anna", "Moller_Anna"]


def test_refused_and_partly_taken_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as inner:
        inner.writestr("2.dcm", CT.read_bytes())
    inner_bytes = bytearray((tmp_path / "in.zip").read_bytes())
    inner_bytes[len(inner_bytes) // 2] ^= 0xFF
    partly = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes(), "in.zip": bytes(inner_bytes)})
    assert compare(tmp_path, partly)["state"] == "partly"
    assert compare(tmp_path, packed(tmp_path / "b.zip", {"a.txt": b"text"}))["state"] == "refused"


def test_a_project_that_is_not_there_gets_the_same_words(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes()})
    mapping = tmp_path / "map.csv"
    mapping.write_text("folder,study_uid,project\n,1.2.3,NOWHERE\n")
    for args in (("--project", "NOWHERE"), ("--mapping", mapping), ("--project", "Unassigned"), ("--session", "***")):
        named = (*args, "--data", tmp_path / "data")
        done = [call_in_process("inspect", archive, *named), call_in_process("import", archive, *named)]
        assert {one.returncode for one in done} == {2}
        assert done[0].stderr == done[1].stderr
    assert "reserved" in call_in_process("inspect", archive, "--project", "Unassigned").stderr


def test_where_no_data_folder_is_named_the_projects_are_taken_to_be_there(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes()})
    done, report, _ = told("inspect", archive, "--project", "LUNG")
    assert (done, report["sessions"][0]["project"]) == (0, "LUNG")


def test_projects_policies_and_rules_are_those_of_the_data_folder_named(tmp_path: Path) -> None:
    archive, data = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes()}), tmp_path / "data"
    rules = tmp_path / "rules.txt"
    rules.write_text("(0010,0010):(\\w+)\\^.*\n")
    assert call_in_process("admin", "project", "add", "P", "--data", data, "--prearchive-code", "0").returncode == 0
    assert call_in_process("admin", "rules", "set", "session", rules, "--data", data).returncode == 0
    before = sorted(path for path in data.rglob("*"))
    asked = ("--data", data, "--project", "p")
    inspected = told("inspect", archive, *asked)
    assert sorted(path for path in data.rglob("*")) == before, "nothing is stored"
    assert inspected == told("import", archive, *asked)
    (session,) = inspected[1]["sessions"]
    assert (session["project"], session["label"], session["state"]) == ("P", "CompressedSamples", "prearchive")
    missing = call_in_process("inspect", archive, "--data", tmp_path / "nothing", "--project", "P")
    assert (missing.returncode, (tmp_path / "nothing").exists()) == (2, False)


def test_objects_that_clash_and_settings_of_the_site(tmp_path: Path) -> None:
    mr = MR.read_bytes()
    other = mr[:-2] + bytes([mr[-2] ^ 1, mr[-1]])
    archive = packed(tmp_path / "a.zip", {"1.dcm": mr, "2.dcm": other, "3.dcm": mr, "x.dcm": b"no image"})
    report = compare(tmp_path, archive, "--project", "P", "--create-project", "--resources", "ignore")
    assert report["entries"]["conflict"] == 2
    told_apart = told("inspect", archive, "--project", "P", "--create-project", SCANDOCK_IDENTIFIED="hold")
    assert told_apart[1]["sessions"][0]["code"] == "identified"


def test_images_and_what_is_said_of_them_in_one_series(tmp_path: Path) -> None:
    """They stand in two resources of one scan, in an order that is no order of their classes."""
    states = {0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.11.1")}
    archive = packed(
        tmp_path / "a.zip",
        {
            "S/1.dcm": Image(case="both", number=1, also=states).file(),
            "S/2.dcm": Image(case="both", number=2).file(),
            "S/3.dcm": Image(case="both", number=3).file(),
        },
    )
    (session,) = compare(tmp_path, archive, "--project", "P", "--create-project")["sessions"]
    ((scan,),) = [session["scans"]]
    assert [(one["name"], one["files"]) for one in scan["resources"]] == [("DICOM", 2), ("secondary", 1)]


def test_an_inner_archive_of_other_files_and_ecat(tmp_path: Path, corpus_archives: Path) -> None:
    logs = packed(tmp_path / "logs.zip", {"a.log": b"a", "b.log": b"b"})
    archive = packed(tmp_path / "a.zip", {"S/1.dcm": MR.read_bytes(), "S/logs.zip": logs.read_bytes()})
    compare(tmp_path, archive, "--project", "P", "--create-project")
    compare(tmp_path / "ecat", corpus_archives / "ECAT__and_DICOM_in_one_session.zip")
