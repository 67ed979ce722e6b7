"""Rights to resources of projects and subjects (`catalog.own_resources`), their files, and their names in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.catalog.own_resources import Holder, OwnResources, find_own_resources, stored_own_resources
from scandock.catalog.records import SessionRecord
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import files_of
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import Action
from scandock.services import audit, rights, session_contents
from scandock.services.context import ServiceContext
from scandock.services.records import File

_REQUIRED_ACTIONS: Final[Mapping[Action, tuple[Action, Action]]] = {
    Action.SESSION_READ: (Action.PROJECT_READ, Action.SUBJECT_READ),
    Action.SESSION_EDIT: (Action.SESSION_EDIT, Action.SUBJECT_EDIT),
    Action.SESSION_DELETE: (Action.SESSION_DELETE, Action.SUBJECT_DELETE),
    Action.DAMAGE_VERIFY: (Action.DAMAGE_VERIFY, Action.DAMAGE_VERIFY),
}
"""The right to a session -> to a project's own resources, to a subject's. Members add files, owners delete them."""


def required_action(action: Action, *, of_subject: bool) -> Action:
    """The right to do to a subject's shelf, or a project's, what `action` does to a session."""
    return _REQUIRED_ACTIONS[action][of_subject]


def check_right(connection: Connection, principal: Principal, shelf: OwnResources, action: Action) -> None:
    """Raise AccessDenied unless `principal` may do to own resources what `action` does to a session."""
    rights.check(connection, principal, required_action(action, of_subject=shelf.subject_id is not None), shelf.project)


def find_holder_for(
    connection: Connection,
    principal: Principal,
    uuid: str,
    action: Action,
    *,
    prearchive_action: Action | None = None,
    place: str | None = None,
) -> Holder:
    """The own resources of a UUID, where `principal` may do `action` to them, else as `rights.find_session_for`."""
    record, projects = rights.read_session(connection, uuid)
    own = find_own_resources(connection, uuid) if record is None else None
    if own is None:
        return rights.check_session(
            connection, principal, record, projects, action, prearchive_action=prearchive_action, place=place
        )
    check_right(connection, principal, own, action)
    return own


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The first files of own resources, by resource and name, for a page; and how many there are."""

    files: list[File]
    count: int = 0
    bytes: int = 0


def list_own_files(connection: Connection, project_name: str, key: str, max_files: int) -> OwnFiles:
    """What a project (`OF_PROJECT`) or a subject (its UUID) has of its own; who may see it was asked."""
    own = stored_own_resources(connection, project_name, key)
    if own is None:
        return OwnFiles([])
    places = read_places(connection, own.tree_id)
    every = (row for row in files_of(connection, own.tree_id) if row.resource_n in places)
    rows = nsmallest(max_files, every, key=lambda row: (places[row.resource_n].label, row.name))
    return OwnFiles(session_contents.make_files(connection, own, rows, places), own.files, own.bytes)


def audit_target(holder: Holder) -> tuple[str, str]:
    """Kind and id that the audit trail has of whose files these are."""
    if isinstance(holder, SessionRecord):
        return "session", holder.uuid
    return ("project", holder.project) if holder.subject_id is None else ("subject", holder.key)


def record_in_audit(
    context: ServiceContext,
    connection: Connection,
    action: str,
    holder: Holder,
    details: Mapping[str, audit.DetailValue] | None = None,
) -> None:
    """Write a line of the audit trail about a session's files, or that of own resources."""
    kind, target = audit_target(holder)
    context.note(connection, action, target, holder.project, details, kind=kind)
