"""What the destination of an import names, ids and labels alike, as labels (xnat-behaviour.md 1.4, 1.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from scandock.access.principal import AccessDenied, Principal
from scandock.catalog.tables import project, session
from scandock.model.xnat_ids import experiment_number, subject_number
from scandock.rules.permissions import Action
from scandock.services.xnat_lookup import find_experiment, find_subject, resolve_project


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A destination as a call names it; "" where it doesn't."""

    project: str = ""
    subject: str = ""
    """Its label, or the id of one that there is."""
    session: str = ""
    is_experiment: bool = False
    """Whether `session` may be the id of an experiment, as in an address; else it is a label."""


def by_labels(connection: Connection, principal: Principal, named: Named) -> Named:
    """The same by labels alone, a project by its id; an experiment that there is brings its subject, an id its project.

    What is not there yet is a label. Denied (404) for an id of nothing where no project says where else to go: the
    headers would decide, and nobody would notice the slip.
    """
    if named.project:
        named = replace(named, project=resolve_project(connection, principal, named.project))
    if named.session and named.is_experiment:
        named = _experiment(connection, principal, named)
    if named.subject and subject_number(named.subject) is not None:
        named = _subject(connection, principal, named)
    return named


def _experiment(connection: Connection, principal: Principal, named: Named) -> Named:
    is_id = experiment_number(named.session) is not None
    if not is_id and not named.project:
        return named  # a label may be in many projects
    try:
        found = find_experiment(
            connection, principal, named.session, in_project=named.project or None, action=Action.UPLOAD
        )
    except AccessDenied:
        if is_id and not named.project:
            raise
        return named
    one = found.standing
    return replace(named, project=one.project, session=one.label, subject=named.subject or one.subject)


def _subject(connection: Connection, principal: Principal, named: Named) -> Named:
    try:
        found = find_subject(
            connection, principal, named.subject, in_project=named.project or None, action=Action.UPLOAD
        )
    except AccessDenied:
        if not named.project:
            raise
        return named
    return replace(named, project=found.project, subject=found.label)


def stands_there(connection: Connection, project_name: str, label: str) -> str:
    """Where a session of a label stands in a project: `archive`, `prearchive`, or "" where there is none."""
    places = connection.execute(
        select(session.c.place)
        .join(project, project.c.id == session.c.project_id)
        .where(project.c.key == project_name.casefold(), session.c.key == label.casefold())
    ).scalars()
    return min(places, default="")
