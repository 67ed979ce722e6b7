"""Two studies on one label (rules.md, "Which session" 6 and 7): held where it was requested, told apart where not.

A derived label of the form of an id counts as taken: in an address it would be another session's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.decisions import StudyCase
from scandock.rules.labels import OWN_ID, label_key
from scandock.rules.notices import Notice, make_notice
from scandock.rules.suffixes import suffixed_labels


def check_requested_labels(cases: Sequence[StudyCase], view: CatalogView) -> None:
    """Hold the new studies of a requested label that would take several, in the upload and the catalog together.

    A study that is in the session of that label already stays there: it is the others that do not fit.
    """
    requests = Counter(case.key for case in cases if case.fixed)
    for case in cases:
        session = case.archived_session or case.waiting
        if not case.requested or (session is not None and case.is_own(session)):
            continue
        if requests[case.key] > 1 or _rivals(case, view, case.label):
            case.archived_session = case.waiting = None
            case.held.append(make_notice("label_many_studies", label=case.label, project=case.policy.id))


def resolve_collisions(cases: Sequence[StudyCase], view: CatalogView) -> None:
    """Give each study whose label was not requested one of its own: all new ones of a contested label get a suffix.

    The outcome does not depend on the order of `cases`: every round proposes for all that are still contested, and
    who shares a proposal, or finds it taken, goes to the next round.
    """
    new = [case for case in cases if not case.fixed]
    used_keys = {case.key for case in cases if case.fixed}
    bases = Counter(case.key for case in new)
    contested = [
        case
        for case in new
        if bases[case.key] > 1 or case.key in used_keys or _is_id(case, view) or _blockers(case, view, case.label)
    ]
    used_keys |= set(bases)
    proposals = {id(case): suffixed_labels(case.label, case.study, case.naming.suffix_digits) for case in contested}
    while contested:
        offered = {id(case): proposals[id(case)].pop(0) for case in contested}
        keys = Counter(label_key(label) for label in offered.values())
        settled: set[str] = set()
        unresolved = []
        for case in contested:
            label = offered[id(case)]
            key = label_key(label)
            if (keys[key] > 1 or key in used_keys or _blockers(case, view, label)) and proposals[id(case)]:
                unresolved.append(case)
                continue
            case.warnings.append(_suffix_notice(case, label))
            case.label = label
            settled.add(key)
        used_keys |= settled
        contested = unresolved


def _is_id(case: StudyCase, view: CatalogView) -> bool:
    """Whether a label has the form of an id, and no session of that label is there that takes this study."""
    if not OWN_ID.fullmatch(case.label):
        return False
    return not any(case.can_join(session) for session in view.sessions_labelled(case.policy.id, case.label))


def _suffix_notice(case: StudyCase, now: str) -> Notice:
    if OWN_ID.fullmatch(case.label):
        return make_notice("label_own_id", what="Session", label=case.label, now=now)
    return make_notice("label_suffixed", label=case.label, project=case.policy.id, now=now)


def join_by_label(case: StudyCase, view: CatalogView) -> None:
    """Find the archived session that a study belongs to by its label alone: ECAT's, or one made by hand."""
    if case.archived_session is None and not case.held:
        for session in view.sessions_labelled(case.policy.id, case.label):
            if session.place == "archive" and case.can_join(session):
                case.archived_session = session


def _blockers(case: StudyCase, view: CatalogView, label: str) -> list[KnownSession]:
    """Known sessions of a label that this study has no part in, also those that are still to be built."""
    labelled = [*view.sessions_labelled(case.policy.id, label), *view.promised_sessions(case.policy.id, label=label)]
    return [session for session in labelled if not case.is_own(session) and not case.can_join(session)]


def _rivals(case: StudyCase, view: CatalogView, label: str) -> list[KnownSession]:
    """As `_blockers`, without what is held in the prearchive: that has no claim to its label yet."""
    return [s for s in _blockers(case, view, label) if s.place == "archive" or not s.held]
