"""The trail's line of an import's end, written in the transaction that ends it; all other lines are `services.audit`'s.

It is written here since an import ends in the rooms below the services, perhaps hours after whoever sent it has gone.
"""

from __future__ import annotations

import json
import os
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from scandock.catalog.engine import Catalog
from scandock.catalog.records import DeletedSession
from scandock.catalog.server_tables import account, audit, reception
from scandock.catalog.tables import project, session, tree, upload

MAX_SESSIONS: Final = 100
"""Sessions that are named; of more the number alone is told."""


def audit_conflict_deletion(catalog: Catalog, connection: Connection, upload_id: int, deleted: DeletedSession) -> None:
    """Note that a session left in conflict went, as an import brought all of it; `deleted` is what the catalog said."""
    who = connection.execute(
        select(upload.c.uuid, reception.c.account_id, account.c.name)
        .outerjoin(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(account, account.c.id == reception.c.account_id)
        .where(upload.c.id == upload_id)
    ).one()
    connection.execute(
        insert(audit).values(
            at=catalog.now(),
            account_id=who.account_id,
            actor=who.name or "system",
            action="archive",
            kind="session",
            target=deleted.uuid,
            project=deleted.project,
            project_uuid=select(project.c.uuid).where(project.c.id == deleted.project_id).scalar_subquery(),
            address="",
            request_id="",
            outcome="done",
            details=json.dumps({"import": who.uuid, "code": deleted.held[0]}, sort_keys=True),
        )
    )


_IMPORT: Final = (
    select(
        upload.c.uuid,
        upload.c.source,
        reception.c.account_id,
        account.c.name.label("actor"),
        project.c.name.label("project"),
        project.c.uuid.label("project_uuid"),
    )
    .outerjoin(reception, reception.c.upload_id == upload.c.id)
    .outerjoin(account, account.c.id == reception.c.account_id)
    .outerjoin(project, project.c.id == reception.c.project_id)
    .where(upload.c.id == bindparam("upload"))
)
_BROUGHT: Final = (
    select(session.c.uuid)
    .join(tree, tree.c.id == session.c.tree_id)
    .where(tree.c.upload_id == bindparam("upload"))
    .order_by(session.c.uuid)
)


def audit_import_end(catalog: Catalog, connection: Connection, upload_id: int, state: str, code: str) -> None:
    """Note how an import ended and, by their UUIDs, which sessions it has brought."""
    row = connection.execute(_IMPORT, {"upload": upload_id}).one()
    uuids = connection.execute(_BROUGHT, {"upload": upload_id}).scalars().all()
    details = {"state": state, "code": code, "sessions": list(uuids[:MAX_SESSIONS]), "brought": len(uuids)}
    connection.execute(
        insert(audit).values(
            at=catalog.now(),
            account_id=row.account_id,
            actor=row.actor or "system",
            action="import_end",
            kind="import",
            target=row.uuid,
            project=row.project or "",
            project_uuid=row.project_uuid,
            address=f"local uid {os.getuid()}" if row.source == "cli" else "",
            request_id="",
            outcome="failed" if state == "failed" else "refused" if state == "refused" else "done",
            details=json.dumps(details, sort_keys=True),
        )
    )
