"""The two sides of a study whose PET and MR are sessions of their own: which there are, and what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from scandock.model.series import REFERENCES, SeriesTally
from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.decisions import StudyCase
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.notices import make_notice
from scandock.rules.petmr import SIDES, MapWords, Side, is_map, side_label, side_of_scan
from scandock.rules.policy import ProjectPolicy
from scandock.rules.session_types import BESIDE
from scandock.rules.sop_classes import scan_type
from scandock.rules.study import StudyFacts
from scandock.rules.tally_values import count_values, most_common

_FOLLOWERS: Final = frozenset({"SR", "PR", "SEG"})
"""Modalities of series that go where the series are that they refer to."""


def separate_study(study: StudyFacts, policy: ProjectPolicy, words: MapWords, view: CatalogView) -> list[StudyFacts]:
    """A study as its project wants it: itself, itself as one side, or one for each side.

    A session that the project has of it as a whole stays so, and takes what comes; two that it has stay two, whatever
    the project's setting is now. In `Unassigned` it waits as a whole for a project to say.
    """
    if study.study_uid is None or policy.id == UNASSIGNED:
        return [study]
    sessions = [session for session in view.sessions_of_study(policy.id, study.study_uid) if not session.by_hand]
    sides = {session.side for session in sessions if session.side}
    if any(_is_whole(session) for session in sessions) or (policy.petmr != "separate" and len(sides) < 2):
        return [study]
    known = view.series_of_study(policy.id, study.study_uid) if sides else {}
    divided = divide_series(study, words, known, sides)
    return split_study(study, divided) if any(divided.values()) or study.ecat else [study]


def _is_whole(session: KnownSession) -> bool:
    """Whether a session has images of a study and no side; one of reports alone may still become a side."""
    return not session.side and session.xsi_type not in BESIDE


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
    referred = [uid for uid in _references(tally) if modalities.get(uid) not in _FOLLOWERS]
    sides = {own.get(uid) or known.get(uid) for uid in referred}
    return "PET" if sides == {"PET"} else "MR"


def list_series(tallies: Iterable[SeriesTally]) -> set[str]:
    """The series of an upload, and those to which they refer."""
    every = {tally.series_uid for tally in tallies}
    for tally in tallies:
        every.update(_references(tally))
    return every


def _references(tally: SeriesTally) -> list[str]:
    return [uid for uid in tally.nested.get(REFERENCES, "").split("\\") if uid]


def relate_sides(cases: Sequence[StudyCase], view: CatalogView) -> None:
    """Let each case of one side know the other one, and give it the label of its side where there are two."""
    by_study: dict[str | None, list[StudyCase]] = defaultdict(list)
    for case in cases:
        if case.study.side:
            by_study[case.study.study_uid].append(case)
    for uid, sides in by_study.items():
        if len(sides) == 2:
            sides[0].partner, sides[1].partner = sides[1], sides[0]
        sessions = [session for session in view.sessions_of_study(cases[0].policy.id, uid or "") if not session.by_hand]
        for case in sides:
            case.other_sides = [session for session in sessions if session.side not in ("", case.study.side)]
        for case in sides:
            _name_side(case, [session for session in sessions if case.is_own(session)])


def _name_side(case: StudyCase, own: Iterable[KnownSession]) -> None:
    """Its own session keeps its label; one side that comes alone keeps what was asked for, while that is free."""
    if (case.partner is None and not case.other_sides) or case.key in {label_key(session.label) for session in own}:
        return
    others = {label_key(session.label) for session in case.other_sides}
    if case.partner is None and case.requested and case.key not in others:
        return
    case.base_label = case.label
    case.label = case.side_label = side_label(case.label, case.study.side)


def warn_of_sides(cases: Iterable[StudyCase]) -> None:
    """Say of new sessions that they are one side of a study, and so are not called as it was asked for."""
    for case in cases:
        if case.side_label and case.archived_session is None and case.waiting is None:
            case.warnings.append(
                make_notice("label_side", project=case.policy.id, other=case.base_label, label=case.side_label)
            )
