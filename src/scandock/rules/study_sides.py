"""The two sides of a study whose PET and MR are sessions of their own: when there are two, and what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.decisions import StudyCase
from scandock.rules.labels import UNASSIGNED, label_key
from scandock.rules.notices import make_notice
from scandock.rules.petmr import MapWords, divide_series, side_label, split_study
from scandock.rules.policy import ProjectPolicy
from scandock.rules.session_types import BESIDE
from scandock.rules.study import StudyFacts


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
