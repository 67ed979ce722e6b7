"""What a second import of the same session does, as far as sessions go (rules.md, "Again" 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from scandock.rules.catalog_view import CatalogView, KnownSession
from scandock.rules.decisions import Decision, StudyCase
from scandock.rules.labels import label_key
from scandock.rules.notices import Notice, make_notice
from scandock.rules.petmr import shares_side
from scandock.rules.prearchive import PrearchiveSlots, find_first_waiting
from scandock.rules.related_sessions import waiting_elsewhere_notice

ANSWERED_BY_OVERWRITE: Final = frozenset({"session_exists", "type_differs"})
"""What a session is held for that another `overwrite` would have answered."""


def session_exists_notice(label: str, project: str, *, all_there: bool = False) -> Notice:
    """The reason to hold what an import with `none` brings to an archived session.

    `all_there`: every object that came is in it already, which the sentence then says; only who compares files knows.
    """
    reason = make_notice("session_exists", label=label, project=project)
    if not all_there:
        return reason
    return replace(
        reason,
        message=f"{reason.message} Every object that came is there already.",
        remedy="Nothing is missing there: this one can be deleted.",
    )


def hold_decision(
    decision: Decision, reason: Notice, view: CatalogView, now: datetime, others: Iterable[Decision] = ()
) -> Decision:
    """The decision as it is when `reason`, found only later (files that clash), holds its session in the prearchive.

    It joins the prearchive session of the same project, study and label, or stands in a timestamp of its own.
    `others` are the upload's other decisions: their timestamps count as taken. What is held already keeps its first
    reason, and `reason` becomes a warning.
    """
    if decision.held is not None:
        return replace(decision, warnings=(*decision.warnings, reason))
    if decision.place == "prearchive":
        return replace(decision, held=reason)
    prearchive = PrearchiveSlots(decision.project, view, now)
    for other in others:
        if other.project == decision.project:
            prearchive.use(other.existing, other.timestamp)
    joinable = (
        session
        for session in view.sessions_labelled(decision.project, decision.label)
        if session.study_uid == decision.study_uid
        and (decision.study_uid is not None or session.ecat)
        and shares_side(session.side, decision.side)
    )
    waiting, timestamp = prearchive.join(joinable, decision.label, study_uid=decision.study_uid)
    warnings = [warning for warning in decision.warnings if warning.code != "session_in_prearchive_left"]
    study_sessions = view.sessions_of_study(decision.project, decision.study_uid) if decision.study_uid else ()
    same_side = [session for session in study_sessions if shares_side(session.side, decision.side)]
    elsewhere = waiting_elsewhere_notice(decision.label, same_side, waiting.uuid if waiting else None)
    return replace(
        decision,
        place="prearchive",
        existing=waiting.uuid if waiting else None,
        timestamp=timestamp,
        settles=None,  # what comes joins it, or stands beside it
        held=reason,
        warnings=(*warnings, *((elsewhere,) if elsewhere else ())),
    )


def find_joinable_sessions(case: StudyCase, view: CatalogView) -> list[KnownSession]:
    """The sessions of the same project, study and label: what is bound for the prearchive, or held, joins one there."""
    labelled = view.sessions_labelled(case.policy.id, case.label)
    return [session for session in labelled if case.is_own(session) or case.can_join(session)]


def still_held_notice(session: KnownSession) -> Notice:
    """The reason of a prearchive session that already waits for a decision, for what joins it."""
    return Notice(
        code=session.held,
        message=f"Session {session.label} already waits in the prearchive for a decision.",
        remedy="Decide there first; what came now was added to it.",
    )


def find_conflict_session(case: StudyCase) -> KnownSession | None:
    """The session of the study and its label that waits for an answer which another `overwrite` gives; the oldest.

    Whoever brings what it has once more decides it for what they bring. Objects that differ need a person.
    """
    own = [session for session in case.known if label_key(session.label) == case.key]
    return find_first_waiting(session for session in own if session.held in ANSWERED_BY_OVERWRITE)


def left_in_prearchive_notice(case: StudyCase, view: CatalogView) -> Notice | None:
    """The warning for an import bound for the archive while a session of its study waits in the prearchive."""
    waiting = find_first_waiting(case.known) or find_first_waiting(find_joinable_sessions(case, view))
    return make_notice("session_in_prearchive_left", other=f"{waiting.timestamp}/{waiting.label}") if waiting else None
