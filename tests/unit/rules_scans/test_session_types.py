from __future__ import annotations

import pytest

from scandock.rules.session_types import ECAT_SCAN, can_join_type, joined_session_type, session_type


def of(elements, modalities="", petmr="petmr"):
    return session_type([f"xnat:{element}ScanData" for element in elements.split()], modalities.split(), petmr)


SESSIONS = [
    ("mr", "MR", "mr"),
    ("ct", "CT", "ct"),
    ("pet", "PT", "pet"),
    ("pet sc", "PT OT", "pet"),
    ("mr sr", "MR SR", "mr"),
    ("pet ct", "PT CT", "pet"),
    ("ct rtImage", "CT RTSTRUCT", "ct"),
    ("rtImage", "RTPLAN", "rt"),
    ("cr", "CR", "cr"),
    ("dx", "DX", "dx"),
    ("mg", "MG", "mg"),
    ("io", "IO", "io"),
    ("dx3DCraniofacial", "DX", "dx3DCraniofacial"),
    ("xa", "XA", "xa"),
    ("rf", "RF", "rf"),
    ("us", "US", "us"),
    ("nm", "NM", "nm"),
    ("esv", "ES", "es"),
    ("op", "OP", "op"),
    ("opt", "OPT", "opt"),
    ("gm", "GM", "gm"),
    ("sm", "SM", "sm"),
    ("xcv", "XC", "xcv"),
    ("ecg", "ECG", "ecg"),
    ("hd", "HD", "hd"),
    ("eps", "EPS", "eps"),
    ("sr", "SR", "sr"),
    ("seg", "SEG", "seg"),
    ("sc", "NM", "nm"),
    ("sc", "OT", "otherDicom"),
    ("sc", "", "otherDicom"),
    ("otherDicom", "MR", "mr"),
    ("otherDicom", "XC", "xc"),
    ("otherDicom", "", "otherDicom"),
    ("op otherDicom", "OP", "op"),
    ("ann", "ANN", "otherDicom"),
    ("", "", "otherDicom"),
]
"""Types of the scans, modalities of the series, type of the session."""


def test_the_lead_scan_makes_the_session():
    made = [(scans, modalities, of(scans, modalities)) for scans, modalities, _ in SESSIONS]
    assert made == [(scans, modalities, f"xnat:{session}SessionData") for scans, modalities, session in SESSIONS]


@pytest.mark.parametrize("scans", ["pet mr", "mr pet sc sr", "pet mr ct"])
def test_pet_and_mr_in_one_study_is_one_session_by_the_project_s_choice(scans):
    assert of(scans, "PT MR") == "xnat:petmrSessionData"
    assert of(scans, "PT MR", "pet") == "xnat:petSessionData"


def test_a_pet_or_mr_series_of_an_unknown_class_counts_by_its_modality():
    assert of("mr otherDicom", "MR PT") == "xnat:petmrSessionData"
    assert of("pet otherDicom", "MR PT") == "xnat:petmrSessionData"


def test_captures_that_say_pet_make_no_pet_mr():
    assert of("mr sc", "MR PT") == "xnat:mrSessionData"


def test_ecat_counts_as_pet():
    assert session_type([ECAT_SCAN], []) == "xnat:petSessionData"
    assert session_type([ECAT_SCAN, "xnat:mrScanData"], ["MR"]) == "xnat:petmrSessionData"


def test_the_order_of_scans_does_not_show():
    assert of("sr seg mr ct", "SR CT MR SEG") == of("ct mr seg sr", "MR SEG CT SR") == "xnat:mrSessionData"


@pytest.mark.parametrize(
    ("before", "scans", "petmr", "is_set", "after"),
    [
        ("mr", ("mr", "pet"), "petmr", False, "petmr"),
        ("mr", ("mr", "pet"), "pet", False, "pet"),
        ("pet", ("mr", "pet"), "petmr", True, "pet"),
        ("petmr", ("mr", "pet"), "pet", False, "petmr"),
        ("ct", ("ct", "pet"), "petmr", False, "ct"),
        ("sr", ("sr", "mr"), "petmr", False, "mr"),
        ("sr", ("sr", "mr"), "petmr", True, "sr"),
        ("sr", ("sr", "seg"), "petmr", False, "sr"),
        ("seg", ("seg", "mr", "pet"), "pet", False, "pet"),
        ("otherDicom", ("sc", "ct"), "petmr", False, "ct"),
        ("ct", ("ct", "sr"), "petmr", False, "ct"),
        ("ct", (), "petmr", True, "ct"),
    ],
)
def test_an_archived_session_keeps_the_type_of_its_images_but_for_pet_and_mr(before, scans, petmr, is_set, after):
    types = [f"xnat:{one}ScanData" for one in scans]
    assert (
        joined_session_type(f"xnat:{before}SessionData", types, [], petmr, is_set=is_set) == f"xnat:{after}SessionData"
    )


@pytest.mark.parametrize(
    ("standing", "coming", "petmr", "same_study", "may"),
    [
        ("mr", "mr", "petmr", False, True),
        ("mr", "ct", "petmr", True, False),
        ("petmr", "pet", "petmr", False, True),
        ("petmr", "ct", "petmr", True, False),
        ("pet", "mr", "petmr", True, False),
        ("pet", "mr", "pet", True, True),
        ("pet", "mr", "pet", False, False),
        ("mr", "sr", "petmr", True, True),
        ("mr", "sr", "petmr", False, False),
        ("mr", "otherDicom", "petmr", True, True),
    ],
)
def test_what_may_join_a_session_whose_type_was_set(standing, coming, petmr, same_study, may):
    types = f"xnat:{standing}SessionData", f"xnat:{coming}SessionData"
    assert can_join_type(*types, petmr, same_study=same_study) is may
