"""By which import a session came, and who uploaded it: for those who may know."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sqlalchemy import Connection, select

from scandock.access.principal import AccessDenied, Principal, ProjectRights, decide_access_of
from scandock.catalog.server_tables import account, reception
from scandock.catalog.tables import session, upload
from scandock.model.dataclass import dataclass
from scandock.rules.permissions import AccessDecision, Action
from scandock.services.imports import find_import
from scandock.services.records import Session
from scandock.services.rights import is_allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOrigin:
    """The import that a session came by first."""

    archive: str
    """The name of its archive."""
    uploader: str
    """The account's name; "" where it was imported by the command line."""
    import_id: str
    """"" where the asker may not read the import, or it was forgotten."""


def read_origin(connection: Connection, principal: Principal, of: Session) -> SessionOrigin | None:
    """Where a session that may be read came from.

    None for who may neither read the audit of its project nor uploaded it, and where nothing tells.
    """
    row = connection.execute(
        select(upload.c.uuid, upload.c.archive, account.c.name, account.c.id)
        .join(session, session.c.received_by == upload.c.id)
        .outerjoin(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(account, account.c.id == reception.c.account_id)
        .where(session.c.uuid == of.id)
    ).first()
    if row is None:
        return None
    is_own = row.id is not None and row.id == principal.account_id
    if not is_own and not is_allowed(connection, principal, Action.AUDIT_READ, of.project):
        return None
    import_id = ""
    with contextlib.suppress(AccessDenied):
        import_id = find_import(connection, principal, row.uuid).uuid
    return SessionOrigin(archive=row.archive, uploader=row.name or "", import_id=import_id)


def read_archive_names(connection: Connection, principal: Principal, sessions: Sequence[Session]) -> dict[str, str]:
    """By the id of a session that may be read: the name of the archive that it came by, for who may know it."""
    rows = connection.execute(
        select(session.c.uuid, upload.c.archive, reception.c.account_id)
        .join(upload, upload.c.id == session.c.received_by)
        .outerjoin(reception, reception.c.upload_id == upload.c.id)
        .where(session.c.uuid.in_([one.id for one in sessions]))
    ).all()
    project_rights = ProjectRights(connection)
    projects = {one.id: one.project for one in sessions}
    return {
        row.uuid: row.archive
        for row in rows
        if (row.account_id is not None and row.account_id == principal.account_id)
        or decide_access_of(principal, Action.AUDIT_READ, projects[row.uuid], project_rights) is AccessDecision.ALLOWED
    }
