"""Where a thing of the tree may stand: the addresses of one route, and what the pieces of an address name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import AccessDenied
from scandock.model.uris import PrearchiveSessionUri
from scandock.rules.permissions import AccessDecision, Action
from scandock.services import own_resources
from scandock.services.assessors import Assessor, find_any_assessor
from scandock.services.project_resources import ResourceOwner, find_project_resources, find_subject_resources
from scandock.services.xnat_lookup import (
    AnySession,
    Experiment,
    PrearchiveSession,
    SubjectRecord,
    find_experiment,
    find_experiments,
    find_prearchive_session,
    find_subject,
)
from scandock.web.request_context import RequestContext

SUBJECTS: Final = ("/data/subjects/{subject}", "/data/projects/{project}/subjects/{subject}")
EXPERIMENTS: Final = (
    "/data/experiments/{experiment}",
    "/data/projects/{project}/experiments/{experiment}",
    "/data/subjects/{subject}/experiments/{experiment}",
    "/data/projects/{project}/subjects/{subject}/experiments/{experiment}",
)

SHELVES: Final = ("/data/projects/{project}", *SUBJECTS)
"""What has files of its own beside its experiments."""
HOLDERS: Final = (*SHELVES, *EXPERIMENTS, *(f"{one}/scans/{{scans}}" for one in EXPERIMENTS))
"""What has resources."""

PREARCHIVED: Final = "/data/prearchive/projects/{project}/{timestamp}/{label}"


def subject_of(connection: Connection, work: RequestContext, action: Action = Action.SUBJECT_READ) -> SubjectRecord:
    """The subject that an address names. Denied."""
    places = work.request.path_params
    return find_subject(
        connection, work.context.principal, places["subject"], in_project=places.get("project"), action=action
    )


def experiment_of(
    connection: Connection, work: RequestContext, action: Action = Action.SESSION_READ, name: str | None = None
) -> Experiment:
    """The experiment that an address names, or (`name`) one of several that it names with commas. Denied."""
    places = work.request.path_params
    return find_experiment(
        connection,
        work.context.principal,
        places["experiment"] if name is None else name,
        in_project=places.get("project"),
        of_subject=places.get("subject"),
        action=action,
    )


def experiment_or_assessor(
    connection: Connection, work: RequestContext, action: Action = Action.SESSION_READ
) -> Experiment | Assessor:
    """The session that an address of an experiment names, else the assessor. Denied."""
    places = work.request.path_params
    try:
        return experiment_of(connection, work, action)
    except AccessDenied as denied:
        if denied.answer is AccessDecision.FORBIDDEN:
            raise
        return find_any_assessor(
            connection,
            work.context.principal,
            places["experiment"],
            in_project=places.get("project"),
            of_subject=places.get("subject"),
            action=action,
        )


def experiments_of(connection: Connection, work: RequestContext, names: Sequence[str]) -> list[Experiment]:
    """The experiments that an address names with commas and that one may read, each once. Denied where none is."""
    places = work.request.path_params
    return find_experiments(
        connection,
        work.context.principal,
        names,
        in_project=places.get("project"),
        of_subject=places.get("subject"),
        allow_missing=True,
    )


def shelf_of(connection: Connection, work: RequestContext, action: Action = Action.SESSION_READ) -> ResourceOwner:
    """The shelf of the project or the subject that an address names; `action` as it is of a session. Denied."""
    places = work.request.path_params
    if "subject" in places:
        found = subject_of(connection, work, own_resources.required_action(action, of_subject=True))
        return find_subject_resources(connection, found)
    return find_project_resources(connection, work.context.principal, places["project"], action)


def holder_of(
    connection: Connection, work: RequestContext, action: Action = Action.SESSION_READ
) -> Experiment | ResourceOwner:
    """The archived experiment, or the shelf, that an address names. Denied."""
    if "experiment" in work.request.path_params:
        return experiment_of(connection, work, action)
    return shelf_of(connection, work, action)


def waiting_of(
    connection: Connection, work: RequestContext, action: Action = Action.PREARCHIVE_READ
) -> PrearchiveSession:
    """The prearchive session that an address names. Denied."""
    places = work.request.path_params
    where = PrearchiveSessionUri(places["project"], places["timestamp"], places["label"])
    return find_prearchive_session(connection, work.context.principal, where, action)


def session_of(connection: Connection, work: RequestContext) -> AnySession:
    """The session that an address names, of the archive or the prearchive, to be read. Denied."""
    if "timestamp" in work.request.path_params:
        return waiting_of(connection, work)
    return experiment_of(connection, work)


def any_of(connection: Connection, work: RequestContext) -> AnySession | ResourceOwner:
    """Whatever has files, to be read. Denied."""
    if "timestamp" in work.request.path_params:
        return waiting_of(connection, work)
    return holder_of(connection, work)
