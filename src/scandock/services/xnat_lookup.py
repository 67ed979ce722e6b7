"""Finding what XNAT's addresses name: by id or by label, or by where it waits (xnat-clients.md 1, rule 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, or_, select

from scandock.access.principal import Principal, ProjectRights, decide_access_of, raise_denied
from scandock.catalog.aliases import find_by_alias
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession
from scandock.catalog.sessions import session_rows
from scandock.catalog.tables import project, session, subject
from scandock.model import uris
from scandock.model.dataclass import dataclass
from scandock.model.uris import PrearchiveSessionUri
from scandock.model.xnat_ids import experiment_id, experiment_number, subject_id, subject_number
from scandock.rules.labels import label_key
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import rights


@dataclass(frozen=True, slots=True)
class Experiment:
    """An archived session, with its number."""

    record: SessionRecord
    number: int

    @classmethod
    def from_row(cls, row: RowMapping) -> Self:
        """A row of `_select_numbered`."""
        return cls(SessionRecord.from_row(row), row["number"])

    @property
    def id(self) -> str:
        return experiment_id(self.number)

    @property
    def uri(self) -> str:
        """Where its parts stand, whatever address it was asked by (rule 9)."""
        return uris.experiment(self.id)


@dataclass(frozen=True, slots=True)
class PrearchiveSession:
    """A prearchive session; as an experiment, but it has no id yet."""

    record: SessionRecord

    @property
    def id(self) -> str:
        return ""

    @property
    def uri(self) -> str:
        return self.record.uri


AnySession = Experiment | PrearchiveSession


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """A subject of a project."""

    number: int
    uuid: str
    label: str
    project: str
    created: int
    attributes: Mapping[str, str]
    """What is said of it (rules/subject_fields.py)."""

    @property
    def id(self) -> str:
        return subject_id(self.number)


def resolve_project(connection: Connection, principal: Principal, name: str) -> str:
    """The id of the project that is named by an alias, where one may know of that project; else what is named."""
    project_name = find_by_alias(connection, name)
    return (
        project_name
        if project_name and rights.is_allowed(connection, principal, Action.PROJECT_SEE, project_name)
        else name
    )


def find_experiment(
    connection: Connection,
    principal: Principal,
    name: str,
    *,
    in_project: str | None = None,
    of_subject: str | None = None,
    action: Action = Action.SESSION_READ,
) -> Experiment:
    """The archived session of an id or label, where `principal` may do `action` to it.

    A label without its project is found where one alone of that label may be seen. AccessDenied, in the same words
    where there is none and where it is hidden.
    """
    return find_experiments(connection, principal, [name], in_project=in_project, of_subject=of_subject, action=action)[
        0
    ]


def find_experiments(
    connection: Connection,
    principal: Principal,
    names: Sequence[str],
    *,
    in_project: str | None = None,
    of_subject: str | None = None,
    action: Action = Action.SESSION_READ,
    allow_missing: bool = False,
) -> list[Experiment]:
    """The archived sessions of several ids and labels, as `find_experiment`; each once, in a statement for many.

    `allow_missing`: those that are found, where any are.
    """
    project_rights = ProjectRights(connection)
    different = list(dict.fromkeys(names))
    experiments: dict[int, Experiment] = {}
    denied: AccessDecision | None = None
    for first in range(0, len(different), _AT_ONCE):
        names_at_once = different[first : first + _AT_ONCE]
        query = _select_named(names_at_once, in_project, of_subject).limit(_MANY * len(names_at_once))
        matches: dict[str | int, list[Experiment]] = {}
        forbidden: set[str | int] = set()
        for row in connection.execute(query).mappings():
            experiment = Experiment.from_row(row)
            answer = decide_access_of(principal, action, experiment.record.project, project_rights)
            for key in (label_key(experiment.record.label), experiment.number):
                if answer is AccessDecision.ALLOWED:
                    matches.setdefault(key, []).append(experiment)
                elif answer is AccessDecision.FORBIDDEN:
                    forbidden.add(key)
        for name in names_at_once:
            number = experiment_number(name)
            key = name.casefold() if number is None else number
            named = matches.get(key, [])
            if len(named) != 1:
                hidden = AccessDecision.HIDDEN if principal.signed_in or named else AccessDecision.SIGN_IN
                denied = denied or (AccessDecision.FORBIDDEN if key in forbidden and not named else hidden)
                continue
            experiments.setdefault(named[0].number, named[0])
    if denied is not None and not (allow_missing and experiments):
        raise_denied(denied, principal, action)
    return list(experiments.values())


def find_prearchive_session(
    connection: Connection, principal: Principal, where: PrearchiveSessionUri, action: Action = Action.PREARCHIVE_READ
) -> PrearchiveSession:
    """The prearchive session of an address, where one may do `action` to it.

    Its label names it, else the folder that an import asked for. AccessDenied, in the same words where there is none
    and where it is hidden.
    """
    key = label_key(where.label)
    uuid = connection.execute(
        select(session.c.uuid)
        .join(project, project.c.id == session.c.project_id)
        .where(
            session.c.place == "prearchive",
            project.c.key == where.project.casefold(),
            session.c.timestamp == where.timestamp,
            or_(session.c.key == key, func.lower(session.c.folder) == key),
        )
        .order_by(session.c.key != key, session.c.id)
    ).scalar()
    if uuid is None:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    return PrearchiveSession(rights.find_waiting_session(connection, principal, uuid, action))


def list_experiments_of_subject(
    connection: Connection, principal: Principal, subject_record: SubjectRecord
) -> list[Experiment]:
    """The archived sessions of a subject that one may read."""
    if not rights.is_allowed(connection, principal, Action.SESSION_READ, subject_record.project):
        return []
    query = _select_numbered().where(subject_condition(subject_record)).order_by(session.c.id)
    return [Experiment.from_row(row) for row in connection.execute(query).mappings()]


def subject_condition(subject_record: SubjectRecord) -> ColumnElement[bool]:
    """Whether a session is archived, and of a subject."""
    return and_(session.c.subject_id == subject_record.number, session.c.place == "archive")


def _select_numbered() -> Select[Any]:
    """Sessions that have been archived, with their numbers."""
    return session_rows().add_columns(accession.c.number).join(accession, accession.c.uuid == session.c.uuid)


def _select_named(names: Sequence[str], in_project: str | None, of_subject: str | None) -> Select[Any]:
    """Archived sessions with their numbers that are called by one of some ids and labels."""
    numbers = [number for name in names if (number := experiment_number(name)) is not None]
    keys = [name.casefold() for name in names if experiment_number(name) is None]
    condition = or_(
        *([session.c.key.in_(keys)] if keys else []), *([accession.c.number.in_(numbers)] if numbers else [])
    )
    query = _select_numbered().where(session.c.place == "archive", condition)
    if in_project is not None:
        query = query.where(project.c.key == in_project.casefold())
    if of_subject is not None:
        query = query.outerjoin(subject, subject.c.id == session.c.subject_id).where(_name_condition(of_subject))
    return query


_AT_ONCE = 50
"""Names that one statement looks for."""
_MANY = 1000
"""Sessions of one label, in as many projects, that are looked at."""


def find_subject(
    connection: Connection,
    principal: Principal,
    name: str,
    *,
    in_project: str | None = None,
    action: Action = Action.SUBJECT_READ,
) -> SubjectRecord:
    """The subject of an id or label, as `find_experiment`."""
    query = select(subject, project.c.name.label("project")).join(project, project.c.id == subject.c.project_id)
    query = query.where(_name_condition(name))
    if in_project is not None:
        rights.check(connection, principal, action, in_project)
        query = query.where(project.c.key == in_project.casefold())
    project_rights = ProjectRights(connection)
    rows = [
        row
        for row in connection.execute(query.limit(_MANY))
        if decide_access_of(principal, action, row.project, project_rights) is AccessDecision.ALLOWED
    ]
    if len(rows) != 1:
        raise_denied(AccessDecision.HIDDEN if principal.signed_in else AccessDecision.SIGN_IN)
    row = rows[0]
    return SubjectRecord(row.id, row.uuid, row.label, row.project, row.created, json.loads(row.attributes))


def _name_condition(name: str) -> ColumnElement[bool]:
    number = subject_number(name)
    return subject.c.key == name.casefold() if number is None else subject.c.id == number
