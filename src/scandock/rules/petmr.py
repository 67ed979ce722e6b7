"""A study that holds PET and MR: the setting for it, and how it is separated into two sessions (rules.md, "PET/MR").

Pure. The *side* of a series is the session that it goes to: `PET` or `MR`; "" where the study is one session.
"""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from scandock.rules.labels import append_suffix

PetMr = Literal["petmr", "pet", "separate"]
"""What becomes of a study with PET and MR: one session of that type, or one each."""
PetMrChoice = Literal["default", "petmr", "pet", "separate"]
"""A project's setting; `default` is what the site has."""
PET_MR_CHOICES: Final[tuple[PetMrChoice, ...]] = ("default", "petmr", "pet", "separate")
Side = Literal["", "MR", "PET"]
MapWords = Literal["mrac", "ac"]
"""By which words in its description an MR series is an attenuation map: `mrac` is XNAT's rule."""

SIDES: Final[tuple[Side, ...]] = ("MR", "PET")
_XNAT_MAP: Final = re.compile("MRAC")
_MAP: Final = re.compile(r"MRAC|_AC(?![A-Za-z0-9])", re.IGNORECASE)
"""Also `MR_AC` and `DIXON_AC`; `_ACQ` is no such word."""


def parse_pet_mr(text: str) -> PetMrChoice:
    """A project's setting as somebody wrote it, blanks and case aside; nothing is `default`. ValueError."""
    value = "".join(text.split()).lower() or "default"
    if value not in PET_MR_CHOICES:
        raise ValueError(f"no setting for PET/MR: {text[:20]!r}")
    return value


def effective_pet_mr(choice: str, site: PetMr) -> PetMr:
    """What a project's setting comes to on a site."""
    return site if choice == "default" else cast("PetMr", choice)


def side_of_scan(modality: str, description: str, words: MapWords = "mrac") -> Side:
    """The session that XNAT's default filter sends a scan to: PET, or MR for everything else."""
    if modality == "PT" or (modality == "MR" and is_map(description, words)):
        return "PET"
    return "MR"


def is_map(description: str, words: MapWords) -> bool:
    """Whether the description of an MR series says that it is a map for the attenuation correction of PET."""
    return (_XNAT_MAP if words == "mrac" else _MAP).search(description) is not None


def side_label(label: str, side: Side) -> str:
    """The label of one side of a session: every PETMR becomes the side, else every petmr, else it is appended."""
    for marker, word in (("PETMR", str(side)), ("petmr", side.lower())):
        if marker in label:
            return label.replace(marker, word)
    return append_suffix(label, f"_{side}")


def pet_label(label: str) -> str:
    """The label of a session with PET and MR that is kept as PET: its last PETMR becomes PET (4.7)."""
    before, marker, after = label.rpartition("PETMR")
    return f"{before}PET{after}" if marker else label


def shares_side(side: Side, other: Side) -> bool:
    """Whether two sessions of one study, of these sides, may be one; what is of no side may be one with either."""
    return not side or not other or side == other
