"""PET and MR of one study as two sessions: sides, labels, and what the catalog's own sessions make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scandock.model.series import REFERENCES, SeriesTally
from scandock.rules.catalog_view import KnownSession
from scandock.rules.petmr import (
    MapWords,
    Side,
    effective_pet_mr,
    is_map,
    parse_pet_mr,
    shares_side,
    side_label,
    side_of_scan,
)
from scandock.rules.policy import ProjectPolicy
from scandock.rules.study import StudyFacts
from scandock.rules.study_sides import divide_series, separate_study, split_study
from tests.unit.rules_sessions.builders import FakeCatalog, ecat_facts, known, series, study_of

GOLDEN = Path(__file__).resolve().parents[4] / "shared/reference/golden/filters-petmr.json"
CASES: dict[str, list[dict[str, Any]]] = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
SEPARATE = ProjectPolicy(id="P", petmr="separate")
PETMR = "xnat:petmrSessionData"


def test_the_golden_cases_are_there_where_the_reference_is() -> None:
    counts = [len(CASES.get(name, [])) for name in ("petmr_labels", "petmr_sides_of_the_original")]
    assert counts == [6, 13] or not GOLDEN.parent.exists()


@pytest.mark.parametrize("case", CASES.get("petmr_labels", []), ids=lambda case: case["label"])
def test_golden_label(case: dict[str, str]) -> None:
    assert side_label(case["label"], "MR") == case["MR"]
    assert side_label(case["label"], "PET") == case["PET"]


@pytest.mark.parametrize("case", CASES.get("petmr_sides_of_the_original", []), ids=str)
def test_golden_side(case: dict[str, str | None]) -> None:
    side = side_of_scan(case["modality"] or "", case["description"] or "")
    assert side == {"PT": "PET", "MR": "MR"}[case["to"] or ""]


def test_a_long_label_is_cut_for_its_side() -> None:
    assert side_label("x" * 64, "PET") == "x" * 60 + "_PET"


@pytest.mark.parametrize(
    ("description", "words", "expected"),
    [
        ("Head_MRAC_PET", "mrac", True),
        ("head_mrac", "mrac", False),
        ("head_mrac", "ac", True),
        ("DIXON_AC", "mrac", False),
        ("Dixon_AC Thorax", "ac", True),
        ("mr_ac", "ac", True),
        ("T1_ACQ", "ac", False),
        ("PLACE", "ac", False),
    ],
)
def test_which_mr_is_a_map(description: str, words: MapWords, expected: bool) -> None:
    assert is_map(description, words) is expected


def test_a_setting_is_read_without_blanks_and_case() -> None:
    texts = ["", "  ", "PetMR", " pet ", "Sepa rate"]
    assert [parse_pet_mr(text) for text in texts] == ["default", "default", "petmr", "pet", "separate"]
    with pytest.raises(ValueError, match="no setting"):
        parse_pet_mr("both")
    assert (effective_pet_mr("default", "pet"), effective_pet_mr("petmr", "pet")) == ("pet", "petmr")


def test_a_side_may_be_one_with_what_has_none() -> None:
    sides: tuple[Side, ...] = ("", "MR", "PET")
    assert [[shares_side(one, other) for other in sides] for one in sides] == [
        [True, True, True],
        [True, True, False],
        [True, False, True],
    ]


def _series(uid: str, modality: str, description: str = "", refers: str = "") -> SeriesTally:
    tally = series("1", 3, uid, **({"Modality": modality} if modality else {}), SeriesDescription=description)
    if refers:
        tally.nested[REFERENCES] = refers
    return tally


def _divide(
    *tallies: SeriesTally, words: MapWords = "mrac", known_series: dict[str, Side] | None = None
) -> dict[str, Side]:
    known_sides = known_series or {}
    return divide_series(study_of(*tallies), words, known_sides, known_sides.values())


PET, T1, MAP = _series("pet", "PT"), _series("t1", "MR", "T1"), _series("map", "MR", "Head_MRAC")


def test_a_study_with_both_is_divided_by_series() -> None:
    raw, report = _series("raw", "RAW", "listmode"), _series("sr", "SR", "Dose")
    assert _divide(PET, T1, MAP, raw, report) == {
        "pet": "PET",
        "t1": "MR",
        "map": "PET",
        "raw": "MR",
        "sr": "MR",
    }


@pytest.mark.parametrize(
    ("tallies", "side"),
    [
        ((PET,), "PET"),
        ((T1,), "MR"),
        ((T1, MAP), "MR"),
        ((PET, MAP), "PET"),
        ((MAP,), "PET"),
        ((PET, _series("ct", "CT")), "PET"),
        ((T1, _series("sr", "SR")), "MR"),
        ((_series("ct", "CT"), _series("sr", "SR")), ""),
    ],
    ids=["pet", "mr", "mr with maps", "pet with maps", "maps", "pet/ct", "mr with a report", "ct"],
)
def test_a_study_of_one_kind_is_not_divided(tallies: tuple[SeriesTally, ...], side: Side) -> None:
    assert set(_divide(*tallies).values()) == {side}


@pytest.mark.parametrize("modality", ["SR", "PR", "SEG"])
@pytest.mark.parametrize(
    ("refers", "side"), [("pet", "PET"), ("t1", "MR"), ("pet\\t1", "MR"), ("elsewhere", "MR"), ("map\\pet", "PET")]
)
def test_what_refers_to_images_goes_with_them(modality: str, refers: str, side: Side) -> None:
    assert _divide(PET, T1, MAP, _series("x", modality, refers=refers))["x"] == side


def test_what_refers_to_images_that_came_before_goes_with_them() -> None:
    report = _series("sr", "SR", refers="old")
    assert _divide(report, known_series={"old": "PET", "t1": "MR"}) == {"sr": "PET"}


def test_a_series_stays_where_it_is() -> None:
    assert _divide(PET, T1, MAP, known_series={"map": "MR"}) == {"pet": "PET", "t1": "MR", "map": "MR"}


def test_the_class_tells_where_no_modality_does() -> None:
    pet = _series("pet", "")
    pet.add(0x00080016, "1.2.840.10008.5.1.4.1.1.128", 3)
    assert _divide(pet, T1) == {"pet": "PET", "t1": "MR"}


def test_ecat_is_pet() -> None:
    study = StudyFacts(key="1", study_uid="1", series=(T1,), ecat=(ecat_facts("X"),))
    parts = split_study(study, divide_series(study, "mrac", {}))
    assert [(part.key, part.side, len(part.series), len(part.ecat)) for part in parts] == [
        ("1/MR", "MR", 1, 0),
        ("1/PET", "PET", 0, 1),
    ]
    assert sum(part.objects for part in parts) == study.objects


# -- beside the sessions that a project has ----------------------------------------------------------------------------


def _sides(study: StudyFacts, *sessions: KnownSession, policy: ProjectPolicy = SEPARATE) -> list[Side]:
    return [part.side for part in separate_study(study, policy, "mrac", FakeCatalog(*sessions))]


BOTH = study_of(PET, T1)


def test_a_project_separates_only_where_it_says_so() -> None:
    assert _sides(BOTH) == ["MR", "PET"]
    assert _sides(BOTH, policy=ProjectPolicy(id="P")) == [""]
    assert _sides(BOTH, policy=ProjectPolicy(id="Unassigned", petmr="separate")) == [""]


def test_a_whole_session_stays_whole() -> None:
    assert _sides(BOTH, known("L", "1", xsi_type=PETMR)) == [""]
    assert _sides(BOTH, known("L", "1", xsi_type="xnat:srSessionData")) == ["MR", "PET"]
    assert _sides(BOTH, known("L", "1", xsi_type=PETMR, by_hand=True)) == ["MR", "PET"]
    assert _sides(BOTH, known("L", "2", xsi_type=PETMR)) == ["MR", "PET"]


def test_two_sessions_stay_two_whatever_the_setting_is_now() -> None:
    mr, pet = known("L_MR", "1", side="MR"), known("L_PET", "1", side="PET")
    assert _sides(BOTH, mr, pet, policy=ProjectPolicy(id="P")) == ["MR", "PET"]
    assert _sides(BOTH, pet, policy=ProjectPolicy(id="P")) == [""]
    assert _sides(study_of(_series("sr", "SR")), mr, pet) == ["MR"]
