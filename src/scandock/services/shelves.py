"""Rights to shelves (`catalog.shelves`), and what the audit trail calls them: by their project or subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.catalog.shelves import Holder, Shelf, find_shelf
from scandock.catalog.standing import Standing
from scandock.rules.permissions import Action
from scandock.services import audit, rights
from scandock.services.moving import Desk

_RIGHTS: Final[Mapping[Action, tuple[Action, Action]]] = {
    Action.SESSION_READ: (Action.PROJECT_READ, Action.SUBJECT_READ),
    Action.SESSION_EDIT: (Action.SESSION_EDIT, Action.SUBJECT_EDIT),
    Action.SESSION_DELETE: (Action.SESSION_DELETE, Action.SUBJECT_DELETE),
}
"""What is asked of a session -> of a project's own shelf, of a subject's. Members put files, owners take them out."""


def right_to(action: Action, *, of_subject: bool) -> Action:
    """The right to do to a subject's shelf, or a project's, what `action` does to a session."""
    return _RIGHTS[action][of_subject]


def check(connection: Connection, principal: Principal, shelf: Shelf, action: Action) -> None:
    """Raise Denied unless `principal` may do to a shelf what `action` does to a session."""
    rights.check(connection, principal, right_to(action, of_subject=shelf.subject_id is not None), shelf.project)


def holder_for(
    connection: Connection,
    principal: Principal,
    uuid: str,
    action: Action,
    *,
    waiting: Action | None = None,
    place: str | None = None,
) -> Holder:
    """The shelf of a UUID, where `principal` may do `action` to it, else the session as `rights.session_for`."""
    found = find_shelf(connection, uuid)
    if found is None:
        return rights.session_for(connection, principal, uuid, action, waiting=waiting, place=place)
    check(connection, principal, found, action)
    return found


def target_of(holder: Holder) -> tuple[str, str]:
    """Kind and id that the audit trail has of whose files these are."""
    if isinstance(holder, Standing):
        return "session", holder.uuid
    return ("project", holder.project) if holder.subject_id is None else ("subject", holder.key)


def note(
    desk: Desk, connection: Connection, action: str, holder: Holder, details: Mapping[str, audit.Value] | None = None
) -> None:
    """Write a line of the audit trail about a session's files, or a shelf's."""
    kind, target = target_of(holder)
    desk.note(connection, action, target, holder.project, details, kind=kind)
