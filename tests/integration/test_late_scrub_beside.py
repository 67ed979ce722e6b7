"""Imports that de-identify into projects with import filters, and into projects that keep PET and MR apart."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.tables import session
from scandock.rules.privacy import PrivacyRules
from scandock.rules.series_filters import read_lines
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.import_filters import set_local_filter
from scandock.services.projects import set_pet_mr
from scandock.services.settings import load_settings
from scandock.testing.privacy import given_privacy
from tests.badinput.objects import Element, element, uid
from tests.builders import DataFolder, Image, ecat, make_data_folder, uploader_layout

CASE = "beside"
STUDY = uid(CASE, "study", 1).decode()
LABELS = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n'
HASHED = LABELS + "".join(f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018"))
DESCRIPTION, STUDY_DESCRIPTION, STATION = 0x0008103E, 0x00081030, 0x00081010
MARK = b"SALT"


def _rules(script: str, **values: Any) -> PrivacyRules:
    return PrivacyRules(key=b"k" * 32, scripts=(script,), **values)


BY_SCRIPT = _rules(HASHED)
BY_PROFILE = _rules(LABELS, profile="basic,retain-patient")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


def _image(series: str, modality: bytes, scan: bytes, description: bytes = b"", **more: Any) -> bytes:
    also: dict[int, Element] = {DESCRIPTION: (b"LO", description), **more.pop("also", {})}
    return Image(
        case=CASE,
        series=series,
        modality=modality,
        series_number=scan,
        also=also,
        **{"patient_id": b"SALT-77", "patient_name": b"SALT^ANNA", **more},
    ).file()


def _pet(**more: Any) -> bytes:
    return _image("pet", b"PT", b"1", b"PET AC", **more)


def _mr(**more: Any) -> bytes:
    return _image("t1", b"MR", b"2", b"T1", **more)


def _labels(outcome: Any) -> dict[str, list[str]]:
    return {one["label"]: sorted(scan["id"] for scan in one["scans"]) for one in outcome.sessions}


def _rows(site: DataFolder, *columns: Any) -> list[Any]:
    with site.catalog() as catalog, catalog.read() as connection:
        return list(connection.execute(select(*columns).order_by(session.c.label)))


def _holds_no_mark(site: DataFolder, *outcomes: Any) -> None:
    for outcome in outcomes:
        assert MARK not in json.dumps([outcome.report, outcome.lines]).encode()
    for path in site.data.rglob("*"):
        assert not path.is_file() or MARK not in path.read_bytes(), path


# -- with import filters ---------------------------------------------------------------------------------------------


LOCALIZER, T1, T2 = (f"S/scans/{n}/resources" for n in (1, 2, 3))


def _of_p(description: str, number: int = 1, **also: Element) -> bytes:
    """An object whose headers name project P."""
    more = {STUDY_DESCRIPTION: (b"LO", b"P"), **({STATION: also["station"]} if also else {})}
    return _image(description, b"MR", b"1", description.encode(), number=number, also=more)


def _archive() -> dict[str, bytes]:
    """A series that is filtered, one of which one object is, one that a script rejects, and files beside them."""
    entries = {f"{LOCALIZER}/DICOM/files/{n}.dcm": _of_p("Localizer", n) for n in (1, 2)}
    entries |= {f"{T1}/DICOM/files/{n}.dcm": _of_p("T1", n) for n in (1, 2)}
    entries[f"{T1}/DICOM/files/3.dcm"] = _of_p("T1", 3, station=(b"SH", b"SALT"))
    entries[f"{T2}/DICOM/files/1.dcm"] = _of_p("T2")
    return entries | {f"{LOCALIZER}/N/files/a.txt": b"localizer", f"{T1}/N/files/b.txt": b"T1", "S/c.txt": b"all"}


@pytest.mark.postgresql
@pytest.mark.parametrize("owner", [None, "P"])
def test_filters_decide_first_and_what_they_leave_is_de_identified(site: DataFolder, owner: str | None) -> None:
    """The site's, of which readers know all; and the project's, where headers of the whole study name the project."""
    site.project("P")
    lines = read_lines("localizer\n[StationName]\nEXISTS", "blacklist")
    set_local_filter(str(site.data), site.settings, owner, lines)
    given = _rules(HASHED + '(0008,103E) = "T2" ? reject[]\n')
    project = "P" if owner is None else None
    with given_privacy(projects={"P": given}):
        first = site.bring(_archive(), project=project, subject="S1", session="E1")
        before = site.files()
        again = site.bring(_archive(), project=project, subject="S1", session="E1")
    code = "filter_site" if owner is None else "filter_project"
    images = {path: told for path, told in first.codes().items() if path.endswith(".dcm")}
    assert images == {
        **{f"{LOCALIZER}/DICOM/files/{n}.dcm": f"filtered {code}" for n in (1, 2)},
        **{f"{T1}/DICOM/files/{n}.dcm": "stored stored_deid" for n in (1, 2)},
        f"{T1}/DICOM/files/3.dcm": f"filtered {code}",
        f"{T2}/DICOM/files/1.dcm": "filtered script_reject",
    }
    assert (first.state, first.session["project"], first.session["label"]) == ("placed", "P", "E1")
    # files find the scan that they are beside, though its UID is another one and some of it was left out
    assert first.line(f"{LOCALIZER}/N/files/a.txt")["code"] == "ignored_filtered"
    (scan,) = first.session["scans"]
    assert [one["name"] for one in scan["resources"]] == ["DICOM", "N"]
    assert [one["name"] for one in first.session["resources"]] == ["MISC"]
    messages = [one["message"] for one in first.report["warnings"] if one["code"] == "filtered"]
    assert len(messages) == 2
    assert messages[0].startswith("3 images were left out by import filters: 2 by ")
    assert messages[1].startswith("1 image was left out by scripts of the site or the project.")
    assert (again.state, again.counts) == ("placed", {"duplicate": 4, "filtered": 4, "ignored": 1})
    assert site.files() == before
    assert [line["stored_as"] for line in again.lines] == [line["stored_as"] for line in first.lines]
    _holds_no_mark(site, first, again)


def test_filters_that_leave_nothing_refuse_before_anything_is_de_identified(site: DataFolder) -> None:
    site.project("P")
    set_local_filter(str(site.data), site.settings, None, read_lines("localizer", "blacklist"))
    with given_privacy(_rules("this is no script")):
        only = site.bring({"a/1.dcm": _of_p("Localizer")}, subject="S1", session="E1")
        both = site.bring({"a/1.dcm": _of_p("Localizer"), "a/2.dcm": _of_p("T1")}, subject="S1", session="E1")
    assert (only.state, only.report["code"], only.counts) == ("refused", "all_filtered", {"filtered": 1})
    assert (both.state, both.report["code"], both.counts) == ("refused", "deid_failed", {"filtered": 1, "refused": 1})
    assert site.files() == {}


# -- with PET and MR apart -------------------------------------------------------------------------------------------


def _study() -> dict[str, bytes]:
    entries = {f"S/pet/{n}.dcm": _pet(number=n) for n in (1, 2)} | {f"S/t1/{n}.dcm": _mr(number=n) for n in (1, 2)}
    entries["S/map/1.dcm"] = _image("map", b"MR", b"3", b"Head_MRAC_PET_in")
    return entries | {"S/pet/raw.ptd": b"listmode", "S/notes.txt": b"both"}


def _agree(site: DataFolder, rules: PrivacyRules, *labels: str) -> str:
    """The sessions are the two sides of one study by all that the catalog and their files say; gives its new UID."""
    columns = session.c.label, session.c.side, session.c.study_uid, session.c.study_key, session.c.patient_key
    found = _rows(site, *columns)
    assert {side: label for label, side, *_ in found} == dict(zip(("MR", "PET"), labels, strict=True))
    assert {tuple(row[3:]) for row in found} == {(rules.study_key(STUDY), rules.patient_token("SALT-77"))}
    (study_uid,) = {row[2] for row in found}
    headers: dict[str, set[Any]] = defaultdict(set)
    for path in site.data.rglob("*.dcm"):
        one = pydicom.dcmread(path)
        headers[one.PatientID].add((one.StudyInstanceUID, str(one.PatientName)))
    assert {uid for values in headers.values() for uid, _ in values} == {study_uid}
    assert set(headers) <= ({"REMOVED"} if rules.profile else set(labels))
    return str(study_uid)


@pytest.mark.postgresql
@pytest.mark.parametrize("given", [BY_SCRIPT, BY_PROFILE])
@pytest.mark.parametrize("destination", ["archive", "prearchive"])
def test_both_sides_of_a_study_are_de_identified_alike_and_known_again(
    site: DataFolder, given: PrivacyRules, destination: str
) -> None:
    site.project("P", petmr="separate")
    asked: Any = {"subject": "S1", "session": "E1", "destination": destination}
    with given_privacy(given):
        first = site.bring(_study(), **asked)
        before = site.files()
        again = site.bring(_study(), **asked)
        more = site.bring({"a.dcm": _pet(number=3), "b.dcm": _mr(number=3)}, **asked)
    assert _labels(first) == {"E1_MR": ["2"], "E1_PET": ["1", "3"]}
    assert first.warned() == {"label_side"}
    kept = given is BY_SCRIPT
    assert first.counts == ({"stored": 5, "resource": 2} if kept else {"stored": 5, "ignored": 2})
    assert _agree(site, given, "E1_MR", "E1_PET") != STUDY
    if kept:
        assert "E1_PET/" in first.line("S/pet/raw.ptd")["stored_as"]
        assert "E1_MR/" in first.line("S/notes.txt")["stored_as"]
    assert again.counts == ({"duplicate": 7} if kept else {"duplicate": 5, "ignored": 2})
    assert [one["uri"] for one in again.sessions] == [one["uri"] for one in first.sessions]
    assert again.report["bytes"]["stored"] == 0
    assert before.items() <= site.files().items()
    assert (more.counts, len(site.files())) == ({"stored": 2}, len(before) + 2)
    assert {one["label"]: one["files"] for one in more.sessions} == (
        {"E1_MR": 4, "E1_PET": 5} if kept else {"E1_MR": 3, "E1_PET": 4}
    )
    _holds_no_mark(site, first, again, more)


def test_sides_that_wait_are_archived_each_into_its_own(site: DataFolder) -> None:
    site.project("P", petmr="separate")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    more = {"a.dcm": _pet(number=2), "b.dcm": _mr(number=2)}
    with given_privacy(BY_SCRIPT):
        there = site.bring(both, subject="S1", session="E1")
        waiting = site.bring({**both, **more}, subject="S1", session="E1", destination="prearchive")
        with open_data(str(site.data), site.settings) as (catalog, store):
            context = ServiceContext(catalog, store, site.settings, SYSTEM)
            into = [archive_session(context, one["id"]).into for one in waiting.sessions]
        again = site.bring({**both, **more}, subject="S1", session="E1")
    assert into == [one["id"] for one in there.sessions]
    assert again.counts == {"duplicate": 2}
    _agree(site, BY_SCRIPT, "E1_MR", "E1_PET")


def test_one_side_comes_after_the_other_and_series_stay_where_they_are(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored series have other UIDs: which side has them is known by what their objects were."""
    site.project("P", petmr="separate")
    dixon = {"d.dcm": _image("dixon", b"MR", b"4", b"dixon_ac")}
    with given_privacy(BY_SCRIPT):
        site.bring({"a.dcm": _pet()}, subject="S1", session="E1")
        site.bring({"b.dcm": _mr(), **dixon}, subject="S1", session="E1")
        _agree(site, BY_SCRIPT, "E1_MR", "E1")
        before = site.files()
        monkeypatch.setenv("SCANDOCK_PETMR_MAPS", "ac")
        site.settings = load_settings()
        every = {"a.dcm": _pet(), "b.dcm": _mr(), **dixon}
        mapped = site.bring(every, subject="S1", session="E1")
        set_pet_mr(str(site.data), site.settings, "P", "petmr")
        whole = site.bring(every, subject="S1", session="E1")
    assert mapped.counts == whole.counts == {"duplicate": 3}
    assert _labels(mapped) == _labels(whole) == {"E1": ["1"], "E1_MR": ["2", "4"]}
    assert site.files() == before


