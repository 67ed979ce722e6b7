"""Where a thing of the tree may stand: the addresses of one route, and what the pieces of an address name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from scandock.http.v1.desks import Work
from scandock.rules.permissions import Action
from scandock.services.xnat.finding import Experiment, Subject, find_experiment, find_subject

SUBJECTS: Final = ("/data/subjects/{subject}", "/data/projects/{project}/subjects/{subject}")
EXPERIMENTS: Final = (
    "/data/experiments/{experiment}",
    "/data/projects/{project}/experiments/{experiment}",
    "/data/subjects/{subject}/experiments/{experiment}",
    "/data/projects/{project}/subjects/{subject}/experiments/{experiment}",
)


def subject_of(connection: Connection, work: Work, action: Action = Action.SUBJECT_READ) -> Subject:
    """The subject that an address names. Denied."""
    places = work.request.path_params
    return find_subject(
        connection, work.desk.principal, places["subject"], in_project=places.get("project"), action=action
    )


def experiment_of(connection: Connection, work: Work, action: Action = Action.SESSION_READ) -> Experiment:
    """The experiment that an address names. Denied."""
    places = work.request.path_params
    return find_experiment(
        connection,
        work.desk.principal,
        places["experiment"],
        in_project=places.get("project"),
        of_subject=places.get("subject"),
        action=action,
    )
