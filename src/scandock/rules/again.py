"""What a second import of the same session does, as far as sessions go (rules.md, "Again" 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from scandock.rules.cases import Case, Decision
from scandock.rules.elsewhere import waits_elsewhere
from scandock.rules.labels import label_key
from scandock.rules.notices import Notice, notice
from scandock.rules.prearchive import Prearchive, first_waiting
from scandock.rules.view import CatalogView, KnownSession

ANSWERED_BY_OVERWRITE: Final = frozenset({"session_exists", "type_differs"})
"""What a session is held for that another `overwrite` would have answered."""


def session_exists(label: str, project: str, *, all_there: bool = False) -> Notice:
    """The reason to hold what an import with `none` brings to an archived session.

    `all_there`: every object that came is in it already, which the sentence then says; only who compares files knows.
    """
    said = notice("session_exists", label=label, project=project)
    if not all_there:
        return said
    return replace(
        said,
        message=f"{said.message} Every object that came is there already.",
        remedy="Nothing is missing there: delete this one from the prearchive.",
    )


def hold(
    decision: Decision, why: Notice, view: CatalogView, now: datetime, others: Iterable[Decision] = ()
) -> Decision:
    """The decision as it is when `why`, found only later (files that clash), holds its session in the prearchive.

    It joins the prearchive session of the same project, study and label, or stands in a timestamp of its own.
    `others` are the upload's other decisions: their timestamps count as taken. What is held already keeps its first
    reason, and `why` becomes a warning.
    """
    if decision.held is not None:
        return replace(decision, warnings=(*decision.warnings, why))
    if decision.place == "prearchive":
        return replace(decision, held=why)
    prearchive = Prearchive(decision.project, view, now)
    for other in others:
        if other.project == decision.project:
            prearchive.use(other.existing, other.timestamp)
    waiting, timestamp = prearchive.join(
        session
        for session in view.sessions_labelled(decision.project, decision.label)
        if session.study_uid == decision.study_uid and (decision.study_uid is not None or session.ecat)
    )
    warnings = [said for said in decision.warnings if said.code != "session_in_prearchive_left"]
    known = view.sessions_of_study(decision.project, decision.study_uid) if decision.study_uid else ()
    elsewhere = waits_elsewhere(decision.label, known, waiting.uuid if waiting else None)
    return replace(
        decision,
        place="prearchive",
        existing=waiting.uuid if waiting else None,
        timestamp=timestamp,
        settles=None,  # what comes joins it, or stands beside it
        held=why,
        warnings=(*warnings, *((elsewhere,) if elsewhere else ())),
    )


def joinable(case: Case, view: CatalogView) -> list[KnownSession]:
    """The sessions of the same project, study and label: what is bound for the prearchive, or held, joins one there."""
    labelled = view.sessions_labelled(case.policy.id, case.label)
    return [session for session in labelled if case.is_own(session) or case.may_join(session)]


def still_held(session: KnownSession) -> Notice:
    """The reason of a prearchive session that already waits for a decision, for what joins it."""
    return Notice(
        code=session.held,
        message=f"Session {session.label} already waits in the prearchive for a decision.",
        remedy="Decide there first; what came now was added to it.",
    )


def left_in_conflict(case: Case) -> KnownSession | None:
    """The session of the study and its label that waits for an answer which another `overwrite` gives; the oldest.

    Whoever brings what it has once more decides it for what they bring. Objects that differ need a person.
    """
    own = [session for session in case.known if label_key(session.label) == case.key]
    return first_waiting(session for session in own if session.held in ANSWERED_BY_OVERWRITE)


def left_alone(case: Case, view: CatalogView) -> Notice | None:
    """The warning for an import bound for the archive while a session of its study waits in the prearchive."""
    waiting = first_waiting(case.known) or first_waiting(joinable(case, view))
    return notice("session_in_prearchive_left", other=f"{waiting.timestamp}/{waiting.label}") if waiting else None
