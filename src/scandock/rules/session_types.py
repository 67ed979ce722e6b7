"""The XNAT type of a session from those of its scans (xnat-behaviour.md 4.2, 4.7; rules.md "PET/MR")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from scandock.rules.sop_classes import OTHER, lead

PetMr = Literal["petmr", "pet"]
"""A project's choice for a study with PET and MR: one session of that type. Splitting is no choice yet."""

ECAT_SESSION: Final = "xnat:petSessionData"
ECAT_SCAN: Final = "xnat:petScanData"
OTHER_SESSION: Final = "xnat:otherDicomSessionData"

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
    elements = {name.removeprefix("xnat:").removesuffix("ScanData") for name in series_types}
    values = {value.strip().upper() for value in modalities}
    unknown = OTHER in elements
    pet = "pet" in elements or (unknown and "PT" in values)
    mr = "mr" in elements or (unknown and "MR" in values)
    if pet and mr:
        return f"xnat:{petmr}SessionData"
    first = lead(elements)
    if first == OTHER and len(elements - {OTHER}) == 1:
        first = next(iter(elements - {OTHER}))  # the one known type, though the precedence list lacks it
    kind = SESSION_OF_SCAN.get(first)
    if kind is None:
        kind = next((kind for modality, kind in SESSION_OF_MODALITY.items() if modality in values), None)
    return f"xnat:{kind}SessionData" if kind else OTHER_SESSION
