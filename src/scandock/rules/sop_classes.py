"""What a SOP class is: the scan type it makes, whether it is primary, whether it is an image of its own.

The tables of xnat-behaviour.md 4.3 and 4.6, verbatim, and beside them the classes of PS3.4 Annex B that they lack and
that are a newer form of one they have; suffixes stand behind 1.2.840.10008.5.1.4.1.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ROOT: Final = "1.2.840.10008.5.1.4.1.1."
CSA_NON_IMAGE: Final = "1.3.12.2.1107.5.9.1"
OTHER: Final = "otherDicom"

_TYPES: Final = """
pet 128 130
mr 4 4.1 4.3
ct 2 2.1
xa 12.1 13.1.1
us 6.1 3.1
rtImage 481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9
cr 1
opt 77.1.5.4
dx3DCraniofacial 13.1.2
ecg 9.1.1 9.1.3
eps 9.3.1
hd 9.2.1
esv 77.1.1.1
gmv 77.1.2.1
xcv 77.1.4.1
io 1.3 1.3.1
mg 1.2 1.2.1
dx 1.1 1.1.1
nm 20
op 77.1.5.1 77.1.5.2
rf 12.2
sc 7
seg 66.4
sr 88.11 88.22 88.33 88.50 88.65 88.67 88.69 88.70
sm 77.1.6
gm 77.1.2
dms 77.1.7
cfm 77.1.8
pa 6.3
ann 91.1
emg 9.7.2
eog 9.7.3
resp 9.6.1 9.6.2
pos 9.8.1
obj 104.4
mtl 104.5
eeg 9.7.1
"""
_KIN: Final = """
pet 128.1
mr 4.4
ct 2.2
xa 12.1.1
us 6.2
rtImage 481.10 481.11 481.12 481.13 481.14 481.15 481.16 481.17 481.18 481.19 481.20 481.21 481.22 481.23 481.24 481.25
opt 77.1.5.7 77.1.5.8
mg 13.1.3 13.1.4 13.1.5
op 77.1.5.5 77.1.5.6
rf 12.2.1
sc 7.1 7.2 7.3 7.4
seg 66.5 66.7
sr 88.34 88.35 88.40 88.68 88.71 88.72 88.73 88.74 88.75 88.76 88.77
cfm 77.1.9
"""
"""Classes that the original's table lacks, by the element of their plain kin: legacy converted and enhanced images,
breast projections, captures of many frames, label maps, newer reports, second generation radiotherapy."""
TYPE_OF_CLASS: Final[dict[str, str]] = {
    ROOT + suffix: element
    for element, *suffixes in (line.split() for line in (_TYPES + _KIN).splitlines() if line)
    for suffix in suffixes
}

_LEAD: Final = """
pet mr ct xa us rtImage cr opt mg dx nm sr seg sc sm gm rf es rg dms cfm pa ecg ann emg eog resp pos obj mtl eeg
otherDicom
"""
LEAD: Final[tuple[str, ...]] = tuple(_LEAD.split())
"""Precedence among the classes of a series, and the series of a session (4.3): PET with captures is PET."""
_RANK: Final = {element: rank for rank, element in enumerate(LEAD)}

_PRIMARY_SUFFIXES: Final = """
1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 3.1 4 4.1 6.1 6.3 9.1.1 9.1.3 9.2.1 9.3.1 9.6.1 9.7.2 9.7.3 9.8.1 12.1 12.2
13.1.1 13.1.2 13.1.3 20 77.1.1.1 77.1.2 77.1.2.1 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.4 77.1.6 77.1.7 77.1.8 88.11 88.22
91.1 104.4 104.5 128 130 481.1 481.2
"""
_PRIMARY_KIN: Final = """
2.2 4.3 4.4 6.2 12.1.1 12.2.1 13.1.4 13.1.5 66.7 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8 77.1.9 88.33 88.34 88.35 128.1
481.23 481.24
"""
"""Newer forms of primary images; label maps; the comprehensive reports, of which the basic and enhanced are primary."""
PRIMARY: Final = frozenset(ROOT + suffix for suffix in (_PRIMARY_SUFFIXES + _PRIMARY_KIN).split())

_COMPANIONS: Final = frozenset(ROOT + suffix for suffix in ("30", "66", "67", "77.1.5.3", "91.1", "131"))
_COMPANION_FAMILIES: Final = tuple(
    f"{ROOT}{family}." for family in ("88", "66", "68", "11", "9", "104", "481", "78", "79", "80", "90", "200", "201")
)
"""Parametric maps, raw data, real world value mappings, stereometric relations, annotations and structured displays; by
family: reports and key object notes, registrations and segmentations, surfaces, presentation states, waveforms,
documents, plans, structures and doses, measurements of eyes, assessments, protocols, inventories."""
_RT_IMAGES: Final = frozenset(ROOT + suffix for suffix in ("481.1", "481.23", "481.24"))
_COMPANION_IMAGES: Final = frozenset(ROOT + suffix for suffix in ("30", "66.4", "66.7", "481.2"))
"""What accompanies images and consists of pixels itself: parametric maps, segmentations, doses."""
_SPECTRA: Final = ROOT + "4.2"

_NOT_IMAGES: Final = """
SR KO PR SEG REG FID RWV DOC PLAN RTPLAN RTSTRUCT RTDOSE RTRECORD RTINTENT RTRAD RTSEGANN M3D ASMT TEXTUREMAP OSS STAIN
ANN SMR AU
"""
NOT_IMAGE_MODALITIES: Final = frozenset(_NOT_IMAGES.split())


def scan_type(sop_classes: Iterable[str]) -> str:
    """The XNAT type of a scan, such as `xnat:mrScanData`, from the SOP classes of its series (4.3).

    Several classes: the first in LEAD. Types that LEAD lacks (op, io, hd, eps, xcv ...) stand where they are alone,
    else give way, to `xnat:otherDicomScanData` where no other is in LEAD.
    """
    return f"xnat:{scan_element(sop_classes)}ScanData"


def scan_element(sop_classes: Iterable[str]) -> str:
    """The bare element of `scan_type`: `mr`, `pet`, `otherDicom` ..."""
    elements = {TYPE_OF_CLASS.get(sop_class, OTHER) for sop_class in sop_classes}
    return next(iter(elements)) if len(elements) == 1 else leading_element(elements)


def leading_element(elements: Iterable[str]) -> str:
    """The first of some scan elements in LEAD; `otherDicom` where none is in it."""
    ranked = [element for element in elements if element in _RANK]
    return min(ranked, key=_RANK.__getitem__, default=OTHER)


def is_primary(sop_class: str) -> bool:
    """Whether its objects go to the DICOM resource; all others go to `secondary` (4.6: only the SOP class counts)."""
    return sop_class in PRIMARY


def is_image(sop_class: str, modality: str = "") -> bool:
    """Whether an object counts as an image of its series number (rules.md "Which scan").

    Reports, segmentations, presentation states, plans, doses, registrations, documents and waveforms do not: they
    accompany images. Classes outside DICOM's storage classes, and unknown ones, go by their Modality.
    """
    if sop_class == CSA_NON_IMAGE or sop_class in _COMPANIONS:
        return False
    if sop_class.startswith(_COMPANION_FAMILIES):
        return sop_class in _RT_IMAGES
    return sop_class.startswith(ROOT) or modality.upper() not in NOT_IMAGE_MODALITIES


def has_pixels(sop_class: str, modality: str = "") -> bool:
    """Whether an object consists of pixels: only of such ones `frames` counts the frames.

    Raw data, spectra, reports, presentation states and waveforms do not; segmentations and doses do, though they are no
    images of their series number.
    """
    return sop_class in _COMPANION_IMAGES or (sop_class != _SPECTRA and is_image(sop_class, modality))