def test_what_refers_to_images_that_came_before_goes_to_their_side(site: DataFolder) -> None:
    """A report, a segmentation and a presentation state, of series whose UIDs are others now; by an older key too."""
    site.project("P", petmr="separate")
    newer = PrivacyRules(key=b"n" * 32, scripts=BY_SCRIPT.scripts, older_keys=(BY_SCRIPT.key,))

    def referring(modality: bytes, scan: bytes, to: str) -> bytes:
        series = element(0x0020000E, b"UI", uid(CASE, "study", 1, "series", to))
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(series)) + series
        return _image(f"{modality!r}{to}", modality, scan, also={0x00081115: (b"SQ", item)})

    with given_privacy(BY_SCRIPT):
        site.bring({"a.dcm": _pet(), "b.dcm": _mr()}, subject="S1", session="E1")
        first = site.bring({"c.dcm": referring(b"PR", b"10", "pet")}, subject="S1")
    with given_privacy(newer):
        then = site.bring(
            {"d.dcm": referring(b"SEG", b"11", "pet"), "e.dcm": referring(b"SR", b"12", "t1"),
             "f.dcm": referring(b"SR", b"13", "elsewhere")},
            subject="S1",
        )  # fmt: skip
    assert _labels(first) == {"E1_PET": ["1", "10"]}
    assert _labels(then) == {"E1_MR": ["12", "13", "2"], "E1_PET": ["1", "10", "11"]}


