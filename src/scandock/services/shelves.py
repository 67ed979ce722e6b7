"""Rights to shelves (`catalog.shelves`), what is on them, and what the audit trail calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from scandock.access.principal import Principal
from scandock.catalog.records import SessionRecord
from scandock.catalog.own_resources import Holder, OwnResources, find_own_resources, stored_own_resources
from scandock.catalog.tables import file, resource
from scandock.rules.permissions import Action
from scandock.services import audit, contents, rights
from scandock.services.moving import Desk
from scandock.services.records import File

_RIGHTS: Final[Mapping[Action, tuple[Action, Action]]] = {
    Action.SESSION_READ: (Action.PROJECT_READ, Action.SUBJECT_READ),
    Action.SESSION_EDIT: (Action.SESSION_EDIT, Action.SUBJECT_EDIT),
    Action.SESSION_DELETE: (Action.SESSION_DELETE, Action.SUBJECT_DELETE),
    Action.DAMAGE_VERIFY: (Action.DAMAGE_VERIFY, Action.DAMAGE_VERIFY),
}
"""What is asked of a session -> of a project's own shelf, of a subject's. Members put files, owners take them out."""


def right_to(action: Action, *, of_subject: bool) -> Action:
    """The right to do to a subject's shelf, or a project's, what `action` does to a session."""
    return _RIGHTS[action][of_subject]


def check(connection: Connection, principal: Principal, shelf: OwnResources, action: Action) -> None:
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
    found = find_own_resources(connection, uuid)
    if found is None:
        return rights.session_for(connection, principal, uuid, action, waiting=waiting, place=place)
    check(connection, principal, found, action)
    return found


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The first files of a shelf, by resource and name, for a page; and how many there are."""

    files: list[File]
    count: int = 0
    bytes: int = 0


def own_files(connection: Connection, project_name: str, key: str, most: int) -> OwnFiles:
    """What a project (`OF_PROJECT`) or a subject (its UUID) has of its own; who may see it was asked."""
    found = stored_own_resources(connection, project_name, key)
    if found is None:
        return OwnFiles([])
    query = contents.files_query(found).order_by(resource.c.label, file.c.name).limit(most)
    rows = [File.from_row(row, found) for row in connection.execute(query).mappings()]
    return OwnFiles(rows, found.files, found.bytes)


def target_of(holder: Holder) -> tuple[str, str]:
    """Kind and id that the audit trail has of whose files these are."""
    if isinstance(holder, SessionRecord):
        return "session", holder.uuid
    return ("project", holder.project) if holder.subject_id is None else ("subject", holder.key)


def note(
    desk: Desk, connection: Connection, action: str, holder: Holder, details: Mapping[str, audit.Value] | None = None
) -> None:
    """Write a line of the audit trail about a session's files, or a shelf's."""
    kind, target = target_of(holder)
    desk.note(connection, action, target, holder.project, details, kind=kind)
