"""A study that holds PET and MR: the setting for it, and how it is separated into two sessions (rules.md, "PET/MR").

Pure. The *side* of a series is the session that it goes to: `PET` or `MR`; "" where the study is one session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, cast

from scandock.model.series import REFERENCES, SeriesTally
from scandock.rules.labels import append_suffix
from scandock.rules.sop_classes import scan_type
from scandock.rules.tally_values import count_values, most_common

if TYPE_CHECKING:
    from scandock.rules.study import StudyFacts

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
_FOLLOWERS: Final = frozenset({"SR", "PR", "SEG"})
"""Modalities of series that go where the series are that they refer to."""


def parse_pet_mr(text: str) -> PetMrChoice:
    """A project's setting as somebody wrote it, blanks and case aside; nothing is `default`. ValueError."""
    value = "".join(text.split()).lower() or "default"
    if value not in PET_MR_CHOICES:
        raise ValueError(f"no setting for PET/MR: {text[:20]!r}")
    return cast("PetMrChoice", value)


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


def divide_series(
    study: StudyFacts, words: MapWords, known: Mapping[str, Side], sides: Iterable[Side] = ()
) -> dict[str, Side]:
    """The side of each series of a study, by series UID; all of them "" where it has neither PET nor MR.

    `sides` are those that the project has of the study, `known` the sides of the series there: these stay where they
    are. A study whose MR series are all maps is PET; where there is no PET, its maps stay with the MR.
    """
    stated = set(sides)
    modalities = {tally.series_uid: _modality(tally) for tally in study.series}
    texts = {tally.series_uid: most_common(count_values(tally, "SeriesDescription")) for tally in study.series}
    maps = {uid for uid, modality in modalities.items() if modality == "MR" and is_map(texts[uid], words)}
    has_pet = "PET" in stated or bool(study.ecat) or "PT" in modalities.values()
    has_mr = "MR" in stated or any(modality == "MR" and uid not in maps for uid, modality in modalities.items())
    if not (has_pet and has_mr):
        only: Side = "PET" if has_pet else "MR" if has_mr else "PET" if maps else ""
        return {uid: known.get(uid, only) for uid in modalities}
    own = {
        uid: known.get(uid) or side_of_scan(modality, texts[uid], words)
        for uid, modality in modalities.items()
        if modality not in _FOLLOWERS or uid in known
    }
    for tally in study.series:
        if tally.series_uid not in own:
            own[tally.series_uid] = _referred_side(tally, own, known, modalities)
    return own


def split_study(study: StudyFacts, divided: Mapping[str, Side]) -> list[StudyFacts]:
    """One study for each side that any of it goes to, MR first; ECAT files are PET."""
    sides = {*divided.values(), *(("PET",) if study.ecat else ())}
    if len(sides) == 1:
        return [replace(study, side=next(iter(sides)))]
    return [
        replace(
            study,
            key=f"{study.key}/{side}",
            side=side,
            series=tuple(tally for tally in study.series if divided[tally.series_uid] == side),
            ecat=study.ecat if side == "PET" else (),
        )
        for side in SIDES
    ]


def shares_side(side: Side, other: Side) -> bool:
    """Whether two sessions of one study, of these sides, may be one; what is of no side may be one with either."""
    return not side or not other or side == other


def _modality(tally: SeriesTally) -> str:
    """The modality that most objects of a series have; of those without any what their class says."""
    modality = most_common(count_values(tally, "Modality"))
    if modality:
        return modality
    element = scan_type(count_values(tally, "SOPClassUID"))
    return {"xnat:petScanData": "PT", "xnat:mrScanData": "MR"}.get(element, "")


def _referred_side(
    tally: SeriesTally, own: Mapping[str, Side], known: Mapping[str, Side], modalities: Mapping[str, str]
) -> Side:
    """The side of the images that a report, segmentation or presentation state refers to; MR where that is unclear."""
    references = [uid for uid in tally.nested.get(REFERENCES, "").split("\\") if uid]
    sides = {own.get(uid) or known.get(uid) for uid in references if modalities.get(uid) not in _FOLLOWERS}
    return "PET" if sides == {"PET"} else "MR"
