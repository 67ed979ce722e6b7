"""Finding what an address of XNAT's dialect names: by id or by label (xnat-clients.md 1, rule 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from scandock.access.principal import Principal, ProjectRights, deny, may
from scandock.catalog.server_tables import accession
from scandock.catalog.standing import Standing, standing, standing_rows
from scandock.catalog.tables import project, session, subject
from scandock.rules.permissions import Action, Answer
from scandock.services import rights
from scandock.services.xnat.ids import experiment_id, experiment_number, subject_id, subject_number


@dataclass(frozen=True, slots=True)
class Experiment:
    """An archived session, with its number."""

    standing: Standing
    number: int

    @property
    def id(self) -> str:
        return experiment_id(self.number)

    @property
    def uri(self) -> str:
        """Where its parts stand, whatever address it was asked by (rule 9)."""
        return f"/data/experiments/{self.id}"


@dataclass(frozen=True, slots=True)
class Subject:
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

    A label without its project is found where one alone of that label may be seen. Denied, in the same words where
    there is none and where it is hidden.
    """
    query = standing_rows().add_columns(accession.c.number).join(accession, accession.c.uuid == session.c.uuid)
    number = experiment_number(name)
    query = query.where(
        session.c.place == "archive",
        session.c.key == name.casefold() if number is None else accession.c.number == number,
    )
    if in_project is not None:
        query = query.where(project.c.key == in_project.casefold())
    if of_subject is not None:
        query = query.outerjoin(subject, subject.c.id == session.c.subject_id).where(_is_subject(of_subject))
    known = ProjectRights(connection)
    seen, told = [], Answer.HIDDEN if principal.signed_in else Answer.SIGN_IN
    for row in connection.execute(query.limit(_MANY)).mappings():
        said = may(principal, action, row["project"], known)
        if said is Answer.ALLOWED:
            seen.append(row)
        elif said is Answer.FORBIDDEN:
            told = said
    if len(seen) != 1:
        deny(told if not seen else Answer.HIDDEN, principal, action)
    return Experiment(standing(seen[0]), seen[0]["number"])


_MANY = 1000
"""Sessions of one label, in as many projects, that are looked at."""


def find_subject(
    connection: Connection,
    principal: Principal,
    name: str,
    *,
    in_project: str | None = None,
    action: Action = Action.SUBJECT_READ,
) -> Subject:
    """The subject of an id or label, as `find_experiment`."""
    query = select(subject, project.c.name.label("project")).join(project, project.c.id == subject.c.project_id)
    query = query.where(_is_subject(name))
    if in_project is not None:
        rights.check(connection, principal, action, in_project)
        query = query.where(project.c.key == in_project.casefold())
    known = ProjectRights(connection)
    rows = [
        row
        for row in connection.execute(query.limit(_MANY))
        if may(principal, action, row.project, known) is Answer.ALLOWED
    ]
    if len(rows) != 1:
        deny(Answer.HIDDEN if principal.signed_in else Answer.SIGN_IN)
    row = rows[0]
    return Subject(row.id, row.uuid, row.label, row.project, row.created, json.loads(row.attributes))


def _is_subject(name: str) -> ColumnElement[bool]:
    number = subject_number(name)
    return subject.c.key == name.casefold() if number is None else subject.c.id == number
