"""A study that the project already has goes to that session (rules.md, "Which session" 5; "Again" 4)."""

from __future__ import annotations

from collections.abc import Iterable

from scandock.rules.cases import Case
from scandock.rules.labels import label_key
from scandock.rules.notices import notice
from scandock.rules.suffixes import suffixed
from scandock.rules.view import CatalogView, KnownSession


def find_home(case: Case, view: CatalogView, *, dialect: bool) -> None:
    """Give a case the session of its study, and with it the label; hold it where the request names another."""
    uid = case.study.study_uid
    known = view.sessions_of_study(case.policy.id, uid) if uid else ()
    case.known = tuple(session for session in known if not session.by_hand)
    if case.requested:
        _requested_home(case, view, dialect=dialect)
    else:
        _derived_home(case)


def _requested_home(case: Case, view: CatalogView, *, dialect: bool) -> None:
    there = [session for session in case.known if session.place == "archive"]
    labelled = view.sessions_labelled(case.policy.id, case.label)
    case.home = _first(session for session in labelled if session.place == "archive" and case.may_join(session))
    if case.home is not None:
        return
    if case.bound == "prearchive" and not there:
        waiting = [session for session in case.known if session.place == "prearchive"]
        case.waiting = _first(session for session in waiting if label_key(session.label) == case.key)
        there = [session for session in waiting if not session.held] if case.waiting is None else []
    if there:
        code = "study_twice" if dialect else "study_elsewhere"
        said = notice(code, project=case.policy.id, other=min(there, key=_precedence).label, label=case.label)
        (case.warnings if dialect else case.held).append(said)


def _derived_home(case: Case) -> None:
    archived = [session for session in case.known if session.place == "archive"]
    case.home = _first(s for s in archived if label_key(s.label) == case.key) or _first(archived)
    if case.home is None and case.bound == "prearchive":
        case.waiting = _waiting(case)
    found = case.home or case.waiting
    if found is None:
        return
    if label_key(found.label) not in _own_labels(case):
        case.warnings.append(notice("label_kept", project=case.policy.id, label=found.label, other=case.label))
    case.label = found.label


def _waiting(case: Case) -> KnownSession | None:
    """The prearchive session of the study: of its label, else of a suffixed form of it, else any that is not held."""
    waiting = [session for session in case.known if session.place == "prearchive"]
    own = _own_labels(case)
    for key in own:
        found = _first(session for session in waiting if label_key(session.label) == key)
        if found is not None:
            return found
    return _first(session for session in waiting if not session.held)


def _own_labels(case: Case) -> list[str]:
    return [case.key, *(label_key(label) for label in suffixed(case.label, case.study))]


def _precedence(session: KnownSession) -> tuple[bool, str, str, str]:
    return bool(session.held), label_key(session.label), session.timestamp or "", session.uuid


def _first(sessions: Iterable[KnownSession]) -> KnownSession | None:
    return min(sessions, key=_precedence, default=None)
