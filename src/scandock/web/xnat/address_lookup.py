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

RESOURCE_OWNERS: Final = ("/data/projects/{project}", *SUBJECTS)
"""What has files of its own beside its experiments."""
HOLDERS: Final = (*RESOURCE_OWNERS, *EXPERIMENTS, *(f"{one}/scans/{{scans}}" for one in EXPERIMENTS))
"""What has resources."""

PREARCHIVE_SESSION: Final = "/data/prearchive/projects/{project}/{timestamp}/{label}"


def lookup_subject(
    connection: Connection, context: RequestContext, action: Action = Action.SUBJECT_READ
) -> SubjectRecord:
    """The subject that an address names. AccessDenied."""
    path_params = context.request.path_params
    return find_subject(
        connection,
        context.service_context.principal,
        path_params["subject"],
        in_project=path_params.get("project"),
        action=action,
    )


def lookup_experiment(
    connection: Connection, context: RequestContext, action: Action = Action.SESSION_READ, name: str | None = None
) -> Experiment:
    """The experiment that an address names, or (`name`) one of several that it names with commas. AccessDenied."""
    path_params = context.request.path_params
    return find_experiment(
        connection,
        context.service_context.principal,
        path_params["experiment"] if name is None else name,
        in_project=path_params.get("project"),
        of_subject=path_params.get("subject"),
        action=action,
    )


def lookup_experiment_or_assessor(
    connection: Connection, context: RequestContext, action: Action = Action.SESSION_READ
) -> Experiment | Assessor:
    """The session that an address of an experiment names, else the assessor. AccessDenied."""
    path_params = context.request.path_params
    try:
        return lookup_experiment(connection, context, action)
    except AccessDenied as denied:
        if denied.answer is AccessDecision.FORBIDDEN:
            raise
        return find_any_assessor(
            connection,
            context.service_context.principal,
            path_params["experiment"],
            in_project=path_params.get("project"),
            of_subject=path_params.get("subject"),
            action=action,
        )


def lookup_experiments(connection: Connection, context: RequestContext, names: Sequence[str]) -> list[Experiment]:
    """The experiments that an address names with commas and that one may read, each once.

    AccessDenied where none is.
    """
    path_params = context.request.path_params
    return find_experiments(
        connection,
        context.service_context.principal,
        names,
        in_project=path_params.get("project"),
        of_subject=path_params.get("subject"),
        allow_missing=True,
    )


def lookup_resource_owner(
    connection: Connection, context: RequestContext, action: Action = Action.SESSION_READ
) -> ResourceOwner:
    """The own resources of the project or the subject that an address names; `action` as it is of a session.

    AccessDenied.
    """
    path_params = context.request.path_params
    if "subject" in path_params:
        subject = lookup_subject(connection, context, own_resources.required_action(action, of_subject=True))
        return find_subject_resources(connection, subject)
    return find_project_resources(connection, context.service_context.principal, path_params["project"], action)


def lookup_holder(
    connection: Connection, context: RequestContext, action: Action = Action.SESSION_READ
) -> Experiment | ResourceOwner:
    """The archived experiment, or the own resources, that an address names. AccessDenied."""
    if "experiment" in context.request.path_params:
        return lookup_experiment(connection, context, action)
    return lookup_resource_owner(connection, context, action)


def lookup_prearchive_session(
    connection: Connection, context: RequestContext, action: Action = Action.PREARCHIVE_READ
) -> PrearchiveSession:
    """The prearchive session that an address names. AccessDenied."""
    path_params = context.request.path_params
    uri = PrearchiveSessionUri(path_params["project"], path_params["timestamp"], path_params["label"])
    return find_prearchive_session(connection, context.service_context.principal, uri, action)


def lookup_session(connection: Connection, context: RequestContext) -> AnySession:
    """The session that an address names, of the archive or the prearchive, to be read. AccessDenied."""
    if "timestamp" in context.request.path_params:
        return lookup_prearchive_session(connection, context)
    return lookup_experiment(connection, context)


def lookup_any(connection: Connection, context: RequestContext) -> AnySession | ResourceOwner:
    """Whatever has files, to be read. AccessDenied."""
    if "timestamp" in context.request.path_params:
        return lookup_prearchive_session(connection, context)
    return lookup_holder(connection, context)
