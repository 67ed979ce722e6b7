"""The XNAT type of a session from those of its scans (xnat-behaviour.md 4.2, 4.7; rules.md "PET/MR")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scandock.rules.petmr import PetMr, Side
from scandock.rules.sop_classes import OTHER, leading_element, scan_type
from scandock.rules.study import StudyFacts
from scandock.rules.tally_values import count_values, most_common

ECAT_SESSION: Final = "xnat:petSessionData"
ECAT_SCAN: Final = "xnat:petScanData"
OTHER_SESSION: Final = "xnat:otherDicomSessionData"

PET_SESSION: Final = ECAT_SESSION
_MR: Final = "xnat:mrSessionData"
_PETMR: Final = "xnat:petmrSessionData"
BESIDE: Final = frozenset({"xnat:srSessionData", "xnat:segSessionData", OTHER_SESSION})
"""Types of what is made of a study's images and sent by itself: reports, segmentations, secondary captures."""

SIDE_OF_TYPE: Final[dict[str, Side]] = {_MR: "MR", PET_SESSION: "PET"}
"""The side of a separated study that the images of a session are of, by its type."""

SESSION_OF_SCAN: Final[dict[str, str]] = {
    "pet": "pet",
    "mr": "mr",
    "ct": "ct",
    "xa": "xa",
    "us": "us",
    "rtImage": "rt",
    "cr": "cr",
    "opt": "opt",
    "mg": "mg",
    "dx": "dx",
    "dx3DCraniofacial": "dx3DCraniofacial",
    "nm": "nm",
    "sr": "sr",
    "seg": "seg",
    "sm": "sm",
    "gm": "gm",
    "gmv": "gm",
    "rf": "rf",
    "es": "es",
    "esv": "es",
    "xcv": "xcv",
    "ecg": "ecg",
    "eps": "eps",
    "hd": "hd",
    "io": "io",
    "op": "op",
}
"""Scan elements that have a session type of their own; the rest go by Modality."""

SESSION_OF_MODALITY: Final[dict[str, str]] = {
    "PT": "pet",
    "MR": "mr",
    "CT": "ct",
    "XA": "xa",
    "US": "us",
    "IVUS": "us",
    "RTIMAGE": "rt",
    "RTDOSE": "rt",
    "RTSTRUCT": "rt",
    "RTPLAN": "rt",
    "RTRECORD": "rt",
    "CR": "cr",
    "OPT": "opt",
    "MG": "mg",
    "DX": "dx",
    "NM": "nm",
    "SM": "sm",
    "GM": "gm",
    "RF": "rf",
    "ES": "es",
    "XC": "xc",
    "ECG": "ecg",
    "EPS": "eps",
    "HD": "hd",
    "IO": "io",
    "OP": "op",
    "SEG": "seg",
    "SR": "sr",
}
"""In the order in which they lead where a study has several."""


def session_type(series_types: Iterable[str], modalities: Iterable[str], petmr: PetMr = "petmr") -> str:
    """The xsi type of a session, such as `xnat:mrSessionData`.

    `series_types` are the scans' types (`xnat:mrScanData`; ECAT scans count as PET), `modalities` the values of
    Modality met. In order (4.2): PET and MR together, by the project's choice, MRAC maps counting as MR; the lead scan;
    the Modality; `xnat:otherDicomSessionData`. A PET or MR series of a class that the tables lack counts by Modality.
    """
    elements, values = _elements(series_types), _values(modalities)
    if _has_both(elements, values):
        return _type_of_both(petmr)
    first = leading_element(elements)
    if first == OTHER and len(elements - {OTHER}) == 1:
        first = next(iter(elements - {OTHER}))  # the one known type, though the precedence list lacks it
    kind = SESSION_OF_SCAN.get(first)
    if kind is None:
        kind = next((kind for modality, kind in SESSION_OF_MODALITY.items() if modality in values), None)
    return f"xnat:{kind}SessionData" if kind else OTHER_SESSION


def _elements(series_types: Iterable[str]) -> set[str]:
    return {name.removeprefix("xnat:").removesuffix("ScanData") for name in series_types}


def _values(modalities: Iterable[str]) -> set[str]:
    return {value.strip().upper() for value in modalities}


def _has_both(elements: set[str], values: set[str]) -> bool:
    """Whether there are PET and MR, MRAC maps counting as MR."""
    unknown = OTHER in elements
    pet = "pet" in elements or (unknown and "PT" in values)
    mr = "mr" in elements or (unknown and "MR" in values)
    return pet and mr


def _type_of_both(petmr: PetMr) -> str:
    """Of PET and MR that are one session: also where they are separated now, and that one was there before."""
    return PET_SESSION if petmr == "pet" else _PETMR


def side_pet_mr(petmr: PetMr, side: Side) -> PetMr:
    """What PET and MR in one session make it: the PET of a study that was separated has its attenuation maps too."""
    return "pet" if side == "PET" else petmr


def study_session_type(study: StudyFacts, petmr: PetMr = "petmr") -> str:
    """The type that a session of this study alone would have."""
    types = [scan_type(count_values(tally, "SOPClassUID")) for tally in study.series]
    modalities = [most_common(count_values(tally, "Modality")) for tally in study.series]
    if study.ecat:
        types, modalities = [*types, ECAT_SCAN], [*modalities, "PT"]
    return session_type(types, modalities, petmr)


def joined_session_type(
    before: str, series_types: Iterable[str], modalities: Iterable[str], petmr: PetMr, *, is_set: bool
) -> str:
    """The type of an archived session that an import has joined: the one that its images gave it (5.7, 6).

    Where reports, segmentations or secondary captures alone gave it one, it has that of the images that come later. PET
    and MR of one study follow the project's choice, also where they come one after the other. But what a person set
    stays (`is_set`).
    """
    if is_set or before == _PETMR:
        return before
    series_types, modalities = list(series_types), list(modalities)
    if before in BESIDE:
        now = session_type(series_types, modalities, petmr)
        return before if now in BESIDE else now
    return _type_of_both(petmr) if _has_both(_elements(series_types), _values(modalities)) else before


def can_join_type(standing: str, coming: str, petmr: PetMr, *, same_study: bool) -> bool:
    """Whether what comes may join an archived session whose type a person set (5.7, 6).

    A PET/MR session takes PET and MR, one that its project keeps as PET the MR of its study too. Reports,
    segmentations and secondary captures of a study are no study of another type.
    """
    if coming == standing or (standing == _PETMR and coming in (PET_SESSION, _MR)):
        return True
    if not same_study:
        return False
    return coming in BESIDE or (standing == PET_SESSION and coming == _MR and petmr == "pet")
