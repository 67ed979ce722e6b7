"""What an import files where, and what it warns of: frames, newer classes, order of scans, what stands elsewhere.

One site for all of it on each database, a project for each test; catalog and store are compared once, at the end.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.tables import scan, session
from scandock.cli.summary import SummaryContext, print_summary
from scandock.model.import_report import ReportJson
from scandock.rules.sop_classes import ROOT
from scandock.services import session_contents, session_parts
from scandock.services.pagination import Sorting
from tests.builders import DataFolder, Image, ImportOutcome, ecat, make_data_folder, uploader_layout, zip_entries
from tests.integration.in_process import call_in_process
from tests.stored_files import session_files


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    with pytest.MonkeyPatch.context() as patch:
        made = make_data_folder(tmp_path_factory.mktemp("filing"), patch)
        made.checked = False
        yield made
        made.check()


def image(study: int = 1, number: int = 1, **values: Any) -> bytes:
    return Image(case="filing", number=number, study=study, **values).file()


def of_class(number: int, suffix: str, modality: bytes, **also: Any) -> bytes:
    """An object of a class, in a series of its own; `also` are elements by keyword."""
    elements = {0x00080016: (b"UI", (ROOT + suffix).encode())}
    if "frames" in also:
        elements[0x00280008] = (b"IS", also["frames"])
    return image(number=number, series=number, modality=modality, series_number=b"%d" % number, also=elements)


def warning(told: ImportOutcome, code: str) -> dict[str, str]:
    (only,) = [one for part in told.sessions for one in part["warnings"] if one["code"] == code]
    return only  # type: ignore[no-any-return]


def test_frames_count_images_alone(site: DataFolder) -> None:
    objects = {
        "mr.dcm": of_class(1, "4.1", b"MR", frames=b"12"),
        "raw.dcm": of_class(2, "66", b"MR", frames=b"7"),
        "report.dcm": of_class(3, "88.22", b"SR"),
        "segmentation.dcm": of_class(4, "66.4", b"SEG", frames=b"3"),
        "state.dcm": of_class(5, "11.1", b"PR"),
        "notes.txt": b"a log",
    }
    told = site.bring(objects, project="FRAMES")
    assert {one["id"]: one["frames"] for one in told.session["scans"]} == {"1": 12, "2": 0, "3": 0, "4": 3, "5": 0}
    with site.catalog() as catalog, catalog.read() as connection:
        files = session_files(connection, session.c.label == told.session["label"])
        assert sorted(one.row.frames for one in files) == [0, 0, 0, 0, 3, 12]


def test_ecat_has_its_frames_and_the_modality_that_dicom_has(site: DataFolder) -> None:
    told = site.bring({"a.v": ecat(frames=4), "raw.v": ecat(frames=2, file_type=11)}, project="ECATS")
    assert sorted((one["frames"], one["modality"]) for one in told.session["scans"]) == [(0, "PT"), (4, "PT")]
    assert told.session["session_type"] == "xnat:petSessionData"
    with site.catalog() as catalog, catalog.read() as connection:
        where = session.c.label == told.session["label"]
        attributes = json.loads(connection.execute(select(session.c.attributes).where(where)).scalar_one())
        scans = connection.execute(
            select(scan.c.frames, scan.c.attributes).join(session, session.c.tree_id == scan.c.tree_id).where(where)
        ).all()
    assert attributes["modality"] == "PT"
    of = [(row.frames, json.loads(row.attributes)) for row in scans]
    told_of = sorted((frames, found["frames"], found["modality"]) for frames, found in of)
    assert told_of == [(0, "0", "PT"), (4, "4", "PT")]


def test_newer_classes_are_filed_as_their_plain_kin(site: DataFolder) -> None:
    classes = {
        1: ("4.4", b"MR", "xnat:mrScanData", "DICOM"),
        2: ("2.2", b"CT", "xnat:ctScanData", "DICOM"),
        3: ("128.1", b"PT", "xnat:petScanData", "DICOM"),
        4: ("66.7", b"SEG", "xnat:segScanData", "DICOM"),
        5: ("4.3", b"MR", "xnat:mrScanData", "DICOM"),
        6: ("88.33", b"SR", "xnat:srScanData", "DICOM"),
        7: ("88.34", b"SR", "xnat:srScanData", "DICOM"),
        8: ("7.4", b"OT", "xnat:scScanData", "secondary"),
    }
    told = site.bring(
        {f"{n}.dcm": of_class(n, suffix, modality) for n, (suffix, modality, *_) in classes.items()}, project="KIN"
    )
    filed = {int(one["id"]): (one["xsi_type"], one["resources"][0]["name"]) for one in told.session["scans"]}
    assert filed == {n: (kind, resource) for n, (_, _, kind, resource) in classes.items()}


def test_scans_stand_in_the_order_in_which_people_count(site: DataFolder) -> None:
    numbers = ("10", "2", "1", "100", "9")
    objects = {
        f"{n}.dcm": image(number=n, series=n, series_number=number.encode()) for n, number in enumerate(numbers, 1)
    }
    told = site.bring({**objects, "late.dcm": image(number=9, series=9, series_number=b"9")}, project="ORDER")
    ids = [one["id"] for one in told.session["scans"]]
    assert ids == ["1", "2", "9-MR1", "9-MR2", "10", "100"]
    more = site.bring({"more.dcm": image(number=20, series=20, series_number=b"3")}, project="ORDER")
    ids = ["1", "2", "3", "9-MR1", "9-MR2", "10", "100"]
    assert [one["id"] for one in more.session["scans"]] == ids
    with site.catalog() as catalog, catalog.read() as connection:
        (uuid,) = connection.execute(select(session.c.uuid).where(session.c.scans == len(ids))).scalars().all()
        found: list[str] = []
        sorting = Sorting(limit=3)
        while True:
            page = session_contents.list_scans(connection, SYSTEM, uuid, sorting)
            found += [one.id for one in page.items]
            if page.next is None:
                break
            sorting = Sorting(limit=3, cursor=page.next)
        standing = session_contents.find_readable_session(connection, SYSTEM, uuid)
        listed = [one.scan_id for one in session_parts.find_scans(connection, standing)]
    assert found == listed == ids


def test_studies_of_one_label_and_day_are_told_apart_by_their_time(site: DataFolder) -> None:
    def at(study: int, time: bytes) -> bytes:
        return image(study, patient_id=b"SAME", also={0x00080020: (b"DA", b"20240301"), 0x00080030: (b"TM", time)})

    told = site.bring({"1.dcm": at(11, b"0915"), "2.dcm": at(12, b"101530.5")}, project="TIMES")
    assert sorted(one["label"] for one in told.sessions) == ["SAME_20240301_091500", "SAME_20240301_101530"]
    again = site.bring({"1.dcm": at(12, b"101530.5")}, project="TIMES")
    assert (again.session["label"], again.counts) == ("SAME_20240301_101530", {"duplicate": 1})


def test_a_patient_under_several_subjects_is_told_of(site: DataFolder) -> None:
    site.bring({"1.dcm": image(21, patient_id=b"P7", patient_name=b"Doe^Jane")}, project="PEOPLE")
    told = site.bring({"1.dcm": image(22, patient_id=b"P7", patient_name=b"Doe-Smith^Jane")}, project="PEOPLE")
    said = warning(told, "patient_many_subjects")
    assert "P7 has more than one subject in project PEOPLE: Doe-Smith_Jane here, and Doe_Jane." in said["message"]
    assert said["remedy"]
    same = site.bring({"1.dcm": image(23, patient_id=b"P8", patient_name=b"Doe^Jane")}, project="OTHERS")
    assert "patient_many_subjects" not in same.warned()


def test_and_so_is_one_of_a_single_upload_but_not_one_without_an_id(site: DataFolder) -> None:
    def two(patient_id: bytes) -> dict[str, bytes]:
        return {
            f"{n}.dcm": image(30 + n, patient_id=patient_id, patient_name=b"Name%d" % n, number=n) for n in (1, 2)
        }  # fmt: skip

    told = site.bring(two(b"P9"), project="UPLOAD")
    codes = [[one["code"] for one in part["warnings"]] for part in told.sessions]
    assert [some.count("patient_many_subjects") for some in codes] == [1, 1]
    assert "patient_many_subjects" not in site.bring(two(b"anonymous"), project="ABSENT").warned()


def test_a_study_that_is_held_under_another_label_is_told_of(site: DataFolder) -> None:
    two = {"1.dcm": image(41, number=1), "2.dcm": image(42, number=2)}
    held = site.bring(two, project="WAIT", session="L")
    assert {one["code"] for one in held.sessions} == {"label_many_studies"}
    told = site.bring({"1.dcm": image(41)}, project="WAIT", session="OWN", destination="prearchive")
    assert (told.state, told.session["label"]) == ("placed", "OWN")
    assert warning(told, "waiting_elsewhere")["message"].endswith("already in the prearchive under another label, L.")
    assert "waiting_elsewhere" not in site.bring(two, project="WAIT", session="L").warned() - {"waiting_elsewhere"}


def test_an_ecat_file_that_another_session_holds_is_told_of(site: DataFolder) -> None:
    one, other = ecat(frames=2, scan_start_time=1_580_465_800), ecat(frames=2, scan_start_time=1_580_465_900)
    files = {"A/scans/1/resources/ECAT/files/a.v": one, "A/scans/1/resources/ECAT/files/b.v": other}
    first = site.bring(files, project="TWICE")
    assert "ecat_elsewhere" not in first.warned()
    assert "ecat_elsewhere" not in site.bring(files, project="TWICE").warned()
    told = site.bring({"B/scans/7/resources/ECAT/files/x.v": other}, project="TWICE")
    assert (told.state, told.counts) == ("placed", {"stored": 1})
    assert warning(told, "ecat_elsewhere")["message"] == "Session B shares 1 ECAT file with A in project TWICE."
    within = site.bring({f"{name}/scans/1/resources/ECAT/files/a.v": one for name in "CD"}, project="ONCE")
    assert [[said["code"] for said in part["warnings"]] for part in within.sessions].count(["ecat_elsewhere"]) == 2


def test_an_inspection_beside_a_data_folder_warns_alike(site: DataFolder, tmp_path: Path) -> None:
    site.bring(
        {"1.dcm": image(51, patient_id=b"P5", patient_name=b"Doe^Jane")}, project="LOOK", destination="prearchive"
    )
    site.bring(uploader_layout("E", "1", []) | {"E/scans/1/resources/ECAT/files/a.v": ecat(frames=3)}, project="LOOK")
    archive = tmp_path / "more.zip"
    archive.write_bytes(
        zip_entries(
            {
                "a/1.dcm": image(51, patient_id=b"P5", patient_name=b"Roe^Jane"),
                "F/scans/1/resources/ECAT/files/a.v": ecat(frames=3),
            }
        )
    )
    mapping = tmp_path / "m.csv"
    mapping.write_text("patient_id,session\nP5,OTHER\n")
    args = ("--project", "LOOK", "--mapping", mapping, "--json")
    done = call_in_process("inspect", archive, "--data", site.data, *args)
    (report,) = map(json.loads, done.stdout.splitlines())
    said = {one["label"]: {warned["code"] for warned in one["warnings"]} for one in report["sessions"]}
    assert said["OTHER"] >= {"patient_many_subjects", "waiting_elsewhere"}
    assert "ecat_elsewhere" in said["F"]
    alone = call_in_process("inspect", archive, *args)
    (report,) = map(json.loads, alone.stdout.splitlines())
    told = {warned["code"] for one in report["sessions"] for warned in one["warnings"]}
    assert told.isdisjoint({"patient_many_subjects", "waiting_elsewhere", "ecat_elsewhere"})


def test_what_waits_for_a_decision_is_told_where_its_files_are(site: DataFolder) -> None:
    site.bring({"1.dcm": image(61, patient_id=b"CLASH")}, project="HELD")
    clash = {"1.dcm": image(61, patient_id=b"CLASH", also={0x00204000: (b"LT", b"other")})}

    def headlined(told: ImportOutcome) -> str:
        stream = io.StringIO()
        print_summary([cast(ReportJson, told.report)], SummaryContext(data="data"), stream)
        return stream.getvalue().splitlines()[0]

    assert " held: 1 session, 1 file in the prearchive, " in headlined(site.bring(clash, project="HELD"))
    assert " held: 1 session, 1 file already in the prearchive, " in headlined(site.bring(clash, project="HELD"))
    again = site.bring({"1.dcm": image(61, patient_id=b"CLASH")}, project="HELD")
    assert " placed: 1 session, 1 file already in the archive, " in headlined(again)


@pytest.mark.postgresql
def test_each_database_finds_what_is_elsewhere_and_sorts_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    own = make_data_folder(tmp_path, monkeypatch, database_url)
    own.checked = False
    own.bring(
        {"1.dcm": image(71, patient_id=b"P7", patient_name=b"Doe^Jane"), "E/scans/1/resources/ECAT/files/a.v": ecat()}
    )
    told = own.bring(
        {
            "1.dcm": image(72, patient_id=b"P7", patient_name=b"Roe^Jane"),
            "2.dcm": image(72, number=2, series=2, series_number=b"10", patient_id=b"P7", patient_name=b"Roe^Jane"),
            "3.dcm": image(72, number=3, series=3, series_number=b"2", patient_id=b"P7", patient_name=b"Roe^Jane"),
            "F/scans/1/resources/ECAT/files/a.v": ecat(),
        }
    )
    assert {"patient_many_subjects", "ecat_elsewhere"} <= told.warned()
    with own.catalog() as catalog, catalog.read() as connection:
        query = select(session.c.uuid).where(session.c.scans == 3)
        (uuid,) = connection.execute(query).scalars().all()
        standing = session_contents.find_readable_session(connection, SYSTEM, uuid)
        listed = session_contents.list_scans(connection, SYSTEM, uuid, Sorting(sort="-id"))
        assert [one.id for one in listed.items] == ["10", "2", "1"]
        assert [one.scan_id for one in session_parts.find_scans(connection, standing)] == ["1", "2", "10"]
    own.check()
