"""Which sessions there are already, asked before an upload for all that it would make: one look for many labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, or_, select

from scandock.access.principal import Principal
from scandock.access.visible import projects_where
from scandock.catalog.elsewhere import AT_ONCE, holders_of_ecat, in_parts, subjects_of_patients
from scandock.catalog.tables import project, session
from scandock.rules.labels import label_key
from scandock.rules.permissions import Action

MANY: Final = 2_000
"""Sessions that are asked for at once."""
_AT_ONCE: Final = AT_ONCE
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

    labels: dict[str, RowMapping] = field(default_factory=dict)
    studies: dict[str, RowMapping] = field(default_factory=dict)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    """By PatientID."""
    holders: dict[bytes, set[str]] = field(default_factory=dict)
    """Labels of sessions, by an ECAT file that they hold."""

    def add(self, row: RowMapping) -> None:
        for found, key in ((self.labels, row["key"]), (self.studies, row["study_uid"])):
            if key and (key not in found or row["place"] == "archive"):
                found[key] = row


def known_sessions(connection: Connection, principal: Principal, asked: Sequence[Asked]) -> list[dict[str, Any]]:
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
            for row in _rows(connection, principal, key, some[at : at + _AT_ONCE]):
                there[key].add(row)
        _find_elsewhere(connection, _visible(principal, key), some, there[key])
    return [_told(one, there[one.project.casefold()]) for one in asked]


def _told(one: Asked, there: _There) -> dict[str, Any]:
    told: dict[str, Any] = {
        "label": _shown(there.labels.get(label_key(one.label))),
        "study": _shown(there.studies.get(one.study_uid)) if one.study_uid else None,
    }
    if one.patient_id:
        told["subjects"] = _others(one.subject, there.subjects.get(one.patient_id, ()))
    if one.ecat:
        told["ecat"] = _others(one.label, {label for sha256 in one.ecat for label in there.holders.get(sha256, ())})
    return told


def _others(own: str, labels: Iterable[str]) -> list[str]:
    """At most as many as anybody reads."""
    return sorted(label for label in labels if label_key(label) != label_key(own))[:_NAMED]


def _find_elsewhere(connection: Connection, where: ColumnElement[bool], asked: Sequence[Asked], there: _There) -> None:
    for ids in in_parts({one.patient_id for one in asked} - {""}):
        for row in connection.execute(subjects_of_patients(ids, where)):
            there.subjects.setdefault(row.patient_id, set()).add(row.subject)
    for digests in in_parts({sha256 for one in asked for sha256 in one.ecat}):
        for row in connection.execute(holders_of_ecat(digests, where)):
            there.holders.setdefault(row.sha256, set()).add(row.label)


def _visible(principal: Principal, key: str) -> ColumnElement[bool]:
    """The sessions of a project that the principal may see."""
    visible = or_(
        and_(session.c.place == "archive", projects_where(principal, Action.SESSION_READ)),
        and_(session.c.place == "prearchive", projects_where(principal, Action.PREARCHIVE_READ)),
    )
    return and_(project.c.key == key, visible)


def _rows(connection: Connection, principal: Principal, key: str, asked: Sequence[Asked]) -> Sequence[RowMapping]:
    wanted = or_(
        session.c.key.in_({label_key(one.label) for one in asked}),
        session.c.study_uid.in_({one.study_uid for one in asked if one.study_uid}),
    )
    columns = (session.c.key, session.c.label, session.c.subject, session.c.place, session.c.state, session.c.study_uid)
    query = (
        select(*columns, project.c.name.label("project"))
        .join(project, project.c.id == session.c.project_id)
        .where(_visible(principal, key), wanted)
        .order_by(session.c.id)
    )
    return connection.execute(query).mappings().all()


def _shown(row: RowMapping | None) -> dict[str, Any] | None:
    return None if row is None else {name: value for name, value in row.items() if name != "key"}