def test_ecat_has_the_new_uid_of_the_other_side(site: DataFolder) -> None:
    site.project("P", petmr="separate")
    ecat_path = "S1/scans/1/resources/ECAT/files/a.v"
    entries = {
        **uploader_layout("S1", "2", [_mr()]),
        ecat_path: ecat(patient_id=b"SALT-77"),
    }
    with given_privacy(BY_PROFILE):
        first = site.bring(entries, subject="S1", session="E1")
        again = site.bring(entries, subject="S1", session="E1")
    assert _labels(first) == {"E1_MR": ["2"], "E1_PET": ["1"]}
    assert (again.counts, again.sessions[1]["uri"]) == ({"duplicate": 2}, first.sessions[1]["uri"])
    assert _agree(site, BY_PROFILE, "E1_MR", "E1_PET") != STUDY
    _holds_no_mark(site, first, again)


def test_rules_that_make_two_studies_of_the_sides_are_failures(site: DataFolder) -> None:
    site.project("P", petmr="separate")
    with given_privacy(_rules(LABELS + '(0008,0060) = "PT" ? (0020,000D) := hashUID[(0020,000D)]\n')):
        outcome = site.bring({"a.dcm": _pet(), "b.dcm": _mr()}, subject="S1", session="E1")
    assert (outcome.state, outcome.report["code"], outcome.counts) == ("refused", "deid_failed", {"refused": 2})
    assert {one["code"] for one in outcome.sessions} == {"deid_failed"}
    assert all("several StudyInstanceUIDs" in one["message"] for one in outcome.sessions)
    assert site.files() == {}


