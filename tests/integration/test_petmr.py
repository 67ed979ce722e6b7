"""Studies with PET and MR in projects that keep them apart, or whole: whole imports of small archives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.badinput.objects import Element, uid
from tests.builders import DataFolder, Image, make_data_folder

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
