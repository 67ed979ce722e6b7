"""What the destination of an import names, ids and labels alike, as labels (xnat-behaviour.md 1.4, 1.5)."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from scandock.access.principal import AccessDenied, Principal
from scandock.catalog.tables import project, session
from scandock.model.dataclass import dataclass
from scandock.model.xnat_ids import experiment_number, subject_number
from scandock.rules.permissions import Action
from scandock.services.xnat_lookup import find_experiment, find_subject, resolve_project


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A destination as a call names it; "" where it doesn't."""

    project: str = ""
    subject: str = ""
    """Its label, or the id of one that there is."""
    session: str = ""
    is_experiment: bool = False
    """Whether `session` may be the id of an experiment, as in an address; else it is a label."""


def resolve_labels(connection: Connection, principal: Principal, destination: Destination) -> Destination:
    """The same by labels alone, a project by its id; an experiment that there is brings its subject, an id its project.

    What is not there yet is a label. AccessDenied (404) for an id of nothing where no project says where else to go:
    the headers would decide, and nobody would notice the slip.
    """
    if destination.project:
        destination = replace(destination, project=resolve_project(connection, principal, destination.project))
    if destination.session and destination.is_experiment:
        destination = _resolve_experiment(connection, principal, destination)
    if destination.subject and subject_number(destination.subject) is not None:
        destination = _resolve_subject(connection, principal, destination)
    return destination


def _resolve_experiment(connection: Connection, principal: Principal, destination: Destination) -> Destination:
    is_id = experiment_number(destination.session) is not None
    if not is_id and not destination.project:
        return destination  # a label may be in many projects
    try:
        experiment = find_experiment(
            connection, principal, destination.session, in_project=destination.project or None, action=Action.UPLOAD
        )
    except AccessDenied:
        if is_id and not destination.project:
            raise
        return destination
    record = experiment.record
    return replace(
        destination, project=record.project, session=record.label, subject=destination.subject or record.subject
    )


def _resolve_subject(connection: Connection, principal: Principal, destination: Destination) -> Destination:
    try:
        subject_record = find_subject(
            connection, principal, destination.subject, in_project=destination.project or None, action=Action.UPLOAD
        )
    except AccessDenied:
        if not destination.project:
            raise
        return destination
    return replace(destination, project=subject_record.project, subject=subject_record.label)


def find_session_place(connection: Connection, project_name: str, label: str) -> str:
    """Where a session of a label stands in a project: `archive`, `prearchive`, or "" where there is none."""
    found_places = connection.execute(
        select(session.c.place)
        .join(project, project.c.id == session.c.project_id)
        .where(project.c.key == project_name.casefold(), session.c.key == label.casefold())
    ).scalars()
    return min(found_places, default="")
