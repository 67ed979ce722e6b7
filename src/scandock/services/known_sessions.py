"""Which sessions there are already, asked before an upload for all that it would make: one look for many labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, or_

from scandock.access.principal import Principal
from scandock.access.visibility import projects_where
from scandock.catalog.session_lookups import VALUES_PER_STATEMENT, select_holders_of_ecat, split_values, select_subjects_of_patients
from scandock.catalog.records import SessionRecord
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import project, session
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action
from scandock.services.records import ExistingSession, Known

MANY: Final = 2_000
"""Sessions that are asked for at once."""
_AT_ONCE: Final = VALUES_PER_STATEMENT
"""Labels and UIDs in one statement."""
_NAMED: Final = 20
"""Labels of others that are told of one session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A session that an upload would make."""

    project: str
    label: str
    study_uid: str = ""
    subject: str = ""
    patient_id: str = ""
    ecat: tuple[bytes, ...] = ()
    """sha256 of its ECAT files."""


@dataclass(slots=True)
class _There:
    """Sessions of one project by label and by study; of several the archived one."""

    labels: dict[str, SessionRecord] = field(default_factory=dict)
    studies: dict[str, SessionRecord] = field(default_factory=dict)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    """By PatientID."""
    holders: dict[bytes, set[str]] = field(default_factory=dict)
    """Labels of sessions, by an ECAT file that they hold."""

    def add(self, one: SessionRecord) -> None:
        for found, key in ((self.labels, label_key(one.label)), (self.studies, one.study_uid)):
            if key and (key not in found or one.place == "archive"):
                found[key] = one


def known_sessions(connection: Connection, principal: Principal, asked: Sequence[Asked]) -> list[Known]:
    """For each: `label`, the session that has its label, and `study`, the one that has its study; null for none.

    And, where they are asked for, `subjects`, the others of its patient, and `ecat`, the other sessions of its ECAT
    files. What the principal may not see is none.
    """
    there: dict[str, _There] = defaultdict(_There)
    by_project: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_project[one.project.casefold()].append(one)
    for key, some in by_project.items():
        for at in range(0, len(some), _AT_ONCE):
            for existing in _sessions(connection, principal, key, some[at : at + _AT_ONCE]):
                there[key].add(existing)
        _find_elsewhere(connection, _visible(principal, key), some, there[key])
    return [_told(one, there[one.project.casefold()]) for one in asked]


def _told(one: Asked, there: _There) -> Known:
    labels = {label for sha256 in one.ecat for label in there.holders.get(sha256, ())}
    return Known(
        label=_existing(there.labels.get(label_key(one.label))),
        study=_existing(there.studies.get(one.study_uid)) if one.study_uid else None,
        subjects=_others(one.subject, there.subjects.get(one.patient_id, ())) if one.patient_id else None,
        ecat=_others(one.label, labels) if one.ecat else None,
    )


def _existing(session: SessionRecord | None) -> ExistingSession | None:
    return None if session is None else ExistingSession.of(session)


def _others(own: str, labels: Iterable[str]) -> list[str]:
    """At most as many as anybody reads."""
    return sorted(label for label in labels if label_key(label) != label_key(own))[:_NAMED]


def _find_elsewhere(connection: Connection, where: ColumnElement[bool], asked: Sequence[Asked], there: _There) -> None:
    for ids in split_values({one.patient_id for one in asked} - {""}):
        for row in connection.execute(select_subjects_of_patients(ids, where)):
            there.subjects.setdefault(row.patient_id, set()).add(row.subject)
    for digests in split_values({sha256 for one in asked for sha256 in one.ecat}):
        for row in connection.execute(select_holders_of_ecat(digests, where)):
            there.holders.setdefault(row.sha256, set()).add(row.label)


def _visible(principal: Principal, key: str) -> ColumnElement[bool]:
    """The sessions of a project that the principal may see."""
    visible = or_(
        and_(session.c.place == "archive", projects_where(principal, Action.SESSION_READ)),
        and_(session.c.place == "prearchive", projects_where(principal, Action.PREARCHIVE_READ)),
    )
    return and_(project.c.key == key, visible)


def _sessions(
    connection: Connection, principal: Principal, key: str, asked: Sequence[Asked]
) -> Iterator[SessionRecord]:
    wanted = or_(
        session.c.key.in_({label_key(one.label) for one in asked}),
        session.c.study_uid.in_({one.study_uid for one in asked if one.study_uid}),
    )
    rows = connection.execute(session_rows().where(_visible(principal, key), wanted).order_by(session.c.id)).mappings()
    return (SessionRecord.from_row(row) for row in rows)