def test_filters_leave_out_of_one_side(site: DataFolder) -> None:
    """What lies beside images of which one is left out goes with the side of those, into the scan that they are of."""
    site.project("P", petmr="separate")
    set_local_filter(str(site.data), site.settings, None, read_lines("[StationName]\nEXISTS", "blacklist"))
    pet = [_pet(), _pet(number=2, also={STATION: (b"SH", b"SALT")})]
    entries = {**uploader_layout("S", "1", pet), **uploader_layout("S", "2", [_mr()])}
    entries["S/scans/1/resources/N/files/raw.ptd"] = b"listmode"
    with given_privacy(BY_SCRIPT):
        first = site.bring(entries, subject="S1", session="E1")
        again = site.bring(entries, subject="S1", session="E1")
    assert first.counts == {"stored": 2, "filtered": 1, "resource": 1}
    assert again.counts == {"duplicate": 3, "filtered": 1}
    by_label = {one["label"]: one["scans"] for one in first.sessions}
    ((scan,), (other,)) = by_label["E1_PET"], by_label["E1_MR"]
    assert [one["name"] for one in scan["resources"]] == ["DICOM", "N"]
    assert [one["name"] for one in other["resources"]] == ["DICOM"]
    _agree(site, BY_SCRIPT, "E1_MR", "E1_PET")
    _holds_no_mark(site, first, again)


def test_one_object_that_fails_refuses_both_sides_of_its_study(site: DataFolder) -> None:
    site.project("P", petmr="separate")
    entries = {"a.dcm": _pet(), "b.dcm": _mr(), "c.dcm": _mr(number=2, study=2, patient_id=b"B")}
    shifted = '(0008,0060) = "PT" ? (0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n'
    with given_privacy(_rules(HASHED + shifted)):
        failed = site.bring(entries, subject="S1")
    assert (failed.state, failed.report["code"], failed.counts) == (
        "partly",
        "deid_failed",
        {"stored": 1, "refused": 2},
    )
    assert {path: code for path, code in failed.codes().items() if path != "c.dcm"} == {
        "a.dcm": "refused deid_failed", "b.dcm": "refused session_refused",
    }  # fmt: skip
    messages = [one["message"] for one in failed.sessions if one["code"] == "deid_failed"]
    assert len(messages) == 2
    assert sum("_PET, which is of the same study, could not be de-identified." in message for message in messages) == 1
    assert len(site.files()) == 1
    with given_privacy(BY_SCRIPT):
        assert site.bring(entries, subject="S1").counts == {"stored": 2, "duplicate": 1}


def test_what_holds_or_rejects_one_side_leaves_the_other(site: DataFolder) -> None:
    site.project("P", petmr="separate")
    changed = _mr(also={0x00080080: (b"LO", b"Elsewhere")})
    with given_privacy(BY_SCRIPT):
        held = site.bring({"a.dcm": _pet(), "b.dcm": _mr(), "c.dcm": changed}, subject="S1", session="E1")
    assert {one["label"]: (one["state"], one["code"]) for one in held.sessions} == {
        "E1_MR": ("conflict", "sop_clash"),
        "E1_PET": ("archive", ""),
    }
    _agree(site, BY_SCRIPT, "E1_MR", "E1_PET")
    with given_privacy(_rules(HASHED + '(0008,0060) = "MR" ? reject[]\n')):
        rejected = site.bring({"a.dcm": _pet(study=2), "b.dcm": _mr(study=2)}, subject="S1", session="E2")
    assert (rejected.state, rejected.counts) == ("placed", {"stored": 1, "filtered": 1})
    assert {one["label"]: one["code"] for one in rejected.sessions} == {"E2_PET": "", None: "all_filtered"}
    _holds_no_mark(site, held, rejected)
