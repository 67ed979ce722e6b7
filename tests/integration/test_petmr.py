"""Studies with PET and MR in projects that keep them apart, or whole: whole imports of small archives."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from scandock.access.errors import SettingInvalid
from scandock.access.principal import SYSTEM
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.label_conflicts import find_taken_labels
from scandock.services.projects import set_pet_mr
from scandock.services.session_moves import move_session
from scandock.services.settings import load_settings
from tests.badinput.objects import Element, element, uid
from tests.builders import DataFolder, Image, ecat, make_data_folder, uploader_layout

CASE = "petmr"
STUDY = uid(CASE, "study", 1).decode()


def _image(series: str, modality: bytes, scan: bytes, description: bytes = b"", **more: Any) -> bytes:
    also: dict[int, Element] = {0x0008103E: (b"LO", description), **more.pop("also", {})}
    return Image(case=CASE, series=series, modality=modality, series_number=scan, also=also, **more).file()


def _pet(**more: Any) -> bytes:
    return _image("pet", b"PT", b"1", b"PET AC", **more)


def _mr(**more: Any) -> bytes:
    return _image("t1", b"MR", b"2", b"T1", **more)


def _study() -> dict[str, bytes]:
    """A study as such a scanner makes it: PET, T1, maps of several contrasts, listmode, a dose report."""
    entries = {f"S/pet/{n}.dcm": _pet(number=n) for n in (1, 2)} | {f"S/t1/{n}.dcm": _mr(number=n) for n in (1, 2)}
    for n, contrast in enumerate((b"in", b"opp", b"F", b"W"), 3):
        entries[f"S/map{n}/1.dcm"] = _image(f"map{n}", b"MR", b"%d" % n, b"Head_MRAC_PET_" + contrast)
    raw = {0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.66")}
    entries["S/raw/1.dcm"] = _image("raw", b"OT", b"8", b"listmode", also=raw)
    entries["S/sr/1.dcm"] = _image(
        "sr", b"SR", b"9", b"Dose", also={0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.88.67")}
    )
    return entries


@pytest.fixture
def site(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch)


def _labels(outcome: Any) -> dict[str, list[str]]:
    return {one["label"]: sorted(scan["id"] for scan in one["scans"]) for one in outcome.sessions}


def test_a_study_becomes_two_sessions_and_comes_again(site: DataFolder) -> None:
    site.project(petmr="separate")
    first = site.bring(_study())
    assert _labels(first) == {"PAT1_MR": ["2", "8", "9"], "PAT1_PET": ["1", "3", "4", "5", "6"]}
    assert [one["session_type"] for one in first.sessions] == ["xnat:mrSessionData", "xnat:petSessionData"]
    assert {(one["study_uid"], one["subject"], one["project"]) for one in first.sessions} == {(STUDY, "DOE_JANE", "P")}
    assert first.warned() == {"label_side"}
    again = site.bring(_study())
    assert again.counts == {"duplicate": len(_study())}
    assert _labels(again) == _labels(first)
    assert [one["uri"] for one in again.sessions] == [one["uri"] for one in first.sessions]


def test_one_side_comes_after_the_other(site: DataFolder) -> None:
    site.project(petmr="separate")
    pet = site.bring({"a.dcm": _pet()})
    assert (_labels(pet), pet.session["session_type"], pet.warned()) == ({"PAT1": ["1"]}, "xnat:petSessionData", set())
    assert _labels(site.bring({"b.dcm": _mr()})) == {"PAT1_MR": ["2"]}
    later = site.bring({"a.dcm": _pet(number=2), "b.dcm": _mr(number=2), "c.dcm": _image("map", b"MR", b"3", b"MRAC")})
    assert _labels(later) == {"PAT1": ["1", "3"], "PAT1_MR": ["2"]}
    assert later.counts == {"stored": 3}
    assert {one["subject"] for one in later.sessions} == {"DOE_JANE"}


def test_one_series_a_zip_comes_to_the_same_as_all_at_once(site: DataFolder) -> None:
    """As clients send them that make a zip of each scan, bound for the prearchive."""
    site.project(petmr="separate", prearchive_code=0)
    series: dict[str, dict[str, bytes]] = {}
    for path, data in _study().items():
        series.setdefault(path.split("/")[1], {})[path] = data
    for entries in series.values():
        site.bring(entries)
    again = site.bring(_study())
    assert again.counts == {"duplicate": len(_study())}
    assert sorted(_labels(again).values()) == [["1", "3", "4", "5", "6"], ["2", "8", "9"]]
    assert {one["state"] for one in again.sessions} == {"prearchive"}


def test_reports_that_came_first_take_no_side(site: DataFolder) -> None:
    site.project(petmr="separate")
    report = _image("sr", b"SR", b"9", also={0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.88.67")})
    assert _labels(site.bring({"sr.dcm": report})) == {"PAT1": ["9"]}
    assert _labels(site.bring({"a.dcm": _pet(), "b.dcm": _mr()})) == {"PAT1": ["2", "9"], "PAT1_PET": ["1"]}


def test_a_report_goes_where_its_images_are(site: DataFolder) -> None:
    site.project(petmr="separate")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    of_pet = element(0x0020000E, b"UI", uid(CASE, "study", 1, "series", "pet"))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(of_pet)) + of_pet
    referred = element(0x00081115, b"SQ", item)
    evidence = struct.pack("<HHI", 0xFFFE, 0xE000, len(referred)) + referred
    state = _image("pr", b"PR", b"10", also={0x00081115: (b"SQ", item)})
    report = _image("sr", b"SR", b"11", also={0x0040A375: (b"SQ", evidence)})
    other = _image("seg", b"SEG", b"12")
    outcome = site.bring({**both, "pr.dcm": state, "sr.dcm": report, "seg.dcm": other})
    assert _labels(outcome) == {"PAT1_MR": ["12", "2"], "PAT1_PET": ["1", "10", "11"]}


def test_only_one_kind_is_one_session(site: DataFolder) -> None:
    site.project(petmr="separate")
    maps = {f"{n}.dcm": _image(f"map{n}", b"MR", b"%d" % n, b"MRAC") for n in (3, 4)}
    pet = site.bring({"a.dcm": _pet(), **maps})
    assert (_labels(pet), pet.session["session_type"]) == ({"PAT1": ["1", "3", "4"]}, "xnat:petSessionData")
    other = site.bring(
        {"m.dcm": _mr(study=2, patient_id=b"B"), "k.dcm": _image("k", b"MR", b"3", b"MRAC", study=2, patient_id=b"B")}
    )
    assert (_labels(other), other.session["session_type"]) == ({"B": ["2", "3"]}, "xnat:mrSessionData")


def test_ecat_goes_with_the_pet(site: DataFolder) -> None:
    site.project(petmr="separate")
    entries = {**uploader_layout("S1", "2", [_mr()]), "S1/scans/1/resources/ECAT/files/a.v": ecat(patient_id=b"PAT1")}
    assert _labels(site.bring(entries)) == {"S1_MR": ["2"], "S1_PET": ["1"]}
    assert site.bring(entries).counts == {"duplicate": 2}


def test_other_files_are_kept(site: DataFolder) -> None:
    """Beside images of one side they are that one's, beside images of both the MR's."""
    site.project(petmr="separate")
    study = {"S/pet/a.dcm": _pet(), "S/pet/raw.ptd": b"listmode", "S/t1/b.dcm": _mr(), "S/notes.txt": b"both"}
    outcome = site.bring(study)
    assert outcome.counts == {"stored": 2, "resource": 2}
    where = {path: outcome.line(path)["stored_as"].split("/")[2] for path in study}
    assert [where[path] for path in study] == ["PAT1_PET", "PAT1_PET", "PAT1_MR", "PAT1_MR"]
    assert site.bring(study).counts == {"duplicate": 4}


def test_a_requested_label_names_both(site: DataFolder) -> None:
    site.project(petmr="separate")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    for _ in range(2):
        assert sorted(_labels(site.bring(both, session="x_PETMR_1", subject="S"))) == ["x_MR_1", "x_PET_1"]
    held = site.bring(both, session="y")
    assert [one["code"] for one in held.sessions] == ["study_elsewhere", "study_elsewhere"]


def test_labels_that_are_taken_get_a_suffix(site: DataFolder) -> None:
    site.project(petmr="separate")
    other = Image(case="other", patient_id=b"PAT1_MR", patient_name=b"Roe").file()
    site.bring({"o.dcm": other})
    outcome = site.bring({"a.dcm": _pet(), "b.dcm": _mr()})
    assert sorted(_labels(outcome)) == ["PAT1_MR_20200131", "PAT1_PET"]
    assert "label_suffixed" in outcome.warned()


def test_nameless_sides_have_one_subject(site: DataFolder) -> None:
    site.project(petmr="separate")
    nobody = {"patient_id": b"", "patient_name": b""}
    outcome = site.bring({"a.dcm": _pet(**nobody), "b.dcm": _mr(**nobody)})
    (subject,) = {one["subject"] for one in outcome.sessions}
    assert sorted(_labels(outcome)) == [f"{subject}_MR", f"{subject}_PET"]


def test_a_whole_session_takes_what_comes_once_its_project_separates(site: DataFolder) -> None:
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    assert site.bring(both).session["session_type"] == "xnat:petmrSessionData"
    set_pet_mr(str(site.data), site.settings, "P", "separate")
    assert site.bring(both).counts == {"duplicate": 2}
    more = site.bring({"a.dcm": _pet(number=2), "c.dcm": _image("t2", b"MR", b"5", b"T2")})
    assert (_labels(more), more.session["session_type"]) == ({"PAT1": ["1", "2", "5"]}, "xnat:petmrSessionData")
    other = site.bring({"a.dcm": _pet(study=2), "b.dcm": _mr(study=2)})
    assert sorted(_labels(other)) == ["PAT1_MR", "PAT1_PET"]


def test_separate_sessions_stay_so_once_their_project_does_not_separate(site: DataFolder) -> None:
    site.project(petmr="separate")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    site.bring(both)
    set_pet_mr(str(site.data), site.settings, "P", "petmr")
    again = site.bring({**both, "c.dcm": _pet(number=2)})
    assert (again.counts, sorted(_labels(again))) == ({"duplicate": 2, "stored": 1}, ["PAT1_MR", "PAT1_PET"])
    assert (
        site.bring({"a.dcm": _pet(study=2), "b.dcm": _mr(study=2)}).session["session_type"] == "xnat:petmrSessionData"
    )


def test_the_site_says_for_projects_that_leave_it_that(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    monkeypatch.setenv("SCANDOCK_PETMR", " Separate ")
    monkeypatch.setenv("SCANDOCK_PETMR_MAPS", "ac")
    site.settings = load_settings()
    site.project("WHOLE", petmr="petmr")
    assert sorted(_labels(site.bring({**both, "c.dcm": _image("m", b"MR", b"3", b"dixon_ac")}))) == [
        "PAT1_MR",
        "PAT1_PET",
    ]
    assert list(_labels(site.bring(both, project="WHOLE"))) == ["PAT1"]
    monkeypatch.setenv("SCANDOCK_PETMR", "both")
    with pytest.raises(SettingInvalid, match="SCANDOCK_PETMR"):
        load_settings()


def test_objects_that_differ_hold_their_side_alone(site: DataFolder) -> None:
    site.project(petmr="separate")
    changed = _mr(also={0x00080080: (b"LO", b"Elsewhere")})
    outcome = site.bring({"a.dcm": _pet(), "b.dcm": _mr(), "c.dcm": changed})
    assert {one["label"]: (one["state"], one["code"]) for one in outcome.sessions} == {
        "PAT1_MR": ("conflict", "sop_clash"),
        "PAT1_PET": ("archive", ""),
    }
    assert "waiting_elsewhere" not in outcome.warned()


def test_sides_that_wait_are_archived_each_by_itself(site: DataFolder) -> None:
    site.project(petmr="separate")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    waiting = site.bring(both, destination="prearchive")
    assert waiting.warned() == {"label_side"}
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        with catalog.read() as connection:
            assert find_taken_labels(connection, [one["id"] for one in waiting.sessions]) == set()
        outcomes = [archive_session(context, one["id"]) for one in waiting.sessions]
    assert [outcome.into for outcome in outcomes] == [None, None]
    assert sorted(_labels(site.bring(both))) == ["PAT1_MR", "PAT1_PET"]
    more = site.bring({"a.dcm": _pet(number=2), "b.dcm": _mr(number=2)}, destination="prearchive")
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        merged = {one["id"]: archive_session(context, one["id"]) for one in more.sessions}
    assert [outcome.into for outcome in merged.values()] == [one["id"] for one in waiting.sessions]
    assert site.bring({"a.dcm": _pet(number=2), "b.dcm": _mr(number=2)}).counts == {"duplicate": 2}


def test_what_came_as_a_whole_joins_no_side_when_it_is_archived(site: DataFolder) -> None:
    """Moved in while the project kept studies whole: of one kind it goes to its side, of both it stays whole."""
    site.project(petmr="separate")
    site.project("WHOLE", petmr="petmr")
    both = {"a.dcm": _pet(), "b.dcm": _mr()}
    sides = {one["label"]: one["id"] for one in site.bring(both).sessions}
    ways = {"mr": {"b.dcm": _mr(number=2)}, "whole": {"a.dcm": _pet(number=3), "b.dcm": _mr(number=3)}}
    for name, entries in ways.items():
        (waiting,) = site.bring(entries, project="WHOLE", destination="prearchive").sessions
        set_pet_mr(str(site.data), site.settings, "P", "petmr")
        with open_data(str(site.data), site.settings) as (catalog, store):
            context = ServiceContext(catalog, store, site.settings, SYSTEM)
            move_session(context, waiting["id"], project_name="P")
        set_pet_mr(str(site.data), site.settings, "P", "separate")
        with open_data(str(site.data), site.settings) as (catalog, store):
            context = ServiceContext(catalog, store, site.settings, SYSTEM)
            outcome = archive_session(context, waiting["id"])
        assert outcome.into == (sides["PAT1_MR"] if name == "mr" else None)
    more = site.bring({"b.dcm": _mr(number=4)})
    assert _labels(more) == {"PAT1": ["1", "2"]}, "what the project has as a whole takes what comes"
    site.check()
